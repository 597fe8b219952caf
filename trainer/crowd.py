"""`Crowd()`: the processes that train together, under `accelerate launch` or `torchrun`; mostly there is one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from ..errors import SoftPromptError, TrainingError

Result = TypeVar("Result")


class Crowd:
    """rank and count of the processes. All hold the same prompt; each reads its share of every batch's rows.

    device: where this process computes, if there are several; where there is one it may do so anywhere.
    """

    def __init__(self) -> None:
        self.count, self.rank, self.device = 1, 0, torch.device("cpu")
        if (wanted := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
            from accelerate import PartialState

            state = PartialState(cpu=_on_cpu())
            if state.num_processes != wanted:
                # Each would train alone, and all would write the same file.
                raise TrainingError(
                    f"WORLD_SIZE is {wanted}, but {state.num_processes} work together: start them by `accelerate "
                    "launch`, or by `torchrun` where they compute on the CPU"
                )
            self.count, self.rank, self.device = state.num_processes, state.process_index, state.device

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and prints."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, the same on each."""
        if self.count == 1:
            return tensor
        from accelerate.utils import reduce

        # Processes with GPUs can only sum what lies there.
        summed: torch.Tensor = reduce(tensor.to(self.device), reduction="sum")
        return summed.to(tensor.device)

    def agreed(self, make: Callable[[], Result]) -> Result:
        """What the first process makes, on all of them; what it raises of ours is raised on all of them.

        Files are read and written in this way: others may see another disk, or the same one a moment later.
        """
        if self.count == 1:
            return make()
        from accelerate.utils import broadcast_object_list

        box: list[Any] = [None, None]
        if self.first:
            try:
                box[0] = make()
            except SoftPromptError as problem:
                box[1] = problem
        broadcast_object_list(box)
        if box[1] is not None:
            raise box[1]
        made: Result = box[0]
        return made


def _on_cpu() -> bool:
    """Whether processes talk as those on a CPU do: accelerate itself asks only the part of it that is not used here."""
    from accelerate.utils import parse_flag_from_env

    asked = bool(parse_flag_from_env("ACCELERATE_USE_CPU"))
    return asked or not getattr(torch, "accelerator", torch.cuda).is_available()
