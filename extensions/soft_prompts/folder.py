"""`Folders("soft_prompts/").candidates("people/emma")`: which files bear a name, and when a look may be believed.

A folder's own signature changes whenever a name in it comes or goes, so what was read of it holds as long as its
signature does, with one exception: the clock of a file system goes in steps, and two changes within one step leave the
same signature. What was read within the step of the last change is therefore read again (git calls this racily clean).
"""

from __future__ import annotations

import logging
import os
import stat
import time
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from .formats import FOREIGN, READABLE, adapter_files, is_adapter
from .formats.peft import CONFIG
from .tags import LONGEST_NAME

_log = logging.getLogger(__name__)

Signature = tuple[int, ...]
"""Of a file or folder: time of the last change first, in nanoseconds; empty where there is none."""

TRAINING = "training"
"""What the folder ends in that the trainer keeps beside a prompt: reports and the like, and no prompts."""
_ENDINGS = frozenset(ending[1:] for ending in (*READABLE, *FOREIGN))


def signed(status: os.stat_result) -> Signature:
    """The signature in what `os.stat` says; with st_ctime a change of the permissions counts too."""
    return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev, status.st_ctime_ns)


def signature(path: str | os.PathLike[str]) -> Signature:
    """The signature of what stands at `path`, through links."""
    try:
        return signed(os.stat(path))
    except OSError:
        return ()


def examined(path: str) -> tuple[os.stat_result, Signature]:
    """(stat, signature) of a file, or of a PEFT folder with the two files that count in it; raises OSError."""
    status = os.stat(path)
    found = signed(status)
    if not stat.S_ISDIR(status.st_mode) or not is_adapter(path):
        return status, found
    # A file that is written anew in its place leaves its folder's signature as it was.
    inner = [signature(each) for each in adapter_files(path)]
    latest = [max(found[place], *(each[place] for each in inner if each)) for place in (0, 4)]
    return status, (latest[0], *found[1:4], latest[1], *(number for each in inner for number in each))


def step(found: Signature) -> float:
    """Seconds within which the file system's clock may stand still: FAT counts in 2 s, others at least in 0.02 s."""
    return 0.1 if _stamp(found) % 1_000_000_000 else 2.5


def settled(found: Signature) -> bool:
    """Whether a file with this signature, seen now, can no longer change without changing it."""
    return abs(time.time_ns() - _stamp(found)) > step(found) * 1e9


def _stamp(found: Signature) -> int:
    # Copying tools set the time of the change back; nobody can set st_ctime. On Windows that is the time of creation.
    return found[0] if os.name == "nt" else found[4]


@dataclass(frozen=True, eq=False)
class Folder:
    """What one look into a folder found: {name without variant and ending: file names} and {name: folder names}.

    adapter: it is a PEFT folder, which is one prompt; then nothing else in it counts.
    """

    files: Mapping[str, tuple[str, ...]]
    folders: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...] = ()  # files of other kinds, which are passed over
    signature: Signature = ()
    since: float = 0.0  # when the signature was seen first
    looked: float = 0.0
    certain: bool = True  # nothing can have changed within the step of the signature
    adapter: bool = False

    @cached_property
    def stems(self) -> Mapping[str, tuple[str, ...]]:
        """The folders by their names without a variant: those that may be PEFT folders of that name."""
        table: dict[str, tuple[str, ...]] = {}
        for name, each in self.folders.items():
            stem = name.partition("@")[0]
            table[stem] = (*table.get(stem, ()), *each)
        return table

    @property
    def ripe(self) -> bool:
        """Whether another look would make certain what this one could not."""
        return not self.certain and time.monotonic() - self.since > step(self.signature)


class Folders:
    """The folders of a library; `ignore` are file names at the top that are no prompts. Threads may share it."""

    def __init__(self, top: str, ignore: frozenset[str] = frozenset()) -> None:
        self._top = top
        self._ignore = ignore
        self._known: dict[str, Folder] = {}
        self._refused: set[str] = set()

    def candidates(self, name: str, within: float = float("inf")) -> list[str]:
        """The paths of the files and PEFT folders that bear `name`; what was read of a folder counts for `within` s.

        Only folders on the way to the name are looked at, and only what a look found is ever joined to a path.
        """
        *parents, last = name.split("/")
        level: list[tuple[str, tuple[object, ...]]] = [(self._top, ())]
        for part in parents:
            level = [
                (os.path.join(path, each), above)
                for path, folder, above in self._open(level, within)
                for each in folder.folders.get(part, ())
            ]
        opened = list(self._open(level, within))
        files = [os.path.join(path, each) for path, folder, _ in opened for each in folder.files.get(last, ())]
        below = [
            (os.path.join(path, each), above) for path, folder, above in opened for each in folder.stems.get(last, ())
        ]
        return files + [path for path, folder, _ in self._open(below, within) if folder.adapter]

    def walk(self) -> Iterator[tuple[str, str, Folder]]:
        """(path, name with a slash behind it, Folder) for every folder, each looked at anew."""
        pending: list[tuple[str, str, tuple[object, ...]]] = [(self._top, "", ())]
        known = {}
        while pending:
            place, prefix, before = pending.pop()
            for path, folder, above in self._open([(place, before)], 0):
                yield path, prefix, folder
                known[path] = folder
                for name, each in folder.folders.items():
                    if len(prefix) + len(name) < LONGEST_NAME:  # no file below could be named
                        pending += [(os.path.join(path, one), f"{prefix}{name}/", above) for one in each]
        self._known = known

    def stale(self) -> bool:
        """Whether any folder has changed, or may have changed, since it was looked at; costs one stat each."""
        known = self._known
        return self._top not in known or any(
            folder.ripe or signature(path) != folder.signature for path, folder in list(known.items())
        )

    def paths(self) -> list[str]:
        """Every folder that was looked at, the top first."""
        return list(self._known)

    def others(self) -> list[str]:
        """The files in them that are no soft prompts, as paths below the top."""
        found = [os.path.join(path, each) for path, folder in list(self._known.items()) for each in folder.others]
        return [os.path.relpath(each, self._top).replace(os.sep, "/") for each in found]

    def _open(
        self, level: list[tuple[str, tuple[object, ...]]], within: float
    ) -> Iterator[tuple[str, Folder, tuple[object, ...]]]:
        for path, above in level:
            folder = self._at(path, within)
            # A writer may link a folder of prompts into the library; a link back to where it stands comes to an end.
            itself = folder.signature[2:4] if any(folder.signature[2:3]) else os.path.realpath(path)
            if itself not in above:
                yield path, folder, (*above, itself)

    def _at(self, path: str, within: float) -> Folder:
        known = self._known.get(path)
        # Before the look: what changes during it is then looked at once more.
        found = signature(path)
        now = time.monotonic()
        same = known is not None and known.signature == found
        if known is not None and same and known.certain and now - known.looked < within:
            return known
        since = known.since if known is not None and same else now
        files, folders, others, adapter = self._names(path) if found else ({}, {}, (), False)
        # By our own clock, not by the drive's: one that is wrong, or a time in the future, does no harm.
        certain = not found or now - since > step(found)
        folder = Folder(files, folders, others, found, since, now, certain, adapter)
        self._known[path] = folder
        return folder

    def _names(self, path: str) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]], tuple[str, ...], bool]:
        files: dict[str, tuple[str, ...]] = {}
        folders: dict[str, tuple[str, ...]] = {}
        others: list[str] = []
        adapter = False
        ignore = self._ignore if path == self._top else ()
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name if entry.name.isascii() else unicodedata.normalize("NFC", entry.name)
                    if name[0] == "." or entry.name in ignore:
                        continue
                    # At the top it belongs to nothing that has a name.
                    adapter = adapter or (name == CONFIG and path != self._top)
                    stem, _, ending = name.rpartition(".")
                    if _is_file(entry, ending.lower()):
                        stem = stem.partition("@")[0]
                        files[stem] = (*files.get(stem, ()), entry.name)
                    elif ending == TRAINING and _is_folder(entry):
                        continue
                    elif _is_folder(entry):
                        folders[name] = (*folders.get(name, ()), entry.name)
                    else:
                        others.append(entry.name)
            self._refused.discard(path)
        except OSError as problem:
            self._complain(path, problem)
        return ({}, {}, (), True) if adapter else (files, folders, tuple(sorted(others)), False)

    def _complain(self, path: str, problem: OSError) -> None:
        # A folder may go while it is walked; anything else is said once, not with every look.
        if not isinstance(problem, FileNotFoundError | NotADirectoryError) and path not in self._refused:
            self._refused.add(path)
            _log.warning("%s: %s; its soft prompts are not listed", path, problem.strerror)


def _is_file(entry: os.DirEntry[str], ending: str) -> bool:
    # A folder x.safetensors is a mistake to be told of, a folder x.json is a folder.
    return ending == "safetensors" or (ending in _ENDINGS and not _is_folder(entry))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
