"""Losses by hand: sums and gradients are those that torch finds, and the logits' memory is all they take."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts.trainer.losses import Graded, kl, kl_of_some, nll
from soft_prompts.trainer.objectives import cross_entropy
from soft_prompts.trainer.reader import Reader

from .test_rows import close, graded, plain, some_rows, some_vectors

spreads = st.sampled_from([0.1, 1.0, 8.0, 60.0])
shapes = st.tuples(st.integers(1, 6), st.integers(2, 40), st.integers(0, 10_000), spreads)
"""Places, vocabulary, seed, and how far the logits lie apart."""


def some_logits(places: int, vocabulary: int, seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(seed)
    return torch.randn(places, vocabulary) * spread + 7, torch.randn(places, vocabulary) * spread


def of_torch(loss: Callable[[torch.Tensor], torch.Tensor], logits: torch.Tensor) -> Graded:
    """In double precision: what is compared with has no error of its own."""
    asked = logits.detach().double().requires_grad_(True)
    found = loss(asked)
    return Graded(found.detach(), torch.autograd.grad(found, [asked])[0])


def the_same(mine: Graded, torchs: Graded) -> None:
    assert float(mine.sum) == pytest.approx(float(torchs.sum), rel=1e-5, abs=1e-4)
    assert torch.allclose(mine.gradient.double(), torchs.gradient, rtol=1e-4, atol=1e-6)


@given(shapes)
def test_nll(shape: tuple[int, int, int, float]) -> None:
    logits, _ = some_logits(*shape)
    wanted = torch.randint(0, shape[1], (shape[0],))
    expected = of_torch(lambda asked: F.cross_entropy(asked, wanted, reduction="sum"), logits)
    found = nll(logits, wanted)
    the_same(found, expected)
    assert found.gradient.data_ptr() == logits.data_ptr()


@given(shapes)
def test_kl(shape: tuple[int, int, int, float]) -> None:
    logits, taught = some_logits(*shape)
    wanted = torch.log_softmax(taught.double(), -1)

    def divergence(asked: torch.Tensor) -> torch.Tensor:
        return F.kl_div(torch.log_softmax(asked, -1), wanted, reduction="sum", log_target=True)

    # Beyond e^-80 nothing is told apart, and there is nothing to learn from it.
    spread = float((logits.amax(-1) - logits.amin(-1)).max())
    expected = of_torch(divergence, logits)
    found = kl(logits, taught)
    assert found.gradient.data_ptr() == logits.data_ptr()
    if spread < 80:
        the_same(found, expected)
    else:
        assert torch.allclose(found.gradient.double(), expected.gradient, atol=1e-6) and found.sum >= 0


@given(shapes, st.integers(1, 40))
def test_kl_of_some(shape: tuple[int, int, int, float], kept: int) -> None:
    """All other tokens are one more: the divergence of so many, and its gradient, but for what is below a millionth."""
    logits, taught = some_logits(*shape)
    likely, tokens = torch.log_softmax(taught, -1).topk(min(kept, shape[1]), -1)
    others = torch.ones_like(logits, dtype=torch.bool).scatter(-1, tokens, False)

    def divergence(asked: torch.Tensor) -> torch.Tensor:
        mine, wanted = torch.log_softmax(asked, -1), likely.double()
        rest = (1 - wanted.exp().sum(-1)).clamp_min(1e-6)
        left = (mine.exp() * others).sum(-1).clamp_min(1e-6)
        some = wanted.exp() * (wanted.clamp_min(-80) - mine.gather(-1, tokens).clamp_min(-80))
        return some.sum() + (rest * (rest / left).log()).sum()

    expected = of_torch(divergence, logits)
    probabilities = torch.softmax(logits.double(), -1)
    found = kl_of_some(logits, likely, tokens)
    assert found.gradient.data_ptr() == logits.data_ptr()
    assert float(found.sum) == pytest.approx(float(expected.sum), rel=1e-4, abs=1e-4)
    assert torch.allclose(
        found.gradient.gather(-1, tokens).double(), probabilities.gather(-1, tokens) - likely.double().exp(), atol=1e-5
    )
    # What is left for the others and what they should have: they share the difference as they share the first.
    left = (probabilities * others).sum(-1)
    due = (1 - likely.double().exp().sum(-1)).clamp_min(1e-6)
    told = (left > 1e-6) & others.any(-1)
    assert torch.allclose((found.gradient.double() * others).sum(-1)[told], (left - due)[told], atol=1e-5)
    if told.all() and float(due.min()) > 1e-5 and float(probabilities.gather(-1, tokens).min()) > math.exp(-80):
        assert torch.allclose(found.gradient.double(), expected.gradient, rtol=1e-3, atol=1e-5)


def test_a_part_of_the_vocabulary_that_a_model_leaves_out() -> None:
    """Minus infinity, on either side: no sum and no gradient is lost in it, but that of a token that cannot come."""
    logits, taught = some_logits(3, 9, 0, 1.0)
    logits[:, 7:], taught[:, 7:] = -math.inf, -math.inf
    expected = of_torch(lambda asked: F.cross_entropy(asked, torch.tensor([1, 2, 3]), reduction="sum"), logits)
    the_same(nll(logits.clone(), torch.tensor([1, 2, 3])), expected)
    assert nll(logits.clone(), torch.tensor([1, 2, 8])).sum == math.inf
    found = kl(logits.clone(), taught.clone())
    less = kl(logits[:, :7].clone(), taught[:, :7].clone())
    assert float(found.sum) == pytest.approx(float(less.sum), rel=1e-5)
    assert torch.allclose(found.gradient[:, :7], less.gradient, atol=1e-6)
    assert float(found.gradient[:, 7:].abs().max()) < 1e-30
    likely, tokens = torch.log_softmax(taught, -1).topk(9, -1)
    assert float(kl_of_some(logits.clone(), likely, tokens).sum) == pytest.approx(float(less.sum), rel=1e-3)


def test_nothing_to_learn() -> None:
    logits, _ = some_logits(3, 50, 1, 4.0)
    found = kl(logits.clone(), logits.clone())
    assert abs(float(found.sum)) < 1e-5 and float(found.gradient.abs().max()) < 1e-7


def test_what_is_not_a_number_stays_so() -> None:
    logits, taught = some_logits(2, 5, 0, 1.0)
    logits[1, 2] = math.nan
    assert nll(logits.clone(), torch.tensor([1, 1])).sum.isnan()
    assert kl(logits.clone(), taught).sum.isnan()


class Curbed(torch.nn.Module):
    """A head that needs its logits again for the way back, as a sigmoid does."""

    def __init__(self, head: torch.nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.head(features))


@pytest.mark.parametrize("curbed", [False, True])
def test_a_head_that_needs_its_logits_again(curbed: bool, make: Callable[..., Any], tokenizer: Any) -> None:
    model = make("llama")
    if curbed:
        model.lm_head = Curbed(model.lm_head)
    reader = Reader(model, tokenizer)
    vectors, rows = some_vectors(reader), some_rows(400)
    expected = graded(plain(reader, vectors, rows), vectors)
    close(graded(cross_entropy(reader, vectors, rows.all), vectors), expected)
    assert reader.apart and reader._overwritable is not curbed
    with torch.no_grad():
        assert float(cross_entropy(reader, vectors, rows.all)) == pytest.approx(expected[0], rel=1e-4)
