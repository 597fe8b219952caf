"""`read(write(prompt), prompt.name) == prompt`: the native file, specified in docs/format.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..container import header_size, pack, parse_header, unpack
from ..errors import InvalidFile
from ..prompt import FORMAT, MOST_TOKENS, VERSION, WIDEST, SoftPrompt
from .metadata import own_name

_OWN_KEYS = frozenset({"format", "format_version", "name", "tokens", "width"})


def matches(data: bytes) -> bool:
    """Whether `data` begins like a safetensors file with our vectors: a header length, then a JSON object."""
    if data[8:9] != b"{" or data[5:8] != b"\0\0\0":
        return False
    size = header_size(data[:8], len(data))
    return is_native(*parse_header(data[8 : 8 + size], len(data) - 8 - size))


def is_native(entries: Mapping[str, Any], metadata: Mapping[str, str]) -> bool:
    """Whether a safetensors file is ours by its header, or claims to be; else it may be another tool's."""
    return "vectors" in entries or metadata.get("format", "pt") not in ("pt", "np") or "format_version" in metadata


def read(data: bytes, name: str = "") -> SoftPrompt:
    """The soft prompt in a native file's bytes; `name` goes before the one that the file carries.

    vectors: float32 or float16, (tokens, width). Raises InvalidFile or InvalidPrompt with a bare fact.
    """
    size = header_size(data[:8], len(data))
    shape = describe(*parse_header(data[8 : 8 + size], len(data) - 8 - size))
    tensors, metadata = unpack(data)
    prompt = SoftPrompt(name or own_name(metadata), tensors["vectors"], tensors.get("origin"), _foreign(metadata))
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
    """(tokens, width) from a header alone; raises InvalidFile when it cannot be a soft prompt's."""
    check_version(metadata)
    for name in ("vectors", "origin"):
        if name in entries and entries[name]["dtype"] not in ("F32", "F16"):
            raise InvalidFile(f"its {name} are of type {entries[name]['dtype']}: soft prompts hold F32 or F16")
    if "vectors" not in entries:
        raise InvalidFile(_no_vectors(sorted(entries)))
    shape = entries["vectors"]["shape"]
    if len(shape) != 2 or not (0 < shape[0] <= MOST_TOKENS and 0 < shape[1] <= WIDEST):
        raise InvalidFile(
            f"its vectors have shape {tuple(shape)}, not (tokens, width) with at most {MOST_TOKENS:,} and {WIDEST:,}"
        )
    return shape[0], shape[1]


def _foreign(metadata: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in _OWN_KEYS}


def _no_vectors(names: list[str]) -> str:
    held = ", ".join(names[:5]) or "nothing that is read"
    return f"it holds {held}, and no tensor `vectors`: it is no soft prompt of this format, but a model or a LoRA?"
