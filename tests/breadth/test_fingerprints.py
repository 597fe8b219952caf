"""Fingerprints on real models: the table of docs/format.md, made of the storyteller and of what becomes of it.

DOCS_FINGERPRINTS=1 writes the figures there instead of comparing them.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
import transformers

from soft_prompts import SoftPrompt
from soft_prompts.fingerprint import KEY, Fingerprint, judge, similarity
from soft_prompts.hosts.hf.view import ModelView, codec_of, origin_of

gguf = pytest.importorskip("gguf")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "format.md"
Change = Callable[[Any, Any, str], Any]


def in_type(dtype: torch.dtype) -> Change:
    return lambda model, tokenizer, text: model.to(dtype)


def in_rows(change: Callable[[np.ndarray], np.ndarray]) -> Change:
    """The embedding's rows as another program has them."""

    def changed(model: Any, tokenizer: Any, text: str) -> Any:
        weight = model.get_input_embeddings().weight
        weight.data = torch.tensor(np.ascontiguousarray(change(weight.detach().numpy())))
        return model

    return changed


def in_gguf(kind: str) -> Change:
    number = getattr(gguf.GGMLQuantizationType, kind)
    return in_rows(lambda rows: gguf.dequantize(gguf.quantize(rows, number), number))


def bits(count: int, block: int) -> Change:
    """Whole numbers of so many bits, with one scale for each block, as int8 loaders and 4-bit ones round."""

    def rounded(rows: np.ndarray) -> np.ndarray:
        blocks = rows.reshape(-1, block or rows.shape[1])
        scale = np.abs(blocks).max(axis=1, keepdims=True) / (2 ** (count - 1) - 1)
        return (np.round(blocks / scale) * scale).astype(np.float32).reshape(rows.shape)

    return in_rows(rounded)


def resized(by: int) -> Change:
    def changed(model: Any, tokenizer: Any, text: str) -> Any:
        model.resize_token_embeddings(model.config.vocab_size + by, mean_resizing=False)
        return model

    return changed


def learnt(model: Any, tokenizer: Any, text: str, rate: float, steps: int) -> Any:
    """All that may be learnt of the model, on the text, at this rate."""
    ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"][0]
    weights = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
    lots = torch.Generator().manual_seed(0)
    for _ in range(steps):
        starts = torch.randint(len(ids) - 64, (4,), generator=lots)
        rows = torch.stack([ids[start : start + 64] for start in starts])
        model(rows, labels=rows).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def finetuned(rate: float, steps: int) -> Change:
    return lambda model, tokenizer, text: learnt(model.requires_grad_(True), tokenizer, text, rate, steps)


def with_lora(model: Any, tokenizer: Any, text: str) -> Any:
    """One that changes the embeddings as well, merged into the weights."""
    torch.manual_seed(0)
    config = peft.LoraConfig(r=8, target_modules=["q_proj", "v_proj", "embed_tokens"], task_type="CAUSAL_LM")
    adapted = learnt(peft.get_peft_model(model, config), tokenizer, text, 1e-3, 100)
    return adapted.merge_and_unload()


def another(steps: int) -> Change:
    """Of the same shape and the same tokenizer, from another beginning."""

    def made(model: Any, tokenizer: Any, text: str) -> Any:
        torch.manual_seed(1)
        other = transformers.AutoModelForCausalLM.from_config(model.config)
        return learnt(other.requires_grad_(True), tokenizer, text, 1e-3, steps)

    return made


CHANGES: dict[str, tuple[Change, str]] = {
    "float32": (in_type(torch.float32), "fits"),
    "bfloat16": (in_type(torch.bfloat16), "fits"),
    "float16": (in_type(torch.float16), "fits"),
    "8 bits, a scale for each row": (bits(8, 0), "fits"),
    "4 bits, a scale for 32 numbers": (bits(4, 32), "fits"),
    "GGUF Q8_0": (in_gguf("Q8_0"), "fits"),
    "GGUF Q5_1": (in_gguf("Q5_1"), "fits"),
    "GGUF Q5_0": (in_gguf("Q5_0"), "fits"),
    "GGUF Q4_1": (in_gguf("Q4_1"), "fits"),
    "GGUF Q4_0": (in_gguf("Q4_0"), "fits"),
    "64 tokens more": (resized(64), "fits"),
    "200 tokens fewer": (resized(-200), "fits"),
    "a LoRA on attention and embeddings, merged": (with_lora, "fits"),
    "finetuned whole, 100 steps at 1e-4": (finetuned(1e-4, 100), "fits"),
    "finetuned whole, 300 steps at 2e-3": (finetuned(2e-3, 300), "relative"),
    "another model of its shape, untrained": (another(0), "stranger"),
    "another model of its shape, trained": (another(300), "stranger"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_becomes_of_a_model_is_told(change: str, storyteller: tuple[Any, Any], story: str) -> None:
    model, tokenizer = storyteller
    origin = origin_of(model, tokenizer)
    make, verdict = CHANGES[change]
    changed = make(copy.deepcopy(model), tokenizer, story * 4)
    view = ModelView(changed, codec_of(tokenizer))
    found = similarity(Fingerprint.from_text(origin[KEY]), view)
    assert judge(SoftPrompt("noir", np.ones((2, view.width)), metadata=origin), view).verdict == verdict, found
    said(change, found, verdict)


def said(change: str, found: float, verdict: str) -> None:
    """Raises AssertionError where the page says something else."""
    text = PAGE.read_text("utf-8")
    row = rf"^\| {re.escape(change)} \| ([\d.-]+) \| (\w+) \|$"
    if os.environ.get("DOCS_FINGERPRINTS"):
        assert re.search(row, text, re.MULTILINE), f"docs/format.md has no row for {change!r}"
        text = re.sub(row, f"| {change} | {found:.4f} | {verdict} |", text, flags=re.MULTILINE)
        PAGE.write_text(text, "utf-8")
        return
    told = re.search(row, text, re.MULTILINE)
    assert told, f"docs/format.md has no row for {change!r}: DOCS_FINGERPRINTS=1 writes the figures"
    assert told[2] == verdict
    # Training adds its own noise from one processor to another.
    assert float(told[1]) == pytest.approx(found, abs=0.02 if verdict != "fits" else 0.002)
