"""`Packed(data).read("card.json")`, `with_members(data, {...})`: the packed form of Character Card V3, a zip file.

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
from . import bounds

CARD = "card.json"
SIGNATURE = b"PK\x03\x04"
LARGEST_INDEX = 1 << 20
"""Bytes of the list of members: some ten thousand of them, each of which costs Python much more than here."""
_MOST = 4 * bounds.LARGEST
"""Bytes of all members together that are written again, among which may be a film of a character."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How members may be packed: what else zip knows is unpacked by Python without a bound."""
_END, _END_SIZE = b"PK\x05\x06", 22
_WRONG = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, OSError, RuntimeError, ValueError, NotImplementedError, OverflowError),
)


def holds(data: bytes, name: str = CARD) -> bool:
    """Whether this is a zip file with such a member."""
    return data.startswith(SIGNATURE) and name.encode() in data


class Packed:
    """The list of members; raises InvalidFile with the bare fact, as all that it does."""

    def __init__(self, data: bytes) -> None:
        _check_index(data)
        self._size = len(data)
        try:
            self._file = zipfile.ZipFile(io.BytesIO(data))
        except _WRONG as problem:
            raise _broken(problem) from None

    @property
    def members(self) -> list[zipfile.ZipInfo]:
        """Each name once, since the last of that name is what is read."""
        return list(self._file.NameToInfo.values())

    def read(self, name: str) -> bytes:
        """What is packed under this name."""
        if name not in self._file.NameToInfo:
            raise InvalidFile(f"it is a zip file without a {name!r} in it")
        return self.content(self._file.NameToInfo[name])

    def content(self, member: zipfile.ZipInfo, largest: int = bounds.LARGEST) -> bytes:
        """What a member holds, which is never more than it says."""
        if member.compress_type not in _METHODS:
            raise InvalidFile(f"its {member.filename!r} is packed as few tools can: pack the card again, as zip does")
        most = bounds.unpacked(min(member.compress_size, self._size), largest)
        if member.file_size > most:
            raise InvalidFile(
                f"its {member.filename!r} would be {member.file_size:,} bytes large, and {most:,} are read"
            )
        try:
            with self._file.open(member) as opened:
                return opened.read(member.file_size + 1)
        except _WRONG as problem:
            raise _broken(problem) from None


def member(data: bytes, name: str = CARD) -> bytes:
    """What is packed under this name; raises InvalidFile with the bare fact."""
    return Packed(data).read(name)


def with_members(data: bytes, new: Mapping[str, bytes]) -> bytes:
    """The same file with these members in place of those of the same names; the others as they are."""
    old, made = Packed(data), io.BytesIO()
    if sum(each.file_size for each in old.members) > _MOST:
        raise InvalidFile(f"unpacked it would be larger than the {_MOST:,} bytes that are rewritten")
    try:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as file:
            for each in old.members:
                if each.filename not in new:
                    file.writestr(each, old.content(each, _MOST), each.compress_type)
            for name, content in new.items():
                file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    except _WRONG as problem:
        raise _broken(problem) from None
    return made.getvalue()


def _check_index(data: bytes) -> None:
    """Before Python's reader makes an object of each member that the file claims to have."""
    place = data.rfind(_END, max(0, len(data) - _END_SIZE - 0xFFFF))
    if place < 0 or place + _END_SIZE > len(data):
        raise InvalidFile("it is a zip file that is cut short: copy or download it again")
    size = struct.unpack_from("<I", data, place + 12)[0]
    if size > LARGEST_INDEX or b"PK\x06\x07" in data[max(0, place - 20) : place]:
        raise InvalidFile("it is a zip file of more members than are read: give the card as PNG or JSON")


def _broken(problem: Exception) -> InvalidFile:
    said = str(problem)[:120] or type(problem).__name__
    return InvalidFile(f"it is a zip file that cannot be unpacked ({said}): get it again")
