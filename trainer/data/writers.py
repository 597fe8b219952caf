"""`items(path)`, `texts(data, ending, of)`: what a training takes of the files that other tools have made.

Where a file is no such one, both give None or what was read before there were any: pairs, plain texts, datasets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from ...errors import InvalidFile
from . import books, pairs, reading
from .drafts import drafts
from .entries import Book
from .pairs import Item

PROSE = (".txt", ".md", ".markdown")
"""Endings of plain text, under whose headings entries stand."""

Of = Callable[[Book], Iterable[str]]
"""Which texts of a book are wanted."""


def items(path: str | os.PathLike[str]) -> tuple[list[Item], tuple[str, ...]]:
    """(pairs, notes for the writer) of a file of pairs, or drafted from one of another tool; raises InvalidFile."""
    return reading.read(path, lambda data: _items(data, Path(path)))


def book(path: str | os.PathLike[str]) -> Book | None:
    """The Book in a file, or in the headings of a plain text; None where it is neither. Raises InvalidFile."""
    return reading.read(path, lambda data: _book(data, Path(path).suffix))


def texts(data: bytes, ending: str, of: Of) -> tuple[list[str], tuple[str, ...]] | None:
    """(texts, notes); None for what is no book."""
    found = books.find(data, ending)
    return None if found is None else (list(of(found)), tuple(f"{found.kind}: {note}" for note in found.notes))


def _items(data: bytes, path: Path) -> tuple[list[Item], tuple[str, ...]]:
    found = _book(data, path.suffix)
    if found is None:
        return pairs.parse(data), ()
    made = drafts(found)
    if not made.drafts:
        raise InvalidFile(f"no calls and responses could be drafted from this {found.kind}: {'; '.join(made.notes)}")
    count = len(found.used)
    source = f"{count:,} {'entry' if count == 1 else 'entries'} of {path.name}"
    first = (
        f"{len(made.drafts):,} calls and responses were drafted from {source}; "
        f"`soft-prompts import {path.name}` writes them to a file that you can edit"
    )
    return [Item(number, each.pair, each.held_out) for number, each in enumerate(made.drafts, 1)], (first, *made.notes)


def _book(data: bytes, ending: str) -> Book | None:
    found = books.find(data, ending)
    return books.of_prose(reading.decode(data)) if found is None and ending.lower() in PROSE else found
