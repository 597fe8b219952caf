"""`texts(data, ["ccv3"])`: what tools have written into a picture; `with_texts(data, {"ccv3": text})`: with another.

Sizes are checked before anything is taken, and what is packed is unpacked no further than `bounds.unpacked` says.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator, Mapping

from ....errors import InvalidFile
from . import bounds

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KINDS = (b"tEXt", b"zTXt", b"iTXt")


def texts(data: bytes, names: Collection[str]) -> dict[str, bytes]:
    """{keyword in small letters: text} of the text chunks of these names, the first where there are several.

    All others stay packed: each costs memory, and a damaged one is no reason to refuse. Raises InvalidFile.
    """
    found: dict[str, bytes] = {}
    for kind, start, stop in _chunks(data):
        if kind in _KINDS:
            keyword = _keyword(data[start:stop])
            if keyword in names and keyword not in found:
                found[keyword] = _text(kind, data[start:stop])
    return found


def with_texts(data: bytes, new: Mapping[str, bytes]) -> bytes:
    """The picture with these texts in place of those of the same names, all else byte for byte."""
    kept, end = [SIGNATURE], b""
    for kind, start, stop in _chunks(data):
        whole = data[start - 8 : stop + 4]
        if kind == b"IEND":
            end = whole
        elif not (kind in _KINDS and _keyword(data[start:stop]) in new):
            kept.append(whole)
    made = [_made(b"tEXt", keyword.encode("latin-1") + b"\0" + text) for keyword, text in new.items()]
    return b"".join([*kept, *made, end or _made(b"IEND", b"")])


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, stop) of each chunk's content."""
    place = len(SIGNATURE)
    while place < len(data):
        if place + 12 > len(data):
            raise InvalidFile("it is a picture (PNG) that is cut short: copy or download it again")
        length, kind = struct.unpack_from(">I4s", data, place)
        if place + 12 + length > len(data):
            raise InvalidFile("it is a picture (PNG) that is cut short: copy or download it again")
        yield kind, place + 8, place + 8 + length
        place += 12 + length
        if kind == b"IEND":
            return


def _keyword(chunk: bytes) -> str:
    return chunk[: chunk.find(b"\0", 0, 80)].decode("latin-1").lower() if b"\0" in chunk[:80] else ""


def _text(kind: bytes, chunk: bytes) -> bytes:
    rest = chunk[chunk.index(b"\0") + 1 :]
    if kind == b"tEXt":
        return rest
    if kind == b"zTXt":
        return _unpacked(rest[1:])
    packed = rest[:1] == b"\x01"
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        raise InvalidFile("a text in the picture is damaged: copy or download it again")
    return _unpacked(parts[2]) if packed else parts[2]


def _unpacked(data: bytes) -> bytes:
    stream, most = zlib.decompressobj(), bounds.unpacked(len(data))
    try:
        found = stream.decompress(data, most + 1)
    except zlib.error:
        raise InvalidFile("a text in the picture is damaged: copy or download it again") from None
    if len(found) > most:
        raise InvalidFile(f"a text in the picture is larger than the {most:,} bytes that are read of so few")
    if not stream.eof:
        raise InvalidFile("a text in the picture is damaged: copy or download it again")
    return found


def _made(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content), kind) + content + struct.pack(">I", zlib.crc32(kind + content))
