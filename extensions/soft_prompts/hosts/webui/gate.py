"""`Gate().ticket()` and `.alone()`: many may use a thing at once, and one may change it while nobody does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_LATELY = 30.0


class Gate:
    """Tickets belong to no thread: a generator may be carried on by another thread than the one that began it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._closed: int | None = None
        self._opened = float("-inf")

    @contextmanager
    def ticket(self) -> Iterator[None]:
        """Inside, nobody is alone; waits while somebody is."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed is None)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, nobody holds a ticket; newcomers wait outside. Who is alone needs none, and must not ask for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed is None)
            self._closed = threading.get_ident()
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._closed, self._opened = None, time.monotonic()
                self._changed.notify_all()

    def wait(self) -> None:
        """Until nobody is alone, except oneself."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed in (None, threading.get_ident()))

    def closed_lately(self) -> bool:
        """Whether somebody is or was alone within the last half minute."""
        with self._changed:
            return self._closed is not None or time.monotonic() - self._opened < _LATELY
