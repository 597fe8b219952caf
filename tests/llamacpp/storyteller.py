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
    """The file of `model_of(way)`, with its matrices in one type."""
    return write_gguf(
        folder / f"storyteller-{way}-{kind}.gguf",
        model_of(way),
        loaded()[1],
        kind,
        unused=SPARE if way == "lora" else 0,
        untie=way == "lora",
    )


@cache
def model_of(way: str) -> Any:
    """ "lora": with an output table of its own and spare rows; "mmproj": tied, as it is."""
    if way == "mmproj":
        return loaded()[0]
    model = load()[0]
    mean = model.get_input_embeddings().weight.mean(0)
    model.resize_token_embeddings(model.config.vocab_size + SPARE, mean_resizing=False)
    # As likely as a word is on average: greedily never written, and hot now and then.
    model.get_input_embeddings().weight[-SPARE:] = mean
    return model


@cache
def loaded() -> tuple[Any, Any]:
    """(model, tokenizer), shared by all who do not change them."""
    return load()


def load() -> tuple[Any, Any]:
    """(model, tokenizer) in float32."""
    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
    return model.eval().requires_grad_(False), AutoTokenizer.from_pretrained(demo.path())
