"""`cross_entropy(reader, vectors, batch)`, `divergence(...)`: what a training makes small, as functions.

Each takes a reader, vectors of (tokens, width) or None, and a batch, and gives the sum over the tokens that count, in
nats, with a gradient for the vectors. Who calls them divides by `batch.count`, or by what all processes count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .batch import Batch, Rows, Teaching
from .fitting import halving
from .reader import Reader

Objective = Callable[[Reader, "torch.Tensor | None", Batch], torch.Tensor]

WHOLE = 1 << 27
"""Numbers of a teacher's thoughts that are kept whole, 256 MB; beyond it the likeliest `LIKELIEST` of each place."""

LIKELIEST = 128

LEAST = -80.0
"""Of a logarithm of a probability: float32 ends about there."""


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

    def loss(logits: torch.Tensor, places: slice) -> torch.Tensor:
        return F.cross_entropy(logits, wanted[places].to(logits.device), reduction="sum")

    return reader.total(features, loss)


def divergence(reader: Reader, vectors: torch.Tensor | None, batch: Batch) -> torch.Tensor:
    """How far the predictions are from the teacher's: KL(teacher || model) at each counted place, summed."""
    assert batch.teaching is not None, "only rows that a teacher has read can be compared with it"
    features = reader.features(vectors, batch)
    teaching = batch.teaching

    def loss(logits: torch.Tensor, places: slice) -> torch.Tensor:
        return _divergence(torch.log_softmax(logits, dim=-1), teaching[places])

    return reader.total(features, loss)


def teach(reader: Reader, vectors: torch.Tensor | None, rows: Rows, batch: int) -> None:
    """Let the model, behind `vectors`, read the rows, and keep in them what it thinks at each counted place."""
    vocabulary = int(reader.base.config.get_text_config().vocab_size)
    places = sum(row.counted[1] - row.counted[0] for row in rows.rows)
    kept = None if places * vocabulary <= WHOLE else min(LIKELIEST, vocabulary)

    def thought(numbers: range) -> list[Teaching]:
        features, found = reader.features(vectors, rows.batch(numbers)), []
        for number in numbers:
            length = rows.rows[number].counted[1] - rows.rows[number].counted[0]
            logs = torch.log_softmax(reader.logits(features[:length]).float(), dim=-1)
            features = features[length:]
            found.append(_kept(logs, kept))
        return found

    with torch.no_grad():
        parts = [range(start, min(start + batch, len(rows))) for start in range(0, len(rows), batch)]
        rows.teach([each for part in parts for each in halving(thought, part, _cut)])


def _cut(numbers: range) -> tuple[range, range]:
    middle = len(numbers) // 2
    return numbers[:middle], numbers[middle:]


def _kept(logs: torch.Tensor, likeliest: int | None) -> Teaching:
    if likeliest is None:
        return Teaching(logs.half().cpu())
    best, tokens = logs.topk(likeliest, dim=-1)
    # Not in half precision: what is left of the sum of their probabilities is one more token.
    return Teaching(best.cpu(), tokens.int().cpu())


def _divergence(logs: torch.Tensor, teaching: Teaching) -> torch.Tensor:
    """The sum of KL over (places, vocabulary) log-probabilities; all that a teacher did not keep is one more token."""
    # A model may leave out a part of its vocabulary: nothing times infinity is not a number.
    wanted, logs = teaching.logs.to(logs.device).float().clamp_min(LEAST), logs.clamp_min(LEAST)
    if teaching.tokens is None:
        return (wanted.exp() * (wanted - logs)).sum()
    # Rounding makes a sum of probabilities a little more than one now and then.
    kept = wanted.exp()
    rest = (1 - kept.sum(-1)).clamp_min(1e-6)
    mine = logs.gather(-1, teaching.tokens.to(logs.device).long())
    left = (1 - mine.exp().sum(-1)).clamp_min(1e-6)
    return (kept * (wanted - mine)).sum() + (rest * (rest.log() - left.log())).sum()
