"""`Entry`, `Book`: what all tools' files become - what is said of something, and what brings it up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Place = tuple[str | int, ...]
"""Where a value stands in a file's JSON: `("entries", "0", "content")`."""

_LISTED = 6


@dataclass(frozen=True)
class Entry:
    """A text that a tool puts into the context where one of `keys` comes up. order: the lower, the earlier.

    field: of a card, which of its own fields it is ("description"); empty for what stands in a lorebook.
    """

    name: str
    keys: tuple[str, ...]
    text: str
    enabled: bool = True
    order: int = 0
    place: Place = ()
    field: str = ""

    @property
    def label(self) -> str:
        """What to call it where a card's fields stand beside one another: "Emma (scenario)"."""
        return f"{self.name} ({self.field})" if self.field and self.field != self.name else self.name

    @property
    def base(self) -> Place:
        """Where the entry itself stands, of which the text is a field."""
        return self.place[:-1]


@dataclass(frozen=True)
class Book:
    """What a file holds. kind: "SillyTavern World Info"; name: the book's or the character's.

    voice: whose lines `{{char}}` begins, empty in a lorebook. stories: what is written in somebody's manner, for a
    style. skipped: what is not in here, and why.
    """

    kind: str
    name: str = ""
    voice: str = ""
    entries: tuple[Entry, ...] = ()
    stories: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def used(self) -> tuple[Entry, ...]:
        """The entries that are switched on, as they would stand in a context."""
        return tuple(sorted((each for each in self.entries if each.enabled), key=lambda each: each.order))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the writer should know: what was skipped, with what is switched off."""
        off = [each.name for each in self.entries if not each.enabled]
        return (*self.skipped, *([listed(off, "switched off")] if off else []))


def listed(names: Iterable[str], words: str, noun: str = "entry", plural: str = "entries") -> str:
    """`entries 'Emma', 'Tower' and 7 more: switched off`."""
    shown = [repr(each if len(each) <= 40 else each[:37] + "...") for each in names]
    rest = f" and {len(shown) - _LISTED:,} more" if len(shown) > _LISTED else ""
    return f"{noun if len(shown) == 1 else plural} {', '.join(shown[:_LISTED])}{rest}: {words}"
