"""`read(data, "sea")`: a `.npy` file with one array (tokens, width), as Google's prompt-tuning writes for T5.

Its header is a literal of Python; it is never evaluated, and arrays of objects, which are pickles, are refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidFile
from ..prompt import SoftPrompt
from .numbers import Found, floats, table

MAGIC = b"\x93NUMPY"
HEAD = 1 << 10
"""Bytes of a file's beginning that hold its whole header, which takes 128 where an array has two sizes."""

_PAIR = re.compile(r"\s*'(\w{1,20})'\s*:\s*('[^']{0,20}'|True|False|\([0-9L,\s]{0,200}\))\s*,?")
_KINDS = {"f2": "F16", "f4": "F32", "f8": "F64", "V2": "BF16"}


class Header(NamedTuple):
    """What stands before the numbers. descr: as numpy writes it; start: where the numbers begin."""

    descr: str
    fortran: bool
    shape: tuple[int, ...]
    start: int


def look(file: BinaryIO) -> Found:
    """What a .npy file says of itself; raises InvalidFile with a bare fact."""
    total = file.seek(0, io.SEEK_END)
    file.seek(0)

    def whole() -> bytes:
        file.seek(0)
        return file.read(total)

    return found(file.read(HEAD), total, whole)


def found(head: bytes, total: int, whole: Callable[[], bytes]) -> Found:
    """Of an array of `total` bytes that begins with `head`; whole: reads all of it, which is asked once it fits."""
    made = header(head)
    shape, size = table(made.shape), np.dtype(_type(made.descr)).itemsize
    wanted = made.start + shape[0] * shape[1] * size
    if total != wanted:
        raise InvalidFile(f"its header says {wanted:,} bytes, and it has {total:,}: copy or download it again")
    return Found(shape, lambda: _array(made, whole()))


def header(head: bytes) -> Header:
    """The header at the beginning of `head`; raises InvalidFile."""
    version, wide = head[6:7], 2 if head[6:7] == b"\x01" else 4
    if not head.startswith(MAGIC) or version not in (b"\x01", b"\x02", b"\x03") or len(head) < 8 + wide:
        raise InvalidFile("it is no file of numpy, or cut short: copy or download it again")
    start = 8 + wide + int.from_bytes(head[8 : 8 + wide], "little")
    if start > len(head):
        raise InvalidFile(f"its header claims {start:,} bytes, and {len(head):,} are read: copy or download it again")
    said = _pairs(head[8 + wide : start].decode("latin-1"))
    if set(said) != {"descr", "fortran_order", "shape"}:
        raise InvalidFile("its header does not say descr, fortran_order and shape, once each")
    return Header(said["descr"].strip("'"), said["fortran_order"] == "True", _sizes(said["shape"]), start)


def write(prompt: SoftPrompt) -> bytes:
    """The vectors as float32; the format has no place for anything else."""
    file = io.BytesIO()
    np.save(file, prompt.vectors, allow_pickle=False)
    return file.getvalue()


def _pairs(text: str) -> dict[str, str]:
    text = text.strip()
    said: dict[str, str] = {}
    place = 1
    while pair := _PAIR.match(text, place):
        if pair[1] in said:
            raise InvalidFile(f"its header says {pair[1]} twice")
        said[pair[1]], place = pair[2], pair.end()
    if text[:1] != "{" or text[place:].strip() != "}":
        raise InvalidFile("its header is none that numpy writes: arrays of objects and tables of names are not read")
    return said


def _sizes(text: str) -> tuple[int, ...]:
    sizes = [each.strip().removesuffix("L") for each in text.strip("()").split(",") if each.strip()]
    if not all(each.isdecimal() and len(each) < 16 for each in sizes) or len(sizes) > 8:
        raise InvalidFile(f"its header has a shape that is no list of sizes: {text[:40]}")
    return tuple(map(int, sizes))


def _type(descr: str) -> str:
    """The type in which its bytes are read; raises InvalidFile for what is no vector's."""
    if descr.startswith("|O") or descr == "O":
        raise InvalidFile("it holds objects of Python, which would have to be run: it is not read")
    if descr[1:] not in _KINDS or descr[:1] not in "<>|=" or descr == ">V2":
        raise InvalidFile(f"its numbers are of type {descr!r}: soft prompts hold f2, f4, f8 or V2 (bfloat16)")
    return descr


def _array(made: Header, data: bytes) -> NDArray[np.float32]:
    kind = _KINDS[made.descr[1:]]
    if made.descr[0] == ">":
        swapped: NDArray[Any] = np.frombuffer(data, made.descr, offset=made.start)
        data = swapped.astype(swapped.dtype.newbyteorder("<")).tobytes()
    else:
        data = data[made.start :]
    numbers = floats(data, kind)
    return numbers.reshape(made.shape[::-1]).T if made.fortran else numbers.reshape(made.shape)
