"""`described(entries)`: a safetensors file that is not ours, with one tensor (tokens, width) in it, or PEFT's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, BinaryIO

from ..container import header_size, parse_header
from ..errors import InvalidFile
from .foreign import of_names
from .metadata import texts
from .numbers import BYTES, Found, check_kind, floats, table

PEFT = "prompt_embeddings"
"""What PEFT calls the vectors."""


def look(file: BinaryIO) -> Found:
    """What the file says; raises InvalidFile where no tensor, or more than one, could be the prompt."""
    total = file.seek(0, 2)
    file.seek(0)
    size = header_size(file.read(8), total)
    entries, metadata = parse_header(file.read(size), total - 8 - size)
    name, shape = described(entries)
    start, stop = entries[name]["data_offsets"]

    def load() -> Any:
        file.seek(8 + size + start)
        return floats(file.read(stop - start), entries[name]["dtype"])

    return Found(shape, load, kept(metadata))


def described(entries: Mapping[str, Any]) -> tuple[str, tuple[int, int]]:
    """(name, (tokens, width)) of the one tensor that is the prompt, by a header that has been checked."""
    name = chosen(list(entries))
    entry = entries[name]
    check_kind(entry["dtype"])
    shape = table(entry["shape"])
    start, stop = entry["data_offsets"]
    if stop - start != shape[0] * shape[1] * BYTES[entry["dtype"]]:
        raise InvalidFile(f"its tensor of shape {shape} does not fill its {stop - start:,} bytes")
    return name, shape


def chosen(names: list[str]) -> str:
    """Which of a file's tensors is the prompt; raises InvalidFile that says what else the file is."""
    if PEFT in names:
        return PEFT
    if reason := of_names(names):
        raise InvalidFile(reason)
    if len(names) != 1:
        held = ", ".join(name[:40] for name in sorted(names)[:5]) or "no tensor at all"
        raise InvalidFile(f"it holds {held}: a soft prompt is one tensor, named `vectors` in a file of ours")
    return names[0]


def kept(metadata: Mapping[str, str]) -> dict[str, str]:
    """What the file says of itself, without what torch notes for itself."""
    return texts(metadata)
