"""`by_ours(subject, steps=100)`: this project's own training, with nothing set but what the comparison fixes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from soft_prompts.trainer import Corpus, Finetune, Step, Training

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


def seconds(subject: Subject, steps: int, batch: int, block: int, clock: Callable[[], float]) -> float:
    """Of one step, the mean of `steps`, from the end of one to the end of the next."""
    ends = []
    for step in stepping(subject, steps + 2, batch, block):
        ends.append(clock())
        if step.number == steps + 1:
            break
    return (ends[-1] - ends[0]) / steps
