"""What is not finite changes nothing, what diverges returns to its best, and data that cannot be learnt is refused."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_prompts.errors import InvalidFile, SoftPromptError, TrainingError
from soft_prompts.trainer import Corpus, Facts, Finetune, Keeper, Pair, Training, WorldInfo, train
from soft_prompts.trainer.batch import Row, Rows
from soft_prompts.trainer.engine import Engine
from soft_prompts.trainer.objectives import Term, cross_entropy
from soft_prompts.trainer.reader import Reader

Gradient = Callable[[Engine, torch.Tensor, list[Term]], tuple[float, torch.Tensor]]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """`spoil({3, 4})`: the gradient of these steps is not finite; `spoil({3}, loss=True)` their loss."""

    def set_(numbers: set[int] | range, loss: bool = False, value: float = float("nan")) -> None:
        original, made = Engine.gradient, itertools.count(1)

        def gradient(self: Engine, vectors: torch.Tensor, terms: list[Term]) -> tuple[float, torch.Tensor]:
            found = original(self, vectors, terms)
            if next(made) not in numbers:
                return found
            if loss:
                return value, found[1]
            found[1][0, 0] = value
            return found

        monkeypatch.setattr(Engine, "gradient", gradient)

    return set_


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("loss", [False, True])
def test_a_step_that_is_not_finite_changes_nothing(
    loss: bool,
    value: float,
    model: Any,
    tokenizer: Any,
    text: Corpus,
    small: dict[str, Any],
    spoil: Callable[..., None],
) -> None:
    spoil({5, 6, 9}, loss, value)
    training = Training(model, tokenizer, Finetune(text), **small)
    before: list[torch.Tensor] = []
    for step in training:
        state = training.state
        now = [each.clone() for each in (state.vectors, state.first, state.second)]
        assert all(torch.isfinite(each).all() for each in now)
        unchanged = bool(before) and all(map(torch.equal, before, now))
        assert unchanged is (step.number in (5, 6, 9))
        assert bool(step.skipped) is unchanged
        assert not step.skipped or "not finite" in step.skipped
        before = now
    assert (training.state.skipped, training.state.applied, training.state.in_a_row) == (3, 9, 0)
    assert training.done == 12 and not training.ended


def test_a_skipped_step_is_kept_by_a_checkpoint(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], spoil: Callable[..., None], tmp_path: Path
) -> None:
    spoil({1, 2, 4})
    for _ in itertools.islice(Training(model, tokenizer, Finetune(text), keeper=Keeper(tmp_path, "x"), **small), 4):
        pass
    spoil(set())
    again = Training(model, tokenizer, Finetune(text), keeper=Keeper(tmp_path, "x", resume=True), **small)
    assert [step.number for step in again] == list(range(5, 13))
    assert (again.state.skipped, again.state.applied) == (3, 9)


def test_ten_in_a_row_end_it(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], spoil: Callable[..., None]
) -> None:
    spoil(range(9, 100))
    training = Training(model, tokenizer, Finetune(text), **{**small, "steps": 40})
    steps = list(training)
    assert len(steps) == 18
    assert training.ended.startswith("the training diverged: 10 steps in a row had no finite loss. The best prompt is")
    assert training.state.best_step in (4, 8)
    assert np.isfinite(training.prompt("x").vectors).all()


def test_ten_from_the_beginning(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], spoil: Callable[..., None]
) -> None:
    spoil(range(1, 100))
    training = Training(model, tokenizer, Finetune(text), **{**small, "steps": 40})
    with pytest.raises(TrainingError, match="none of the first 10 steps had a finite loss: load the model in another"):
        list(training)
    assert np.array_equal(training.prompt("x").vectors, training.prompt("x").origin)


@pytest.mark.parametrize("lost", [2.5, float("nan"), float("inf")])
def test_a_run_that_diverges_returns_to_its_best(
    lost: float, model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Training._validate

    def validate(self: Training, vectors: torch.Tensor) -> float:
        return original(self, vectors) + (lost if self.state.done == 8 else 0)

    monkeypatch.setattr(Training, "_validate", validate)
    training = Training(model, tokenizer, Finetune(text), rate=1.0, **small)
    steps = list(training)
    assert len(steps) == 8
    assert "the training diverged: validation went from" in training.ended
    assert "The best prompt is kept, of step 4; try a rate below 1.0" in training.ended
    assert steps[-1].best == training.state.lowest == steps[3].validation
    assert not torch.equal(training.state.best, training.state.vectors)
    assert np.array_equal(training.prompt("x").vectors, training.state.best.numpy())


@pytest.mark.slow
def test_a_rate_that_is_much_too_large(storyteller: tuple[Any, Any], story: str) -> None:
    """On what the model itself writes nothing can be learnt, and much can be lost."""
    from soft_prompts.trainer.writing import unrelated

    model, tokenizer = storyteller
    rows = unrelated(Reader(model, tokenizer), 24, 0, 100)
    text = Corpus(" ".join(tokenizer.decode(list(row.ids)) for row in rows.rows))
    options = {"tokens": 8, "steps": 60, "batch": 2, "block": 64, "validate": 2, "warmup": 1.0, "patience": 60}
    training = Training(model, tokenizer, Finetune(text), rate=1000.0, **options)
    steps = list(training)
    assert training.held_out().prompt < training.state.begun + 1
    assert all(np.isfinite([step.loss for step in steps]))


def test_nothing_gets_better_any_more(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    options = {**small, "steps": 400, "validate": 1, "patience": 3, "rate": 8.0}
    training = Training(model, tokenizer, Finetune(text), **options)
    steps = list(training)
    assert len(steps) < 400
    assert training.ended == f"nothing got better since step {training.state.best_step}, and that is kept"
    assert len(steps) == training.state.best_step + 3


def test_rows_of_which_nothing_counts() -> None:
    with pytest.raises(TrainingError, match="no token counts in any row: give longer texts, or answers that are not"):
        Rows([Row((5, 6, 7), (3, 3)), Row((5, 6), (1, 1))])
    with pytest.raises(TrainingError, match="no token counts"):
        Rows([Row.whole((5,)), Row.whole((6,))], first=False)
    with pytest.raises(TrainingError, match="no token counts"):
        Rows([])


def test_a_batch_of_which_nothing_counts(model: Any, tokenizer: Any) -> None:
    """Among others, a text of one token with nothing before it."""
    rows = Rows([Row.whole((5,)), Row.whole((6, 7, 8))], first=False)
    engine = Engine(Reader(model, tokenizer), 1, False, False)
    vectors = engine.reader.embed([5, 6]).requires_grad_(True)
    with engine.frozen():
        loss, gradient = engine.gradient(vectors, [Term(cross_entropy, rows.batch([0]))])
        assert loss == 0 and not gradient.any()
        loss, gradient = engine.gradient(vectors, [Term(cross_entropy, rows.all)])
        assert loss > 0 and gradient.any()


def test_texts_that_are_too_short(model: Any, tokenizer: Any, story: str) -> None:
    for text in ("", "\n", "The sea.", story[:200]):
        with pytest.raises(TrainingError, match="too short|no text|empty"):
            Training(model, tokenizer, Finetune(Corpus(text)))
    # Shorter than three blocks: the block gives way.
    training = Training(model, tokenizer, Finetune(Corpus(story)), tokens=4, steps=2, block=10_000)
    assert training.lesson.test.longest < 256
    assert len(list(training)) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"nonsense",
        b'[{"call": "Emma has"}]',
        b'[{"call": "Emma has", "response": ""}]',
        b'[{"call": 3, "response": " a cloak"}]',
        b"\xff\xfe\x00\x01\x02",
    ],
    ids=str,
)
def test_facts_that_are_none(data: bytes, model: Any, tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    path.write_bytes(data)
    with pytest.raises(SoftPromptError, match=r"facts\.json"):
        Training(model, tokenizer, WorldInfo(path))


def test_a_text_that_is_none(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    for data in (b"", b"\x00\x01\x02\x03" * 400, b"Once upon a time \xe9 the sea " * 60):
        path = tmp_path / "story.txt"
        path.write_bytes(data)
        with pytest.raises((InvalidFile, TrainingError), match=r"story\.txt|too short"):
            Training(model, tokenizer, Finetune(path))


def test_one_fact(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    pairs = [Pair("Emma has", " a red cloak.")]
    training = Training(model, tokenizer, WorldInfo(Facts(tuple(pairs))), tokens=4, steps=3, batch=1)
    assert len(list(training)) == 3
    assert any("by heart" in note or "held out" in note for note in training.notes)


@pytest.mark.parametrize("name", ["rate", "warmup", "floor", "clip"])
def test_settings_that_are_no_numbers(name: str, model: Any, tokenizer: Any, text: Corpus) -> None:
    with pytest.raises(TrainingError, match=f"{name}='0.4': it must be a number"):
        Training(model, tokenizer, Finetune(text), **{name: "0.4"})


def test_writing_with_nothing_to_begin_with(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    training = Training(model, tokenizer, Finetune(text), **small)
    assert training.write("", prompted=False) and training.write("")


def test_batches_larger_than_the_data(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    steps = list(Training(model, tokenizer, Finetune(text), **{**small, "batch": 500, "steps": 2}))
    assert steps[0].tokens == 500 * 32


def test_the_same_bits_on_any_thread(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    expected = train(make("llama"), tokenizer, Finetune(text), name="x", **small)
    found = []

    def work() -> None:
        torch.set_num_threads(1)
        found.append(train(make("llama"), tokenizer, Finetune(text), name="x", **small))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [expected]


def test_two_trainings_take_turns(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    """On one model, step by step: neither knows of the other."""
    model = make("llama")
    expected = [
        [step.loss for step in Training(make("llama"), tokenizer, Finetune(text), seed=seed, **small)]
        for seed in (0, 1)
    ]
    both = [Training(model, tokenizer, Finetune(text), seed=seed, **small) for seed in (0, 1)]
    found = [(one.loss, other.loss) for one, other in zip(*both, strict=True)]
    assert [list(losses) for losses in zip(*found, strict=True)] == expected


def test_what_a_program_reads_is_json(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    made = train(model, tokenizer, Finetune(text), name="x", **small)
    settings = json.loads(made.metadata["settings"])
    assert settings["tokens"] == 4 and settings["micro"] is None
