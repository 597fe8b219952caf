"""Plain text with headings (`# Emma`): each is the name of an entry, and what stands under it is its text."""

from __future__ import annotations

import re

from ..entries import Book, Entry

_HEADING = re.compile(r"^#{1,6}[ \t]+(\S[^\n]*)$", re.MULTILINE)
_AROUND = " \t#"
_LONGEST = 200
"""Characters of a heading; what is longer is a text that begins oddly."""


def read(text: str) -> Book | None:
    """None where nothing says what the text is about."""
    parts = _HEADING.split(text)
    entries = [
        Entry(name.strip(_AROUND), (name.strip(_AROUND),), body.strip(), place=(number,))
        for number, (name, body) in enumerate(zip(parts[1::2], parts[2::2], strict=True))
        if body.strip() and 0 < len(name.strip(_AROUND)) <= _LONGEST
    ]
    skipped = ("the text before the first heading: nothing says what it is about",) if parts[0].strip() else ()
    return Book("text with headings", "", "", tuple(entries), (), skipped) if entries else None
