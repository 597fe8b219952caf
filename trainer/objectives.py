"""`cross_entropy(reader, vectors, batch)`, `divergence(...)`: what a training makes small, as functions.

Each takes a reader, vectors of (tokens, width) or None, and a batch, and gives the sum over the tokens that count, in
nats, with a gradient for the vectors. Who calls them divides by `batch.count`, or by what all processes count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from .batch import Batch, Rows, Teaching
from .fitting import halving
from .losses import Graded, kl, kl_of_some, nll
from .reader import Reader

Objective = Callable[[Reader, "torch.Tensor | None", Batch], torch.Tensor]

WHOLE = 1 << 28
"""Bytes that may be kept of a teacher, or a quarter of what the model itself takes if that is more. Its features are
smaller than its predictions and lose nothing of them; where even they are too many, the likeliest `LIKELIEST` tokens of
each place are kept.
"""

LIKELIEST = 128
"""What it costs: of 2,560 tokens these had 99.2 %, and the rest 3 % of what a prompt still had to learn."""

HALF = 2
"""Bytes of a number that is kept."""

TINY = 1e-12
"""Of a square that something is divided by."""


@dataclass(frozen=True)
class Term:
    """A part of a step's loss: the mean of `objective` over `batch`, times `weight`."""

    objective: Objective
    batch: Batch
    weight: float = 1.0


def cross_entropy(reader: Reader, vectors: torch.Tensor | None, batch: Batch) -> torch.Tensor:
    """How unexpected the counted tokens are: -log p of each, summed."""
    return unexpected(reader, reader.features(vectors, batch), batch.wanted)


def unexpected(reader: Reader, features: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """-log p of the (places,) ids `wanted`, summed, where `features` of the reader predict them."""
    wanted = wanted.to(features.device)

    def loss(logits: torch.Tensor, places: slice) -> Graded:
        return nll(logits, wanted[places].to(logits.device))

    return reader.total(features, loss)


def divergence(reader: Reader, vectors: torch.Tensor | None, batch: Batch) -> torch.Tensor:
    """How far the predictions are from the teacher's: KL(teacher || model) at each counted place, summed."""
    return _from_the_teacher(reader, reader.features(vectors, batch), _teaching(batch))


def guided(share: float) -> Objective:
    """`divergence`, and a gradient that also draws what is half-way through the layers to what it is in the teacher.

    share: how much that counts beside the divergence, which alone is what it gives. So a prompt learns what the layers
    are to find in it before their predictions show it (deep context distillation, arXiv 2503.08727).
    """

    def objective(reader: Reader, vectors: torch.Tensor | None, batch: Batch) -> torch.Tensor:
        teaching = _teaching(batch)
        if teaching.middle is None:
            return divergence(reader, vectors, batch)
        features, middle = reader.inside(vectors, batch)
        assert middle is not None, "the teacher, which is the same model, showed it"
        wanted = teaching.middle.to(middle.device).float()
        # Of its size at each place, so that it means the same in every model.
        apart = (
            ((middle.float() - wanted).square().sum(-1) / wanted.square().sum(-1).clamp_min(TINY))
            .sum()
            .to(features.device)
        )
        return _from_the_teacher(reader, features, teaching) + share * (apart - apart.detach())

    return objective


def _teaching(batch: Batch) -> Teaching:
    assert batch.teaching is not None, "only rows that a teacher has read can be compared with it"
    return batch.teaching


def _from_the_teacher(reader: Reader, features: torch.Tensor, teaching: Teaching) -> torch.Tensor:
    def loss(logits: torch.Tensor, places: slice) -> Graded:
        taught = teaching[places]
        if taught.tokens is not None:
            likely, tokens = (each.to(logits.device) for each in (taught.values, taught.tokens))
            return kl_of_some(logits, likely, tokens.long())
        with torch.no_grad():
            thought = reader.predictions(taught.values.to(features.device, features.dtype))
        return kl(logits, thought.to(logits.device))

    return reader.total(features, loss)


def teach(reader: Reader, vectors: torch.Tensor | None, rows: Rows, batch: int, inside: bool = False) -> None:
    """Let the model, behind `vectors`, read the rows, and keep in them what it thinks at each counted place.

    inside: and what it thinks half-way, if there is room for it, for `guided`.
    """
    places = sum(row.counted[1] - row.counted[0] for row in rows.rows)
    room = room_of(reader)

    def thought(numbers: range) -> list[Teaching]:
        part = rows.batch(numbers)
        features, middle = reader.inside(vectors, part) if inside else (reader.features(vectors, part), None)
        needed = places * features.shape[-1] * HALF
        if middle is not None and needed + places * middle.shape[-1] * HALF > room:
            middle = None
        lengths = [rows.rows[number].counted[1] - rows.rows[number].counted[0] for number in numbers]
        inner = [None] * len(lengths) if middle is None else _halved(middle).split(lengths)
        if needed > room:
            return [_likeliest(reader.logits(each)) for each in features.split(lengths)]
        pairs = zip(_halved(features).split(lengths), inner, strict=True)
        return [Teaching(each, None, within) for each, within in pairs]

    with torch.no_grad():
        parts = [range(start, min(start + batch, len(rows))) for start in range(0, len(rows), batch)]
        rows.teach([each for part in parts for each in halving(thought, part, _cut)])


def room_of(reader: Reader) -> int:
    """Bytes that may be kept of what this model thinks as a teacher."""
    weights = sum(int(each.numel() * each.element_size()) for each in reader.base.parameters())
    return max(WHOLE, weights // 4)


def _cut(numbers: range) -> tuple[range, range]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


def _halved(states: torch.Tensor) -> torch.Tensor:
    """For keeping: what is rounded off moves no prediction by a thousandth."""
    largest = torch.finfo(torch.float16).max
    half = states.clamp(-largest, largest).half() if states.element_size() > HALF else states
    return half.cpu()


def _likeliest(logits: torch.Tensor) -> Teaching:
    logs = torch.log_softmax(logits.float(), dim=-1)
    # Not in half precision: what is left of the sum of their probabilities is one more token.
    best, tokens = logs.topk(min(LIKELIEST, logs.shape[-1]), dim=-1)
    return Teaching(best.cpu(), tokens.int().cpu())
