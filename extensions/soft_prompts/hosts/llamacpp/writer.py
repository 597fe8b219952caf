"""`gguf_bytes(values, tensors)`: a small GGUF file, as sidecars are; layout as in header.py."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .header import ALIGNMENT, MAGIC

F32, F16, Q4_0 = 0, 1, 2
"""ggml's numbers of the types that are written."""

BLOCK = 32
"""Numbers that a block of Q4_0 holds, in 18 bytes: a float16 scale and 32 nibbles, of which 8 means zero."""

Value = str | bool | int | float | Sequence[float]
Tensor = tuple[Sequence[int], int, bytes]
"""Shape as ggml counts, the row's length first; ggml's number of the type; the data."""


def gguf_bytes(values: Mapping[str, Value], tensors: Mapping[str, Tensor]) -> bytes:
    """The same content always gives the same bytes."""
    head = [MAGIC, struct.pack("<IQQ", 3, len(tensors), len(values))]
    head += [_text(key) + _value(value) for key, value in values.items()]
    data: list[bytes] = []
    for name, (shape, kind, content) in tensors.items():
        place = sum(map(len, data))
        head.append(_text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, place))
        data.append(content + bytes(-len(content) % ALIGNMENT))
    text = b"".join(head)
    return b"".join([text, bytes(-len(text) % ALIGNMENT), *data])


def f32(array: NDArray[np.float32]) -> Tensor:
    """An array as numpy counts its shape."""
    return tuple(reversed(array.shape)), F32, np.ascontiguousarray(array, "<f4").tobytes()


def one_hot_q4(height: int, width: int, lit: Mapping[int, int]) -> Tensor:
    """(height, width) zeros, with a one at (row, column) for each of `lit`; exact, and 18 bytes for 32 numbers."""
    if width % BLOCK:
        raise ValueError(f"rows of {width} do not fill blocks of {BLOCK}")
    blocks = np.full((height, width // BLOCK, 18), 0x88, np.uint8)
    # A scale of -1/8: nibble 8 is zero, and nibble 0 is (0 - 8) * -1/8 = 1.
    blocks[:, :, :2] = np.frombuffer(np.float16(-0.125).tobytes(), np.uint8)
    for row, column in lit.items():
        place = column % BLOCK
        # The first 16 numbers of a block are the low nibbles, the others the high ones.
        byte, mask = 2 + place % 16, (0xF0 if place < 16 else 0x0F)
        blocks[row, column // BLOCK, byte] &= mask
    return (width, height), Q4_0, blocks.tobytes()


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, int):
        return struct.pack("<II", 4, value)
    if isinstance(value, float):
        return struct.pack("<If", 6, value)
    return struct.pack(f"<IIQ{len(value)}f", 9, 6, len(value), *value)
