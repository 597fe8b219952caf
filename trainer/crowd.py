"""`Crowd()`: the processes that train together, under `accelerate launch`; mostly there is one."""

from __future__ import annotations

import os

import torch


class Crowd:
    """rank and count of the processes. All hold the same prompt; each reads its share of every batch's rows."""

    def __init__(self) -> None:
        self.count, self.rank = 1, 0
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            state = PartialState()
            self.count, self.rank = state.num_processes, state.process_index

    @property
    def first(self) -> bool:
        """Whether this is the one that writes files and prints."""
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, the same on each."""
        if self.count == 1:
            return tensor
        from accelerate.utils import reduce

        summed: torch.Tensor = reduce(tensor, reduction="sum")
        return summed

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            from accelerate import PartialState

            PartialState().wait_for_everyone()
