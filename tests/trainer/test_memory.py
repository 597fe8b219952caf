"""When memory runs out: fewer rows at once, then layers that are computed twice, then words that help."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_prompts.errors import TrainingError
from soft_prompts.trainer import Corpus, Finetune, Training
from soft_prompts.trainer.batch import Rows
from soft_prompts.trainer.engine import Engine
from soft_prompts.trainer.fitting import _left_in_container, estimate, is_full, stepping_down
from soft_prompts.trainer.frozen import blocks, frozen
from soft_prompts.trainer.objectives import Term, cross_entropy, divergence, teach
from soft_prompts.trainer.reader import Reader

FULL = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8589934592 bytes."),
    RuntimeError("MPS backend out of memory (MPS allocated: 5.05 GB, max allowed: 9.07 GB). Tried to allocate 1 GB"),
    MemoryError("std::bad_alloc"),
    MemoryError(),
]


def limited(model: Any, most: int, problem: BaseException, recomputed: int | None = None) -> Any:
    """`model`, which has memory for `most` rows with gradients, or for `recomputed` with layers computed twice."""
    original = model.model.layers[0].self_attn.forward

    def forward(hidden_states: torch.Tensor, *args: Any, **options: Any) -> Any:
        twice = "forward" in vars(model.model.layers[0])
        allowed = recomputed if twice and recomputed is not None else most
        if len(hidden_states) > allowed and torch.is_grad_enabled():
            raise problem
        return original(hidden_states, *args, **options)

    model.model.layers[0].self_attn.forward = forward
    return model


@pytest.mark.parametrize(
    "problem", [FULL[0], FULL[3], FULL[4]], ids=lambda problem: f"{type(problem).__name__}-{str(problem)[:12]}"
)
def test_fewer_rows_at_once(
    problem: BaseException, make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    small["batch"] = 8
    expected = [step.loss for step in Training(make("llama"), tokenizer, Finetune(text), micro=2, **small)]
    training = Training(limited(make("llama"), 3, problem), tokenizer, Finetune(text), **small)
    assert [step.loss for step in training] == expected
    assert (training._engine.rows, training._engine.recompute) == (2, False)


def test_at_one_row_layers_are_computed_twice(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    expected = [step.loss for step in Training(make("llama"), tokenizer, Finetune(text), micro=1, **small)]
    training = Training(limited(make("llama"), 0, FULL[0], recomputed=1), tokenizer, Finetune(text), **small)
    assert [step.loss for step in training] == pytest.approx(expected, rel=1e-4)
    assert (training._engine.rows, training._engine.recompute) == (1, True)


@pytest.mark.parametrize("recompute", [None, False])
def test_no_way_out(
    recompute: bool | None, make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    training = Training(limited(make("llama"), 0, FULL[0]), tokenizer, Finetune(text), recompute=recompute, **small)
    with pytest.raises(TrainingError, match="not enough memory for even one row: close other.*shorter blocks.*bfloat"):
        list(training)


def test_what_has_nothing_to_do_with_memory_is_raised_as_it_is(
    make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]
) -> None:
    broken = limited(make("llama"), 0, RuntimeError("CUDA error: device-side assert triggered"))
    with pytest.raises(RuntimeError, match="device-side assert"):
        list(Training(broken, tokenizer, Finetune(text), **small))


def test_the_words_of_every_system() -> None:
    assert all(map(is_full, FULL))  # type: ignore[arg-type]
    assert not is_full(RuntimeError("shape '[2, 3]' is invalid for input of size 5"))
    for problem in FULL:
        tried: list[int] = []

        def attempt(rows: int, problem: BaseException = problem, tried: list[int] = tried) -> int:
            tried.append(rows)
            if rows > 3:
                raise problem
            return rows

        assert stepping_down(attempt, 7) == 3
        assert tried == [7, 3]


def engine_of(model: Any, tokenizer: Any, rows: int = 8, recompute: bool = False) -> Engine:
    return Engine(Reader(model, tokenizer), rows, recompute, may_recompute=False)


@pytest.fixture
def terms(story: str, tokenizer: Any) -> Callable[[Engine], list[Term]]:
    """Two kinds of rows, of lengths that differ, one of them of an odd number."""

    def get(engine: Engine) -> list[Term]:
        from soft_prompts.trainer.batch import Row

        ids = tokenizer(story, add_special_tokens=False)["input_ids"]
        rows = Rows([Row.whole(ids[9 * n : 9 * n + 5 + 3 * n], n) for n in range(7)])
        other = Rows([Row.whole(ids[5 * n : 5 * n + 20 - 2 * n]) for n in range(5)])
        with torch.no_grad():
            teach(engine.reader, None, other, 2)
        return [Term(cross_entropy, rows.all), Term(divergence, other.all, 0.3)]

    return get


@pytest.mark.parametrize("recompute", [False, True])
def test_parts_and_computing_twice_change_nothing(
    recompute: bool, family_model: Any, tokenizer: Any, terms: Callable[[Engine], list[Term]]
) -> None:
    whole = engine_of(family_model, tokenizer)
    learnt = terms(whole)
    vectors = whole.reader.embed(list(range(10, 16))).requires_grad_(True)
    with whole.frozen():
        loss, gradient = whole.gradient(vectors, learnt)
    for rows in (1, 2, 3, 5):
        engine = engine_of(family_model, tokenizer, rows, recompute)
        with engine.frozen():
            found = engine.gradient(vectors, learnt)
        assert found[0] == pytest.approx(loss, rel=1e-5)
        assert (found[1] - gradient).norm() <= 1e-5 * gradient.norm()
    assert gradient.norm() > 0


def saved(engine: Engine, vectors: torch.Tensor, terms: list[Term]) -> int:
    """Numbers that autograd keeps for the backward pass, the weights and what is kept twice left out."""
    weights = {each.untyped_storage().data_ptr() for each in engine.reader.base.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with engine.frozen(), torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.enable_grad():
        loss = terms[0].objective(engine.reader, vectors, terms[0].batch)
        total = sum(kept.values())
        del loss
    return total


def test_computing_twice_keeps_less(
    make: Callable[..., Any], tokenizer: Any, terms: Callable[[Engine], list[Term]]
) -> None:
    model = make("llama", num_hidden_layers=8)
    usual, twice = engine_of(model, tokenizer), engine_of(model, tokenizer, recompute=True)
    usual.reader.shared = twice.reader.shared = False
    learnt = terms(usual)
    vectors = usual.reader.embed(list(range(10, 16))).requires_grad_(True)
    for engine in (usual, twice):
        engine.gradient(vectors, learnt)  # gets to know the model
    assert saved(twice, vectors, learnt) < saved(usual, vectors, learnt) / 4


def test_blocks_are_told_from_experts(make: Callable[..., Any]) -> None:
    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = torch.nn.Linear(8, 8)
            self.experts = torch.nn.ModuleList([torch.nn.Linear(8, 8) for _ in range(16)])

    model = torch.nn.Sequential(torch.nn.ModuleList([Block() for _ in range(4)]), torch.nn.Linear(8, 1000))
    assert [type(each) for each in blocks(model)] == [Block] * 4
    assert len(blocks(make("mixtral"))) == len(blocks(make("mamba"))) == 2
    assert blocks(torch.nn.Linear(2, 2)) == []


def test_weights_that_are_replaced_get_their_flags_back(model: Any) -> None:
    """Where weights are offloaded, other tensors stand in their places after a forward pass."""
    fixed = model.model.norm.weight.requires_grad_(False)
    with frozen(model):
        assert not any(each.requires_grad for each in model.parameters())
        for module in model.modules():
            for name, weight in list(module.named_parameters(recurse=False)):
                setattr(module, name, torch.nn.Parameter(weight.detach().clone(), requires_grad=False))
    assert [name for name, each in model.named_parameters() if not each.requires_grad] == ["model.norm.weight"]
    assert fixed is not model.model.norm.weight


def test_what_a_container_leaves(tmp_path: Path) -> None:
    import sys

    assert _left_in_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.current").write_text("700\n")
    (tmp_path / "memory.stat").write_text("anon 500\ninactive_file 150\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert _left_in_container(tmp_path) == sys.maxsize
    (tmp_path / "memory.max").write_text("1000\n")
    assert _left_in_container(tmp_path) == 450


def test_what_is_read_at_once_fits(model: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from soft_prompts.trainer import fitting

    reader = Reader(model, tokenizer)
    found = {}
    for free in (0, 1 << 27, 1 << 30, 1 << 40):
        monkeypatch.setattr(fitting, "free", lambda device, free=free: free)
        found[free] = estimate(reader, 40, 160, 64)
        assert 1 <= found[free].rows <= 64
        assert found[free].free == free
        assert found[free].step <= free or found[free].recompute
    assert [found[free].rows for free in sorted(found)] == sorted(each.rows for each in found.values())
    assert (found[0].recompute, found[0].rows) == (True, 1)
    # A processor gains nothing from more than this.
    assert (found[1 << 40].recompute, found[1 << 40].rows) == (False, fitting.ENOUGH // 160)


@pytest.mark.parametrize("family", ["gpt2", "mamba"])
def test_what_a_row_really_needs_is_measured(
    family: str, make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any], monkeypatch: Any
) -> None:
    """Sizes tell too little of some models, and a program whose memory is full is killed without a word."""
    from soft_prompts.trainer import fitting

    small["batch"] = 8
    losses, found = [], {}
    for free in (1 << 40, 1 << 27, 0):
        monkeypatch.setattr(fitting, "free", lambda device, free=free: free)
        training = Training(make(family), tokenizer, Finetune(text), **small)
        training._engine.rows, training._engine.recompute = 8, False  # whatever was told by the sizes
        monkeypatch.setattr(training, "_reset", lambda: None)
        losses.append([step.loss for step in training])
        found[free] = training._engine.rows, training._engine.recompute
    assert found[1 << 40] == (8, False)
    assert found[0] == (1, True)
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)
    assert losses[2] == pytest.approx(losses[0], rel=1e-3)


def test_what_is_kept_grows_with_the_rows(model: Any, tokenizer: Any, terms: Callable[[Engine], list[Term]]) -> None:
    from soft_prompts.trainer.fitting import kept

    engine = engine_of(model, tokenizer)
    batch = terms(engine)[0].batch
    vectors = engine.reader.embed(list(range(10, 16))).requires_grad_(True)
    sizes = [kept(model, lambda each=each: engine.reader.features(vectors, each)) for each in (batch, batch)]
    (row,) = [part for part in batch.split(1) if len(part.ids[0]) == batch.ids.shape[1]]
    one = kept(model, lambda: engine.reader.features(vectors, row))
    assert sizes[0] == sizes[1]
    assert one * 2 < sizes[0] <= one * len(batch)
    with torch.no_grad():
        assert kept(model, lambda: engine.reader.embed([1, 2, 3])) == 0
