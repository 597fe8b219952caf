"""`look(file)`: what a file of another tool says of itself, told by how it begins, before its vectors are read."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from typing import BinaryIO

from ..errors import InvalidFile
from . import kobold, mkultra, mtj, npy, peft, plain, states, torchfile
from .archive import Archive
from .foreign import CARD
from .numbers import Found

_JSON = (b"{", b"[", b'"')


def look(file: BinaryIO) -> Found | None:
    """Its Found, which bears the kind; None where it begins like nothing that is read. Raises InvalidFile."""
    file.seek(0)
    kind, reader = told(file.read(64))
    file.seek(0)
    found = reader(file) if reader else None
    return found and replace(found, kind=found.kind or kind)


def told(start: bytes) -> tuple[str, Callable[[BinaryIO], Found] | None]:
    """(kind, reader) by a file's first bytes."""
    if start[8:9] == b"{" and start[5:8] == b"\0\0\0":
        return "safetensors", plain.look
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip", _zip
    if start.startswith(npy.MAGIC):
        return "npy", npy.look
    if start.startswith(torchfile.MAGIC):
        return "torch", _torch
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(_JSON):
        return "mkultra", mkultra.look
    return "", None


def _zip(file: BinaryIO) -> Found:
    archive = Archive(file)
    names = archive.names
    if mtj.matches(names):
        return replace(mtj.look(archive), kind="mtjsp")
    if kobold.TENSOR in names:
        return replace(kobold.look(archive), kind="kobold")
    if any(name.endswith("/data.pkl") for name in names):
        return states.found(torchfile.opened_zip(archive))
    if (top := _adapter(names)) is not None:
        weights = next((top + each for each in peft.WEIGHTS if top + each in names), top + peft.WEIGHTS[0])
        config = _config(archive, top + peft.CONFIG)
        return replace(peft.look(config, io.BytesIO(archive.read(weights))), kind="peft")
    if "card.json" in names:
        raise InvalidFile(CARD)
    raise InvalidFile(f"it is a zip file without a soft prompt ({kobold.TENSOR}) in it: unpack it, and look there")


def _torch(file: BinaryIO) -> Found:
    return states.found(torchfile.opened(file))


def _adapter(names: list[str]) -> str | None:
    """The folder in a zip, with a slash behind it, that holds the only PEFT adapter."""
    places = [name for name in names if name.rpartition("/")[2] == peft.CONFIG]
    return places[0].removesuffix(peft.CONFIG) if len(places) == 1 else None


def _config(archive: Archive, name: str) -> bytes:
    if archive.size(name) > peft.LARGEST_CONFIG:
        raise InvalidFile(f"its {peft.CONFIG} has {archive.size(name):,} bytes: made by a faulty tool")
    return archive.read(name)
