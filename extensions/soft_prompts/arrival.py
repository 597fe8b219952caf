"""`look(path, "noir.safetensors")`: what a file is that somebody brings, before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .errors import InvalidFile, SoftPromptError
from .formats import READABLE, load_bytes, native, read
from .prompt import SoftPrompt
from .tags import suggest_name

NOT_INSIDE = "The texts that it was trained on are not in it; phrases of them may be recoverable all the same."
UNLICENSED = "not said: ask before you pass it on"


@dataclass(frozen=True)
class Arrival:
    """A file that is not in the library. problem: why it cannot be kept; empty where it can.

    name: that it would be kept under, variant and ending: of its file. tokens, width: 0 for a text, which is `text`.
    source: the file that it rides in, where it is not one of its own; more: how many others ride there behind it.
    """

    name: str
    variant: str = ""
    ending: str = ""
    tokens: int = 0
    width: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    problem: str = ""
    source: str = ""
    more: int = 0
    data: bytes = field(default=b"", repr=False)


Carriers = Callable[[Path, str], Sequence[Arrival]]
"""What rides in the file at a path, which was called so where it came from: none where it carries nothing."""


def look(path: Path, called: str) -> Arrival:
    """All of it is read and checked, unless it is too large; called: the file's name where it came from.

    What another tool made is kept as it is, where a library would know it by its ending; else as a native file.
    """
    name, variant, ending = split(called)
    try:
        data = load_bytes(path)
        prompt = read(data, name, ending)
    except OSError as problem:
        return Arrival(name, variant, ending, problem=f"it cannot be read ({problem.strerror or problem}): try again")
    except SoftPromptError as problem:
        return Arrival(name, variant, ending, problem=str(problem))
    if isinstance(prompt, SoftPrompt):
        if native.matches(data) or ending not in READABLE:
            data, ending = data if native.matches(data) else native.write(prompt), ".safetensors"
        return Arrival(name, variant, ending, len(prompt), prompt.width, prompt.metadata, data=data)
    return Arrival(name, variant, ".txt", text=prompt.text, data=data)


def split(called: str) -> tuple[str, str, str]:
    """`split("Emma Vance@llama.safetensors")`: the name that a tag can say, the variant, and the ending."""
    whole = called.replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = whole.rpartition(".")
    name, _, variant = (stem if stem else whole).partition("@")
    return suggest_name(name), suggest_name(variant) if variant else "", f"{dot}{ending}".lower() if stem else ""


def check(found: Arrival) -> Arrival:
    """The same; raises InvalidFile where it cannot be kept."""
    if found.problem:
        raise InvalidFile(f"this file cannot be kept: {found.problem}")
    return found
