"""What hostile files are put together of: pickles, torch's two containers, headers of numpy, and zips field by field.

Nothing here needs torch, so that an attack is measured in a small process.
"""

from __future__ import annotations

import base64
import io
import json
import lzma
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
VERSION = b"\x80\x02M\xe9\x03."
NUMBERS = struct.pack("<12f", *range(12))


def golden(name: str) -> bytes:
    """A file that the other tool wrote."""
    return (GOLDEN / name).read_bytes()


# ---- pickles


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def integer(value: int) -> bytes:
    if -(1 << 31) <= value < 1 << 31:
        return b"J" + struct.pack("<i", value)
    data = value.to_bytes(12, "little", signed=True)
    return b"\x8a" + bytes([len(data)]) + data


def sizes(*values: int) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def storage(count: int = 12, key: str = "0", kind: str = "FloatStorage", module: str = "torch") -> bytes:
    return b"(" + text("storage") + f"c{module}\n{kind}\n".encode() + text(key) + text("cpu") + integer(count) + b"tQ"


def tensor(
    shape: tuple[int, ...] = (3, 4), strides: tuple[int, ...] = (4, 1), offset: int = 0, held: bytes = b""
) -> bytes:
    """Instructions for a tensor over `held`, which is a storage of twelve numbers."""
    arguments = b"(" + (held or storage()) + integer(offset) + sizes(*shape) + sizes(*strides)
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def nested(data: bytes) -> bytes:
    """Instructions for the storage that `torch.storage._load_from_bytes` makes of `data`."""
    return b"ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(data)) + data + b"\x85R"


# ---- torch's containers


def torch_zip(pickle: bytes, numbers: bytes = NUMBERS, **more: bytes) -> bytes:
    members = {"data.pkl": pickle, "byteorder": b"little", "data/0": numbers, "version": b"3\n", **more}
    return zipped({f"archive/{name}": data for name, data in members.items()})


def machine(little: bytes = b"\x88") -> bytes:
    return program(b"}(" + text("little_endian") + little + b"u")


def torch_older(
    pickle: bytes,
    numbers: bytes = struct.pack("<q", 12) + NUMBERS,
    keys: bytes = program(b"](" + text("0") + b"e"),
    version: bytes = VERSION,
    about: bytes = machine(),
) -> bytes:
    return MAGIC + version + about + pickle + keys + numbers


def mkultra(pickle: bytes, metadata: Any = None) -> bytes:
    return json.dumps({"metadata": metadata or {}, "tensor": base64.b64encode(pickle).decode()}).encode()


# ---- numpy


def npy(header: str, data: bytes = NUMBERS, version: int = 1, length: int | None = None) -> bytes:
    body = header.encode("latin-1") + b"\n"
    size = len(body) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", size) + body + data


def shaped(shape: str, descr: str = "'<f4'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"


ARRAY = npy(shaped("(3, 4)"))

# ---- zips


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


def entry(
    name: bytes = b"tensor.npy",
    data: bytes = ARRAY,
    packed: bytes | None = None,
    method: int = 0,
    size: int | None = None,
    crc: int | None = None,
    flags: int = 0,
    local: bytes | None = None,
    mode: int = 0,
    extra: bytes = b"",
) -> tuple[bytes, bytes]:
    """(member, line of the directory without its place), each field of which may lie; extra: of the line."""
    body = data if packed is None else packed
    size, crc = len(data) if size is None else size, zlib.crc32(data) if crc is None else crc
    named = name if local is None else local
    head = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, flags, method, 0, 33, crc, len(body), size, len(named), 0)
    line = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 788, 20, flags, method, 0, 33, crc, len(body), size, len(name), len(extra), 0, 0,
        0, mode << 16, 0,
    )  # fmt: skip
    return head + named + body, line[:42] + b"%s" + name + extra


def large(name: bytes, data: bytes) -> tuple[bytes, bytes]:
    """A member whose size stands in the field for large ones."""
    return entry(name, data, size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, len(data)))


def archive(
    *entries: tuple[bytes, bytes],
    place: int | None = None,
    length: int | None = None,
    end: bytes = b"",
    record: int | None = None,
) -> bytes:
    """A zip of these members; place, length: of its directory; end: a comment; record: that for large ones, if any.

    record: where it is said to stand; -1 for where it does.
    """
    offset, held = 0, []
    for member, line in entries:
        held.append(line.replace(b"%s", struct.pack("<I", offset), 1))
        offset += len(member)
    members, lines = b"".join(member for member, _ in entries), b"".join(held)
    place, length = offset if place is None else place, len(lines) if length is None else length
    count, more = min(len(entries), 0xFFFF), b""
    if record is not None:
        more = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, length, place)
        there = len(members + lines) if record < 0 else record
        more += struct.pack("<4sIQI", b"PK\x06\x07", 0, there, 1)
        place = length = 0xFFFFFFFF
    last = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, length, place, len(end))
    return members + lines + more + last + end


def deflated(data: bytes, times: int = 1) -> bytes:
    """`data` so many times over, packed in the time of one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(data) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * times + zlib.compressobj(9, zlib.DEFLATED, -15).flush()


def lzma_packed(data: bytes) -> bytes:
    """As a zip has it, with a small window, so that it takes no time."""
    filters = [{"id": lzma.FILTER_LZMA1, "preset": 0, "dict_size": 4096}]
    return b"\x09\x04\x05\x00\x5d" + struct.pack("<I", 4096) + lzma.compress(data, lzma.FORMAT_RAW, filters=filters)


def safetensors(header: Any, data: bytes = NUMBERS, length: int | None = None) -> bytes:
    body = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(body) if length is None else length) + body + data


def described(shape: list[int], stop: int = 48, dtype: str = "F32", start: int = 0) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}
