"""`floats(data, "BF16")`: the numbers that other tools wrote, as float32, and which shapes are a soft prompt's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidFile
from ..prompt import MOST_TOKENS, WIDEST, SoftPrompt
from .metadata import own_name

BYTES = {"F16": 2, "BF16": 2, "F32": 4, "F64": 8}
"""Of each type of number that vectors may have in a file of another tool, under the names of safetensors."""

_DTYPES: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


@dataclass(frozen=True)
class Found:
    """What a file says before its vectors are read. shape: (tokens, width).

    load: its vectors, as float32 of that shape or of (1, tokens, width), while the file is open. kind: a key of
    writing.KINDS.
    """

    shape: tuple[int, int]
    load: Callable[[], NDArray[np.float32]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""

    def prompt(self, name: str) -> SoftPrompt:
        """All of it; `name` goes before the one that the file carries."""
        said = {key: value for key, value in self.metadata.items() if key != "name"}
        return SoftPrompt(name or own_name(self.metadata), self.load().reshape(self.shape), None, said)


def floats(data: bytes, kind: str) -> NDArray[np.float32]:
    """The numbers in `data`, little-endian and of a type in BYTES, as float32; what is beyond it becomes infinite."""
    if kind == "BF16":
        # The upper half of a float32, so this is exact.
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    with np.errstate(over="ignore", invalid="ignore"):
        return np.frombuffer(data, _DTYPES[kind]).astype(np.float32)


def check_kind(kind: str) -> None:
    """Raises InvalidFile for numbers that no soft prompt is made of."""
    if kind not in BYTES:
        raise InvalidFile(f"its numbers are of type {kind[:20]}: soft prompts hold {', '.join(BYTES)}")


def table(shape: Sequence[int]) -> tuple[int, int]:
    """(tokens, width) of a shape (tokens, width) or (1, tokens, width); raises InvalidFile for any other."""
    sizes = tuple(shape[1:] if len(shape) == 3 and shape[0] == 1 else shape)
    if len(sizes) != 2 or not (0 < sizes[0] <= MOST_TOKENS and 0 < sizes[1] <= WIDEST):
        raise InvalidFile(
            f"its vectors have shape {tuple(shape)}, not (tokens, width) with at most {MOST_TOKENS:,} and {WIDEST:,}"
        )
    return sizes[0], sizes[1]
