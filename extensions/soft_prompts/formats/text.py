"""`read(b"Emma is tall.", "emma")`: a plain text as a prompt, untrained, its own tokens on any model."""

from __future__ import annotations

from ..errors import InvalidFile
from ..prompt import TextPrompt

LONGEST_TEXT = 1 << 20
"""Bytes; a text prompt costs as many tokens of context as it has."""


def read(data: bytes, name: str) -> TextPrompt:
    """The text of a UTF-8 file, without the line break that editors put at the end."""
    if len(data) > LONGEST_TEXT:
        raise InvalidFile(
            f"it is {len(data):,} bytes long, a text prompt at most {LONGEST_TEXT:,}: train on it instead"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        raise InvalidFile(f"it is not UTF-8 text (byte {problem.start}): save it as UTF-8") from None
    return TextPrompt(name, text.replace("\r\n", "\n").rstrip("\n"))


def write(prompt: TextPrompt) -> bytes:
    """The text as UTF-8 with one line break at its end."""
    return (prompt.text + "\n").encode()
