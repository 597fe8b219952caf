"""The model is exactly as before: after the end, after `break`, and after whatever goes wrong wherever it does."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import soft_prompts
from soft_prompts.errors import TrainingError
from soft_prompts.trainer import Corpus, Distill, Facts, Finetune, Keeper, Lore, Pair, Training, WorldInfo, engine

Everything = Callable[[torch.nn.Module], dict[str, Any]]


def steps(training: Training, count: int | None = None) -> int:
    made = 0
    for _ in training:
        made += 1
        if made == count:
            break
    return made


def everything_of(training: Training) -> None:
    steps(training)
    training.held_out()
    training.report()
    training.prompt("x")
    training.write("The sea")
    training.estimate()


def tasks(story: str) -> dict[str, Any]:
    pairs = [Pair(f"{who} has{word}", f" a {thing}.") for who, thing in THINGS.items() for word in ("", " got", " now")]
    return {
        "finetune": Finetune(Corpus(story * 6)),
        "world info": WorldInfo(Facts(tuple(pairs))),
        "distill": Distill(Lore(story[:300], (Pair("Who lit the lamp?", " The keeper."),)), rows=16),
    }


THINGS = {"Emma": "red cloak", "Dirk": "blue duck", "Olga": "silver key", "The keeper": "lamp"}


@pytest.mark.parametrize("task", ["finetune", "world info", "distill"])
def test_after_all_of_it(
    task: str, make: Callable[..., Any], tokenizer: Any, story: str, small: dict[str, Any], everything: Everything
) -> None:
    model = make("gpt2").train()  # with dropout
    next(model.parameters()).requires_grad_(False)
    before = everything(model)
    training = Training(model, tokenizer, tasks(story)[task], **small)
    assert everything(model) == before
    everything_of(training)
    assert everything(model) == before


@pytest.mark.parametrize("recompute", [False, True])
def test_between_steps_and_after_break(
    recompute: bool, family_model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    before = everything(family_model)
    for count, _ in enumerate(Training(family_model, tokenizer, Finetune(text), recompute=recompute, **small)):
        assert everything(family_model) == before
        if count == 2:
            break
    assert everything(family_model) == before


class Broken(Exception):
    """Of no kind that anything knows."""


@pytest.mark.parametrize("problem", [Broken, KeyboardInterrupt, torch.OutOfMemoryError, MemoryError])
@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("call", [1, 9])
def test_after_an_exception_within_a_forward_pass(
    problem: type[BaseException],
    recompute: bool,
    call: int,
    make: Callable[..., Any],
    tokenizer: Any,
    text: Corpus,
    small: dict[str, Any],
    everything: Everything,
) -> None:
    model = make("llama").train()
    original, left = model.model.layers[1].mlp.forward, [call]

    def failing(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] <= 0 and model.training is False:
            raise problem("out of memory.")
        return original(*args, **options)

    model.model.layers[1].mlp.forward = failing
    before = everything(model)
    training = Training(model, tokenizer, Finetune(text), recompute=recompute, **small)
    with pytest.raises((problem, TrainingError)):
        steps(training)
    assert everything(model) == before


def test_after_an_exception_in_the_backward_pass(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, given: torch.Tensor) -> torch.Tensor:
            return given.clone()

        @staticmethod
        def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
            raise Broken

    # After the first look, which would take such a model for one that must be read plainly.
    training = Training(model, tokenizer, Finetune(text), **small)
    steps(training, 1)
    model.model.norm.register_forward_hook(lambda module, args, output: Failing.apply(output))
    before = everything(model)
    with pytest.raises(Broken):
        steps(training)
    assert everything(model) == before


@pytest.mark.parametrize("when", ["entered", "left"])
def test_after_an_exception_in_the_lock(
    when: str, model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    taken = []

    @contextlib.contextmanager
    def lock() -> Iterator[None]:
        taken.append(1)
        if when == "entered" and len(taken) == 4:
            raise Broken
        yield
        if when == "left" and len(taken) == 4:
            raise Broken

    before = everything(model)
    with pytest.raises(Broken):
        steps(Training(model, tokenizer, Finetune(text), lock=lock, **small))
    assert everything(model) == before


def test_after_running_out_of_memory(
    model: Any,
    tokenizer: Any,
    text: Corpus,
    small: dict[str, Any],
    everything: Everything,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*args: Any) -> Any:
        raise torch.OutOfMemoryError("It ran out of memory.")

    before = everything(model)
    training = Training(model, tokenizer, Finetune(text), **small)
    monkeypatch.setattr(engine.Engine, "_summed", full)
    with pytest.raises(TrainingError, match="not enough memory for even one row"):
        steps(training)
    assert everything(model) == before


def test_random_numbers_go_on_as_if_nothing_had_been_drawn(
    model: Any, tokenizer: Any, story: str, small: dict[str, Any]
) -> None:
    def drawn() -> tuple[Any, ...]:
        return torch.rand(2).tolist(), random.random(), float(np.random.rand())

    def seed() -> None:
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)

    seed()
    expected = drawn()
    seed()
    everything_of(Training(model, tokenizer, tasks(story)["distill"], **small))
    assert drawn() == expected
    queued = [] if torch.cuda.is_initialized() else list(torch.cuda._queued_calls)
    Training(model, tokenizer, tasks(story)["distill"], **small).prepare()
    assert queued == list(torch.cuda._queued_calls), "a device that starts later would start from our seed"


def test_without_gradients_around_it(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    with torch.no_grad():
        before = everything(model)
        assert steps(Training(model, tokenizer, Finetune(text), **small)) == 12
        assert everything(model) == before


def test_an_attached_model(
    model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything, tmp_path: Path
) -> None:
    plain = soft_prompts.trainer.train(model, tokenizer, Finetune(text), name="x", **small)
    with soft_prompts.attach(model, tokenizer, tmp_path):
        before = everything(model)
        keeper = Keeper(tmp_path, "x")
        training = Training(model, tokenizer, Finetune(text), keeper=keeper, **small)
        for step in training:
            assert everything(model) == before
            if step.number == 4:  # a checkpoint, used in the middle of the training that goes on
                batch = tokenizer("<<sp:x>>The sea", return_tensors="pt")
                model.generate(**batch, max_new_tokens=4, do_sample=False)
                before = everything(model)
        assert training.prompt("x") == plain
        assert everything(model) == before


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")  # PEFT's own
def test_a_model_with_adapters(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    wrapped = get_peft_model(
        make("llama").train(),
        LoraConfig(target_modules=["q_proj", "v_proj"], lora_dropout=0.5, init_lora_weights=False),
    )
    before = everything(wrapped)
    training = Training(wrapped, tokenizer, Finetune(text), **small)
    losses = [step.loss for step in training]
    assert losses[-1] < losses[0]
    assert everything(wrapped) == before
    merged = [step.loss for step in Training(wrapped.eval().merge_and_unload(), tokenizer, Finetune(text), **small)]
    assert losses == pytest.approx(merged, rel=1e-3)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("kind", ["cpu", "disk", "mapped"])
def test_an_offloaded_model(
    kind: str,
    recompute: bool,
    make: Callable[..., Any],
    tokenizer: Any,
    text: Corpus,
    small: dict[str, Any],
    everything: Everything,
    tmp_path: Path,
) -> None:
    from accelerate import cpu_offload, disk_offload, dispatch_model

    plain = [step.loss for step in Training(make("llama"), tokenizer, Finetune(text), **small)]
    model = make("llama")
    if kind == "cpu":
        model = cpu_offload(model, execution_device=torch.device("cpu"))
    elif kind == "disk":
        model = disk_offload(model, str(tmp_path), execution_device=torch.device("cpu"))
    else:
        places: dict[str, Any] = {"model.embed_tokens": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
        places |= {"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"}
        model = dispatch_model(model, places, main_device="cpu", offload_dir=str(tmp_path), force_hooks=True)
    before = everything(model)
    found = []
    for step in Training(model, tokenizer, Finetune(text), recompute=recompute, **small):
        found.append(step.loss)
        assert everything(model) == before
    assert found == pytest.approx(plain, rel=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # torch's own
def test_a_compiled_model(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any], everything: Everything
) -> None:
    plain = [step.loss for step in Training(make("llama"), tokenizer, Finetune(text), **small)]
    model = make("llama")
    compiled = torch.compile(model)
    before = everything(model)
    assert [step.loss for step in Training(compiled, tokenizer, Finetune(text), **small)] == plain
    assert everything(model) == before
