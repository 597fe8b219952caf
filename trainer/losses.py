"""`nll(logits, wanted)`, `kl(logits, taught)`: sums of a loss over predictions, and their gradients.

All are (places, vocabulary) float32 logits, over which the gradient is written: with a large vocabulary these are the
most that a step holds, and what autograd makes of them, in memory that is new each time, took a sixth of a step.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

LEAST = -80.0
"""Of a logarithm of a probability: float32 ends about there."""

SMALLEST = 1e-6
"""Of a probability that is what others leave: rounding makes their sum a little more than one now and then."""


class Graded(NamedTuple):
    """A sum over places, a scalar in nats, and (places, vocabulary), its gradient."""

    sum: torch.Tensor
    gradient: torch.Tensor


def nll(logits: torch.Tensor, wanted: torch.Tensor) -> Graded:
    """-log p of the (places,) ids `wanted`."""
    places = torch.arange(len(wanted), device=logits.device)
    right = _from_the_likeliest(logits)[places, wanted]
    sizes = _to_probabilities(logits)
    logits[places, wanted] -= 1
    return Graded((sizes - right).sum(), logits)


def kl(logits: torch.Tensor, taught: torch.Tensor) -> Graded:
    """KL(teacher || model), of the teacher's logits, which are lost as well."""
    # A model may leave out a part of its vocabulary: nothing times infinity is not a number.
    mine, theirs = (_from_the_likeliest(each).clamp_min_(LEAST) for each in (logits, taught))
    apart = theirs - mine
    their_sizes, my_sizes = _to_probabilities(theirs), _to_probabilities(mine)
    found = torch.linalg.vecdot(theirs, apart) - their_sizes + my_sizes
    return Graded(found.sum(), mine.sub_(theirs))


def kl_of_some(logits: torch.Tensor, likely: torch.Tensor, tokens: torch.Tensor) -> Graded:
    """The same, where a teacher kept (places, k) ids and logarithms of their probabilities; the rest is one more."""
    shifted = _from_the_likeliest(logits).gather(-1, tokens)
    mine = (shifted - _to_probabilities(logits).unsqueeze(-1)).clamp_min(LEAST)
    likely = likely.clamp_min(LEAST)
    wanted = likely.exp()
    rest = (1 - wanted.sum(-1, keepdim=True)).clamp_min(SMALLEST)
    left = logits.scatter_(-1, tokens, 0).sum(-1, keepdim=True).clamp_min(SMALLEST)
    found = (wanted * (likely - mine)).sum() + (rest * (rest / left).log()).sum()
    return Graded(found, logits.mul_(1 - rest / left).scatter_(-1, tokens, mine.exp() - wanted))


def _from_the_likeliest(logits: torch.Tensor) -> torch.Tensor:
    """How far each is below the largest of its place."""
    return logits.sub_(logits.amax(-1, keepdim=True))


def _to_probabilities(logits: torch.Tensor) -> torch.Tensor:
    """Makes probabilities of logits that are 0 at most; gives the logarithms of the sums that these had."""
    sums = logits.exp_().sum(-1, keepdim=True)
    logits.div_(sums)
    return sums.log().squeeze(-1)
