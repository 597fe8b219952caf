"""`with Stop() as stop: ...`: Ctrl-C and SIGTERM are asked for, not obeyed at once; a second one is."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    # A program in a group of its own, as a worker is, can be sent Ctrl-Break alone.
    _SIGNALS.append(signal.SIGBREAK)
_SAID = b"\nending after this step; once more ends at once, without what was learnt since the last checkpoint\n"


class Stopped(Exception):
    """Raised between two pieces of a preparation, or of a report, when an end was asked for."""


class Stop:
    """asked: the number of the signal, or 0. Outside of a program's main thread signals are left alone."""

    def __init__(self, says: bool = True) -> None:
        self.asked = 0
        self._says = says
        self._before: dict[int, Any] = {}

    @property
    def status(self) -> int:
        """The exit status of a program that a signal ended: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.asked

    def ask(self) -> None:
        """From another thread, as by Ctrl-C."""
        self.asked = signal.SIGINT

    def check(self) -> None:
        """Raises Stopped where an end was asked for."""
        if self.asked:
            raise Stopped

    def __enter__(self) -> Stop:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = number
        if self._says:
            os.write(2, _SAID)  # a print in here could meet itself
