"""`read`, `write`: KoboldAI's `.zip` of `tensor.npy` and `meta.json`."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from ..errors import InvalidFile
from ..prompt import SoftPrompt
from . import npy
from .archive import Archive
from .jsons import decoded, encoded, table
from .metadata import texts
from .numbers import Found

TENSOR, META = "tensor.npy", "meta.json"
LARGEST_META = 1 << 20
_DAY = (1980, 1, 1, 0, 0, 0)
"""The same prompt gives the same bytes on every day."""


def look(archive: Archive) -> Found:
    """What the archive says; the header of its tensor and its meta.json are read."""
    found = array(archive, TENSOR)
    if META not in archive.names:
        return found
    if archive.size(META) > LARGEST_META:
        raise InvalidFile(f"its {META} has {archive.size(META):,} bytes, more than the {LARGEST_META:,} that are read")
    said = texts(table(decoded(archive.read(META), LARGEST_META)))
    if said.get("supported") == said.get("base_model"):
        said.pop("supported", None)
    return Found(found.shape, found.load, said)


def array(archive: Archive, name: str) -> Found:
    """The vectors in a member that is a file of numpy."""
    return npy.found(archive.start(name, npy.HEAD), archive.size(name), lambda: archive.read(name))


def write(prompt: SoftPrompt) -> bytes:
    """The archive, packed by LZMA as KoboldAI does; everything that is said of the prompt goes into meta.json."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in ((TENSOR, npy.write(prompt)), (META, encoded(_meta(prompt)))):
            member = zipfile.ZipInfo(name, _DAY)
            member.create_system = 3  # as on Linux, also where it is written on Windows
            archive.writestr(member, data, zipfile.ZIP_LZMA)
    return file.getvalue()


def _meta(prompt: SoftPrompt) -> dict[str, Any]:
    said = dict(prompt.metadata)
    # Free text of KoboldAI's: for which models it is, which nothing checks.
    supported = said.pop("supported", "") or said.get("base_model", "")
    first = {"name": prompt.name, "supported": supported.split(", ") if supported else []}
    return {**first, "description": said.pop("description", ""), **said}
