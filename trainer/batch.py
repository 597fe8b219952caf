"""`Rows(texts).batch([3, 1])`: token ids in rows, padded on the right, and which of them count.

Padding stands on the right and models are causal, so nothing that counts can see it: no attention mask is needed, and
what an id of padding is does not matter. It is 0, which every vocabulary has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from ..errors import TrainingError


@dataclass(frozen=True)
class Row:
    """ids of one text as it stands after the prompt; counted: (start, stop) of what a loss counts, or all of it."""

    ids: tuple[int, ...]
    counted: tuple[int, int]

    @classmethod
    def whole(cls, ids: Sequence[int], start: int = 0) -> Row:
        """All of `ids` from `start` on counts."""
        return cls(tuple(ids), (start, len(ids)))


@dataclass(frozen=True)
class Teaching:
    """What a teacher thinks at n places: all of it, as features, or the likeliest tokens and how likely.

    values: (n, width) features, which `reader.logits` turns into predictions; or with tokens, (n, k) ids, the (n, k)
    natural logarithms of their probabilities. middle: (n, width) its hidden states half-way, where they are kept.
    """

    values: torch.Tensor
    tokens: torch.Tensor | None = None
    middle: torch.Tensor | None = None

    def __getitem__(self, places: slice | torch.Tensor) -> Teaching:
        tokens, middle = (None if each is None else each[places] for each in (self.tokens, self.middle))
        return Teaching(self.values[places], tokens, middle)

    @staticmethod
    def join(parts: Sequence[Teaching]) -> Teaching:
        """One behind the other; all of one kind."""
        tokens = [part.tokens for part in parts if part.tokens is not None]
        middle = [part.middle for part in parts if part.middle is not None]
        values = torch.cat([part.values for part in parts])
        return Teaching(values, torch.cat(tokens) if tokens else None, torch.cat(middle) if middle else None)


@dataclass(frozen=True)
class Batch:
    """ids: (rows, length) long. counted: (rows, length) bool. teaching: for the counted places, row after row."""

    ids: torch.Tensor
    counted: torch.Tensor
    teaching: Teaching | None = None

    @property
    def wanted(self) -> torch.Tensor:
        """(count,) ids of the counted tokens, row after row."""
        return self.ids[self.counted]

    @property
    def count(self) -> int:
        """How many tokens count."""
        return int(self.counted.sum())

    def __len__(self) -> int:
        return len(self.ids)

    def split(self, rows: int) -> Iterator[Batch]:
        """Parts of up to `rows` rows, each as long as its longest; rows in which nothing counts are left out."""
        ends = self.counted.sum(1).cumsum(0).tolist()
        for start in range(0, len(self.ids), rows):
            ids, counted = self.ids[start : start + rows], self.counted[start : start + rows]
            if not (columns := counted.any(0).nonzero()).numel():
                continue
            length = int(columns[-1]) + 1
            places = slice(ends[start - 1] if start else 0, ends[min(start + rows, len(self.ids)) - 1])
            yield Batch(ids[:, :length], counted[:, :length], self.teaching and self.teaching[places])

    def share(self, rank: int, of: int) -> Batch:
        """The rows that process `rank` of `of` works on: every of-th one, so that lengths are spread."""
        mine = torch.arange(len(self.ids))[rank::of]
        if self.teaching is None:
            return Batch(self.ids[mine], self.counted[mine])
        rows = torch.arange(len(self.ids)).unsqueeze(1).expand_as(self.counted)[self.counted]
        return Batch(self.ids[mine], self.counted[mine], self.teaching[torch.isin(rows, mine)])


class Rows:
    """Texts as ids, from which batches are made. first: whether the first token of a text can be predicted at all."""

    def __init__(self, rows: Sequence[Row], first: bool = True) -> None:
        # Where nothing stands before the bare text, its first token counts with and without a prompt in neither case.
        self.rows = tuple(row if first else _without_first(row) for row in rows)
        if not any(row.counted[0] < row.counted[1] for row in self.rows):
            raise TrainingError("no token counts in any row: give longer texts, or answers that are not empty")
        self._teaching: list[Teaching] = []

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(len(row.ids) for row in self.rows)

    @property
    def all(self) -> Batch:
        """Every row."""
        return self.batch(range(len(self.rows)))

    def teach(self, teaching: Sequence[Teaching]) -> None:
        """Keep what the teacher thinks of each row's counted places."""
        self._teaching = list(teaching)

    def batch(self, chosen: Sequence[int]) -> Batch:
        """The rows of these numbers, padded to the longest of them."""
        rows = [self.rows[each] for each in chosen]
        ids = torch.zeros(len(rows), max(len(row.ids) for row in rows), dtype=torch.long)
        counted = torch.zeros_like(ids, dtype=torch.bool)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = torch.tensor(row.ids, dtype=torch.long)
            counted[number, slice(*row.counted)] = True
        return Batch(ids, counted, Teaching.join([self._teaching[each] for each in chosen]) if self._teaching else None)


def _without_first(row: Row) -> Row:
    return replace(row, counted=(max(1, row.counted[0]), row.counted[1]))


def blocks(ids: Sequence[int], length: int) -> list[Row]:
    """`ids` cut into rows of `length`, the rest dropped."""
    return [Row.whole(ids[start : start + length]) for start in range(0, len(ids) - length + 1, length)]


def order(rows: int, batch: int, seed: int, number: int) -> list[int]:
    """Which rows step `number` (from 1) takes: all of them in a new order, again and again.

    It depends on nothing but its arguments, so a training that goes on after a crash takes the same rows.
    """
    chosen: list[int] = []
    start = (number - 1) * batch
    while len(chosen) < batch:
        round_, place = divmod(start + len(chosen), rows)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + round_)
        chosen += torch.randperm(rows, generator=generator)[place : place + batch - len(chosen)].tolist()
    return chosen
