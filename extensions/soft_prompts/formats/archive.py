"""`Archive(file).read("tensor.npy")`: members of a zip by their exact names, in memory.

Nothing is ever unpacked to a disk and no name becomes a path. Sizes are checked before anything is unpacked, a member
yields what it declared or nothing, and a directory longer than a mebibyte is not read.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ..errors import InvalidFile

LARGEST_DIRECTORY = 1 << 20
FREE = 1 << 24
"""Bytes that a member may unpack to, however small it is packed."""

DENSEST = 32
"""Times that a larger one may grow. Trained vectors hardly pack at all, a bomb grows a thousand times."""

_END, _END_64, _PLACE_64 = struct.Struct("<4s4H2IH"), struct.Struct("<4sQ2H2I4Q"), struct.Struct("<4sIQI")
_ENTRY, _LOCAL = struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED, _LZMA = 0, 8, 14
_CUT = "it is a zip file that is cut short or damaged: copy or download it again"


class Member(NamedTuple):
    """One line of the directory. packed, size: bytes in the archive and unpacked; place: where it begins."""

    name: bytes
    method: int
    flags: int
    crc: int
    packed: int
    size: int
    place: int


class Archive:
    """`Archive(file)`: the directory of a zip that can be sought in; raises InvalidFile where it cannot be trusted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        start, size = _directory(file)
        self._stop = start
        file.seek(start)
        self._members: dict[str, Member] = {}
        for member in _members(file.read(size)):
            name = member.name.decode("utf-8", "replace")
            if name in self._members:
                raise InvalidFile("it names a member twice: made to deceive, or by a faulty tool")
            self._members[name] = member

    @property
    def names(self) -> list[str]:
        """The members as the directory names them, for looking at only."""
        return list(self._members)

    def size(self, name: str) -> int:
        """Bytes that a member says it unpacks to; raises InvalidFile where it is missing, or too large for that."""
        member = self._members.get(name)
        if member is None:
            raise InvalidFile(f"it has no {name[:80]} in it")
        if member.size > max(FREE, DENSEST * member.packed):
            raise InvalidFile(
                f"its {name[:80]} grows from {member.packed:,} bytes to {member.size:,}: no soft prompt does that"
            )
        return member.size

    def start(self, name: str, count: int) -> bytes:
        """The first `count` bytes of a member, or all of it where it is shorter."""
        wanted = min(count, self.size(name))
        # A packed beginning may be a little longer than what it holds.
        return self._unpacked(self._members[name], 2 * wanted + 1024, wanted)

    def read(self, name: str, checked: bool = True) -> bytes:
        """All of a member; checked: its checksum must be right, which torch may leave out."""
        size, member = self.size(name), self._members[name]
        data = self._unpacked(member, member.packed, size)
        if len(data) != size or (checked and zlib.crc32(data) != member.crc):
            raise InvalidFile(f"its {name[:80]} is not what the directory says: {_CUT}")
        return data

    def _unpacked(self, member: Member, most: int, size: int) -> bytes:
        """At most `size` bytes of what the first `most` ones hold."""
        if member.flags & 1:
            raise InvalidFile("it is locked with a password: unpack it, and take the soft prompt out")
        if member.place > self._stop:
            raise InvalidFile(_CUT)
        self._file.seek(member.place)
        first = self._file.read(_LOCAL.size)
        if len(first) < _LOCAL.size or not first.startswith(b"PK\x03\x04"):
            raise InvalidFile(_CUT)
        named, extra = _LOCAL.unpack(first)[-2:]
        begin = member.place + _LOCAL.size + named + extra
        if self._file.read(named) != member.name or begin + member.packed > self._stop:
            raise InvalidFile(f"its directory and its members do not agree: {_CUT}")
        self._file.seek(begin)
        return _unpack(member.method, self._file.read(min(most, member.packed)), size)


def _directory(file: BinaryIO) -> tuple[int, int]:
    """(place, size) of the directory, by the record at the file's end."""
    total = file.seek(0, io.SEEK_END)
    end, place = _end(file, total)
    entries, size, start = _END.unpack(end)[4:7]
    if place >= _PLACE_64.size and 0xFFFFFFFF in (size, start, entries | 0xFFFF0000):
        entries, size, start = _end_64(file, place - _PLACE_64.size)
    if start + size > place:
        raise InvalidFile(_CUT)
    if size > LARGEST_DIRECTORY:
        raise InvalidFile(f"it has a directory of {size:,} bytes, more than the {LARGEST_DIRECTORY:,} that are read")
    return start, size


def _end(file: BinaryIO, total: int) -> tuple[bytes, int]:
    """(record, place): without a comment behind it, which is the rule, or with one."""
    for length in (_END.size, _END.size + 0xFFFF):
        start = max(total - length, 0)
        file.seek(start)
        tail = file.read(length)
        place = tail.rfind(b"PK\x05\x06", 0, len(tail) - _END.size + 4)
        if place >= 0 and _END.unpack_from(tail, place)[-1] == len(tail) - place - _END.size:
            return tail[place : place + _END.size], start + place
    raise InvalidFile(_CUT)


def _end_64(file: BinaryIO, place: int) -> tuple[int, int, int]:
    """(entries, size, place) of the directory of a large archive; torch writes all of them so."""
    file.seek(place)
    sign, _, begin, _ = _PLACE_64.unpack(file.read(_PLACE_64.size))
    # A place beyond what the system counts to cannot even be sought.
    if sign != b"PK\x06\x07" or begin > place:
        raise InvalidFile(_CUT)
    file.seek(begin)
    record = file.read(_END_64.size)
    if len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
        raise InvalidFile(_CUT)
    entries, size, start = _END_64.unpack(record)[7:]
    return entries, size, start


def _members(directory: bytes) -> Iterator[Member]:
    place = 0
    while place < len(directory):
        if place + _ENTRY.size > len(directory) or directory[place : place + 4] != b"PK\x01\x02":
            raise InvalidFile(_CUT)
        _, _, _, flags, method, _, _, crc, packed, size, named, extra, said, _, _, _, begin = _ENTRY.unpack_from(
            directory, place
        )
        place += _ENTRY.size
        name = directory[place : place + named]
        more = directory[place + named : place + named + extra]
        place += named + extra + said
        yield Member(name, method, flags, crc, *_large((packed, size, begin), more))


def _large(sizes: tuple[int, int, int], extra: bytes) -> tuple[int, int, int]:
    """(packed, size, place), where any of them is too large for its field and stands in the extra one."""
    packed, size, begin = sizes
    if 0xFFFFFFFF not in sizes:
        return sizes
    kind, length = struct.unpack("<2H", extra[:4]) if len(extra) >= 4 else (0, 0)
    wanted = sizes.count(0xFFFFFFFF)
    if kind != 1 or len(extra) < 4 + 8 * wanted or length < 8 * wanted:
        raise InvalidFile(_CUT)
    numbers = list(struct.unpack_from(f"<{wanted}Q", extra, 4))
    # In this order, whichever of them are there.
    size, packed, begin = (numbers.pop(0) if each == 0xFFFFFFFF else each for each in (size, packed, begin))
    return packed, size, begin


def _unpack(method: int, data: bytes, size: int) -> bytes:
    try:
        if method == _STORED:
            return data[:size]
        if method == _DEFLATED:
            return zlib.decompressobj(-15).decompress(data, max(size, 1))[:size]
        if method == _LZMA:
            return _unpack_lzma(data, size)
    except zlib.error:
        raise InvalidFile(_CUT) from None
    raise InvalidFile("it is packed in a way that is not read: pack it as an ordinary zip")


def _unpack_lzma(data: bytes, size: int) -> bytes:
    try:
        import lzma
    except ImportError:
        raise InvalidFile("it is packed by LZMA, which this Python cannot read: install one with lzma") from None
    if len(data) < 9 or data[2:4] != b"\x05\x00" or data[4] >= 225:
        raise InvalidFile(_CUT)
    # It may claim 4 GB of memory to look back into, and never needs more than what it unpacks.
    window = min(int.from_bytes(data[5:9], "little"), size)
    kind = {"lc": data[4] % 9, "lp": data[4] // 9 % 5, "pb": data[4] // 45}
    try:
        filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(window, 4096), **kind}]
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters).decompress(data[9:], max(size, 1))[:size]
    except (lzma.LZMAError, EOFError, ValueError):
        raise InvalidFile(_CUT) from None
