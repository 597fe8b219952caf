"""`Engine(reader, crowd).gradient(vectors, terms)`: a step's loss and gradient, in as many parts as memory asks for.

A batch is divided over processes, then over parts of `rows` rows; everything is summed and divided by what the whole
batch counts, so that neither changes what is computed.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from ..errors import TrainingError
from .batch import Batch
from .crowd import Crowd
from .evaluate import total
from .fitting import fitting, is_full, kept, stepping_down
from .frozen import frozen
from .objectives import Objective, Term
from .reader import Reader

LOOKED = 8
"""Rows that are read at once without gradients, at least; all of them together keep less than one row of a step."""


class Engine:
    """rows: read at once. recompute: gradient checkpointing; may_recompute: whether it is a way out at all.

    measured: whether rows are known to fit.
    """

    def __init__(self, reader: Reader, rows: int, recompute: bool, may_recompute: bool) -> None:
        self.reader = reader
        self.crowd = Crowd()
        self.rows = rows
        self.recompute = recompute
        self._may_recompute = may_recompute
        self.measured = False

    @property
    def looked(self) -> int:
        """Rows that are read at once without gradients, when nothing of the layers is kept."""
        return max(self.rows, LOOKED)

    def frozen(self) -> AbstractContextManager[None]:
        """Around everything below; the model is as before afterwards."""
        return frozen(self.reader.base, self.recompute)

    def gradient(self, vectors: torch.Tensor, terms: list[Term]) -> tuple[float, torch.Tensor]:
        """(mean loss, its gradient) over all processes; raises TrainingError where memory is too small for a row."""
        before = self.recompute
        self._measure(vectors, terms)
        with self.frozen() if self.recompute and not before else nullcontext():
            return self._stepping_down(vectors, terms)

    def _measure(self, vectors: torch.Tensor, terms: list[Term]) -> None:
        """A computer's own memory does not say that it is full, and programs die: see once what a row really needs."""
        if self.measured or self.recompute or self.reader.device.type != "cpu":
            return
        self.measured = True
        rows = [(term.objective, part) for term in terms for part in term.batch.split(1)]
        if not rows:
            return
        objective, row = max(rows, key=lambda each: each[1].ids.shape[1])
        try:
            self.reader.features(vectors.detach(), row)  # gets to know the model, which is not what is measured
            needed = kept(self.reader.base, lambda: objective(self.reader, vectors, row))
        except (RuntimeError, MemoryError) as problem:
            if not is_full(problem):
                raise
            return
        found = fitting(needed, self.reader.device)
        self.recompute = found == 0 and self._may_recompute
        self.rows = max(1, min(self.rows, found))

    def _stepping_down(self, vectors: torch.Tensor, terms: list[Term]) -> tuple[float, torch.Tensor]:
        try:
            return self._summed(vectors, terms)
        except (RuntimeError, MemoryError) as problem:
            if not is_full(problem):
                raise

        def attempt(rows: int) -> tuple[float, torch.Tensor]:
            self.rows = rows
            return self._summed(vectors, terms)

        try:
            return stepping_down(attempt, self.rows // 2)
        except TrainingError:
            if self.recompute or not self._may_recompute:
                raise
        # The last resort costs a third more time: forget what is inside the layers, and compute it twice.
        self.recompute = True
        with self.frozen():
            return stepping_down(attempt, 1)

    def mean(self, vectors: torch.Tensor | None, objective: Objective, batch: Batch) -> float:
        """The mean of `objective` over all that counts, without gradients, each process reading its share."""
        mine = batch.share(self.crowd.rank, self.crowd.count)
        found = total(self.reader, vectors, objective, mine, self.looked)
        return float(self.crowd.sum(torch.tensor(found, dtype=torch.float64))) / batch.count

    def _summed(self, vectors: torch.Tensor, terms: list[Term]) -> tuple[float, torch.Tensor]:
        # Layers that are computed twice would put their keys and values into a cache twice.
        self.reader.recomputed = self.recompute
        sums = torch.zeros(vectors.numel() + 1)
        for term in terms:
            # Nothing counts where a text is one token, and nothing stands before it.
            weight = term.weight / max(1, term.batch.count)
            for part in term.batch.share(self.crowd.rank, self.crowd.count).split(self.rows):
                # Not `backward`: it would leave gradients on an embedding that a host has set to want them.
                with torch.enable_grad():
                    loss = term.objective(self.reader, vectors, part)
                    (gradient,) = torch.autograd.grad(loss, [vectors])
                sums[:-1] += weight * gradient.flatten()
                sums[-1] += weight * loss.detach().cpu()
        sums = self.crowd.sum(sums)
        return float(sums[-1]), sums[:-1].view_as(vectors)
