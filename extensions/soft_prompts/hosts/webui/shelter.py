"""`Shelter(texts).hide(text)`: a text in which each tag is one character, so that no cut by characters can split it.

The webui shortens what is too long by trying how many of its characters fit. Tags that travel as one character each
are kept or dropped whole, and `show` brings them back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from ...tags import replace

_PRIVATE = range(0xE000, 0xF900)
"""Unicode's private use area: characters that no template, strip or escape touches."""


class Shelter:
    """around: every text that the hidden ones can meet; a character that stands in one of them hides nothing."""

    def __init__(self, around: Iterable[str]) -> None:
        used = set().union(*around)
        self._free: Iterator[str] = (chr(each) for each in _PRIVATE if chr(each) not in used)
        self._written: dict[str, str] = {}

    def hide(self, text: str) -> str:
        """The text with one character for each tag; when no character is free, the tag stays."""
        return replace(text, self._sign)

    def show(self, text: str) -> str:
        """The text with its tags again, also where a template has written it as JSON."""
        for sign, tag in self._written.items():
            text = text.replace(sign, tag).replace(json.dumps(sign)[1:-1], json.dumps(tag)[1:-1])
        return text

    def __bool__(self) -> bool:
        return bool(self._written)

    def _sign(self, tag: str) -> str:
        sign = next(self._free, None)
        if sign is None:
            return tag
        self._written[sign] = tag
        return sign
