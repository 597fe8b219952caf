"""`with Peak(model) as peak: ...; peak.bytes`: the most memory that what happened inside took beyond what was taken."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import torch

_PAUSE = 0.005


class Peak:
    """bytes: after the block; None where nobody says how much memory is taken."""

    def __init__(self, model: torch.nn.Module) -> None:
        cards = sorted({weight.device.type for weight in model.parameters()} - {"meta", "cpu"})
        self._card: Any = _card(cards[0]) if cards else None
        self._silent = bool(cards) and self._card is None
        self._done = threading.Event()
        self.bytes: int | None = None

    def __enter__(self) -> Peak:
        if self._card is not None:
            for number in range(self._card.device_count()):
                self._card.reset_peak_memory_stats(number)
            self._before = self._taken("memory_allocated")
        else:
            self._watching = threading.Thread(target=self._watch, daemon=True)
            self._before = self._most = _resident()
            self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._card is not None:
            self.bytes = self._taken("max_memory_allocated") - self._before
            return
        self._done.set()
        self._watching.join()
        self.bytes = None if self._silent else max(self._most, _resident()) - self._before

    def _taken(self, which: str) -> int:
        read = getattr(self._card, which)
        return sum(int(read(number)) for number in range(int(self._card.device_count())))

    def _watch(self) -> None:
        # A computer's own memory has no mark of its highest level that could be set back everywhere.
        while not self._done.wait(_PAUSE):
            self._most = max(self._most, _resident())


def _card(kind: str) -> Any:
    module = torch.get_device_module(kind)
    return module if hasattr(module, "max_memory_allocated") else None


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
