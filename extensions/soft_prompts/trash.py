"""`Trash(folder).put("people/emma.safetensors", path)`: files that were taken away and can be put back.

Each lies in a folder of its own below `.trash`, which no library lists, with a record of where it lay.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .errors import InvalidFile
from .moving import move, told, write

FOLDER = ".trash"
_RECORD = ".place.json"
"""No file that a library lists begins with a dot."""


@dataclass(frozen=True)
class Discarded:
    """key: of `Trash.back`. file: where it lay, below the library. beside: files that had its name, too."""

    key: str
    file: str
    when: float
    beside: tuple[str, ...] = ()


class Trash:
    """Of one library's folder; nothing is ever taken out of it but by `back`."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self._folder = top / FOLDER

    def put(self, file: str, path: Path, beside: Sequence[str] = ()) -> Discarded:
        """The file at `path`, with its training; raises InvalidFile, and it lies where it lay."""
        found = Discarded(f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}", file, time.time(), tuple(beside))
        self._check()
        place = self._folder / found.key
        record = {"file": file, "when": found.when, "beside": list(beside)}
        with told(file):
            try:
                # First the record: what stands in the trash can always be put back.
                write(place / _RECORD, json.dumps(record).encode())
                move(path, place / path.name)
            except BaseException:
                self._forget(place)
                raise
        return found

    def place(self, found: Discarded) -> Path:
        """Where it lies now."""
        return self._folder / found.key / PurePosixPath(found.file).name

    def back(self, found: Discarded, target: Path) -> None:
        """To where it lay; raises InvalidFile, and it lies where it is."""
        with told(found.file):
            move(self.place(found), target)
        self._forget(self._folder / found.key)

    def held(self) -> list[Discarded]:
        """What can be put back, the latest first."""
        self._check()
        with contextlib.suppress(OSError):
            found = [_read(each) for each in self._folder.iterdir() if each.is_dir()]
            return sorted((each for each in found if each), key=lambda each: (each.when, each.key), reverse=True)
        return []

    def _check(self) -> None:
        if self._folder.is_symlink():
            raise InvalidFile(f"{FOLDER} in the library's folder is a link: take it away, then nothing is lost by it")

    def _forget(self, place: Path) -> None:
        for take_away in ((place / _RECORD).unlink, place.rmdir, self._folder.rmdir):
            with contextlib.suppress(OSError):
                take_away()


def inside(file: str) -> bool:
    """Whether a name stays below the folder that it is joined to, and names nothing hidden."""
    parts = PurePosixPath(file).parts
    return bool(parts) and not PurePosixPath(file).is_absolute() and not any(each[0] == "." for each in parts)


def _read(place: Path) -> Discarded | None:
    """What the record says, believed as little as any file; None where nothing can be put back."""
    try:
        record = json.loads((place / _RECORD).read_bytes())
        file, when, near = record["file"], float(record["when"]), tuple(map(str, record["beside"]))
        whole = isinstance(file, str) and inside(file) and (place / PurePosixPath(file).name).exists()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return Discarded(place.name, file, when, near) if whole else None
