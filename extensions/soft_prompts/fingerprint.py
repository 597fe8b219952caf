"""`judge(prompt, embedding)`: was this prompt made for the model whose token embeddings these are?

A fingerprint is a sketch, not a hash: quantised, resized, sharded and merged copies of a model agree, strangers of
equal width do not. Rows are read through the embedding module, so that a scale applied inside it is part of the
answer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidPrompt

KEY = "fingerprint"
SAMPLES = 64
PROJECTIONS = 32
FITS = 0.99
"""Q4_0 is at 0.993 to 0.995, one that changed the embeddings for good below: see docs/format.md."""
RELATED = 0.8


class Embedding(Protocol):
    """What a host shows of a model's token embeddings."""

    @property
    def width(self) -> int:
        """Of one vector, at the embedding module's output."""

    @property
    def rows(self) -> int:
        """How many ids can be asked for."""

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(len(ids), width): the embedding module's output for `ids`."""


class Described(Protocol):
    """What is told of a prompt by itself, and by its file's header."""

    @property
    def name(self) -> str:
        """As the tag says it."""

    @property
    def width(self) -> int:
        """Of one vector."""

    @property
    def metadata(self) -> Mapping[str, str]:
        """As the file carries it."""


@dataclass(frozen=True)
class Fit:
    """verdict: "fits", "relative" (usable, warn), "unknown" (no fingerprint: usable, warn), "stranger" or "width"."""

    verdict: Literal["fits", "relative", "unknown", "stranger", "width"]
    reason: str
    similarity: float | None = None

    @property
    def usable(self) -> bool:
        """Whether a host takes the prompt without being told to."""
        return self.verdict in ("fits", "relative", "unknown")


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """ids of the sampled rows, their token strings, and sketch: (rows, 32) float16."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    sketch: NDArray[np.float16]

    def to_text(self) -> str:
        """The form in which files carry it, about 5 KB."""
        sketch = base64.b64encode(self.sketch.astype("<f2").tobytes()).decode()
        return json.dumps({"version": 1, "ids": self.ids, "tokens": self.tokens, "sketch": sketch}, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> Fingerprint:
        """Back from `to_text`; raises InvalidPrompt when it is no fingerprint."""
        try:
            fields: dict[str, Any] = json.loads(text)
            ids = tuple(fields["ids"])
            sketch = np.frombuffer(base64.b64decode(fields["sketch"], validate=True), "<f2")
            sound = all(type(each) is int and 0 <= each < 1 << 31 for each in ids) and 0 < len(ids) <= SAMPLES
            if not sound or not np.isfinite(sketch).all():
                raise ValueError("ids or numbers out of bounds")
            return cls(ids, tuple(map(str, fields["tokens"])), sketch.reshape(len(ids), PROJECTIONS))
        except (KeyError, TypeError, ValueError, RecursionError, binascii.Error) as problem:
            raise InvalidPrompt(f"its model fingerprint cannot be read ({problem}): retrain or convert it") from None


def take(embedding: Embedding, tokens: Sequence[str] = (), sample: Sequence[int] = ()) -> Fingerprint:
    """The fingerprint of a model: the rows `sample`, by default 64 ids spread over `sample_ids(embedding.rows)`."""
    ids = tuple(sample) or sample_ids(embedding.rows)
    sketch = _sketch(embedding.embed(ids))
    return Fingerprint(ids, tuple(tokens), sketch.astype(np.float16))


def sample_ids(rows: int) -> tuple[int, ...]:
    """Up to 64 ids spread evenly over `rows`; the first and the last few, often specials, are left out."""
    count = min(SAMPLES, rows)
    return tuple((2 * each + 1) * rows // (2 * count) for each in range(count))


def similarity(known: Fingerprint, embedding: Embedding) -> float:
    """Mean cosine of the sampled rows, -1 to 1; 0 when under half of them exist here or their scale is another."""
    present = [place for place, each in enumerate(known.ids) if each < embedding.rows]
    if 2 * len(present) < len(known.ids):
        return 0.0
    theirs = known.sketch[present].astype(np.float32)
    ours = _sketch(embedding.embed([known.ids[place] for place in present])).astype(np.float16).astype(np.float32)
    norms = np.linalg.norm(theirs, axis=1), np.linalg.norm(ours, axis=1)
    told = (norms[0] > 0) & (norms[1] > 0)
    if 2 * told.sum() < len(known.ids):
        return 0.0
    scale = float(np.median(norms[1][told] / norms[0][told]))
    if not 0.5 < scale < 2:
        return 0.0
    cosines = (theirs[told] * ours[told]).sum(axis=1) / (norms[0][told] * norms[1][told])
    return float(cosines.mean())


def judge(prompt: Described, embedding: Embedding) -> Fit:
    """Whether `prompt` was made for the model behind `embedding`, and why (not), in words for the writer."""
    return Judge(embedding)(prompt)


class Judge:
    """`Judge(embedding)(prompt)`: as `judge`, and what it has found for a fingerprint it knows from then on."""

    def __init__(self, embedding: Embedding) -> None:
        self._embedding = embedding
        self._known: dict[str, float | InvalidPrompt] = {}

    def __call__(self, prompt: Described) -> Fit:
        """The same for a prompt or for what a file's header tells of it."""
        model = prompt.metadata.get("base_model", "")
        made_for = f"it was trained on {model}" if model else "which model it was trained on is not recorded"
        name, width = f"soft prompt '{prompt.name}'", self._embedding.width
        if prompt.width != width:
            return Fit(
                "width",
                f"{name} is {prompt.width} wide, but this model embeds tokens {width} wide; {made_for}. "
                "Load that model, or retrain it",
            )
        if KEY not in prompt.metadata:
            return Fit("unknown", f"{name} carries no fingerprint: {made_for}; it may say nothing here")
        found = self._similarity(prompt.metadata[KEY])
        if isinstance(found, InvalidPrompt):
            return Fit("unknown", f"{name}: {found}; {made_for}. It may say nothing here")
        if found >= FITS:
            return Fit("fits", "made for this model", found)
        if found >= RELATED:
            words = f"{name} was made for a relative of this model: it may say less here; {made_for}"
            return Fit("relative", words, found)
        return Fit(
            "stranger",
            f"{name} was made for another model of the same width; {made_for}. Load that model, or retrain it",
            found,
        )

    def _similarity(self, text: str) -> float | InvalidPrompt:
        if text not in self._known:
            try:
                self._known[text] = similarity(Fingerprint.from_text(text), self._embedding)
            except InvalidPrompt as problem:
                self._known[text] = problem
        return self._known[text]


def _sketch(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(rows, 32): projections on fixed +-1 vectors, divided so that a row keeps about its own RMS."""
    width = rows.shape[1]
    projected: NDArray[np.float32] = rows @ _signs(width) / np.float32(np.sqrt(width))
    return np.clip(projected, -60_000, 60_000)


@lru_cache(maxsize=4)
def _signs(width: int) -> NDArray[np.float32]:
    # From a hash, not from a random generator: the same on every numpy, for ever.
    bits = np.unpackbits(
        np.frombuffer(hashlib.shake_256(b"soft-prompts fingerprint 1").digest(width * PROJECTIONS // 8), np.uint8)
    )
    return (bits.astype(np.float32) * 2 - 1).reshape(width, PROJECTIONS)
