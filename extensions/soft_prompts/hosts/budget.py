"""`arrange(ids, head=1, spans=spans, pinned=pins, limit=2048)`: a prompt within its budget, with no tag cut in two.

The webui cuts the ids of a prompt from the left, as if all of them were words: that may take the BOS, a pinned prompt
or half of a tag. Here the cut is made anew. Lists of ids only; nothing is known of models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..slots import FIRST_ID, Slot
from ..splice import Spliced, truncate


def arrange(
    ids: Sequence[int],
    head: int,
    spans: Sequence[tuple[int, int]] = (),
    pinned: Sequence[int] = (),
    limit: int | None = None,
) -> list[int]:
    """The ids with `pinned` behind their first `head` (the BOS), at most `limit` long.

    What is too much goes from the left of the text, a tag whole or not at all; BOS and pins stay. spans: (start, stop)
    of each tag in `ids`.
    """
    start = list(ids[:head]) + list(pinned)
    shift = len(start) - head
    whole = Spliced([*start, *ids[head:]], tuple((a + shift, b + shift) for a, b in spans), head=len(start))
    return whole.ids if limit is None else truncate(whole, limit, "left").ids


def spans_of(ids: Sequence[int], slot: Callable[[int], Slot]) -> tuple[list[tuple[int, int]], list[int]]:
    """((start, stop) of each whole tag, places of the ids that are part of a cut one); slot: whose an id is."""
    spans: list[tuple[int, int]] = []
    orphans: list[int] = []
    place = 0
    while place < len(ids):
        if ids[place] < FIRST_ID:
            place += 1
            continue
        whole = slot(ids[place]).ids
        expected = range(ids[place], whole.stop)
        stop = place + 1
        while stop < len(ids) and stop - place < len(expected) and ids[stop] == expected[stop - place]:
            stop += 1
        if stop - place == len(whole):
            spans.append((place, stop))
        else:
            orphans += range(place, stop)
        place = stop
    return spans, orphans


def rearranged(
    row: list[int],
    whole: Callable[[], list[int]],
    pins: Sequence[int],
    limit: int,
    slot: Callable[[int], Slot],
    head: Callable[[Sequence[int]], int],
) -> list[int]:
    """What the webui has encoded and cut, arranged anew within its `limit`; 0 or less: as long as it is.

    whole: the same prompt before the cut, asked for only where there may have been one; head: how many ids stand before
    a text.
    """
    limit = limit if limit > 0 else len(row)
    full = whole() if len(row) >= limit else row
    if full[len(full) - len(row) :] != row:
        full = row  # another extension has changed the ids since: they are what there is
    spans, orphans = spans_of(full, slot)
    if orphans:
        lost = set(orphans)
        full = [each for place, each in enumerate(full) if place not in lost]
        spans, _ = spans_of(full, slot)
    return arrange(full, head(full), spans, pins, limit)


def bos_of(ids: Sequence[int], bos: int | None) -> int:
    """How many BOS the ids begin with."""
    count = 0
    while bos is not None and count < len(ids) and ids[count] == bos:
        count += 1
    return count


def affordable(pins: int, limit: int) -> bool:
    """Whether pins of so many tokens may stand in a prompt of `limit`: half of it must be left for the text."""
    return 2 * pins <= limit
