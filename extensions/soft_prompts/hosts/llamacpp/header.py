"""`read_header(path)`: the metadata and the tensors' places of one GGUF file; nothing of the tensors is read.

Layout: ggml-org/ggml, docs/gguf.md. Every size is checked against the file before it is believed. Arrays that nobody
asks for (merges, scores) are passed over.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import InvalidFile

MAGIC = b"GGUF"
ALIGNMENT = 32
KEPT = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type", "tokenizer.ggml.eog_token_ids")
"""Arrays that are read; all single values are."""

_MOST_KEYS = 1 << 16
_MOST_TENSORS = 1 << 18
_LONGEST_NAME = 1 << 10
_MOST_DIMENSIONS = 4
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True)
class Place:
    """Of one tensor. shape: as ggml counts, a row's length first; kind: ggml's number of the type; start: in bytes."""

    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class Header:
    """values: key -> number, text, bool or list; tensors: name -> place in the file; size and changed: of the file."""

    path: Path
    values: dict[str, Any]
    tensors: dict[str, Place]
    size: int
    changed: int


def read_header(path: Path) -> Header:
    """Raises InvalidFile, with what to do, where the file is none, is cut short or claims what cannot be."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            return _Reader(file, path, status.st_size).header(status.st_mtime_ns)
    except OSError as problem:
        raise InvalidFile(
            f"{path} cannot be read: {problem.strerror or problem}; check the name and the permissions"
        ) from problem


class _Reader:
    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file, self._path, self._size = file, path, size

    def header(self, changed: int) -> Header:
        if self._file.read(4) != MAGIC:
            raise InvalidFile(f"{self._path} is no GGUF file: choose the model's .gguf")
        if (version := self._number("I")) not in (2, 3):
            raise InvalidFile(
                f"{self._path} is GGUF of version {version}, and 2 and 3 are read: a version that large is often a "
                "file for big-endian machines; convert the model again"
            )
        tensors, keys = self._count("Q", _MOST_TENSORS, "tensors"), self._count("Q", _MOST_KEYS, "keys")
        values = dict(self._pair() for _ in range(keys))
        places = [self._place() for _ in range(tensors)]
        alignment = values.get("general.alignment", ALIGNMENT)
        if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
            raise self._broken(f"its alignment is {alignment!r}")
        start = -(-self._file.tell() // alignment) * alignment
        found = {name: Place(shape, kind, start + offset) for name, shape, kind, offset in places}
        return Header(self._path, values, found, self._size, changed)

    def _pair(self) -> tuple[str, Any]:
        name, kind = self._text(_LONGEST_NAME), self._number("I")
        if kind == _ARRAY:
            return name, self._array(name)
        return name, self._text() if kind == _STRING else self._number(self._scalar(kind))

    def _array(self, name: str) -> list[Any] | None:
        kind, count = self._number("I"), self._number("Q")
        if kind == _STRING:
            read: Callable[[], Any] = self._text if name in KEPT else self._pass_over
            if count * 8 > self._size - self._file.tell():
                raise self._cut()
            found = [read() for _ in range(count)]
            return found if name in KEPT else None
        code = self._scalar(kind)
        length = count * struct.calcsize(code)
        if length > self._size - self._file.tell():
            raise self._cut()
        if name in KEPT:
            return list(struct.unpack(f"<{count}{code}", self._bytes(length)))
        self._file.seek(length, os.SEEK_CUR)
        return None

    def _place(self) -> tuple[str, tuple[int, ...], int, int]:
        name = self._text(_LONGEST_NAME)
        dimensions = self._count("I", _MOST_DIMENSIONS, "dimensions")
        return name, tuple(self._number("Q") for _ in range(dimensions)), self._number("I"), self._number("Q")

    def _scalar(self, kind: int) -> str:
        if kind not in _SCALARS:
            raise self._broken(f"it holds a value of kind {kind}, which there is not")
        return _SCALARS[kind]

    def _number(self, code: str) -> Any:
        return struct.unpack("<" + code, self._bytes(struct.calcsize("<" + code)))[0]

    def _count(self, code: str, most: int, what: str) -> int:
        count = int(self._number(code))
        if count > most:
            raise self._broken(f"it claims {count:,} {what}, and {most:,} are read")
        return count

    def _text(self, longest: int | None = None) -> str:
        length = self._number("Q")
        if longest is not None and length > longest:
            raise self._broken(f"a name in it claims to be {length:,} bytes long")
        return self._bytes(length).decode("utf-8", "replace")

    def _pass_over(self) -> None:
        length = self._number("Q")
        if length > self._size:
            raise self._cut()
        self._file.seek(length, os.SEEK_CUR)

    def _bytes(self, length: int) -> bytes:
        if length > self._size:
            raise self._cut()
        data = self._file.read(length)
        if len(data) < length:
            raise self._cut()
        return data

    def _cut(self) -> InvalidFile:
        return InvalidFile(f"{self._path} is cut short, at {self._size:,} bytes: download or copy it again")

    def _broken(self, fact: str) -> InvalidFile:
        return InvalidFile(f"{self._path} cannot be read as GGUF: {fact}; download or convert it again")
