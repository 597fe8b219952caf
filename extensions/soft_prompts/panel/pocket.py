"""`Pocket(32).put(value)`: what a page will name again by a key; so it can name nothing else."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Pocket(Generic[Value]):
    """For all pages together; of more than `most`, the oldest is forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, Value] = OrderedDict()

    def put(self, value: Value) -> str:
        """Gives its key."""
        key = secrets.token_hex(8)
        self._held[key] = value
        while len(self._held) > self._most:
            self._held.popitem(last=False)
        return key

    def get(self, key: str) -> Value | None:
        """What was put there; it stays."""
        return self._held.get(key)

    def pop(self, key: str) -> Value | None:
        """What was put there, which is then gone."""
        return self._held.pop(key, None)
