"""Distill: what its steps learn from, and what its teacher reads."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from soft_prompts.trainer import Distill, Lore, Training
from soft_prompts.trainer.batch import Row, Rows
from soft_prompts.trainer.distill import GUIDES
from soft_prompts.trainer.objectives import divergence


@pytest.fixture
def training(model: Any, tokenizer: Any, story: str, small: dict[str, Any]) -> Training:
    return Training(model, tokenizer, Distill(Lore(story[:300]), rows=24), **{**small, "steps": 20})


def test_layers_guide_the_first_steps_and_the_divergence_alone_is_told(training: Training) -> None:
    told = [step.loss for step in training]
    lesson, settings, reader = training.lesson, training.settings, training.reader
    guided = [lesson.terms(number, settings)[0].objective is not divergence for number in range(1, 21)]
    assert guided == [number < GUIDES * 20 for number in range(1, 21)]
    vectors = training._initial.vectors.clone().requires_grad_(True)
    (first,) = lesson.terms(1, settings)
    losses, gradients = [], []
    for objective in (first.objective, divergence):
        loss = objective(reader, vectors, first.batch) / first.batch.count
        losses.append(float(loss.detach()))
        gradients.append(torch.autograd.grad(loss, [vectors])[0])
    assert losses[0] == losses[1] == pytest.approx(told[0], rel=1e-5)
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[1].norm()


def test_what_is_looked_at_or_reported_keeps_nothing_of_the_layers(training: Training) -> None:
    training.prepare()
    kept = {
        name: rows.all.teaching is not None and rows.all.teaching.middle is not None
        for name, rows in vars(training.lesson).items()
        if name in ("_train", "validation", "test")
    }
    assert kept == {"_train": True, "validation": False, "test": False}


def test_the_text_is_read_once_for_all_rows_that_are_written_together(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.no_grad():  # once it is known how this model is to be read
        training.reader.inside(None, Rows([Row.whole(range(4, 16))]).all)
    read = []
    own = training.reader.base.base_model.forward

    def counting(*given: Any, **options: Any) -> Any:
        read.append(tuple(options["inputs_embeds"].shape[:2]))
        return own(*given, **options)

    monkeypatch.setattr(training.reader.base.base_model, "forward", counting)
    training.prepare()
    lore = len(training.lesson.words) + len(training.reader.head)
    # Once for each of the three ways to begin in each of the three parts, and for what the teacher thinks of each.
    assert [shape for shape in read if shape[1] >= lore] == [(1, lore)] * 12
