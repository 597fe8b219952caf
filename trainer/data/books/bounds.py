"""`unpacked(len(data))`: how many bytes packed ones may become, so that a small file never takes much memory."""

from __future__ import annotations

LARGEST = 64 << 20
"""Bytes of one text or member when it is unpacked; a card with many pictures in it has some."""
FREE = 8 << 20
"""Bytes that may come of anything, however small it is packed."""
DENSEST = 32
"""Times that a larger one may grow. Books of much the same entries grow twenty times, a bomb a thousand times."""


def unpacked(packed: int, largest: int = LARGEST) -> int:
    """At most so many."""
    return min(largest, max(FREE, DENSEST * packed))
