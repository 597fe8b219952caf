"""`estimate(reader, prefix, text, batch)`: how many rows of a batch are read at once, and what a training will need.

A GPU says when its memory is full, and the training steps down; a computer's own memory does not, and programs die. So
there it is estimated before, from the sizes of the model.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from ..errors import TrainingError
from .reader import PART, Reader

Result = TypeVar("Result")
Whole = TypeVar("Whole", bound=Sized)

_KEPT = 16
"""Times the width of a hidden state: what a layer keeps of each token for the backward pass.

14 to 17 were measured for Llama and its kin, up to 29 for others, and 107 for a state-space model: what counts is
measured at the first step.
"""

ENOUGH = 1 << 10
"""Tokens of text that a processor reads at once: more is no faster there, and takes more memory. What all rows begin
with is read once for all of them, and is not among these."""

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


def estimate(reader: Reader, prefix: int, text: int, batch: int, recompute: bool | None = None) -> Estimate:
    """For rows of so many tokens, `prefix` of them the same in all, `batch` a step, on the memory that is free now."""
    available = free(reader.device)
    for again in (False, True) if recompute is None else (recompute,):
        each = _bytes_of_row(reader, prefix + text, again)
        rows = int((available * _SHARE - 16 * PART) // each)
        if rows >= 1 or again:
            break
    if reader.device.type == "cpu":
        rows = min(rows, max(1, ENOUGH // max(1, text)))
    rows = max(1, min(batch, rows))
    return Estimate(rows, rows * each + 16 * PART, available, again)


def _bytes_of_row(reader: Reader, length: int, recompute: bool) -> int:
    config = reader.base.config.get_text_config()
    width = int(getattr(config, "hidden_size", 0) or 0) or reader.embed([0]).shape[1]
    layers = int(getattr(config, "num_hidden_layers", 12))
    size = max(2, next(reader.base.parameters()).element_size())
    kept = layers * (1 if recompute else _KEPT) + (_KEPT if recompute else 0) + 4
    return int(max(1, length * width * kept * size))


def fitting(needed: int, device: torch.device) -> int:
    """How many rows that need so many bytes each fit into the memory that is free now; 0 where none does."""
    return max(0, int(free(device) * _SHARE - 16 * PART)) // max(1, needed)


def kept(model: torch.nn.Module, forward: Callable[[], object]) -> int:
    """Bytes that `forward` keeps for a backward pass, the model's own weights left out."""
    there = [weight for weight in model.parameters() if weight.device.type != "meta"]
    weights = {storage.data_ptr() for weight in there for storage in _storages(weight)}
    sizes: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        for storage in _storages(tensor):
            if storage.data_ptr() not in weights:
                sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor), torch.enable_grad():
        graph = forward()
        total = sum(sizes.values())
        del graph
    return total


def _storages(tensor: torch.Tensor) -> Iterator[torch.UntypedStorage]:
    """Where its numbers lie: a quantised weight of torchao has none of its own, but parts that have."""
    if hasattr(tensor, "__tensor_flatten__"):
        for part in tensor.__tensor_flatten__()[0]:
            yield from _storages(getattr(tensor, part))
    else:
        yield tensor.untyped_storage()


def free(device: torch.device) -> int:
    """Bytes that are free where the model computes."""
    module: Any = getattr(torch, device.type, None)
    if device.type != "cpu" and hasattr(module, "mem_get_info"):
        # What torch holds in reserve counts as taken there, and is ours.
        reserve = module.memory_reserved(device) - module.memory_allocated(device)
        return int(module.mem_get_info(device)[0] + reserve)
    import psutil

    return min(int(psutil.virtual_memory().available), _left_in_container())


def _left_in_container(group: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that a container's limit leaves, which the computer's own memory knows nothing of."""
    try:
        limit, used = (int((group / name).read_text()) for name in ("memory.max", "memory.current"))
        counted = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(counted["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no container, or no limit: "max"
        return sys.maxsize


def stepping_down(attempt: Callable[[int], Result], rows: int) -> Result:
    """`attempt(rows)`, and with half the rows again and again while memory runs out; raises TrainingError at none."""
    from accelerate.utils import find_executable_batch_size

    left = [rows]

    def halve() -> int:
        left[0] //= 2
        return left[0]

    def tried(batch_size: int) -> Result:
        try:
            return attempt(batch_size)
        except (RuntimeError, MemoryError) as problem:
            if not is_full(problem):
                raise
        # The finder knows the words of some devices only.
        raise torch.OutOfMemoryError("It ran out of memory.")

    finder = find_executable_batch_size(tried, starting_batch_size=rows, reduce_batch_size_fn=halve)
    try:
        found: Result = finder()
        return found
    except RuntimeError as problem:
        if "No executable batch size found" in str(problem):
            raise TrainingError(_NO_ROOM) from None
        raise


def halving(
    work: Callable[[Whole], list[Result]], whole: Whole, cut: Callable[[Whole], Iterable[Whole]]
) -> list[Result]:
    """`work(whole)`; where memory runs out, of the parts of it, as `cut` makes them, one after the other."""
    try:
        return work(whole)
    except (RuntimeError, MemoryError) as problem:
        if not is_full(problem) or len(whole) < 2:
            raise
    return [found for part in cut(whole) for found in halving(work, part, cut)]


def is_full(problem: RuntimeError | MemoryError) -> bool:
    """Whether an error says that memory ran out: each device and system has its own words for it."""
    if isinstance(problem, MemoryError | torch.OutOfMemoryError):
        return True
    from accelerate.utils.memory import should_reduce_batch_size

    return bool(should_reduce_batch_size(problem)) or any(each in str(problem).lower() for each in _FULL)


_FULL = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc")

_NO_ROOM = (
    "there is not enough memory for even one row: close other programs, or take shorter blocks, fewer tokens, a "
    "smaller type (--dtype bfloat16) or a smaller model"
)
