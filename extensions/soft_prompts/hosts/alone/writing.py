"""`prepared(served, text, pins, tokens)`: a text with its pins as the ids that a model goes on from; torch-free."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from ..budget import arrange, spans_of
from ..outcome import lookalikes, outcome
from ..pinned import placed
from ..plain import plain, tags_of
from ..protocol import Pin, Request, Room, Use
from .model import Served

LENGTH = 120
"""Tokens that are written at once, where nothing else is asked for."""
OFF = "soft prompts are switched off"


def prepared(served: Served, text: str, pins: Sequence[Pin], room: Room) -> tuple[list[int], Request]:
    """(ids with pins, cut from the left where they are more than the room allows, what became of the tags)."""
    limit = max(1, room.context - room.reply) if room.context else None
    pinned, uses = placed(pins, served.place, limit)
    ids: list[int] = list(served.attached.tokenizer(text)["input_ids"])
    head = len(served.attached.head) if ids[: len(served.attached.head)] == served.attached.head else 0
    slot = served.attached.slots.slot
    ids = arrange(ids, head, spans_of(ids, slot)[0], pinned, limit)
    reached = [slot(ids[start]) for start, _ in spans_of(ids, slot)[0]]
    reached = reached[sum(not use.problem for use in uses) :]
    uses = outcome(text, reached, served.place, uses, room) + lookalikes(text)
    return ids, Request(len(ids), uses, time.time())


def untagged(served: Served, text: str, room: Room) -> tuple[list[int], Request]:
    """The same with soft prompts switched off: tags are left out."""
    ids, request = prepared(served, plain(text), (), room)
    return ids, replace(request, uses=tuple(Use(tag.text or str(tag), problem=OFF) for tag in tags_of(text)))
