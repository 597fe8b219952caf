"""`describe(path, name, ...)` gives the Entry of one file or PEFT folder, as its header tells: what a panel lists."""

from __future__ import annotations

import os
import stat
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .errors import SoftPromptError
from .folder import Signature
from .formats.listing import listed
from .tags import name_problem, suggest_name

LONGEST_VALUE = 1 << 13
"""Characters of a metadata value that an Entry keeps, longer ones only the prompt has; a fingerprint is about 6,000."""

MOST_VALUES = 64
LONGEST_PROBLEM = 500


@dataclass(frozen=True)
class Entry:
    """One file of a library, or one PEFT folder, as its header alone tells: what a panel lists.

    kind: a key of formats.KINDS; empty where there is a problem.
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
    kind: str = ""

    @property
    def trained(self) -> bool:
        """False for a text, which any model can use as it is."""
        return self.path.suffix.lower() != ".txt"

    @property
    def order(self) -> tuple[str, bool, bool, bool, int, str]:
        """Sorts by name, then what can be used, trained, native, newer before what is not."""
        foreign = self.kind != "native"
        return self.name, bool(self.problem), not self.trained, foreign, -sum(self.signature[:1]), self.path.as_posix()


def describe(path: Path, name: str, status: os.stat_result, signature: Signature) -> Entry:
    """The entry of what stands at `path`, with that stat and signature; raises OSError when it cannot be read."""
    folder = stat.S_ISDIR(status.st_mode)
    if problem := name_problem(name):
        ending = "" if folder else path.suffix
        problem = f"its name cannot stand in a tag ({problem}); rename to '{suggest_name(name)}{ending}'"
        return Entry(name, path, problem=problem, signature=signature)
    variant = unicodedata.normalize("NFC", (path.name if folder else path.stem).partition("@")[2])
    try:
        kind, tokens, width, metadata = listed(path, status)
    except SoftPromptError as refusal:
        # A hostile header may fill a message with a megabyte of its own.
        problem = str(refusal)
        problem = problem if len(problem) <= LONGEST_PROBLEM else f"{problem[:LONGEST_PROBLEM]} ..."
        return Entry(name, path, variant, problem=problem, signature=signature)
    return Entry(name, path, variant, tokens, width, _kept(metadata), signature=signature, kind=kind)


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


def _kept(metadata: Mapping[str, str]) -> dict[str, str]:
    if len(metadata) > MOST_VALUES or any(len(value) > LONGEST_VALUE for value in metadata.values()):
        short = [(key, value) for key, value in metadata.items() if len(key) + len(value) <= LONGEST_VALUE]
        metadata = dict(short[:MOST_VALUES])
    # Prompts of one author for one model share most of it, the fingerprint above all: one text in memory serves them.
    return {sys.intern(key): sys.intern(value) for key, value in metadata.items()}
