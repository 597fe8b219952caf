"""`listed(path, status)`: what a library shows of a file, by as little of it as its kind allows.

Of a native file that is the header, of a zip its directory and a few small members, of torch's files the pickle
without the numbers. JSON alone has to be read as a whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..container import read_header
from ..errors import InvalidFile
from . import adapter_files, check_adapter, is_adapter, kinds, native, opening, peft, plain, unknown, unreadable
from .numbers import Found


class Listed(NamedTuple):
    """kind: a key of KINDS. tokens, width: 0 where they are not known."""

    kind: str
    tokens: int = 0
    width: int = 0
    metadata: Mapping[str, str] = {}


def listed(path: Path, status: os.stat_result) -> Listed:
    """Of the file or PEFT folder at `path`; status: its stat. Raises InvalidFile with a bare fact, and OSError."""
    if stat.S_ISDIR(status.st_mode) and is_adapter(path):
        return _adapter(path)
    if problem := unreadable(path, status):
        raise InvalidFile(problem)
    if path.suffix.lower() == ".txt":
        return Listed("text", metadata={"method": "text"})
    if path.suffix.lower() == ".safetensors":
        try:
            return _safetensors(*read_header(path))
        except InvalidFile as refusal:
            return _any(path, str(refusal))
    return _any(path, "")


def _safetensors(entries: Mapping[str, Any], metadata: dict[str, str]) -> Listed:
    if native.is_native(entries, metadata):
        return Listed("native", *native.describe(dict(entries), metadata), metadata)
    return Listed("safetensors", *plain.described(entries)[1], plain.kept(metadata))


def _any(path: Path, refusal: str) -> Listed:
    """By the content; refusal: why it is no safetensors file, where its name says that it is."""
    with path.open("rb") as file:
        start = file.read(kinds.ENOUGH)
        kind, _ = opening.told(start)
        if kind == "safetensors":
            if refusal:
                raise InvalidFile(refusal)
            return _safetensors(*read_header(path))
        if found := opening.look(file):
            return _of(found)
    raise InvalidFile(kinds.told(start) or refusal or unknown(start, path.suffix.lower()))


def _adapter(path: Path) -> Listed:
    config, weights = adapter_files(path)
    check_adapter(config, weights)
    with config.open("rb") as said, weights.open("rb") as file:
        return _of(peft.look(said.read(peft.LARGEST_CONFIG + 1), file), "peft")


def _of(found: Found, kind: str = "") -> Listed:
    return Listed(kind or found.kind, *found.shape, found.metadata)
