"""`member(data, "card.json")`, `with_members(data, {...})`: the packed form of Character Card V3, a zip file.

A member is read by its name and in memory; nothing is ever unpacked to a path. Sizes are checked first.
"""

from __future__ import annotations

import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Mapping

from ....errors import InvalidFile

CARD = "card.json"
SIGNATURE = b"PK\x03\x04"
LARGEST = 64 << 20
"""Bytes of a member when it is unpacked."""
LARGEST_INDEX = 4 << 20
"""Bytes of the list of members: some ten thousand of them, each of which costs Python much more than here."""
_END, _END_SIZE = b"PK\x05\x06", 22
_WRONG = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, NotImplementedError, OverflowError),
)


def holds(data: bytes, name: str = CARD) -> bool:
    """Whether this is a zip file with such a member."""
    return data.startswith(SIGNATURE) and name.encode() in data


def member(data: bytes, name: str = CARD) -> bytes:
    """What is packed under this name; raises InvalidFile with the bare fact."""
    _check_index(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            size = file.getinfo(name).file_size
            if size > LARGEST:
                raise InvalidFile(f"its {name!r} would be {size:,} bytes large, and {LARGEST:,} are read")
            with file.open(name) as opened:
                found = opened.read(LARGEST + 1)
    except KeyError:
        raise InvalidFile(f"it is a zip file without a {name!r} in it") from None
    except _WRONG as problem:
        raise InvalidFile(f"it is a zip file that cannot be unpacked ({_said(problem)}): get it again") from None
    if len(found) > LARGEST:
        raise InvalidFile(f"its {name!r} is larger than the {LARGEST:,} bytes that are read")
    return found


def with_members(data: bytes, new: Mapping[str, bytes]) -> bytes:
    """The same file with these members in place of those of the same names; the others as they are."""
    _check_index(data)
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            if sum(each.file_size for each in old.infolist()) > 4 * LARGEST:
                raise InvalidFile(f"unpacked it would be larger than the {4 * LARGEST:,} bytes that are rewritten")
            for each in old.infolist():
                if each.filename not in new:
                    file.writestr(each, old.read(each), each.compress_type)
            for name, content in new.items():
                file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    except _WRONG as problem:
        raise InvalidFile(f"it is a zip file that cannot be unpacked ({_said(problem)}): get it again") from None
    return made.getvalue()


def _check_index(data: bytes) -> None:
    """Before Python's reader makes an object of each member that the file claims to have."""
    place = data.rfind(_END, max(0, len(data) - _END_SIZE - 0xFFFF))
    if place < 0 or place + _END_SIZE > len(data):
        raise InvalidFile("it is a zip file that is cut short: copy or download it again")
    size = struct.unpack_from("<I", data, place + 12)[0]
    if size > LARGEST_INDEX or b"PK\x06\x07" in data[max(0, place - 20) : place]:
        raise InvalidFile("it is a zip file of more members than are read: give the card as PNG or JSON")


def _said(problem: Exception) -> str:
    return str(problem)[:120] or type(problem).__name__
