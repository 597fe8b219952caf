"""Speed: a step of ours against one of Trainer + PEFT, and what our loop costs beyond forward and backward."""

from __future__ import annotations

import time
from functools import partial
from statistics import median
from typing import Any

import torch

from soft_prompts.trainer import Training

from ..common.tables import Section
from ..common.turns import Interval, ratio, turns
from . import ours
from .apart import apart
from .rivals import TOKENS, hosted_steps, peft_steps
from .subjects import BLOCK, Subject, noir, random_llama

SHAPES = {
    "long rows, 8 of 256 tokens": (8, 256, 256, 1, 1.15),
    "short rows, 32 of 32 tokens, an answer of 8": (32, 32, 8, 2, 3.0),
    "short rows, 32 of 64 tokens, an answer of 8": (32, 64, 8, 1, 2.7),
    "short rows, 32 of 32 tokens, all of which count": (32, 32, 32, 1, None),
    "short rows, 32 of 64 tokens, all of which count": (32, 64, 64, 1, None),
}
"""(rows a step, tokens of a row, how many of them count, steps of a run, wanted ratio).

Short rows are what world info has: a call, and an answer of some tokens, which alone counts.
"""


def speed(rounds: int = 9) -> Section:
    """Steps per second, ratio to Trainer + PEFT: start-up, logging, saving and evaluation are in neither."""
    subject = random_llama(32_000)
    section = Section("Speed")
    rows = []
    for name, (batch, block, counted, steps, wanted) in SHAPES.items():
        # What has no target is shown beside the others, and takes a third of their time.
        times = rounds if wanted else -(-rounds // 3)
        theirs, mine, faster = _against_peft(subject, batch, block, counted, steps, times)
        rows.append((name, f"{theirs:.3f} s", f"{mine:.3f} s", faster))
        if wanted:
            section.least(f"times as fast, {name}", faster.middle, wanted)
        if block == BLOCK:
            section.least(f"times as fast, {name}", faster.middle, 1.5, stretch=True)
    section.table(("a step", "Trainer + PEFT", "ours", f"times as fast, median of {rounds}"), rows)
    _in_trainer(subject, section, -(-rounds // 3))
    section.say(f"{subject.name}, float32, prompt of {TOKENS} tokens, {_threads()}.")
    return section


def _in_trainer(subject: Subject, section: Section, rounds: int) -> None:
    """The same Trainer, PEFT's model in it and ours: what changes where a script stays as it is."""
    rows = []
    for name, (batch, block, counted, steps, wanted) in SHAPES.items():
        if not wanted:
            continue
        data = subject.blocks(block).train
        ways = {"theirs": peft_steps, "ours": hosted_steps}
        works = {way: partial(_seconds, run, subject, data, steps, batch, counted) for way, run in ways.items()}
        found = turns(works, rounds)
        faster = ratio(found["theirs"], found["ours"])
        rows.append((name, f"{median(found['theirs']):.3f} s", f"{median(found['ours']):.3f} s", faster))
    section.table(("a step of the Trainer", "PEFT", "SoftPromptModel", "times as fast"), rows)


def _threads() -> str:
    count = torch.get_num_threads()
    return "one thread, in processor time" if count == 1 else f"{count} threads"


def clock() -> float:
    """Seconds. With one thread the processor's, which other work on the machine does not lengthen."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def _against_peft(
    subject: Subject, batch: int, block: int, counted: int, steps: int, rounds: int
) -> tuple[float, float, Interval]:
    rows = subject.blocks(block).train
    found = turns(
        {
            "theirs": lambda: peft_seconds(subject, rows, steps, batch, counted),
            "ours": lambda: ours.seconds(subject, steps, batch, block, counted, clock),
        },
        rounds,
    )
    return median(found["theirs"]), median(found["ours"]), ratio(found["theirs"], found["ours"])


def peft_seconds(subject: Subject, rows: torch.Tensor, steps: int, batch: int, counted: int) -> float:
    """Of one step of Trainer + PEFT."""
    return _seconds(peft_steps, subject, rows, steps, batch, counted)


def _seconds(run: Any, subject: Subject, rows: torch.Tensor, steps: int, batch: int, counted: int) -> float:
    """Of one step, the mean of `steps`, from the end of one to the end of the next; the very first does not count."""
    ends: list[float] = []
    run(subject, rows, steps + 1, batch, lambda number, model: ends.append(clock()), counted=counted)
    return (ends[-1] - ends[0]) / steps


def overhead(rounds: int = 40) -> Section:
    """Processor time of the whole loop over that of the same forward and backward, called bare; on one thread.

    Looks at the validation part, checkpoints and the teacher are told apart.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    section = Section("What the loop costs")
    rows = []
    for subject, steps, limit in ((random_llama(32_000), rounds // 3, 1.08), (noir(100), 2 * rounds, None)):
        whole, bare = loop_and_bare(subject, steps)
        more = ratio(whole, bare)
        rows.append((subject.name, f"{median(bare) * 1e3:.0f} ms", f"{median(whole) * 1e3:.0f} ms", f"{more:.3f}"))
        if limit:
            section.most("processor time, loop over bare forward and backward", more.middle, limit)
    section.table(("processor time of a step", "forward and backward, bare", "the whole loop", "ratio"), rows)
    section.say("One thread; 8 rows of 256 tokens. What comes beside the steps is in neither, but in the next table.")
    apart(section)
    torch.set_num_threads(before)
    return section


def loop_and_bare(subject: Subject, steps: int) -> tuple[list[float], list[float]]:
    """Seconds of processor time of each step, and of the same rows read by the same objective without a loop."""
    training = ours.training_of(subject, steps=steps + 2, validate=steps + 2)
    whole, bare = [], []
    steps_of_it = iter(training)
    next(steps_of_it)  # the look at the validation part before the first step, and what is warm afterwards
    for number in range(2, steps + 2):
        began = time.process_time()
        next(steps_of_it)
        middle = time.process_time()
        _bare(training, number)
        whole.append(middle - began)
        bare.append(time.process_time() - middle)
    return whole, bare


def _bare(training: Training, number: int) -> None:
    """The gradient of step `number`, and nothing else."""
    vectors = training.state.vectors.clone().requires_grad_(True)
    for term in training.lesson.terms(number, training.settings):
        torch.autograd.grad(term.objective(training.reader, vectors, term.batch), [vectors])
