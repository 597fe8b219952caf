"""`with turns(): ...`: one at a time on a model, in the order in which they asked.

A training asks again at once after each of its steps; a usual lock would let it have nearly every turn.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Not to be asked again within a turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Waits for its turn."""
        self._take()
        try:
            yield
        finally:
            self._give()

    def _take(self) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Event()
            self._waiting.append(mine)
        mine.wait()

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                # It stays taken, by the one who has waited longest.
                self._waiting.popleft().set()
            else:
                self._taken = False
