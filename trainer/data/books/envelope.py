"""`opened(data)`: the JSON that a file is, or holds as a picture or a packed card; `edited(change)` puts it back."""

from __future__ import annotations

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ....errors import InvalidFile
from .. import reading
from . import charx, png

CHUNKS = ("ccv3", "chara", "naidata")
"""Names of texts in a picture that hold JSON, the one that says most first."""

Change = Callable[[Any], Any]
_NESTS = (dict, list)
_DEEPEST = 100
"""Brackets within brackets; no tool has ten, and Python copies and writes no more than some hundreds."""
_WIDEST = 8
"""Spaces by which a written file is indented: they stand before each of its lines, a thousand times a thousand."""


@dataclass(frozen=True)
class Envelope:
    """A file and the JSON in it: {name: value}, the one that counts first; the name is empty where it is the file."""

    data: bytes
    values: Mapping[str, Any]

    @property
    def value(self) -> Any:
        return next(iter(self.values.values()))

    @property
    def ending(self) -> str:
        """Of the file's name."""
        return ".png" if self.data.startswith(png.SIGNATURE) else ".charx" if charx.CARD in self.values else ".json"

    def edited(self, change: Change) -> bytes:
        """The file with every value of it changed, and nothing else."""
        return self.with_values({name: change(value) for name, value in self.values.items()})

    def with_values(self, new: Mapping[str, Any], members: Mapping[str, bytes] | None = None) -> bytes:
        """The file with these values; members: of a packed card, further files for it."""
        if self.ending == ".png":
            return png.with_texts(self.data, {name: base64.b64encode(_written(new[name])) for name in new})
        if self.ending == ".charx":
            return charx.with_members(self.data, {**(members or {}), charx.CARD: _written(new[charx.CARD], 2)})
        return _written(new[""], _indent(self.data)) + b"\n" * self.data.endswith(b"\n")


def opened(data: bytes) -> Envelope | None:
    """None for what holds no JSON object; raises InvalidFile where it is damaged, or a picture with nothing in it."""
    if data.startswith(png.SIGNATURE):
        return Envelope(data, _of_picture(data))
    if charx.holds(data):
        return Envelope(data, {charx.CARD: _object(charx.member(data), f"its {charx.CARD!r}")})
    if not data[:64].lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"{") and not data.startswith(
        (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    ):
        return None
    try:
        value = reading.document(reading.decode(data))
    except InvalidFile:
        return None  # said better by whoever wanted pairs or texts of it
    return Envelope(data, {"": _checked(value, "it")}) if isinstance(value, dict) else None


def _of_picture(data: bytes) -> dict[str, Any]:
    texts = png.texts(data, CHUNKS)
    found = {name: _object(_decoded(texts[name]), f"its {name!r}") for name in CHUNKS if name in texts}
    if not found:
        raise InvalidFile(
            "it is a picture (PNG) without a character in it: export the card once more, as PNG or as JSON; "
            "pictures that went through a chat or an editor lose it"
        )
    return found


def _decoded(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error:
        raise InvalidFile("what the picture says of the character is damaged: get the card again") from None


def _object(data: bytes, label: str) -> dict[str, Any]:
    try:
        value = reading.document(reading.decode(data))
    except InvalidFile as problem:
        raise InvalidFile(f"{label}: {problem}") from None
    if not isinstance(value, dict):
        raise InvalidFile(f"{label} is no object, but {reading.found(value)}")
    return _checked(value, label)


def _checked(value: dict[str, Any], label: str) -> dict[str, Any]:
    """The value, which is refused now if it could not be written back after hours of training."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        inner = (each.values() if isinstance(each, dict) else each for each in level)
        level = [one for each in inner for one in each if isinstance(one, _NESTS)]
        if not level:
            return value
    raise InvalidFile(f"{label} has more than {_DEEPEST} brackets within brackets, which no tool writes")


def _written(value: Any, indent: int | None = None) -> bytes:
    separators = None if indent else (",", ":")
    return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators).encode(
        "utf-8", "backslashreplace"
    )


def _indent(data: bytes) -> int | None:
    """As the file has it, so that what was not changed looks as before."""
    first = re.match(rb"[^\n]{0,8}\n( +)", data)
    return min(len(first[1]), _WIDEST) if first else None
