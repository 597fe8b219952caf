"""`raise Failure("what is wrong, where, and what to type next")`: for the user to read, without a traceback."""

from __future__ import annotations


class Failure(Exception):
    """What went wrong and what to do next."""


class ByHand(Failure):
    """One step that the user has to do; everything else is done."""
