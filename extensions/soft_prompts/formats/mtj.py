"""`look(archive)`: mtj-softtuner's `.mtjsp`, an npz of which `tensor`, `step` and `loss` are read and nothing else.

Its `opt_state` is an array of objects, which is a pickle.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InvalidFile
from . import npy
from .archive import Archive
from .kobold import TENSOR, array
from .numbers import Found
from .states import progress

_STATES = ("step.npy", "opt_state.npy", "loss.npy")
_NUMBERS = {"i4": "<i4", "i8": "<i8", "u4": "<u4", "u8": "<u8", "f2": "<f2", "f4": "<f4", "f8": "<f8"}


def matches(names: list[str]) -> bool:
    """Whether a zip with these members is one."""
    return TENSOR in names and any(each in names for each in _STATES)


def look(archive: Archive) -> Found:
    """What the archive says: the header of the tensor, and two numbers."""
    found = array(archive, TENSOR)
    return Found(found.shape, found.load, progress(_number(archive, "step.npy"), _number(archive, "loss.npy")))


def _number(archive: Archive, name: str) -> Any:
    """One number; nothing where it is none, since the vectors do not need it."""
    if name not in archive.names or archive.size(name) > 256:
        return None
    data = archive.read(name)
    try:
        made = npy.header(data)
    except InvalidFile:
        return None
    if made.shape != () or made.descr[1:] not in _NUMBERS or made.descr[:1] not in "<|=":
        return None
    kind = np.dtype(_NUMBERS[made.descr[1:]])
    return np.frombuffer(data, kind, 1, made.start)[0].item() if len(data) == made.start + kind.itemsize else None
