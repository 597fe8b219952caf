"""`print(columns(("without", a), ("with", b)))`: what the commands show, as plain text; nothing here prints."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Sequence
from itertools import zip_longest

NARROWEST = 72
"""Characters; below it, two columns are unreadable and stand one under the other."""


def columns(left: tuple[str, str], right: tuple[str, str], width: int = 0) -> str:
    """Two (title, text) side by side, wrapped to `width` characters; 0 is the terminal's own."""
    width = width or min(shutil.get_terminal_size().columns, 120)
    if width < NARROWEST:
        return "\n\n".join(
            f"{title}\n{'-' * len(title)}\n{textwrap.fill(text, width)}" for title, text in (left, right)
        )
    half = (width - 4) // 2
    sides = [[title, "-" * half, *_wrapped(text, half)] for title, text in (left, right)]
    return "\n".join(f"{a:<{half}}    {b}".rstrip() for a, b in zip_longest(*sides, fillvalue=""))


def bar(done: int, total: int, words: str, width: int = 0, cells: int = 24) -> str:
    """`[#####.....]  50 % words`, no longer than the terminal's line."""
    width = width or shutil.get_terminal_size().columns
    filled = cells * done // max(total, 1)
    return f"[{'#' * filled}{'.' * (cells - filled)}] {100 * done // max(total, 1):3} % {words}"[: width - 1]


def table(rows: Sequence[tuple[str, ...]], numbers: bool = False) -> str:
    """Rows of cells in columns as wide as their longest cell; control characters of files are shown, not obeyed.

    numbers: all but the first column end on one line.
    """
    rows = [tuple(map(_printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    sides = ["<", *(">" if numbers else "<" for _ in widths[1:])]
    return "\n".join(
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in rows
    )


def duration(seconds: float) -> str:
    """`8 s`, `12 min`, `3 h 05 min`: how long something takes, as one says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def size(count: float) -> str:
    """`14 kB`, `340 MB`, `1.2 GB`: bytes."""
    unit, per, digits = ("GB", 1e9, 1) if count >= 0.95e9 else ("MB", 1e6, 0) if count >= 0.95e6 else ("kB", 1e3, 0)
    return f"{count / per:.{digits}f} {unit}"


def wrapped(text: str, most: int = 100) -> str:
    """Paragraphs broken at the terminal's width, or at `most` characters."""
    width = min(shutil.get_terminal_size().columns, most)
    return "\n".join(textwrap.fill(line, width) for line in text.splitlines())


def _wrapped(text: str, width: int) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, width) or [""]]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
