"""Distill: how much of what a lore in the context changes is changed by a prompt of a tenth or a twentieth of it."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean
from typing import NamedTuple

import torch

from soft_prompts.demo.lore import Lore
from soft_prompts.demo.measure import lores
from soft_prompts.trainer import Distill, Training
from soft_prompts.trainer import Lore as Text

from ..common.tables import Section
from .counting import answers, divergence, ids_of, text_vectors, written
from .subjects import Subject, noir

PARTS = {10: (0.88, 0.85), 20: (0.78, 0.60)}
"""One token of prompt for so many of the lore: (wanted share of the KL gap, of the question gap)."""

STRETCH = 0.95
STARTS = ("", "\n\n", "\n")
ROWS = 64
"""Written after each start, to measure on. The share of one prompt was 0.015 off with 8 of them."""


class Closed(NamedTuple):
    """Shares of the gaps between nothing and the lore that a prompt closes, and its length."""

    divergence: float
    questions: float
    tokens: int
    lore: int


def distill(seeds: Sequence[int], full: bool) -> Section:
    """Shares of the gaps, the mean of the seeds; each seed has a lore of its own. full: into a twentieth, too."""
    subject, section = noir(1), Section("Distill: storyteller")
    rows = []
    for part, wanted in PARTS.items() if full else [(10, PARTS[10])]:
        found = [closed(subject, lores(len(seeds))[place], part, seed) for place, seed in enumerate(seeds)]
        shares = mean(each.divergence for each in found), mean(each.questions for each in found)
        sizes = ", ".join(f"{each.lore} to {each.tokens}" for each in found)
        each_of_it = "; ".join(f"{one.divergence:.2f}, {one.questions:.2f}" for one in found)
        rows.append((f"1/{part}", sizes, f"{shares[0]:.3f}", f"{shares[1]:.3f}", each_of_it))
        for what, share, least in zip(("KL", "question"), shares, wanted, strict=True):
            section.least(f"share of the {what} gap, 1/{part}", share, least)
            if part == min(PARTS):
                section.least(f"share of the {what} gap, 1/{part}", share, STRETCH, stretch=True)
    section.table(("length", "tokens", "KL gap closed", "question gap closed", "of each seed"), rows)
    section.say(
        "KL on new rows that the model wrote behind the lore; questions are those of the lore, never trained on."
    )
    return section


def closed(subject: Subject, world: Lore, part: int, seed: int) -> Closed:
    """Train on one lore, and count."""
    length = len(subject.tokenizer(world.text, add_special_tokens=False)["input_ids"])
    training = Training(subject.model, subject.tokenizer, Distill(Text(world.text)), tokens=length // part, seed=seed)
    for _ in training:
        pass
    teacher, vectors = text_vectors(subject, world.text), training.state.best
    return Closed(_divergence(subject, teacher, vectors), _questions(subject, world, vectors), len(vectors), length)


def _divergence(subject: Subject, teacher: torch.Tensor, vectors: torch.Tensor) -> float:
    """Share of the KL from the teacher that goes, on rows that it wrote for this alone."""
    texts = [written(subject, teacher, start, ROWS, 112, 77_000 + place) for place, start in enumerate(STARTS)]
    left = [
        mean(
            divergence(subject, teacher, each, rows, len(start) and 1)
            for start, rows in zip(STARTS, texts, strict=True)
        )
        for each in (None, vectors)
    ]
    return 1 - left[1] / left[0]


def _questions(subject: Subject, world: Lore, vectors: torch.Tensor) -> float:
    """Share of the nats per token of right answers that the lore saves."""
    pairs = [ids_of(subject, each.call, each.answer) for each in world.questions]
    ways = (None, text_vectors(subject, world.text + "\n\n"), text_vectors(subject, "\n\n", vectors))
    nothing, lore, prompt = (sum(each.nats for each in answers(subject, way, pairs)) for way in ways)
    return (nothing - prompt) / (nothing - lore)
