"""Training: it learns, it is the same twice, it can be stopped anywhere, and the model is as before afterwards."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import soft_prompts
from soft_prompts.errors import InvalidFile, InvalidPrompt, SoftPromptError, TrainingError, UnsupportedModel
from soft_prompts.trainer import Corpus, Finetune, Step, Training, train

SMALL: dict[str, Any] = {"tokens": 4, "steps": 12, "batch": 2, "block": 32, "validate": 4}


@pytest.fixture
def text(story: str) -> Corpus:
    return Corpus(story * 6)


def flags(model: torch.nn.Module) -> list[Any]:
    return [(each.requires_grad, each.grad is None) for each in model.parameters()] + [
        m.training for m in model.modules()
    ]


def test_three_lines(model: Any, tokenizer: Any, text: Corpus, tmp_path: Path) -> None:
    made = train(model, tokenizer, Finetune(text), name="keeper", **SMALL)
    made.save(tmp_path / "keeper.safetensors")
    again = soft_prompts.load(tmp_path / "keeper.safetensors")
    assert again == made
    assert (len(made), made.width, made.name) == (4, 32, "keeper")
    facts = again.metadata
    assert (facts["method"], facts["steps"], facts["base_model"]) == ("finetune", "12", "llama")
    assert json.loads(facts["settings"])["block"] == 32
    assert facts["data"] == text.digest
    assert float(facts["held_out"]) < float(facts["base"])
    assert "keeper who lived" not in str(dict(facts))
    with soft_prompts.attach(model, tokenizer, tmp_path) as attached:
        assert attached.fit(made).verdict == "fits"
        tokenizer("<<sp:keeper>>")


def test_steps_are_records(model: Any, tokenizer: Any, text: Corpus) -> None:
    steps = list(Training(model, tokenizer, Finetune(text), **SMALL))
    assert [step.number for step in steps] == list(range(1, 13))
    assert all(isinstance(step, Step) and step.steps == 12 and step.loss > 0 and step.seconds > 0 for step in steps)
    assert [step.number for step in steps if step.validation is not None] == [4, 8, 12]
    lows = [step.best for step in steps]
    assert lows == sorted(lows, reverse=True)
    rates = [step.rate for step in steps]
    assert max(rates) == rates[0]
    assert rates[-1] == pytest.approx(0.05 * max(rates))


def test_the_same_seed_gives_the_same_prompt(make: Callable[..., Any], tokenizer: Any, text: Corpus) -> None:
    one, two, other = (
        train(make("llama"), tokenizer, Finetune(text), name="x", **SMALL, seed=seed) for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other


def test_the_model_is_as_before(make: Callable[..., Any], tokenizer: Any, text: Corpus) -> None:
    model = make("gpt2").train()
    next(model.parameters()).requires_grad_(False)
    before, weights = flags(model), [weight.clone() for weight in model.parameters()]
    training = Training(model, tokenizer, Finetune(text), **SMALL)
    assert flags(model) == before
    for step in training:
        assert flags(model) == before
        assert torch.is_grad_enabled()
        if step.number == 5:
            break
    assert flags(model) == before
    assert training.prompt("x").metadata["steps"] == "5"
    steps = iter(training)
    next(steps)
    with pytest.raises(KeyboardInterrupt):
        steps.throw(KeyboardInterrupt)  # type: ignore[attr-defined]
    assert flags(model) == before
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_it_trains_without_gradients_enabled_around_it(model: Any, tokenizer: Any, text: Corpus) -> None:
    with torch.no_grad():
        steps = list(itertools.islice(Training(model, tokenizer, Finetune(text), **SMALL), 2))
        assert not torch.is_grad_enabled()
    assert len(steps) == 2


def test_the_best_step_is_kept(model: Any, tokenizer: Any, text: Corpus) -> None:
    """What `prompt` gives changes just when validation found something better, first of all than the initial one."""
    training = Training(
        model, tokenizer, Finetune(text), **{**SMALL, "rate": 2.0, "validate": 1, "batch": 1, "steps": 40}
    )
    before, best, worse = training.prompt("x"), None, 0
    assert np.array_equal(before.vectors, before.origin)
    for step in training:
        now = training.prompt("x")
        better = best is None or step.best < best
        assert (now == before) == (not better) or best is None
        assert step.best <= step.validation  # type: ignore[operator]
        worse += step.best < step.validation  # type: ignore[operator]
        before, best = now, step.best
    assert worse


def test_an_attached_model_trains_and_the_file_appears_in_its_library(
    model: Any, tokenizer: Any, text: Corpus, tmp_path: Path
) -> None:
    with soft_prompts.attach(model, tokenizer, tmp_path):
        made = train(model, tokenizer, Finetune(text), name="new", **SMALL)
        with pytest.raises(soft_prompts.errors.UnknownPrompt):
            tokenizer("<<sp:new>>")
        made.save(tmp_path / "new.safetensors")
        assert len(tokenizer("<<sp:new>>", add_special_tokens=False)["input_ids"]) == 4


def test_every_family_trains(family_model: Any, tokenizer: Any, text: Corpus) -> None:
    training = Training(family_model, tokenizer, Finetune(text), **{**SMALL, "batch": 56})  # all of it, every step
    losses = [step.loss for step in training]
    assert losses[-1] < losses[0]
    assert np.isfinite([training.held_out().base, training.held_out().prompt]).all()


def test_a_tokenizer_without_bos(model: Any, tokenizer: Any, text: Corpus) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    made = train(model, tokenizer, Finetune(text), name="x", **SMALL)
    assert float(made.metadata["held_out"]) < float(made.metadata["base"])


def test_half_precision_models_keep_a_float32_prompt(model: Any, tokenizer: Any, text: Corpus) -> None:
    made = train(model.to(torch.bfloat16), tokenizer, Finetune(text), name="x", **SMALL)
    assert made.vectors.dtype == np.float32
    assert not np.array_equal(made.vectors, torch.tensor(made.vectors).bfloat16().float().numpy())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokens": 0}, "tokens=0: it must be a whole number, 1 or more"),
        ({"steps": -1}, "steps=-1"),
        ({"rate": 0.0}, "rate=0.0: it must be a positive number; 0.4 serves"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"tokens": "20"}, "tokens='20': it must be a whole number"),
        ({"tokens": 20_000}, "16,384 at most"),
        ({"warmup": 5}, "shares between 0 and 1"),
        ({"block": 256, "tokens": 200}, "do not fit into the model's 256"),
    ],
)
def test_settings_out_of_range(
    settings: dict[str, Any], message: str, model: Any, tokenizer: Any, text: Corpus
) -> None:
    with pytest.raises(TrainingError, match=message):
        Training(model, tokenizer, Finetune(text), **settings)


def test_a_name_that_cannot_be_is_refused_before_the_training(model: Any, tokenizer: Any, text: Corpus) -> None:
    started = flags(model)
    with pytest.raises(InvalidPrompt, match="'my:prompt' cannot name a soft prompt.*Use 'my-prompt'"):
        train(model, tokenizer, Finetune(text), name="my:prompt", steps=10**9)
    assert flags(model) == started


@pytest.mark.parametrize(("task", "words"), [("noir.txt", "learnt of 'noir.txt'"), (Corpus("x"), "learnt of a Corpus")])
def test_a_text_is_no_task(model: Any, tokenizer: Any, task: Any, words: str) -> None:
    with pytest.raises(TrainingError, match=f"{words}\\? Write Finetune"):
        train(model, tokenizer, task, name="x")


def test_a_second_iteration_begins_anew(model: Any, tokenizer: Any, text: Corpus) -> None:
    training = Training(model, tokenizer, Finetune(text), **SMALL)
    list(training)
    first = training.prompt("x")
    next(iter(training))
    assert training.prompt("x") != first
    list(training)
    assert training.prompt("x") == first


def test_what_cannot_be_trained(model: Any, tokenizer: Any, text: Corpus, tmp_path: Path) -> None:
    before = flags(model)
    with pytest.raises(TrainingError, match="too short: .* give at least a page"):
        Training(model, tokenizer, Finetune(Corpus("The sea.")))
    with pytest.raises(TrainingError, match="too short"):
        Training(model, tokenizer, Finetune(Corpus("")))
    with pytest.raises(InvalidFile, match=r"none\.txt"):
        Training(model, tokenizer, Finetune(tmp_path / "none.txt"))
    with pytest.raises(UnsupportedModel):
        Training(torch.nn.Module(), tokenizer, Finetune(text))
    broken = Training(model, tokenizer, Finetune(text), **SMALL)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(TrainingError, match="before the first step the loss is nan: load the model in another type"):
        list(broken)
    assert flags(model) == before
    assert issubclass(TrainingError, SoftPromptError)
