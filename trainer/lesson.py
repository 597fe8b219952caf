"""`lesson = Finetune("noir.txt").lesson(reader)`: a task, in the tokens of one model - what each step learns from.

A lesson is asked in this order: `defaults`, then `prepare` and `prepare_test` once (the model may write for it), then
`terms` for each step, and `report` at the end, which needs `prepare_test` alone. Adding a kind of training is adding a
lesson.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch

from .batch import Row, Rows
from .data import Pair
from .evaluate import Answer, Line, Reading, Report, answers, mean, said
from .objectives import Objective, Term, cross_entropy, divergence, teach
from .reader import Reader
from .settings import Settings
from .writing import unrelated

Watch = Callable[[str, int, int], None]
"""`watch(what, done, total)`: how far a preparation is."""

Preparation = Callable[[Settings, Watch, "Written"], None]
"""What a model is asked to write: `prepare` or `prepare_test` of a lesson."""

SHORTEST = 16
EXAMPLE = 448
"""Tokens of the text itself in the context, to compare with: more seldom helps."""

REPORTED, LEARNT = 1_000, 2_000
"""Added to the seed: what is written for the report is not what is trained on."""


class Lesson(ABC):
    """words: ids of what is learnt, from which a prompt starts and which say how large the embeddings are."""

    method: ClassVar[str]
    digest: str
    words: list[int]
    validation: Rows
    test: Rows
    notes: tuple[str, ...] = ()
    tried: tuple[float, float] = (1.0, 1.0)
    """Shares of what the model would write, and of the validation part, that are there: less in a trial."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    @property
    def objective(self) -> Objective:
        """What is measured on the validation and the test part."""
        return cross_entropy

    @property
    @abstractmethod
    def defaults(self) -> dict[str, Any]:
        """Of Settings, where they differ from its own."""

    @abstractmethod
    def fit(self, settings: Settings) -> int:
        """Make the rows; the tokens of the longest one."""

    def prepare(self, settings: Settings, watch: Watch, written: Written) -> None:  # noqa: B027
        """Let the model write what the steps learn from and are judged by. Called once, with the model frozen."""

    def prepare_test(self, settings: Settings, watch: Watch, written: Written) -> None:  # noqa: B027
        """The same for the test part, which may be all that is wanted of a prompt that is there already."""

    @abstractmethod
    def terms(self, number: int, settings: Settings) -> list[Term]:
        """The parts of the loss of step `number`, which depend on nothing else."""

    @abstractmethod
    def readings(self, vectors: torch.Tensor) -> list[Reading]:
        """What the prompt is compared with, nothing first and the prompt last."""

    def line(self, reading: Reading, micro: int) -> Line:
        """A reading, measured on the test part."""
        tokens = 0 if reading.vectors is None else len(reading.vectors)
        return Line(reading.name, tokens, mean(self.reader, reading.vectors, self.objective, self.test.all, micro))

    def answers(self, tokenizer: Any, vectors: torch.Tensor, micro: int) -> tuple[Answer, ...]:
        """Of each held-out call, where the lesson has some."""
        return ()

    def report(self, tokenizer: Any, vectors: torch.Tensor, settings: Settings, micro: int, watch: Watch) -> Report:
        """Everything measured on the test part, which nothing else looks at."""
        readings = self.readings(vectors)
        lines = []
        for number, each in enumerate(readings):
            watch("measuring", number, len(readings) + 1)
            lines.append(self.line(each, micro))
        watch("measuring", len(readings), len(readings) + 1)
        found = self.answers(tokenizer, vectors, micro)
        cost = self.cost(vectors, settings.seed, micro)
        watch("measuring", len(readings) + 1, len(readings) + 1)
        return Report(self.method, tuple(lines), found, cost, self.notes)

    def cost(self, vectors: torch.Tensor, seed: int, micro: int) -> float:
        """KL to the bare model on what that writes by itself, nats per token."""
        rows = unrelated(self.reader, 16, seed + REPORTED)
        teach(self.reader, None, rows, micro)
        return mean(self.reader, vectors, divergence, rows.all, micro)

    def _room(self, rows: int) -> int:
        """Tokens that may stand before a test row."""
        longest = self.reader.longest
        return EXAMPLE if longest is None else max(0, longest - len(self.reader.head) - rows)


class Written:
    """Rows that the model wrote, kept where a training that goes on finds them. This one keeps nothing."""

    def load(self, key: str) -> list[list[int]] | None:
        """The rows of this key, if they were kept."""
        return None

    def save(self, key: str, rows: Sequence[Sequence[int]]) -> None:
        """Keep them."""


def ids_of(reader: Reader, pair: Pair) -> tuple[list[int], list[int]]:
    """(call, answer) as ids: as they stand in one text where the call's tokens stay what they are, else apart."""
    call, whole = reader.seams.inner(pair.call), reader.seams.inner(pair.call + pair.response)
    if whole[: len(call)] == call and len(whole) > len(call):
        return call, whole[len(call) :]
    return call, reader.seams.inner(pair.response)


def answered(
    reader: Reader, tokenizer: Any, vectors: torch.Tensor, rows: Rows, asked: Sequence[Pair], micro: int
) -> tuple[Answer, ...]:
    """Each pair with what the model answers behind `vectors`."""
    found = []
    for number, (pair, each) in enumerate(zip(asked, answers(reader, vectors, rows, micro), strict=True)):
        words = pair.response if each.right else said(reader, tokenizer, vectors, rows, number)
        found.append(Answer(pair.call, pair.response, words, each.right, each.nats / max(1, each.tokens)))
    return tuple(found)


def row_of(pair: tuple[list[int], list[int]], before: tuple[int, ...] = ()) -> Row:
    call, answer = pair
    return Row.whole([*before, *call, *answer], len(before) + len(call))
