"""What a prompt is at first: drawn words, a text, another prompt; and what strength 0 means afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from soft_prompts import SoftPrompt
from soft_prompts.errors import TrainingError
from soft_prompts.trainer import Corpus, Finetune, Training, from_prompt, from_text
from soft_prompts.trainer.fitting import halving

SMALL: dict[str, Any] = {"steps": 2, "batch": 2, "block": 32, "validate": 1}


def test_a_text_is_repeated_or_cut(model: Any, tokenizer: Any, story: str) -> None:
    text = SoftPrompt.from_text("The old keeper", model, tokenizer, name="x").vectors
    for tokens in (2, len(text), 3 * len(text) + 1):
        training = Training(
            model, tokenizer, Finetune(Corpus(story * 6)), tokens=tokens, **SMALL, start=from_text("The old keeper")
        )
        assert np.array_equal(training.state.best.numpy(), np.resize(text, (tokens, text.shape[1])))
    with pytest.raises(TrainingError, match="has no tokens"):
        Training(model, tokenizer, Finetune(Corpus(story * 6)), **SMALL, start=from_text(""))


@pytest.mark.parametrize("tokens", [3, 5, 8])
def test_going_on_with_a_prompt_of_any_length(model: Any, tokenizer: Any, story: str, tokens: int) -> None:
    width = model.get_input_embeddings().embedding_dim
    vectors, origin = np.full((5, width), 0.2), np.full((5, width), 0.1)
    before = SoftPrompt("x", vectors, origin)
    training = Training(
        model, tokenizer, Finetune(Corpus(story * 6)), tokens=tokens, **SMALL, start=from_prompt(before)
    )
    made = training.prompt("y")
    assert made.origin is not None
    kept = min(tokens, 5)
    assert np.array_equal(made.vectors[:kept], before.vectors[:kept])
    assert np.array_equal(made.origin[:kept], before.origin[:kept])  # type: ignore[index]
    assert np.array_equal(made.origin[kept:], made.vectors[kept:])
    with pytest.raises(TrainingError, match="is 3 wide, but this model embeds tokens 32 wide"):
        Training(
            model, tokenizer, Finetune(Corpus(story * 6)), **SMALL, start=from_prompt(SoftPrompt("z", np.ones((2, 3))))
        )


def test_what_memory_cannot_hold_is_halved_in_order() -> None:
    seen: list[int] = []

    def work(numbers: range) -> list[int]:
        seen.append(len(numbers))
        if len(numbers) > 2:
            raise torch.OutOfMemoryError("full")
        return [each * 10 for each in numbers]

    assert halving(work, range(7), lambda each: (each[: len(each) // 2], each[len(each) // 2 :])) == [*range(0, 70, 10)]
    assert max(seen) == 7
    with pytest.raises(torch.OutOfMemoryError):
        halving(lambda numbers: work(range(9)), range(1), lambda each: (each,))
