"""What the ancestors' recipe reaches in all of its steps, and how soon ours is there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from statistics import mean

import torch

from ..common.tables import Section
from . import ours
from .counting import nats
from .rivals import TOKENS, by_ancestors
from .subjects import Blocks, Subject

STEPS = 400


def cost(subject: Subject, seeds: Sequence[int]) -> Section:
    """Processor time, on one thread; looks at validation and test parts are in neither."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    blocks, section = subject.blocks(), Section(f"The ancestors' recipe: {subject.name}")
    rows, shares = [], []
    for seed in seeds:
        theirs = by_ancestors(subject, blocks.train.flatten(), blocks.validation, STEPS, seed)
        goal = nats(subject, theirs.vectors, blocks.test)
        mine, steps = reached(subject, blocks, goal, seed)
        shares.append(mine / theirs.cpu)
        rows.append((seed, f"{goal:.4f}", f"{theirs.cpu:.1f} s", f"{mine:.1f} s, {steps} steps", f"{shares[-1]:.3f}"))
    section.table(
        ("seed", f"test loss of {STEPS} of its steps", "its processor time", "ours until there", "share"), rows
    )
    section.most(f"share of the ancestors' processor time, {subject.name}", mean(shares), 0.1)
    section.say(
        f"Prompts of {TOKENS} tokens. Theirs: Adafactor at 2e-4, blocks of 32, one a pass, 16 passes a step. Without a "
        f"prompt: {nats(subject, None, blocks.test):.4f}. Ours begins its clock before the training is made, with a "
        "first look at the validation part."
    )
    torch.set_num_threads(before)
    return section


def reached(subject: Subject, blocks: Blocks, goal: float, seed: int) -> tuple[float, int]:
    """(processor seconds, steps) of a run of 100 steps with all defaults, until its test loss is `goal`."""
    spent, began = 0.0, time.process_time()
    training = ours.training_of(subject, steps=100, validate=100, seed=seed)
    for step in training:
        spent += time.process_time() - began
        if nats(subject, training.state.vectors, blocks.test) <= goal:
            return spent, step.number
        began = time.process_time()
    return float("inf"), 100
