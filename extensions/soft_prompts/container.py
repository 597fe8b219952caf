"""`unpack(pack({"vectors": array}, {"name": "noir"}))`: the safetensors container in numpy, bytes in and bytes out.

Sizes are checked before anything is believed, so a hostile file costs no memory. The layout is the one of
huggingface/safetensors: eight bytes of header length (little-endian), a JSON header, the tensors' bytes without gaps.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidFile

LARGEST_HEADER = 1 << 20
"""Bytes. A soft prompt's header is a few kilobytes; the container's own bound (100 MB) would let a file stall us."""

MOST_MARKS = 1 << 15
"""Brackets and commas. JSON of nothing but these costs Python 0.15 s a megabyte, in which no other thread runs."""

_FIRST = 1 << 14
"""Bytes that are read of a file at first: a header with a model's fingerprint fits into it."""

_DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}
_BINARY = getattr(os, "O_BINARY", 0)  # Windows would turn line ends into two bytes
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def pack(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """Bytes of a .safetensors file; the same content always gives the same bytes."""
    header: dict[str, Any] = {}
    blocks = []
    offset = 0
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        block = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        header[name] = {
            "dtype": _NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(block)],
        }
        blocks.append(block)
        offset += len(block)
    return _head(header, metadata) + b"".join(blocks)


def with_metadata(data: bytes, metadata: Mapping[str, str]) -> bytes:
    """The same file with other metadata: its tensors byte for byte, also those of types that we have no use for."""
    size = header_size(data[:8], len(data))
    entries, _ = parse_header(data[8 : 8 + size], len(data) - 8 - size)
    return _head(entries, metadata) + data[8 + size :]


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """(tensors, metadata) of a .safetensors file's bytes; tensors of types we have no use for are left out.

    Raises InvalidFile with a bare fact: a header that lies, cut data, holes or overlaps, doubled keys.
    """
    size = header_size(data[:8], len(data))
    header, metadata = parse_header(data[8 : 8 + size], len(data) - 8 - size)
    start = 8 + size
    tensors = {
        name: np.frombuffer(data, _DTYPES[entry["dtype"]], _count(entry), start + entry["data_offsets"][0]).reshape(
            entry["shape"]
        )
        for name, entry in header.items()
        if entry["dtype"] in _DTYPES
    }
    return tensors, metadata


def metadata_of(data: bytes) -> dict[str, str]:
    """What the bytes of a file say of themselves."""
    size = header_size(data[:8], len(data))
    return parse_header(data[8 : 8 + size], len(data) - 8 - size)[1]


def read_header(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """(tensor entries, metadata) of the file at `path`, without reading its tensors."""
    # One read serves all but the largest headers, and what is measured is the file that is read.
    file = os.open(path, os.O_RDONLY | _BINARY)
    try:
        total = os.fstat(file).st_size
        data = os.read(file, _FIRST)
        size = header_size(data[:8], total)
        while len(data) < 8 + size and (more := os.read(file, 8 + size - len(data))):
            data += more
    finally:
        os.close(file)
    return parse_header(data[8 : 8 + size], total - 8 - size)


def header_size(first: bytes, total: int) -> int:
    """Length of the header in bytes, from a file's first eight bytes and its size."""
    if len(first) < 8:
        raise InvalidFile(f"it is cut short, to {total} bytes: copy or download it again")
    size = int.from_bytes(first, "little")
    if size > total - 8:
        raise InvalidFile(
            f"it is cut short, or no soft prompt: its header claims {size:,} bytes, and only {total - 8:,} follow; "
            "copy or download it again"
        )
    if size > LARGEST_HEADER:
        raise InvalidFile(f"its header of {size:,} bytes is larger than the {LARGEST_HEADER:,} that are read")
    return size


def parse_header(text: bytes, data_size: int) -> tuple[dict[str, Any], dict[str, str]]:
    """(tensor entries, metadata); every entry's type, shape and place is checked against `data_size` bytes."""
    _check_marks(text)
    try:
        header = _JSON.decode(text.decode("utf-8"))
    except (ValueError, RecursionError) as problem:
        raise InvalidFile(f"its header is not JSON ({problem})") from None
    # The format has it begin with a brace, by which such files are told from all others.
    if not isinstance(header, dict) or not text.startswith(b"{"):
        raise InvalidFile("its header is not a JSON object")
    metadata = header.pop("__metadata__", {})
    # JSON can spell half a character (a lone surrogate), which can be neither shown nor written.
    sound = _is_text if b"\\u" in text else _is_str
    if not isinstance(metadata, dict) or not all(map(sound, [*metadata, *metadata.values()])):
        raise InvalidFile("its metadata is not a table of texts")
    for name, entry in header.items():
        _check_entry(name, entry, sound)
    _check_places(header, data_size)
    return header, metadata


def write_atomically(path: Path, data: bytes) -> None:
    """Either the whole of `data` stands at `path` afterwards or what stood there before; raises InvalidFile."""
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not `tempfile`, which makes private files: a saved prompt is an ordinary one.
        with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as problem:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InvalidFile(f"{path} cannot be written: {problem.strerror or problem}; nothing was changed") from problem


def _head(entries: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """The length of the header, and the header."""
    first = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    text = json.dumps({**first, **entries}, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise InvalidFile(f"the metadata is {len(text):,} bytes long; a file takes {LARGEST_HEADER:,}: shorten it")
    _check_marks(text)
    return len(text).to_bytes(8, "little") + text


def _check_marks(text: bytes) -> None:
    if (marks := sum(map(text.count, (b"{", b"[", b",")))) > MOST_MARKS:
        raise InvalidFile(f"its header holds {marks:,} brackets and commas, more than the {MOST_MARKS:,} that are read")


def _is_str(value: Any) -> bool:
    return isinstance(value, str)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value == value.encode("utf-8", "ignore").decode()


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise InvalidFile("its header names something twice")
    return table


_JSON = json.JSONDecoder(object_pairs_hook=_without_doubles)


def _check_entry(name: str, entry: Any, sound: Callable[[Any], bool]) -> None:
    if not sound(name):
        raise InvalidFile(f"its tensor {name!r} has half a character in its name")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise InvalidFile(f"its tensor {name!r} is not described by dtype, shape and data_offsets")
    numbers = [entry["shape"], entry["data_offsets"]]
    if not sound(entry["dtype"]) or not all(_are_sizes(each) for each in numbers):
        raise InvalidFile(f"its tensor {name!r} has a shape or a place that is no list of sizes")
    if len(entry["data_offsets"]) != 2 or len(entry["shape"]) > 8:
        raise InvalidFile(f"its tensor {name!r} has a shape or a place of the wrong length")
    start, stop = entry["data_offsets"]
    if entry["dtype"] in _DTYPES and stop - start != _count(entry) * _DTYPES[entry["dtype"]].itemsize:
        raise InvalidFile(f"its tensor {name!r} of shape {entry['shape']} does not fill its {stop - start} bytes")


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(each) is int and 0 <= each < 1 << 48 for each in value)


def _check_places(header: dict[str, Any], data_size: int) -> None:
    end = 0
    for start, stop in sorted(entry["data_offsets"] for entry in header.values()):
        if start != end or stop < start:
            raise InvalidFile("its tensors overlap or leave holes")
        end = stop
    if end > data_size:
        raise InvalidFile(
            f"it is cut short: {data_size:,} bytes of vectors, where the header claims {end:,}; "
            "copy or download it again"
        )
    if end < data_size:
        raise InvalidFile(f"{data_size - end:,} bytes follow that its header does not know of")


def _count(entry: dict[str, Any]) -> int:
    count = 1
    for size in entry["shape"]:
        count *= size
    return count
