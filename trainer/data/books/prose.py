"""Plain text with headings (`# Emma`): each is the name of an entry, and what stands under it is its text."""

from __future__ import annotations

import re

from ..entries import Book, Entry

_HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


def read(text: str) -> Book | None:
    """None where nothing says what the text is about."""
    parts = _HEADING.split(text)
    entries = [
        Entry(name.strip(), (name.strip(),), body.strip(), place=(number,))
        for number, (name, body) in enumerate(zip(parts[1::2], parts[2::2], strict=True))
        if body.strip()
    ]
    skipped = ("the text before the first heading: nothing says what it is about",) if parts[0].strip() else ()
    return Book("text with headings", "", "", tuple(entries), (), skipped) if entries else None
