"""`Placed.of(input_ids, attention_mask, head)`: rows as data collators make them, as texts behind a head and a prompt.

Collators give [head][text] or the text alone, padded on either side. A soft prompt stands behind the head, so a row is
read as [head][soft prompt][text], and what is found goes back to where the row had its tokens. Positions are as in a
row given to the bare model: what stands at one predicts the token at the next, and nothing predicts the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import TrainingError
from ..batch import Batch

IGNORED = -100
"""A label that does not count, in all of Transformers."""


@dataclass(frozen=True)
class Placed:
    """text: (rows, longest + 1) ids behind the head, padded on the right, and a place for what comes after the last.

    at: (rows, longest + 1), where each of them stands in the rows given. inside: whether it is a token at all.
    predicted: whether a token of the rows given stands before it. shape: (rows, length) of the rows given.
    """

    text: torch.Tensor
    at: torch.Tensor
    inside: torch.Tensor
    predicted: torch.Tensor
    shape: torch.Size

    @classmethod
    def of(cls, ids: torch.Tensor, mask: torch.Tensor | None, head: Sequence[int]) -> Placed:
        """ids and mask: (rows, length); head: the special tokens before a text. Raises TrainingError."""
        first, size = _runs(ids, mask)
        headed = _headed(ids, first, size, head)
        start, length = first + len(head) * headed, size - len(head) * headed
        steps = torch.arange(int(length.max()) + 1, device=ids.device)
        at, inside = start.unsqueeze(1) + steps, steps < length.unsqueeze(1)
        text = ids.gather(1, at.clamp(max=ids.shape[1] - 1)) * inside
        # Where the row has no head, ours is before it, and nothing of the row predicts its first token.
        predicted = (steps <= length.unsqueeze(1)) & ((steps > 0) | (headed & bool(head)).unsqueeze(1))
        return cls(text, at, inside, predicted, ids.shape)

    @property
    def longest(self) -> int:
        """Tokens of the longest text."""
        return self.text.shape[1] - 1

    @property
    def batch(self) -> Batch:
        """Every prediction, those of what comes after the last tokens among them; `back` takes what is found."""
        return Batch(self.text, self.predicted)

    def counted(self, labels: torch.Tensor) -> tuple[Batch, torch.Tensor]:
        """(the rows, (count,) the labels that count in them)."""
        labels = labels.gather(1, self.at.clamp(max=labels.shape[1] - 1))
        counts = self.inside & self.predicted & (labels != IGNORED)
        return Batch(self.text[:, :-1], counts[:, :-1]), labels[counts]

    def back(self, found: torch.Tensor) -> torch.Tensor:
        """(rows, length, features) of (count, features) for `batch`: at each token what predicts the next, else 0."""
        row, column = self.predicted.nonzero(as_tuple=True)
        at = self.at[row, column] - 1
        whole = found.new_zeros(*self.shape, found.shape[-1])
        return whole.index_put((row.to(found.device), at.to(found.device)), found)


def collate(rows: Iterable[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """`Trainer(..., data_collator=collate)`: rows with input_ids, and labels where not all of them count.

    It needs no token for padding, and keeps the tokenizer out of the checkpoints. Raises TrainingError.
    """
    kept = [(list(row["input_ids"]), list(row.get("labels", row["input_ids"]))) for row in rows]
    if wrong := next((each for each in kept if len(each[0]) != len(each[1])), None):
        raise TrainingError(f"a row has {len(wrong[0])} input_ids and {len(wrong[1])} labels: give as many")
    longest = max(len(ids) for ids, _ in kept)
    return {
        "input_ids": _padded([ids for ids, _ in kept], longest, 0),
        "attention_mask": _padded([[1] * len(ids) for ids, _ in kept], longest, 0),
        # Nothing predicts the first one, and the Trainer of Transformers 5.6 divides by it nevertheless.
        "labels": _padded([[IGNORED, *labels[1:]] for _, labels in kept], longest, IGNORED),
    }


def _padded(rows: Sequence[Sequence[int]], length: int, value: int) -> torch.Tensor:
    return torch.tensor([[*map(int, row), *[value] * (length - len(row))] for row in rows], dtype=torch.long)


def _runs(ids: torch.Tensor, mask: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """(rows,) where the tokens of each row begin, and how many there are."""
    if mask is None:
        mask = torch.ones_like(ids)
    if ids.dim() != 2 or mask.shape != ids.shape:
        raise TrainingError(
            f"input_ids are {tuple(ids.shape)} and attention_mask is {tuple(mask.shape)}: both must be (rows, length); "
            "of several texts packed into one row each needs the soft prompt before it, so switch packing off"
        )
    mask = mask.bool()
    first, size = mask.int().argmax(1), mask.sum(1)
    steps = torch.arange(ids.shape[1], device=ids.device)
    if not torch.equal(mask, (steps >= first.unsqueeze(1)) & (steps < (first + size).unsqueeze(1))):
        raise TrainingError("attention_mask has a hole in a row: pad texts on the left or on the right only")
    return first, size


def _headed(ids: torch.Tensor, first: torch.Tensor, size: torch.Tensor, head: Sequence[int]) -> torch.Tensor:
    """(rows,) whether the row itself begins with the head."""
    found = size >= len(head)
    for step, each in enumerate(head):
        place = (first + step).clamp(max=ids.shape[1] - 1).unsqueeze(1)
        found = found & (ids.gather(1, place).squeeze(1) == each)
    return found
