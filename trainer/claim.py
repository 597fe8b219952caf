"""`with Claim(folder / "in-use", "noir"): ...`: one training at a time has a name, and another one is told which.

The operating system keeps the claim and drops it with the process, however that ends: a file that a killed training
has left claims nothing.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import time
from pathlib import Path
from types import TracebackType

from ..errors import InvalidFile, TrainingError

if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, how: int = msvcrt.LK_NBLCK) -> None:
        # Far behind what is written: nobody else may read there.
        os.lseek(file, 1 << 20, os.SEEK_SET)
        msvcrt.locking(file, how, 1)

    def _unlock(file: int) -> None:
        _lock(file, msvcrt.LK_UNLCK)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


_TRIES = 100
"""Until a file is believed to be the one that stands there: on some network drives a file never looks like itself."""


class Claim:
    """Taken as often as one likes, and dropped as often; with the last time its file and empty folders go, too."""

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._name = name
        self._taken = 0
        self._file = -1
        self._made: list[Path] = []

    def take(self) -> None:
        """Raises TrainingError where another training has the name, and InvalidFile where nothing can be written."""
        if not self._taken:
            try:
                self._file = self._claimed()
            except OSError as problem:
                self._clear()
                why = problem.strerror or problem
                raise InvalidFile(f"{self._path} cannot be written: {why}; nothing was changed") from None
            _put(self._file, _me())
        self._taken += 1

    def drop(self) -> None:
        """Does nothing where it was not taken."""
        if self._taken == 1:
            # Its file goes while nobody else can have it; Windows takes no file away that is open.
            self._take_away(sys.platform != "win32")
            with contextlib.suppress(OSError):
                _unlock(self._file)  # closing alone would do so later, or not while a child process has the file, too
            os.close(self._file)
            self._take_away(sys.platform == "win32")
            self._clear()
        self._taken = max(0, self._taken - 1)

    def __enter__(self) -> None:
        self.take()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()

    def _claimed(self) -> int:
        for left in reversed(range(_TRIES)):
            if (file := self._opened()) is None:
                continue
            if not _have(file):
                raise TrainingError(self._refusal(file))
            if self._stands(file) or not left:
                return file
            os.close(file)
        raise OSError("its folder is taken away again and again")

    def _opened(self) -> int | None:
        """The file, or None where another one, that ended, took the folder away meanwhile."""
        folder = self._path.parent
        self._made = [each for each in self._path.parents if not each.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_CREAT | os.O_RDWR, 0o666)
        except FileNotFoundError:
            return None
        except FileExistsError:
            if folder.exists() and not folder.is_dir():
                raise
            return None

    def _stands(self, file: int) -> bool:
        """Whether the file is still the one at its path: it may have been taken away before it was ours."""
        if sys.platform == "win32":
            return True
        try:
            return os.path.samestat(os.fstat(file), os.stat(self._path))
        except FileNotFoundError:
            return False

    def _refusal(self, file: int) -> str:
        said = _said(file)
        os.close(file)
        who = "this program itself" if _process(said) == _process(_me()) else said or "another program"
        return (
            f"{self._name} is being trained already, by {who} ({self._path}): wait until that ends, end it, or choose "
            "another name"
        )

    def _take_away(self, now: bool) -> None:
        if now:
            with contextlib.suppress(OSError):
                self._path.unlink()

    def _clear(self) -> None:
        """Take away the folders that hold nothing, as far up as they were made for this."""
        for folder in dict.fromkeys([self._path.parent, *self._made]):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _have(file: int) -> bool:
    """Whether an open file is ours alone now."""
    try:
        _lock(file)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        pass  # a drive that knows no locks: nobody can be kept out there
    return True


def _me() -> str:
    return f"process {os.getpid()} on {platform.node()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}"


def _process(said: str) -> str:
    return said.partition(",")[0]


def _put(file: int, text: str) -> None:
    """Who has it, for those who have not; a full disk changes nothing of the claim."""
    with contextlib.suppress(OSError):
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, text.encode("utf-8", "replace"))


def _said(file: int) -> str:
    with contextlib.suppress(OSError):
        os.lseek(file, 0, os.SEEK_SET)
        return " ".join(os.read(file, 300).decode("utf-8", "replace").split())
    return ""
