"""`write_storyteller(folder, "lora")`: the demo's model as GGUF, for the one way of soft prompts or the other."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from soft_prompts import demo

from .gguf_models import write_gguf

WAYS = ["lora", "mmproj"]
SPARE = 96
"""Rows that are added at the vocabulary's end, and are marked as unused."""


def write_storyteller(folder: Path, way: str, kind: str = "F32") -> Path:
    """ "lora": with an output table of its own and spare rows; "mmproj": tied, as it is."""
    model, tokenizer = loaded()
    path = folder / f"storyteller-{way}-{kind}.gguf"
    if way == "mmproj":
        return write_gguf(path, model, tokenizer, kind)
    larger = load()[0]
    table = larger.get_input_embeddings().weight
    mean = table.mean(0)
    larger.resize_token_embeddings(model.config.vocab_size + SPARE, mean_resizing=False)
    # As likely as a word is on average: greedily never written, and hot now and then.
    larger.get_input_embeddings().weight[-SPARE:] = mean
    return write_gguf(path, larger, tokenizer, kind, unused=SPARE, untie=True)


@cache
def loaded() -> tuple[Any, Any]:
    """(model, tokenizer), shared by all who do not change them."""
    return load()


def load() -> tuple[Any, Any]:
    """(model, tokenizer) in float32."""
    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(demo.path())
