"""`texts(body)` and `changed(body, change)`: the texts anywhere in what JSON can say, a request or a history."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def texts(value: Any) -> Iterator[str]:
    """Every text in lists and dicts, however deep; raises RecursionError where that is absurd."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from texts(each)


def changed(value: Any, change: Callable[[str], str]) -> Any:
    """The same with every text changed; what was given stays as it is."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: changed(each, change) for key, each in value.items()}
    if isinstance(value, list):
        return [changed(each, change) for each in value]
    return value
