"""`decoded(data, most)`: JSON of other tools, bounded: how long, how many brackets and commas, and no key twice."""

from __future__ import annotations

import json
from typing import Any

from ..errors import InvalidFile

MOST_MARKS = 1 << 17
"""Brackets and commas, which cost Python 0.15 s a megabyte. Vectors have none: they stand there as one text."""


def decoded(data: bytes, most: int) -> Any:
    """What the JSON in `data` says, of `most` bytes at most; raises InvalidFile with a bare fact."""
    if len(data) > most:
        raise InvalidFile(f"it has {len(data):,} bytes of JSON, more than the {most:,} that are read")
    if (marks := sum(map(data.count, (b"{", b"[", b",")))) > MOST_MARKS:
        raise InvalidFile(f"its JSON holds {marks:,} brackets and commas, more than the {MOST_MARKS:,} that are read")
    try:
        return _JSON.decode(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise InvalidFile("its JSON is cut short or damaged: copy or download it again") from None


def table(value: Any) -> dict[str, Any]:
    """`value`; raises InvalidFile where it is no object of JSON."""
    if not isinstance(value, dict):
        raise InvalidFile("its JSON is no table of keys and values: made by a faulty tool")
    return value


def encoded(value: Any) -> bytes:
    """The JSON of `value`, in letters as they are."""
    return json.dumps(value, ensure_ascii=False, indent=2).encode()


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidFile("its JSON says something twice: made to deceive, or by a faulty tool")
    return found


_JSON = json.JSONDecoder(object_pairs_hook=_without_doubles)
