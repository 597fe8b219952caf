"""`raise Failure("what is wrong, where, and what to type next")`: for the user to read, without a traceback."""

from __future__ import annotations

from pathlib import Path


class Failure(Exception):
    """What went wrong and what to do next."""


class ByHand(Failure):
    """One step that the user has to do; everything else is done."""


def shown(path: str | Path) -> str:
    """A path to be typed: in quotes only where it must be, as PowerShell runs no program whose name is quoted."""
    return f'"{path}"' if " " in str(path) else str(path)
