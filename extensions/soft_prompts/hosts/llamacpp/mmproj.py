"""`mmproj_bytes(model, vectors, side)`: a projector for "images" that are rows of a table of soft vectors.

llama-server puts what a projector makes of an image among the embeddings of the text. This projector takes each patch,
in which one colour of one pixel is lit, to the vector of that number: a patch embedding that is one-hot, 16 times the
identity, GELU (which leaves 0 and 16 as they are), and the vectors divided by 16 (ggml-org/llama.cpp,
tools/mtmd/models/llava.cpp). Images of side * side patches give as many vectors.

It stands on how llama.cpp works inside. Who uses it tries it first, and takes nothing for granted (probe.py).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from .model import GgufModel
from .writer import F16, Tensor, Value, f32, gguf_bytes

PATCHES = (8, 16, 24)
"""Pixels of a patch's side: each gives three times its square of vectors."""

_GAIN = 16.0


def room_of(patch: int) -> int:
    """How many vectors a projector of such patches holds."""
    return 3 * patch * patch


def patch_for(count: int) -> int:
    """The smallest patch that has room for so many vectors; 0 where none has."""
    return next((patch for patch in PATCHES if room_of(patch) >= count), 0)


def side_for(lengths: Sequence[int]) -> int:
    """Patches on a side of each image, such that every prompt is made of whole images: fewer images, faster reading."""
    whole = gcd(*lengths)
    return max(side for side in (1, 2, 3, 4, 5, 6, 7, 8) if whole % (side * side) == 0)


def mmproj_bytes(model: GgufModel, vectors: NDArray[np.float32], side: int) -> bytes:
    """vectors: (count, width) in the space of the embedding module's output; raises ValueError where they are more
    than the largest patch has room for."""
    patch = patch_for(len(vectors))
    if not patch:
        raise ValueError(f"{len(vectors)} vectors, and {room_of(PATCHES[-1])} have room")
    size = room_of(patch)
    wanted = np.zeros((model.width, size), np.float32)
    wanted[:, : len(vectors)] = (vectors / np.float32(input_scale(model) * _GAIN)).T
    one_hot = np.eye(size, dtype=np.float16)
    values: dict[str, Value] = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "general.name": "soft prompts",
        "clip.has_vision_encoder": True,
        "clip.projector_type": "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": side * patch,
        "clip.vision.patch_size": patch,
        "clip.vision.embedding_length": size,
        "clip.vision.feed_forward_length": size,
        "clip.vision.projection_dim": model.width,
        "clip.vision.block_count": 0,
        "clip.vision.attention.head_count": 1,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": (0.0, 0.0, 0.0),
        "clip.vision.image_std": (1.0, 1.0, 1.0),
    }
    tensors = {
        "v.patch_embd.weight": _f16(one_hot.reshape(size, 3, patch, patch)),
        "v.position_embd.weight": f32(np.zeros((side * side, size), np.float32)),
        "mm.0.weight": _f16(one_hot * np.float16(_GAIN)),
        "mm.0.bias": f32(np.zeros(size, np.float32)),
        "mm.2.weight": f32(wanted),
        "mm.2.bias": f32(np.zeros(model.width, np.float32)),
    }
    return gguf_bytes(values, tensors)


def input_scale(model: GgufModel) -> float:
    """What llama.cpp multiplies embeddings by that are not of its own table (src/models/gemma.cpp, gemma2.cpp)."""
    return model.scale if model.architecture in ("gemma", "gemma2") else 1.0


def image(places: Sequence[int], side: int, patch: int) -> bytes:
    """PNG of side * side patches, which stands for the vectors of these numbers, in their order."""
    pixels = np.zeros((side * patch, side * patch, 3), np.uint8)
    for index, place in enumerate(places):
        channel, rest = divmod(place, patch * patch)
        row, column = divmod(rest, patch)
        top, left = index // side * patch, index % side * patch
        pixels[top + row, left + column, channel] = 255
    return _png(pixels)


def images(places: Sequence[int], side: int, patch: int) -> list[str]:
    """As many as it takes, as base64; the number of places is a multiple of what an image holds."""
    each_holds = side * side
    parts = [places[start : start + each_holds] for start in range(0, len(places), each_holds)]
    return [base64.b64encode(image(part, side, patch)).decode() for part in parts]


def _png(pixels: NDArray[np.uint8]) -> bytes:
    height, width, _ = pixels.shape
    lines = np.zeros((height, width * 3 + 1), np.uint8)  # each line begins with its filter: none
    lines[:, 1:] = pixels.reshape(height, width * 3)

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = zlib.compress(lines.tobytes(), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _f16(array: NDArray[np.float16]) -> Tensor:
    return tuple(reversed(array.shape)), F16, np.ascontiguousarray(array, "<f2").tobytes()
