"""`describe(path, name, status)` gives the Entry of one file, as its header alone tells: what a panel lists."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .container import read_header
from .errors import InvalidFile, SoftPromptError
from .folder import Signature, signed
from .formats import FOREIGN, READABLE, kinds, native, unreadable
from .tags import name_problem, suggest_name

LONGEST_VALUE = 1 << 13
"""Characters of a metadata value that an Entry keeps, longer ones only the prompt has; a fingerprint is about 6,000."""

MOST_VALUES = 64
LONGEST_PROBLEM = 500


@dataclass(frozen=True)
class Entry:
    """One file of a library, as its header alone tells: what a panel lists.

    problem: why it cannot be used; empty when it can. shadowed_by: the file that takes its name instead.
    tokens, width: 0 where they are not known (a text has them only on a model). metadata: without values of more than
    8,192 characters.
    """

    name: str
    path: Path
    variant: str = ""
    tokens: int = 0
    width: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    shadowed_by: str = ""
    signature: Signature = ()

    @property
    def trained(self) -> bool:
        """False for a text, which any model can use as it is."""
        return self.path.suffix.lower() != ".txt"

    @property
    def order(self) -> tuple[str, bool, bool, int, str]:
        """Sorts by name, then what can be used, trained, newer before what is not."""
        return self.name, bool(self.problem), not self.trained, -sum(self.signature[:1]), self.path.as_posix()


def describe(path: Path, name: str, status: os.stat_result) -> Entry:
    """The entry of the file at `path`, whose stat is `status`; raises OSError when it cannot be read."""
    signature = signed(status)
    if problem := name_problem(name):
        problem = f"its name cannot stand in a tag ({problem}); rename to '{suggest_name(name)}{path.suffix}'"
        return Entry(name, path, problem=problem, signature=signature)
    variant = unicodedata.normalize("NFC", path.stem.partition("@")[2])
    try:
        tokens, width, metadata = _header(path, status)
    except SoftPromptError as refusal:
        # A hostile header may fill a message with a megabyte of its own.
        problem = str(refusal)
        problem = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PROBLEM]} ..."
        return Entry(name, path, variant, problem=problem, signature=signature)
    return Entry(name, path, variant, tokens, width, metadata, signature=signature)


def refused(path: Path, name: str, problem: OSError) -> Entry:
    """The entry of a file that is there and cannot be looked into."""
    reason = problem.strerror or type(problem).__name__
    if isinstance(problem, FileNotFoundError):
        return Entry(name, path, problem="it is a link to a file that is not there: take it away, or mend it")
    return Entry(name, path, problem=f"it cannot be read ({reason}): check its permissions")


def shadowed(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries, given in order, each with the file that takes its name from it."""
    first: dict[tuple[str, str], str] = {}
    for entry in entries:
        if entry.problem:
            yield entry
            continue
        # Variants (emma@llama, emma@gemma) are for different models: the model decides, they do not shadow each other.
        taker = first.setdefault((entry.name, entry.variant), entry.path.name)
        yield entry if taker == entry.path.name else replace(entry, shadowed_by=taker)


def _header(path: Path, status: os.stat_result) -> tuple[int, int, dict[str, str]]:
    if problem := unreadable(path, status):
        raise InvalidFile(problem)
    suffix = path.suffix.lower()
    if suffix == ".txt":
        return 0, 0, {"method": "text"}
    if suffix != ".safetensors":
        kind = FOREIGN.get(suffix, "a file of another kind")
        raise InvalidFile(f"it is {kind}; this version reads {' and '.join(READABLE)}")
    try:
        tensors, metadata = read_header(path)
    except InvalidFile as refusal:
        with path.open("rb") as file:
            raise InvalidFile(kinds.told(file.read(kinds.ENOUGH)) or str(refusal)) from None
    return *native.describe(tensors, metadata), _kept(metadata)


def _kept(metadata: Mapping[str, str]) -> dict[str, str]:
    if len(metadata) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in metadata.values()):
        short = [(key, value) for key, value in metadata.items() if len(key) + len(value) <= LONGEST_VALUE]
        metadata = dict(short[:MOST_VALUES])
    # Prompts of one author for one model share most of it, the fingerprint above all: one text in memory serves them.
    return {sys.intern(key): sys.intern(value) for key, value in metadata.items()}
