"""`nearest(model, vectors)`: which tokens of a GGUF model a prompt's vectors are like; and a text as its vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidPrompt, Misfit
from ...fingerprint import KEY, sample_ids, take
from ...prompt import SoftPrompt, TextPrompt
from .model import GgufModel

CHUNK = 4096
"""Rows of the vocabulary that are in memory at once."""


def nearest(model: GgufModel, vectors: NDArray[np.float32]) -> list[int]:
    """For each of (tokens, width) vectors the id whose embedding points most its way; raises Misfit."""
    if vectors.shape[1] != model.width:
        raise Misfit(f"the prompt is {vectors.shape[1]} wide, but this model embeds tokens {model.width} wide")
    wanted, rows = _pointing(vectors), min(model.rows, len(model.tokens))
    best: NDArray[np.float32] = np.full(len(wanted), -np.inf, np.float32)
    ids: NDArray[np.int64] = np.zeros(len(wanted), np.int64)
    for start in range(0, rows, CHUNK):
        cosines = wanted @ _pointing(model.table_rows(range(start, min(start + CHUNK, rows)))).T
        places = cosines.argmax(axis=1)
        found = cosines[np.arange(len(wanted)), places]
        best, ids = np.where(found > best, found, best), np.where(found > best, places + start, ids)
    return [int(each) for each in ids]


def readable(model: GgufModel, token: int, decode: Callable[[Sequence[int]], str]) -> str:
    """A token as it reads in a text; what decodes to nothing readable, as the vocabulary has it."""
    text = decode([token])
    return model.tokens[token] if not text.strip() or "\ufffd" in text else text


def baked(model: GgufModel, prompt: TextPrompt, ids: Sequence[int]) -> SoftPrompt:
    """The soft prompt that is the embeddings of a text, which has these ids; raises InvalidPrompt."""
    if not ids:
        raise InvalidPrompt(f"'{prompt.name}' has no tokens on this model: write more into it")
    sample = sample_ids(min(model.rows, len(model.tokens)))
    known = take(model, [model.tokens[each] for each in sample], sample).to_text()
    return SoftPrompt(prompt.name, model.embed(ids), metadata={"base_model": model.name, KEY: known, "method": "text"})


def _pointing(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows at length 1; those of padding stay at 0."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    pointing: NDArray[np.float32] = rows / np.where(lengths > 0, lengths, np.float32(1))
    return pointing
