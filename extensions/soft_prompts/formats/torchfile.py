"""`opened(file)`: what `torch.save` wrote, in its zip or its older container, by the closed reader of pickles.

The vectors stay in the file until they are asked for.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, BinaryIO

from ..errors import InvalidFile
from .archive import Archive
from .foreign import of_pickle
from .pickles import unpickled
from .stubs import Kind, Storage, known

LARGEST_PICKLE = 1 << 20
"""Bytes, without the vectors. A whole model takes about a tenth."""

MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The older container begins with a pickle of one large number."""


def opened(file: BinaryIO) -> Any:
    """The object in an older container: tensors are stubs.Tensor. Raises InvalidFile with a bare fact."""
    return _older(file, _nested)


def opened_zip(archive: Archive) -> Any:
    """The object in a zip that torch wrote."""
    places = [name for name in archive.names if name.endswith("/data.pkl")]
    if len(places) != 1:
        raise InvalidFile("it holds several pickles: it is none of torch's files for tensors")
    top = places[0].removesuffix("data.pkl")
    if any(name.startswith(f"{top}code/") for name in archive.names):
        raise InvalidFile("it is a program for torch (TorchScript), which would have to be run: it is not read")
    if f"{top}byteorder" in archive.names and archive.read(f"{top}byteorder", checked=False) != b"little":
        raise InvalidFile("it was written on a machine with another order of bytes: write it again on this one")
    if archive.size(places[0]) > LARGEST_PICKLE:
        raise InvalidFile(_long(archive.size(places[0])))
    data = archive.read(places[0], checked=False)

    def storage(said: Any) -> Storage:
        kind, key, count = _storage(said)
        name = f"{top}data/{key}"
        if archive.size(name) < count * kind.size:
            raise InvalidFile(f"its storage {key[:20]} is shorter than {count:,} numbers: copy or download it again")
        return Storage(kind, count, lambda: archive.read(name, checked=False))

    return _told(data, lambda: _unpickled(data, storage, _nested)[0])


def bare(data: bytes) -> Any:
    """The object in a pickle of its own, as mkultra keeps one; its storages stand in it as bytes."""
    return _told(data, lambda: _unpickled(data, _no_storage, _nested)[0])


def _nested(data: bytes) -> Any:
    """What `torch.storage._load_from_bytes` would make of its bytes; those of another one in them are refused."""
    if not data.startswith(MAGIC):
        raise InvalidFile("it holds something else where the bytes of a storage should be: it is not read")
    return _older(io.BytesIO(data), _no_deeper)


def _older(file: BinaryIO, nested: Callable[[bytes], Any]) -> Any:
    container = _Older(file, nested)
    return _told(container.data, container.read)


class _Older:
    """Five pickles (a number, the version, the machine, the object, the keys), then the storages in that order."""

    def __init__(self, file: BinaryIO, nested: Callable[[bytes], Any]) -> None:
        self._file, self._nested = file, nested
        self._total = file.seek(0, io.SEEK_END)
        file.seek(0)
        self.data = file.read(min(self._total, LARGEST_PICKLE))
        self._storages: dict[str, Storage] = {}
        self._places: dict[str, int] = {}

    def read(self) -> Any:
        """The object, once each of its storages has its place."""
        place, values = 0, []
        for _ in range(5):
            if place == len(self.data) == LARGEST_PICKLE:
                raise InvalidFile(_long(self._total))
            value, place = _unpickled(self.data, self._storage, self._nested, place)
            values.append(value)
        _, version, machine, found, keys = values
        if version != 1001 or not isinstance(machine, dict) or machine.get("little_endian") is not True:
            raise InvalidFile("it was written by another version of torch, or on a machine with another order of bytes")
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise InvalidFile("its list of storages is none: made by a faulty tool")
        for key in keys:
            place = self._measured(key, place)
        if set(self._storages) - set(keys) or place != self._total:
            raise InvalidFile("its storages are not those that it describes: copy or download it again")
        return found

    def _storage(self, said: Any) -> Storage:
        kind, key, count = _storage(said)
        here = self._storages.setdefault(key, Storage(kind, count, lambda: self._bytes(key)))
        if (here.kind, here.count) != (kind, count):
            raise InvalidFile(f"its storage {key[:20]} is described in two ways: made by a faulty tool")
        return here

    def _measured(self, key: str, place: int) -> int:
        """Where the next storage begins, once this one is found to be as long as it says."""
        if key not in self._storages or key in self._places:
            raise InvalidFile("it has a storage that nothing in it uses: made by a faulty tool")
        self._file.seek(place)
        storage, count = self._storages[key], int.from_bytes(self._file.read(8), "little")
        stop = place + 8 + storage.count * storage.kind.size
        if count != storage.count or stop > self._total:
            raise InvalidFile("it is cut short: copy or download it again")
        self._places[key] = place + 8
        return stop

    def _bytes(self, key: str) -> bytes:
        storage = self._storages[key]
        self._file.seek(self._places[key])
        return self._file.read(storage.count * storage.kind.size)


def _storage(said: Any) -> tuple[Kind, str, int]:
    """(kind, key, numbers) of ("storage", kind, key, device, numbers) and, in older files, a view that must be none."""
    if not isinstance(said, tuple) or len(said) not in (5, 6) or said[0] != "storage" or any(said[5:]):
        raise InvalidFile("it refers to something that is no storage of torch: it is not read")
    _, kind, key, _, count = said[:5]
    if not isinstance(kind, Kind) or not isinstance(key, str) or type(count) is not int or not 0 <= count < 1 << 48:
        raise InvalidFile("it describes a storage by what is none: made by a faulty tool")
    return kind, key, count


def _unpickled(
    data: bytes, storage: Callable[[Any], Storage], nested: Callable[[bytes], Any], place: int = 0
) -> tuple[Any, int]:
    return unpickled(data, lambda module, name: known(module, name, nested), storage, place)


def _told(data: bytes, read: Callable[[], Any]) -> Any:
    """What `read` gives; where that fails, and the words in the file tell its kind, why that is of no use."""
    try:
        return read()
    except InvalidFile as problem:
        raise InvalidFile(of_pickle(data) or str(problem)) from None


def _no_storage(said: Any) -> Storage:
    raise InvalidFile("it refers to a storage outside of itself: made by a faulty tool")


def _no_deeper(data: bytes) -> Any:
    raise InvalidFile("it hides a pickle in a pickle in a pickle: made to deceive; do not trust it")


def _long(size: int) -> str:
    return f"it has a pickle of {size:,} bytes, more than the {LARGEST_PICKLE:,} that are read: is it a model?"
