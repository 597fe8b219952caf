"""`found(rows, "emma", "newest", "people")`: which rows of a library a list shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..hosts.protocol import Row, Verdict

INERT: tuple[Verdict, ...] = ("unreadable", "shadowed", "missing")
"""Verdicts whose tag nobody should type."""
ORDERS: dict[str, tuple[str, Callable[[Row], Any]]] = {
    # Names are in their order already, and sorting keeps it where all else is alike.
    "name": ("Name", lambda row: 0),
    "newest": ("Newest first", lambda row: -row.changed),
    "tokens": ("Fewest tokens first", lambda row: row.tokens or float("inf")),
    "fits": ("What fits first", lambda row: _FIT.get(row.verdict, 3)),
}
"""{key: (what a writer reads, by what it sorts)}"""
_FIT: dict[Verdict, int] = {"fits": 0, "text": 0, "relative": 1, "unknown": 2}


def found(rows: Sequence[Row], find: str = "", order: str = "name", place: str = "") -> list[Row]:
    """Those with all the words in them, of this folder and what lies below it; what cannot be used stands last."""
    wanted = find.casefold().split()
    by = ORDERS.get(order, ORDERS["name"])[1]
    kept = [row for row in rows if _within(row, place) and _has(row, wanted)]
    return sorted(kept, key=lambda row: (row.verdict in INERT, by(row)))


def folders(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """(what a writer reads, folder) of each that holds files, and of all that lie above; the whole library first."""
    counts: dict[str, int] = {}
    for row in rows:
        above = row.file.split("/")[:-1]
        for depth in range(1, len(above) + 1):
            folder = "/".join(above[:depth])
            counts[folder] = counts.get(folder, 0) + 1
    every = ("All folders", "")
    return [every, *((f"{name} ({count:,})", name) for name, count in sorted(counts.items()))]


def _within(row: Row, place: str) -> bool:
    return not place or row.file.startswith(f"{place}/")


def _has(row: Row, wanted: Sequence[str]) -> bool:
    if not wanted:
        return True
    parts = row.name, row.file, row.description, row.author, row.model, row.method, row.reason
    within = "\n".join(parts).casefold()
    return all(word in within for word in wanted)
