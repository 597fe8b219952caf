"""`read(path, parse)`, `decode(data)`, `items(text)`: from a path to bytes, to text, to the items of JSON.

All files that are learnt from come in here. What works on bytes and texts raises InvalidFile with the bare fact;
`read` puts the path in front.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from ...errors import InvalidFile
from .kinds import told, told_of_bytes

LARGEST = 256 << 20
"""Bytes of text; more than any style needs."""
MOST_BRACKETS = 4_000_000
"""Of a JSON file: an opening one of two bytes becomes an object of more than a hundred."""

T = TypeVar("T")

# The first that fits is meant: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
    (b"", "utf-8", "UTF-8"),
)


def read(path: str | os.PathLike[str], parse: Callable[[bytes], T]) -> T:
    """What `parse` makes of the file at `path`; raises InvalidFile that names it."""
    try:
        return parse(_bytes(Path(path)))
    except InvalidFile as problem:
        raise InvalidFile(f"{path}: {problem}") from None


def decode(data: bytes) -> str:
    """A text with line ends of one kind: UTF-8, or what a mark at its beginning says, as Windows' Notepad writes it."""
    if kind := told(data):
        raise InvalidFile(kind)
    mark, encoding, name = next(each for each in _MARKS if data.startswith(each[0]))
    if name == "UTF-8" and b"\0" in data:
        raise InvalidFile(_unmarked(data) or told_of_bytes(data) or _bytes_of_a_program(data))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as problem:
        before = data[len(mark) : len(mark) + problem.start].decode(encoding)
        wrong = told_of_bytes(data) or _wrong(data, len(mark) + problem.start, before, name)
        raise InvalidFile(wrong) from None
    if "\0" in text:
        raise InvalidFile(_bytes_of_a_program(data))
    return text.replace("\r\n", "\n").replace("\r", "\n")


def document(text: str) -> Any:
    """The value of a JSON text; raises InvalidFile with the bare fact."""
    _check_brackets(text)
    return _json(text)


def items(text: str) -> list[Any]:
    """The items of a JSON list, or one from each line (JSONL); an object that stands alone is one item."""
    if not text.strip():
        raise InvalidFile("it is empty")
    _check_brackets(text)
    try:
        value = _json(text)
    except InvalidFile:
        value = _lines(text)
        if value is None:
            raise
    value = [value] if isinstance(value, dict) else value
    if not isinstance(value, list):
        raise InvalidFile(f"it is no list, but {found(value)}")
    if not value:
        raise InvalidFile("its list is empty")
    return value


def found(value: Any) -> str:
    """What a value of JSON is, in words for the writer."""
    if isinstance(value, dict):
        fields = [f"{_short(name)} ({_kind(each)})" for name, each in list(value.items())[:5]]
        return f"an object with {', '.join(fields)}{', ...' if len(value) > 5 else ''}" if fields else "an empty object"
    return f"the text {_short(value)}" if isinstance(value, str) else _kind(value)


def whole(text: str) -> str:
    """The text itself; raises InvalidFile where JSON has brought half a character, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as problem:
        half = f"\\u{ord(text[problem.start]):04x}"
        raise InvalidFile(f"it holds half a character ({half}), as where an emoji was cut: take it out") from None
    return text


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise InvalidFile("it is a folder: give a file in it")
        if path.exists() and not path.is_file():
            raise InvalidFile("it is no ordinary file; check the name and the permissions")
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as problem:
        raise InvalidFile(f"{problem.strerror or problem}; check the name and the permissions") from None
    except ValueError as problem:  # a NUL in the name
        raise InvalidFile(f"{problem}; check the name") from None
    if len(data) > LARGEST:
        raise InvalidFile(f"it is larger than the {LARGEST:,} bytes that are read: take a part of it")
    return data


def _check_brackets(text: str) -> None:
    if sum(map(text.count, "[{")) > MOST_BRACKETS:
        raise InvalidFile(f"it holds more than the {MOST_BRACKETS:,} brackets that are read: take a part of it")


def _unmarked(data: bytes) -> str:
    # Latin letters of UTF-16 have a NUL each, always on the same side.
    start = data[:512]
    sides = start[::2].count(0), start[1::2].count(0)
    looks = 2 * max(sides) > len(start) // 2 and not min(sides)
    return "it is text in UTF-16 without its mark: open it in an editor, and save it as UTF-8" if looks else ""


def _bytes_of_a_program(data: bytes) -> str:
    return f"it is no text, but the bytes of some program (a NUL at byte {data.find(0):,}): give a text"


def _wrong(data: bytes, place: int, before: str, name: str) -> str:
    line = before.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    behind = f", behind {line[-1][-20:]!r}" if line[-1].strip() else ""
    where = f"byte 0x{data[place]:02X} at offset {place:,}, in line {len(line):,}{behind}"
    return f"it is not {name} text ({where}): open it in an editor, and save it as UTF-8"


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise InvalidFile("its brackets are nested too deep") from None
    except MemoryError:
        raise InvalidFile("it takes more memory than there is: take a part of it") from None
    except json.JSONDecodeError as problem:
        comma = "; take out the comma before it" if text[: problem.pos].rstrip().endswith(",") else ""
        where = f"line {problem.lineno:,}, column {problem.colno:,}"
        raise InvalidFile(f"it is no JSON ({where}: {problem.msg}{comma})") from None
    except ValueError as problem:  # a number of thousands of digits
        raise InvalidFile(f"it is no JSON that is read ({problem})") from None


def _lines(text: str) -> list[Any] | None:
    """The values of JSON lines; None where the text begins otherwise."""
    values: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values.append(_json(line))
        except InvalidFile as problem:
            if not values:
                return None
            raise InvalidFile(f"line {number:,}: {problem}") from None
        if not isinstance(values[0], dict):
            return None
    return values


def _kind(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return "a text" if value.strip() else "an empty text"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "a number"


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
