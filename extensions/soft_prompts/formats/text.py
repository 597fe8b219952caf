"""`read(b"Emma is tall.", "emma")`: a plain text as a prompt, untrained, its own tokens on any model."""

from __future__ import annotations

from ..errors import InvalidFile
from ..prompt import TextPrompt
from . import kinds

LONGEST_TEXT = 1 << 20
"""Bytes; a text prompt costs as many tokens of context as it has."""


def read(data: bytes, name: str) -> TextPrompt:
    """The text of a UTF-8 file, without the line break that editors put at the end."""
    if len(data) > LONGEST_TEXT:
        long = f"it is {len(data):,} bytes long, a text prompt at most {LONGEST_TEXT:,}: train on it instead"
        raise InvalidFile(kinds.told(data) or long)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InvalidFile(_not_text(data, problem.start)) from None
    if "\0" in text or text.startswith("{\\rtf"):
        raise InvalidFile(kinds.told(data) or "it is no text, but the bytes of some program: save a text as UTF-8")
    return TextPrompt(name, text.replace("\r\n", "\n").rstrip("\n"))


def write(prompt: TextPrompt) -> bytes:
    """The text as UTF-8 with one line break at its end."""
    return (prompt.text + "\n").encode()


def _not_text(data: bytes, place: int) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "it is text, but not UTF-8 text (UTF-16, which Windows calls Unicode): save it as UTF-8"
    return kinds.told(data) or f"it is not UTF-8 text (byte {place}): save it as UTF-8"
