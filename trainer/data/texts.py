"""`texts.read("stories/", "more.json")`: the texts of files, folders and datasets, in the order in which they stand."""

from __future__ import annotations

import os
import re
from functools import partial
from pathlib import Path

from ...errors import InvalidFile
from . import drafts, reading, writers
from .datasets import story
from .reading import decode, items

DATASETS = (".json", ".jsonl")
ENDINGS = (".txt", ".md", ".markdown", *DATASETS)
"""What is read in a folder. A file that is named itself may end in anything, and is plain text if not JSON."""
OWN = ".training"
"""How the folders end that trainings make: a report is no text to learn from."""
BREAK = re.compile(r"^[ \t]*(?:\*{3,}|(?:\* ){2,}\*|⁂)[ \t]*$", re.MULTILINE)
"""The line that ends a story."""
_NUMBER = re.compile(r"(\d+)")


def read(
    path: str | os.PathLike[str], *more: str | os.PathLike[str], of: writers.Of = drafts.stories
) -> tuple[list[str], tuple[str, ...]]:
    """(texts, notes), blank ones left out, and what is named twice only once; raises InvalidFile where a path has none.

    of: which texts of another tool's lorebook or character are wanted; what is skipped of it is said in the notes.
    """
    found: list[str] = []
    notes: list[str] = []
    known: set[str] = set()
    size = 0
    for each in (path, *more):
        new = [file for file in _files(each) if _real(file) not in known]
        known.update(map(_real, new))
        texts: list[str] = []
        for file in new:
            these, those = reading.read(file, partial(_parsed, ending=file.suffix.lower(), of=of))
            texts += filter(_spoken, these)
            notes += [f"{file.name}: {note}" for note in those]
            if size + sum(map(len, texts)) > reading.LARGEST:
                raise InvalidFile(f"{file}: with it, it is more than {reading.LARGEST:,} characters: take a part")
        if new and not texts:
            raise InvalidFile(f"{each}: it holds no text, but blank lines at most; check that it was saved")
        found += texts
        size += sum(map(len, texts))
    return found, tuple(notes)


def parse(data: bytes) -> list[str]:
    """A plain text, as it stands."""
    return [decode(data)]


def parse_dataset(data: bytes) -> list[str]:
    """A text from each item of JSON or JSONL."""
    texts = []
    for number, item in enumerate(items(decode(data)), 1):
        try:
            texts.append(story(item))
        except InvalidFile as problem:
            raise InvalidFile(f"item {number:,}: {problem}") from None
    return texts


def _parsed(data: bytes, ending: str, of: writers.Of) -> tuple[list[str], tuple[str, ...]]:
    made = writers.texts(data, ending, of)
    return made or ((parse_dataset if ending in DATASETS else parse)(data), ())


def _spoken(text: str) -> bool:
    return bool(BREAK.sub("", text).strip())


def _files(path: str | os.PathLike[str]) -> list[Path]:
    if not os.path.isdir(path):
        return [Path(path)]
    top = _real(path)
    names: list[str] = []
    for place, folders, files in os.walk(top, onerror=_refuse):
        folders[:] = [name for name in folders if _lies_in(place, name) and not name.endswith(OWN)]
        names += [
            os.path.relpath(os.path.join(place, name), top)
            for name in files
            if name.lower().endswith(ENDINGS) and _lies_in(place, name)
        ]
    if not names:
        raise InvalidFile(f"{path}: no texts in this folder; what is read in one: {', '.join(ENDINGS)}")
    return [Path(path, name) for name in sorted(names, key=_order)]


def _lies_in(place: str, name: str) -> bool:
    """Whether it is neither hidden nor a link: what a link in the folder leads to is elsewhere, or is read anyway."""
    path = os.path.join(place, name)
    return not name.startswith(".") and _real(path) == path


def _order(name: str) -> tuple[list[list[str | int]], str]:
    """Folder by folder, and chapter 2 before chapter 10."""
    pieces = [_NUMBER.split(part.casefold()) for part in Path(name).parts]
    return [[int(each) if index % 2 else each for index, each in enumerate(part)] for part in pieces], name


def _real(path: str | os.PathLike[str]) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):  # said better by whoever reads it
        return os.fspath(path)


def _refuse(problem: OSError) -> None:
    raise InvalidFile(f"{problem.filename}: {problem.strerror}; check the permissions")
