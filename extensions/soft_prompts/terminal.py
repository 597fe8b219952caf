"""`print(columns(("without", a), ("with", b)))`: what the commands show, as plain text; nothing here prints."""

from __future__ import annotations

import shutil
import textwrap
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


def bar(done: int, total: int, words: str, width: int = 0) -> str:
    """`[#####.....]  50 % words`, no longer than the terminal's line."""
    width = width or shutil.get_terminal_size().columns
    filled = 24 * done // max(total, 1)
    return f"[{'#' * filled}{'.' * (24 - filled)}] {100 * done // max(total, 1):3} % {words}"[: width - 1]


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows of cells in columns as wide as their longest cell; control characters of files are shown, not obeyed."""
    rows = [tuple(map(_printable, row)) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _wrapped(text: str, width: int) -> list[str]:
    return [line for paragraph in text.splitlines() for line in textwrap.wrap(paragraph, width) or [""]]


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
