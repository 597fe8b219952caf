"""`move(path, target)`: a file and what a training keeps beside it, both or neither, and never over another file."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .container import write_atomically
from .errors import InvalidFile
from .folder import TRAINING

_CLAIM = "in-use"
"""The file in a training's folder that is locked while it runs; the trainer keeps it."""


@contextmanager
def told(file: str) -> Iterator[None]:
    """What the operating system refuses around here becomes an InvalidFile in words; file: as the writer knows it."""
    try:
        yield
    except OSError as problem:
        raise InvalidFile(f"{file}: {_words(problem)}") from problem


def move(source: Path, target: Path) -> None:
    """Raises InvalidFile where a training is writing it, and OSError; nothing is changed then."""
    training = training_of(source)
    if training:
        check_idle(training)
    done: list[tuple[Path, Path]] = []
    with _folder(target):
        try:
            for one, other in [(source, target), *([(training, beside(target))] if training else [])]:
                _rename(one, other)
                done.append((one, other))
        except OSError:
            for one, other in reversed(done):
                _rename(other, one)
            raise


def place(target: Path, data: bytes) -> None:
    """A new file of these bytes; raises OSError, FileExistsError where there is one. It shows when it is whole."""
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    with _folder(target):
        try:
            write(temporary, data)
            _rename(temporary, target)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink()


def write(path: Path, data: bytes) -> None:
    """As `write_atomically`, and raises OSError: the file's name in its message is often one of ours."""
    try:
        write_atomically(path, data)
    except InvalidFile as problem:
        raise problem.__cause__ or problem from None


def copy_training(source: Path, target: Path) -> None:
    """What a training keeps beside `source`, beside `target` too, so that both can be trained on; raises OSError."""
    if not (training := training_of(source)):
        return
    check_idle(training)
    temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        shutil.copytree(training, temporary, ignore=shutil.ignore_patterns(_CLAIM, ".*"))
        os.rename(temporary, beside(target))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def prune(folder: Path, top: Path) -> None:
    """Take `folder` away where it is empty, and what lies above it, but never `top`."""
    while folder != top and top in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def beside(path: Path) -> Path:
    """Where a training keeps what it needs, for the prompt at `path`."""
    return path.with_suffix(f".{TRAINING}")


def training_of(path: Path) -> Path | None:
    """The folder that a training keeps beside this file; variants and texts have none, trainings write neither."""
    folder = beside(path)
    return folder if path.suffix == ".safetensors" and "@" not in path.stem and folder.is_dir() else None


def check_idle(training: Path | None) -> None:
    """Raises InvalidFile while a training runs there."""
    if training and _locked(training / _CLAIM):
        raise InvalidFile(f"'{training.stem}' is being trained just now: stop the training first, or wait for its end")


def _locked(path: Path) -> bool:
    # Windows renames no folder with an open file in it: there the move itself is refused.
    if sys.platform == "win32" or not path.exists():
        return False
    import fcntl

    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as problem:
            return problem.errno in (errno.EWOULDBLOCK, errno.EACCES)
    return False


@contextmanager
def _folder(target: Path) -> Iterator[None]:
    """The folders that `target` needs; those that were made go again where what is done in here fails."""
    made = [each for each in target.parents if not each.exists()]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            for each in made:
                each.rmdir()
        raise


def _rename(source: Path, target: Path) -> None:
    if source.is_dir() or _respelled(source, target):
        os.rename(source, target)
        return
    # A rename goes over another file in silence; to make one does not.
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        os.replace(source, target)
    except OSError:
        target.unlink()
        raise


def _respelled(source: Path, target: Path) -> bool:
    """Whether both are one file on a drive that knows no capital letters."""
    alike = str(source).casefold() == str(target).casefold() and source != target
    return alike and target.exists() and source.samefile(target)


def _words(problem: OSError) -> str:
    reason = problem.strerror or type(problem).__name__
    if isinstance(problem, FileNotFoundError):
        return "it is no longer there: choose again in the list"
    if isinstance(problem, FileExistsError) or problem.errno == errno.ENOTEMPTY:
        return "there is a file of that name already: choose another name"
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full ({reason}): free some space, then try again; nothing was changed"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"it may not be changed ({reason}): check the permissions of its folder; nothing was changed"
    return f"that did not work ({reason}); nothing was changed"
