"""`copy(checkout, target, record, note)`, `Record.read(user_data)`: what is put into a webui, and the note of it.

The note lies beside the extension's folder, not in it: who deletes that folder by hand can still take the rest back.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .failure import Failure

NAME = "soft_prompts"
FOR_TRAINING = ("pyproject.toml", "README.md", "constraints/newest.txt")
"""What `install.py train` makes its environment from."""
SINGLE = (*FOR_TRAINING, "requirements.txt", "LICENSE", "install.py", "script.py")
TREES = ("extensions/soft_prompts", "trainer")
ABOUT = "Written by `python install.py webui`, which needs it to update and to take back exactly what it added."


@dataclass
class Record:
    """What was added. files: path in the extension's folder -> digest; folders and settings: paths in user_data.

    way: "copy", "link", or "clone" where the user put the checkout there; settings: file, digest of it as we left it,
    whether there was one before, whether its key was ours; packages: Python -> {name: version}; start: see starting.py.
    """

    name: str = NAME
    way: str = "copy"
    version: str = ""
    files: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    packages: dict[str, dict[str, str]] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)

    @staticmethod
    def path(user_data: Path) -> Path:
        return user_data / "extensions" / f"{NAME}.installed.json"

    @classmethod
    def read(cls, user_data: Path) -> Record | None:
        path = cls.path(user_data)
        try:
            told = {"start": {}, **json.loads(path.read_text("utf-8"))}  # which older ones do not know
            return cls(**{name: told[name] for name in cls.__dataclass_fields__})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError):
            raise Failure(
                f"{path} cannot be read, so it is not known what was installed. If you have a copy of it, put that "
                f"back; else delete it and {path.parent / NAME}, and type the same line again."
            ) from None

    def write(self, user_data: Path) -> None:
        write(self.path(user_data), (json.dumps({"about": ABOUT, **asdict(self)}, indent=1) + "\n").encode())


def write(path: Path, data: bytes) -> None:
    """Whole or not at all; through a link to the file that it names, with that file's rights."""
    path = path.resolve()
    new = path.with_name(f"{path.name}.new")
    try:
        new.write_bytes(data)
        if path.exists():
            shutil.copymode(path, new)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_link(path: Path) -> bool:
    """A link, or what Windows makes for those who may not make links."""
    return path.is_symlink() or getattr(os.path, "isjunction", lambda path: False)(path)


def is_checkout(folder: Path) -> bool:
    return (folder / "script.py").is_file() and (folder / "extensions" / "soft_prompts" / "script.py").is_file()


def needed(checkout: Path) -> Iterator[str]:
    """What the extension consists of. script.py is last: a webui that sees it finds the rest in place."""
    for tree in TREES:
        for folder, names, files in os.walk(checkout / tree):
            names[:] = sorted(name for name in names if name != "__pycache__" and not name.startswith("."))
            kept = (name for name in sorted(files) if not name.startswith(".") and not name.endswith((".pyc", "~")))
            yield from (Path(folder, name).relative_to(checkout).as_posix() for name in kept)
    yield from (name for name in SINGLE if (checkout / name).is_file())


def set_aside(path: Path) -> Path:
    """A file that was edited by hand, under another name which Python does not load."""
    aside = path.with_name(f"{path.name}.edited")
    os.replace(path, aside)
    return aside


def is_edit(data: bytes, known: str | None) -> bool:
    """Whether a file is not as we left it; "" stands for one that was about to be written when something stopped us."""
    return known != "" and digest(data) != known


def copy(checkout: Path, target: Path, record: Record, note: Callable[[], None]) -> tuple[int, list[Path]]:
    """Brings the target to the checkout's state: (files written, edits of the user that were set aside).

    note: writes the record down, before the first file is, so that what is interrupted can go on or be taken back.
    """
    old, new = record.files, {name: (checkout / name).read_bytes() for name in needed(checkout)}
    there = {name: (target / name).read_bytes() for name in new if (target / name).is_file()}
    changed = [name for name in new if there.get(name) != new[name]]
    edited = [name for name in changed if name in there and is_edit(there[name], old.get(name))]
    record.files = {**old, **dict.fromkeys(changed, "")}
    note()
    aside = [set_aside(target / name) for name in edited]
    for name in changed:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        write(target / name, new[name])
    aside += delete(target, {name: old[name] for name in old.keys() - new.keys()})
    record.files = {name: digest(data) for name, data in new.items()}
    return len(changed), aside


def delete(target: Path, files: dict[str, str]) -> list[Path]:
    """Removes these files, what Python compiled of them, and the folders that this empties; edits are set aside."""
    aside, folders = [], {target}
    for name in sorted(files, key=lambda name: name != "script.py"):
        path = target / name
        folders |= {folder for folder in path.parents if target in folder.parents}
        if path.is_file():
            if is_edit(path.read_bytes(), files[name]):
                aside.append(set_aside(path))
            else:
                path.unlink()
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
    for folder in sorted(folders, key=lambda folder: -len(folder.parts)):
        remove_empty(folder / "__pycache__")
        remove_empty(folder)
    return aside


def remove_empty(folder: Path) -> bool:
    if folder.is_dir() and not is_link(folder) and not any(folder.iterdir()):
        folder.rmdir()
        return True
    return False


def link(checkout: Path, place: Path) -> None:
    try:
        place.symlink_to(checkout, target_is_directory=True)
    except OSError as problem:
        raise Failure(
            f"This account may not make links ({problem}). On Windows turn on its Developer Mode, "
            "or leave out --link: the extension is then copied."
        ) from problem


def unlink(target: Path) -> None:
    """Takes a link away and nothing behind it."""
    if target.is_symlink():
        target.unlink()
    elif is_link(target):
        target.rmdir()
