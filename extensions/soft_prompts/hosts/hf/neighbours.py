"""`neighbours(model, tokenizer, vectors)`: which tokens of the vocabulary a prompt's vectors are like, and how long.

A trained vector is seldom near any token: a cosine of 0.3 is much. Words that a prompt began with may still be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray

from ...errors import Misfit
from ...terminal import table
from .view import embedded, text_embedding, unwrap

CHUNK = 4096
"""Tokens of the vocabulary that are embedded at once."""


@dataclass(frozen=True)
class Neighbour:
    """One vector: how long it is, against a usual token of the model, and (token, cosine), the nearest first."""

    norm: float
    against: float
    near: tuple[tuple[str, float], ...]


def neighbours(model: Any, tokenizer: Any, vectors: NDArray[Any], count: int = 4) -> list[Neighbour]:
    """For each of (tokens, width) vectors; raises Misfit where they are not as wide as the model's."""
    base = unwrap(model)
    embedding = text_embedding(base)
    wanted = torch.tensor(vectors)
    best = torch.full((len(wanted), 0), 0.0)
    ids = torch.zeros((len(wanted), 0), dtype=torch.long)
    lengths = []
    for start in range(0, _known(base, tokenizer), CHUNK):
        chunk = range(start, min(start + CHUNK, _known(base, tokenizer)))
        with torch.no_grad():
            rows = embedded(embedding, chunk).float().cpu()
        if rows.shape[1] != wanted.shape[1]:
            raise Misfit(f"the prompt is {wanted.shape[1]} wide, but this model embeds tokens {rows.shape[1]} wide")
        lengths.append(rows.norm(dim=1))
        cosines = torch.nn.functional.normalize(wanted, dim=1) @ torch.nn.functional.normalize(rows, dim=1).T
        best, places = torch.cat([best, cosines], dim=1).topk(min(count, best.shape[1] + len(rows)), dim=1)
        ids = torch.cat([ids, torch.tensor(chunk).expand(len(wanted), -1)], dim=1).gather(1, places)
    usual = float(torch.cat(lengths).median())
    norms = wanted.norm(dim=1).tolist()
    return [
        Neighbour(norm, norm / usual if usual else 0.0, _named(tokenizer, ids[place].tolist(), best[place].tolist()))
        for place, norm in enumerate(norms)
    ]


def nearest(model: Any, tokenizer: Any, vectors: NDArray[Any]) -> list[str]:
    """For each of (tokens, width) vectors the one token that it is nearest to, as it reads in a text."""
    return [each.near[0][0] for each in neighbours(model, tokenizer, vectors, count=1)]


def told(found: list[Neighbour]) -> str:
    """As a table for people."""
    rows = [("vector", "length", "of a token's", "nearest tokens, with their cosines")]
    for number, each in enumerate(found, 1):
        near = ",  ".join(f"{word!r} {cosine:.2f}" for word, cosine in each.near)
        rows.append((str(number), f"{each.norm:.3f}", f"{each.against:.1f} x", near))
    return table(rows)


def _known(base: Any, tokenizer: Any) -> int:
    """Ids beyond the tokenizer are padding of the matrix, and mean nothing."""
    rows = getattr(text_embedding(base), "num_embeddings", None) or base.config.get_text_config().vocab_size
    return min(int(rows), len(tokenizer))


def _named(tokenizer: Any, ids: list[int], cosines: list[float]) -> tuple[tuple[str, float], ...]:
    return tuple((_word(tokenizer, each), round(cosine, 4)) for each, cosine in zip(ids, cosines, strict=True))


def _word(tokenizer: Any, token: int) -> str:
    """As it reads in a text; what decodes to nothing readable, as the vocabulary has it."""
    name = str(tokenizer.convert_ids_to_tokens(token))
    text = str(tokenizer.decode([token]))
    if not text.strip() or "\ufffd" in text:
        return name
    # Some tokenizers drop the space in front of what they decode.
    return " " + text if name[:1] in ("\u2581", "\u0120") and not text.startswith(" ") else text
