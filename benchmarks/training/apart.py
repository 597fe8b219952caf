"""`apart(section)`: looks at the validation part, checkpoints and the teacher, which are no part of a step.

Each is measured by itself, in processor time, and told as a share of a whole training with its defaults.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from soft_prompts.demo.measure import lores
from soft_prompts.trainer import Corpus, Distill, Finetune, Keeper, Settings, Training
from soft_prompts.trainer import Lore as Text
from soft_prompts.trainer.batch import Batch
from soft_prompts.trainer.distill import parts_of, rows_for
from soft_prompts.trainer.lesson import Written

from ..common.tables import Section
from .rivals import TOKENS
from .subjects import Subject, noir

STEPS = (100, 400)
"""Of a style training; all else of it is as by default."""

WRITTEN = 96
"""Rows to learn from that the teacher writes here, of which each costs what all do that it writes by default."""


@dataclass(frozen=True)
class Piece:
    """What a training takes `times` times, and the seconds of processor time that it takes once."""

    name: str
    once: float
    times: int

    @property
    def seconds(self) -> float:
        return self.once * self.times


def apart(section: Section) -> None:
    """One more table."""
    rows: list[tuple[object, ...]] = []
    for name, pieces in trainings():
        whole = sum(piece.seconds for piece in pieces)
        rows.append((name, "", "", f"{whole:.0f} s"))
        rows += [(each.name, f"{each.once * 1e3:.1f} ms", each.times, f"{each.seconds / whole:.2%}") for each in pieces]
    section.table(("processor time, storyteller", "once", "times", "of the whole training"), rows)
    section.say(
        "All steps are counted, also where a training would end before its last one, and a checkpoint for each look; "
        "what takes longer makes one every 15 s, too. The report at the end is not in it."
    )


def trainings() -> Iterator[tuple[str, list[Piece]]]:
    """Whole trainings by name, in pieces."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _styles(noir(), Keeper(folder, "style"))
        yield _distillation(noir(1), _Timed(folder, "lore"))


def _styles(subject: Subject, keeper: Keeper) -> Iterator[tuple[str, list[Piece]]]:
    training = _training(subject, Finetune(Corpus(subject.text)), keeper, tokens=TOKENS)
    costs = _costs(training, 20, training.lesson.validation.all)
    for steps in STEPS:
        yield f"style, {steps} steps", _pieces(costs, steps)


def _distillation(subject: Subject, keeper: _Timed) -> tuple[str, list[Piece]]:
    training = _training(subject, Distill(Text(lores(1)[0].text), at_most=WRITTEN), keeper)
    spent, rows = seconds(training.prepare), sum(parts_of(WRITTEN))
    learnt, looked, reported = parts_of(rows_for(len(training.lesson.words)))
    # By default the validation part is larger than what was written here for it; its rows are like these.
    alike = training.lesson._train  # type: ignore[attr-defined]
    costs = _costs(training, 8, alike.batch([each % len(alike) for each in range(looked)]))
    teacher = [
        Piece("the teacher writes a row", keeper.spent / rows, learnt + looked + reported),
        Piece("what it thinks at a row is kept", (spent - keeper.spent) / rows, learnt + looked + reported),
    ]
    tokens, steps = f"{len(training.lesson.words)} to {training.settings.tokens} tokens", training.settings.steps
    return f"distill, {tokens}, {steps} steps", [*_pieces(costs, steps, training.lesson.defaults["validate"]), *teacher]


class _Timed(Keeper):
    """spent: seconds of processor time in which the model has written."""

    spent = 0.0

    def written(self, identity: dict[str, Any]) -> Written:
        return _Clock(self)


class _Clock(Written):
    """Nothing is ever there, so that between a question and its answer the model writes."""

    def __init__(self, keeper: _Timed) -> None:
        self._keeper = keeper

    def load(self, key: str) -> None:
        self._began = time.process_time()

    def save(self, key: str, rows: Sequence[Sequence[int]]) -> None:
        self._keeper.spent += time.process_time() - self._began


def _training(subject: Subject, task: Any, keeper: Keeper, **settings: Any) -> Training:
    """A training which makes no look and no checkpoint but the first, while its steps are measured."""
    return Training(subject.model, subject.tokenizer, task, keeper=keeper, validate=1_000, **settings)


def _costs(training: Training, steps: int, looked: Batch) -> list[tuple[str, float]]:
    """Seconds of a step, of a look at these rows, and of a checkpoint."""
    made = iter(training)
    next(made)  # what is warm afterwards
    step = _middle(lambda: next(made), steps)
    with training._working():
        vectors, objective = training.state.best, training.lesson.objective
        look = _middle(lambda: training._engine.mean(vectors, objective, looked), 3)
    save = _middle(lambda: training._save(better=True), 9)
    rows = f"{len(looked)} rows of {looked.ids.shape[1]} tokens"
    return [("a step", step), (f"a look at the validation part, {rows}", look), ("a checkpoint with its prompt", save)]


def _pieces(costs: list[tuple[str, float]], steps: int, validate: int = Settings.validate) -> list[Piece]:
    looks = -(-steps // validate)
    return [Piece(name, once, times) for (name, once), times in zip(costs, (steps, 1 + looks, looks), strict=True)]


def _middle(work: Callable[[], object], times: int) -> float:
    return median(seconds(work) for _ in range(times))


def seconds(work: Callable[[], object]) -> float:
    """Of processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began
