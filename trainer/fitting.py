"""`fitting(reader, length, rows)`: how many rows of a batch are read at once, and what a training will need.

A GPU says when its memory is full, and the training steps down; a computer's own memory does not, and programs die. So
there it is estimated before, from the sizes of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from ..errors import TrainingError
from .reader import PART, Reader

Result = TypeVar("Result")

_KEPT = 16
"""Times the width of a hidden state: what a layer keeps of each token for the backward pass; 14 to 17 were measured."""

_SHARE = 0.7
"""Of the free memory that a step may take."""


@dataclass(frozen=True)
class Estimate:
    """rows: read at once. step: bytes that a step needs. free: bytes that there are. seconds: of the whole training.

    recompute: whether gradient checkpointing is needed. measured: of steps that were really made.
    """

    rows: int
    step: int
    free: int
    recompute: bool
    seconds: float | None = None
    measured: int | None = None


def estimate(reader: Reader, length: int, batch: int, recompute: bool | None = None) -> Estimate:
    """For rows of `length` tokens, `batch` a step, on the memory that is free now."""
    available = free(reader.device)
    for again in (False, True) if recompute is None else (recompute,):
        each = _bytes_of_row(reader, length, again)
        rows = int((available * _SHARE - 16 * PART) // each)
        if rows >= 1 or again:
            break
    rows = max(1, min(batch, rows))
    return Estimate(rows, rows * each + 16 * PART, available, again)


def _bytes_of_row(reader: Reader, length: int, recompute: bool) -> int:
    config = reader.base.config.get_text_config()
    width = int(getattr(config, "hidden_size", 0) or 0) or reader.embed([0]).shape[1]
    layers = int(getattr(config, "num_hidden_layers", 12))
    size = max(2, next(reader.base.parameters()).element_size())
    kept = layers * (1 if recompute else _KEPT) + (_KEPT if recompute else 0) + 4
    return int(max(1, length * width * kept * size))


def free(device: torch.device) -> int:
    """Bytes that are free where the model computes."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return int(psutil.virtual_memory().available)


def stepping_down(attempt: Callable[[int], Result], rows: int) -> Result:
    """`attempt(rows)`, and with half the rows again and again while memory runs out; raises TrainingError at none."""
    from accelerate.utils import find_executable_batch_size

    left = [rows]

    def halve() -> int:
        left[0] //= 2
        return left[0]

    def tried(batch_size: int) -> Result:
        return attempt(batch_size)

    finder = find_executable_batch_size(tried, starting_batch_size=rows, reduce_batch_size_fn=halve)
    try:
        found: Result = finder()
        return found
    except RuntimeError as problem:
        if "No executable batch size found" in str(problem):
            raise TrainingError(_NO_ROOM) from None
        raise


def is_full(problem: RuntimeError) -> bool:
    """Whether an error says that memory ran out."""
    from accelerate.utils.memory import should_reduce_batch_size

    return isinstance(problem, torch.OutOfMemoryError) or bool(should_reduce_batch_size(problem))


_NO_ROOM = (
    "there is not enough memory for even one row: close other programs, or take shorter blocks, fewer tokens, a "
    "smaller type (--dtype bfloat16) or a smaller model"
)
