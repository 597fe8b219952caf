"""`convert(prompt, Path("noir.zip"))`: a soft prompt as a file that other tools read; nothing is written over."""

from __future__ import annotations

import os
from pathlib import Path

from .container import write_atomically
from .errors import InvalidFile
from .formats import KINDS, WRITABLE, kind_of, peft, write_as
from .prompt import SoftPrompt

_PEFT = (peft.CONFIG, *peft.WEIGHTS)


def convert(prompt: SoftPrompt, target: Path, kind: str = "", over: bool = False) -> tuple[str, list[Path]]:
    """(kind, the files that were written). kind: a key of WRITABLE; empty for what the target's name says.

    target: a file; for PEFT the folder to be; or a folder that is there, for a file with the prompt's name. over: what
    stands there may go. Raises InvalidFile, and has then written nothing.
    """
    kind = kind or meant(target)
    files = {_place(target, kind, name): data for name, data in write_as(kind, prompt).items()}
    for path in files:
        if os.path.lexists(path) and not over:
            raise InvalidFile(f"there is {path} already: choose another name, or say --force")
    for path, data in files.items():
        write_atomically(path, data)
    return kind, list(files)


def meant(target: Path) -> str:
    """The kind that a target's name asks for; raises InvalidFile where it asks for none."""
    if target.is_dir() and (names := {each.name for each in target.iterdir()}) and not names & set(_PEFT):
        raise InvalidFile(
            f"{target} is a folder with other things in it: name the file that is to be in it, "
            f"{target / 'noir.safetensors'}, or a new folder for PEFT"
        )
    if kind := "peft" if target.is_dir() else kind_of(target.name):
        return kind
    ways = ", ".join(f"{kind.ending} for a {kind.label}" for kind in WRITABLE.values() if kind.ending)
    raise InvalidFile(f"{target}: this name says no kind that is written: {ways}, or a name without an ending for PEFT")


def _place(target: Path, kind: str, name: str) -> Path:
    if not KINDS[kind].ending:
        return target / name.partition("/")[2]
    return target / name if target.is_dir() else target
