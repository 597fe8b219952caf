"""`rewritten(envelope, {place: (old, new)})`: a lorebook with other texts, all else as it was: keys, order, the rest.

A picture may hold a card twice, for old tools and for new ones; each copy is changed where it has the same text in the
same place. What SillyTavern keeps of an imported book (`originalData`) is changed with it, or it would come back.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from ..entries import Book, Entry, Place
from .envelope import Envelope
from .fields import whole

Texts = Mapping[Place, tuple[str, str]]
"""Where a text stands -> (as it was read, what is to stand there)."""

Switches = Mapping[Place, Mapping[str, Any]]
"""Where an entry stands -> fields of it that become others."""

_ALWAYS = {"SillyTavern World Info": "constant", "NovelAI": "forceActivation", "Character Card": "constant"}
_OFF = {
    "SillyTavern World Info": ("disable", True),
    "NovelAI": ("enabled", False),
    "Character Card": ("enabled", False),
}
_BOOKS = ("SillyTavern World Info", "NovelAI", "Character Card", "KoboldAI", "Agnai", "Risu")


def entries_of(book: Book) -> tuple[Entry, ...]:
    """The entries whose texts can be others: those of the lorebook that are switched on, in the file's order."""
    known = any(each in book.kind for each in _BOOKS)
    return tuple(each for each in book.entries if each.enabled and not each.field) if known else ()


def can_switch(book: Book) -> bool:
    """Whether it is known how this tool switches entries on for good, and off."""
    return any(each in book.kind for each in _ALWAYS)


def always(book: Book) -> dict[str, Any]:
    """What makes an entry stand in every context."""
    return {next(field for kind, field in _ALWAYS.items() if kind in book.kind): True}


def off(book: Book) -> dict[str, Any]:
    """What switches an entry off."""
    return dict([next(field for kind, field in _OFF.items() if kind in book.kind)])


def rewritten(envelope: Envelope, texts: Texts, switches: Switches | None = None) -> bytes:
    """The whole file; places that are not there are passed over."""

    def change(value: Any) -> Any:
        new = copy.deepcopy(value)
        for place, (old, text) in texts.items():
            _put(new, place, old, text)
        for place, fields in (switches or {}).items():
            holder = _at(new, place)
            if isinstance(holder, dict):
                holder.update(fields)
        if isinstance(new, dict) and isinstance(new.get("originalData"), dict):
            _replace(new["originalData"], {old: text for old, text in texts.values()})
        return new

    return envelope.edited(change)


def _put(value: Any, place: Place, old: str, text: str) -> None:
    holder = _at(value, place[:-1])
    now = holder.get(str(place[-1])) if isinstance(holder, dict) else None
    if isinstance(now, str) and whole(now) == old:
        holder[str(place[-1])] = text


def _at(value: Any, place: Place) -> Any:
    for step in place:
        fits = isinstance(value, dict) if isinstance(step, str) else isinstance(value, list) and step < len(value)
        if not fits or (isinstance(step, str) and step not in value):
            return None
        value = value[step]
    return value


def _replace(value: Any, texts: Mapping[str, str]) -> None:
    """Every text that is one of these, wherever it stands."""
    left = [value]
    while left:
        holder = left.pop()
        for step, inner in list(holder.items() if isinstance(holder, dict) else enumerate(holder)):
            if isinstance(inner, str) and whole(inner) in texts:
                holder[step] = texts[whole(inner)]
            elif isinstance(inner, dict | list):
                left.append(inner)
