"""`report(reader, lesson, vectors)`: how good a prompt is on what the training never saw, and what it costs.

A prompt is compared with nothing, with the text itself in the context, and with the fair rival: that text cut to as
many tokens as the prompt has. All are read in the same way, for a text is the vectors of its tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch

from .batch import Batch, Rows
from .fitting import halving
from .objectives import Objective
from .reader import Reader
from .writing import write

Found = TypeVar("Found")

SAID = 8
"""Tokens that a wrong answer may be longer than the right one before it is cut."""


@dataclass(frozen=True)
class HeldOut:
    """Nats per token on the test part: without the prompt and with it. Lower is better."""

    base: float
    prompt: float

    @property
    def gained(self) -> float:
        """Nats per token that the prompt saves."""
        return self.base - self.prompt


@dataclass(frozen=True)
class Reading:
    """What stands before the test texts: a name for people, and (tokens, width) vectors, or None for nothing."""

    name: str
    vectors: torch.Tensor | None


@dataclass(frozen=True)
class Line:
    """One row of a report. tokens: of context. nats: per token, or of divergence from the teacher where one taught.

    bits: per byte of the text. answers: nats per token of right answers. recall: share of answers said right, greedily.
    """

    name: str
    tokens: int
    nats: float
    bits: float | None = None
    answers: float | None = None
    recall: float | None = None


@dataclass(frozen=True)
class Answer:
    """One held-out call: whether the model's likeliest answer behind the prompt is the right one, and what it said."""

    call: str
    response: str
    said: str
    right: bool
    nats: float


@dataclass(frozen=True)
class Report:
    """lines: nothing, the text in its forms, the soft prompt last. answers: per held-out call, of the soft prompt.

    unrelated: KL to the bare model on text which that writes by itself, nats per token: what the prompt costs there.
    """

    method: str
    lines: tuple[Line, ...]
    answers: tuple[Answer, ...]
    unrelated: float
    notes: tuple[str, ...] = ()

    @property
    def held_out(self) -> HeldOut:
        """The first line and the last."""
        return HeldOut(self.lines[0].nats, self.lines[-1].nats)


@dataclass(frozen=True)
class Measured:
    """One row of answers: right greedily, and the nats of all its tokens together."""

    right: bool
    nats: float
    tokens: int


def total(reader: Reader, vectors: torch.Tensor | None, objective: Objective, batch: Batch, micro: int) -> float:
    """The sum of `objective` over all that counts, without gradients, `micro` rows at a time."""
    with torch.no_grad():
        return sum(_of_parts(batch, micro, lambda part: [float(objective(reader, vectors, part))]))


def mean(reader: Reader, vectors: torch.Tensor | None, objective: Objective, batch: Batch, micro: int) -> float:
    """The same, for each token that counts."""
    return total(reader, vectors, objective, batch, micro) / max(1, batch.count)


def answers(reader: Reader, vectors: torch.Tensor | None, rows: Rows, micro: int) -> list[Measured]:
    """Each row's counted tokens as an answer: right where every one of them is the likeliest."""

    def measured(part: Batch) -> list[Measured]:
        features, wanted, found = reader.features(vectors, part), part.wanted, []
        for length in part.counted.sum(1).tolist():
            logs = torch.log_softmax(reader.logits(features[:length]).float(), dim=-1).cpu()
            mine, features, wanted = wanted[:length], features[length:], wanted[length:]
            nats = -float(logs.gather(-1, mine.unsqueeze(-1)).sum())
            found.append(Measured(length > 0 and bool((logs.argmax(-1) == mine).all()), nats, length))
        return found

    with torch.no_grad():
        return _of_parts(rows.all, micro, measured)


def _of_parts(batch: Batch, micro: int, work: Callable[[Batch], list[Found]]) -> list[Found]:
    """What `work` finds in parts of `micro` rows, and of fewer where memory is short."""

    found: list[Found] = []
    for part in batch.split(micro):
        found += halving(work, part, lambda each: each.split((len(each) + 1) // 2))
    return found


def nats_of(measured: Sequence[Measured]) -> float:
    """Nats per token over all answers."""
    return sum(each.nats for each in measured) / max(1, sum(each.tokens for each in measured))


def recall_of(measured: Sequence[Measured]) -> float:
    """The share of right ones."""
    return sum(each.right for each in measured) / max(1, len(measured))


def said(reader: Reader, tokenizer: object, vectors: torch.Tensor | None, rows: Rows, number: int) -> str:
    """What the model says greedily where row `number`'s answer should stand."""
    row = rows.rows[number]
    start, stop = row.counted
    (ids,) = write(reader, vectors, [row.ids[:start]], stop - start + SAID, temperature=0)
    before, whole = (tokenizer.decode(list(each)) for each in (row.ids[:start], row.ids[:start] + tuple(ids)))  # type: ignore[attr-defined]
    return str(whole[len(before) :])


def bits_per_byte(nats: float, tokens: int, size: int) -> float:
    """Of a text of `size` bytes and `tokens` tokens: comparable between models of different vocabularies."""
    return nats * tokens / size / math.log(2)
