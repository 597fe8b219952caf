"""`read(write(prompt), prompt.name) == prompt`: the native file, specified in docs/format.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..container import pack, unpack
from ..errors import InvalidFile
from ..prompt import FORMAT, VERSION, SoftPrompt
from ..tags import name_problem

_OWN_KEYS = frozenset({"format", "format_version", "name", "tokens", "width"})


def matches(data: bytes) -> bool:
    """Whether `data` begins like a safetensors file: a header length, then a JSON object."""
    return data[8:9] == b"{"


def read(data: bytes, name: str = "") -> SoftPrompt:
    """The soft prompt in a native file's bytes; `name` goes before the one that the file carries.

    vectors: float32 or float16, (tokens, width). Raises InvalidFile or InvalidPrompt with a bare fact.
    """
    tensors, metadata = unpack(data)
    check_version(metadata)
    if "vectors" not in tensors:
        raise InvalidFile(_no_vectors(sorted(tensors)))
    shape = tensors["vectors"].shape
    name = name or metadata.get("name", "")
    if name_problem(name):
        name = "unnamed"
    prompt = SoftPrompt(name, tensors["vectors"], tensors.get("origin"), _foreign(metadata))
    for key, found in zip(("tokens", "width"), shape, strict=True):
        if metadata.get(key, str(found)) != str(found):
            raise InvalidFile(
                f"its metadata says {metadata[key]} {key}, its vectors are {found}: made by a faulty tool"
            )
    return prompt


def write(prompt: SoftPrompt, dtype: str = "float32") -> bytes:
    """The native file's bytes; dtype "float16" halves them, for prompts whose numbers stay below 65,504."""
    if dtype not in ("float32", "float16"):
        raise InvalidFile(f"native files hold float32 or float16, not {dtype}")
    with np.errstate(over="ignore"):
        tensors, metadata = prompt.parts(dtype)
    if not all(np.isfinite(array).all() for array in tensors.values()):
        raise InvalidFile(f"soft prompt '{prompt.name}' holds numbers beyond float16: write it as float32")
    return pack(tensors, metadata)


def check_version(metadata: dict[str, str]) -> None:
    """Raises InvalidFile when a file says that it is of another kind, or newer than this reader."""
    kind, version = metadata.get("format", FORMAT), metadata.get("format_version", VERSION)
    if kind not in (FORMAT, "pt", "np"):
        raise InvalidFile(f"it is of the kind {kind!r}, not {FORMAT!r}")
    if kind == FORMAT and version.partition(".")[0] != VERSION:
        raise InvalidFile(f"it is of format version {version!r}, this version reads {VERSION}: update soft-prompts")


def describe(entries: dict[str, Any], metadata: dict[str, str]) -> tuple[int, int]:
    """(tokens, width) from a header alone; raises InvalidFile when `vectors` is missing or no matrix."""
    check_version(metadata)
    shape = entries.get("vectors", {}).get("shape")
    if shape is None:
        raise InvalidFile(_no_vectors(sorted(entries)))
    if len(shape) != 2 or 0 in shape:
        raise InvalidFile(f"its vectors have shape {tuple(shape)}, not (tokens, width)")
    return shape[0], shape[1]


def _foreign(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in _OWN_KEYS}


def _no_vectors(names: list[str]) -> str:
    held = ", ".join(names[:5]) or "nothing that is read"
    return f"it holds {held}, and no tensor `vectors` of float32 or float16: it is no soft prompt of this format"
