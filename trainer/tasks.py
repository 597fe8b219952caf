"""`Finetune("noir.txt")`, `WorldInfo("emma.json")`, `Distill("lore.txt")`: what is to be learnt, as one asks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import TrainingError
from .data import Corpus, Facts, Lore
from .distill import DistillLesson
from .finetune import FinetuneLesson
from .lesson import Lesson
from .reader import Reader
from .worldinfo import WorldInfoLesson


class Task(Protocol):
    """What a Training takes."""

    def lesson(self, reader: Reader) -> Lesson:
        """The task in one model's tokens; raises InvalidFile or TrainingError."""


@dataclass(frozen=True)
class Finetune:
    """`Finetune("noir.txt")` or `Finetune(Corpus(text))`: learn how this text is written."""

    source: str | Path | Corpus

    def lesson(self, reader: Reader) -> Lesson:
        return FinetuneLesson(reader, self.source if isinstance(self.source, Corpus) else Corpus.read(self.source))


@dataclass(frozen=True)
class WorldInfo:
    """`WorldInfo("emma.json")` or `WorldInfo(Facts(pairs))`: know what is to be said where something is asked.

    held_out: a file of calls that are not trained on; by default some are held out where facts have several.
    lore: the same facts as a text, to compare with; by default they are put together from calls and responses.
    keep: how much it counts that unrelated text stays as it was, against the answers.
    """

    source: str | Path | Facts
    held_out: str | Path | None = None
    lore: str = ""
    keep: float = 1.0

    def lesson(self, reader: Reader) -> Lesson:
        facts = self.source if isinstance(self.source, Facts) else Facts.read(self.source, self.held_out)
        return WorldInfoLesson(reader, facts, self.lore, self.keep)


@dataclass(frozen=True)
class Distill:
    """`Distill("lore.txt")` or `Distill(Lore(text))`: think as if this long text stood in the context.

    questions: a file of calls and responses about it, for the report alone. rows: that the model writes to learn from,
    by default 768 to 1,536, more for a longer text. at_most: that it writes all the same, to see what all would take.
    """

    source: str | Path | Lore
    questions: str | Path | None = None
    rows: int | None = None
    at_most: int | None = None

    def lesson(self, reader: Reader) -> Lesson:
        lore = self.source if isinstance(self.source, Lore) else Lore.read(self.source, questions=self.questions)
        return DistillLesson(reader, lore, self.rows, self.at_most)


def check_task(task: Any) -> None:
    """Raises TrainingError, with what to write, where a text or its file was given without what to learn of it."""
    if not hasattr(task, "lesson"):
        given = repr(task)[:40] if isinstance(task, (str, Path)) else f"a {type(task).__name__}"
        raise TrainingError(
            f"what shall be learnt of {given}? Write Finetune(...) around it for a style, WorldInfo(...) for facts, "
            "Distill(...) for a long text"
        )
