"""`by_ours(subject, steps=100)`: this project's own training, with nothing set but what the comparison fixes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from soft_prompts.trainer import Corpus, Finetune, Settings, Step, Training
from soft_prompts.trainer.batch import Row, Rows
from soft_prompts.trainer.finetune import FinetuneLesson
from soft_prompts.trainer.reader import Reader

from .counting import nats
from .rivals import TOKENS, Trained
from .subjects import BLOCK, Blocks, Subject

AGREED = 0.005
"""Nats by which the trainer's own report may differ from what is counted here: their rows begin at other borders."""


def training_of(subject: Subject, **settings: Any) -> Training:
    """A style training."""
    return Training(subject.model, subject.tokenizer, Finetune(Corpus(subject.text)), tokens=TOKENS, **settings)


def by_ours(subject: Subject, blocks: Blocks, steps: int, seed: int = 0) -> Trained:
    """The best prompt of a whole run; stops where the trainer's report is not what is counted here."""
    training = training_of(subject, steps=steps, seed=seed)
    for _ in training:
        pass
    vectors = training.state.best
    counted, reported = nats(subject, vectors, blocks.test), training.held_out().prompt
    if abs(counted - reported) > AGREED:
        raise SystemExit(f"{subject.name}: the trainer reports {reported:.4f} nats, and {counted:.4f} are counted")
    return Trained(vectors, nats(subject, vectors, blocks.validation))


def stepping(subject: Subject, steps: int, batch: int = 8, block: int = BLOCK, seed: int = 0) -> Iterator[Step]:
    """Steps without a look at the validation part among them, but for the first and the last one."""
    yield from training_of(subject, steps=steps, batch=batch, block=block, validate=steps, seed=seed)


@dataclass(frozen=True)
class Ends:
    """A task whose rows are blocks of a text, of which only the last `counted` tokens count, as answers do."""

    corpus: Corpus
    counted: int

    def lesson(self, reader: Reader) -> FinetuneLesson:
        return _EndsLesson(reader, self)


class _EndsLesson(FinetuneLesson):
    def __init__(self, reader: Reader, task: Ends) -> None:
        super().__init__(reader, task.corpus)
        self._counted = task.counted

    def fit(self, settings: Settings) -> int:
        length: int = super().fit(settings)
        self._train = Rows([Row.whole(row.ids, length - self._counted) for row in self._train.rows])
        return length


def seconds(subject: Subject, steps: int, batch: int, block: int, counted: int, clock: Callable[[], float]) -> float:
    """Of one step, the mean of `steps`, from the end of one to the end of the next."""
    ends = []
    task = Ends(Corpus(subject.text), counted)
    chosen: dict[str, Any] = {"steps": steps + 2, "validate": steps + 2, "batch": batch, "block": block}
    for step in Training(subject.model, subject.tokenizer, task, tokens=TOKENS, **chosen):
        ends.append(clock())
        if step.number == steps + 1:
            break
    return (ends[-1] - ends[0]) / steps
