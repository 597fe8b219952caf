"""`soft-prompts card emma.png --add noir`: soft prompts that ride inside a Character Card; torch-free."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arrival import NOT_INSIDE, UNLICENSED, Arrival
from ..container import write_atomically
from ..errors import InvalidFile, SoftPromptError
from ..formats import load_any, native, read
from ..prompt import SoftPrompt
from ..shelf import Shelf
from ..tags import suggest_name
from ..terminal import columns, table
from .data import reading
from .data.books import assets, cards
from .data.books.envelope import Envelope, opened
from .options import find

NONE = "it is a writer's file and no soft prompt, nor does it carry one; under “Train” one can be made of it"


@dataclass(frozen=True)
class Carried:
    """A soft prompt that came in another file. source: which one."""

    name: str
    arrival: Arrival
    source: str

    def keep(self, shelf: Shelf) -> str:
        """Into the library, under its name or the next one that is free, unless it is there; gives its file."""
        name = shelf.free_name(self.arrival)
        prompt = read(self.arrival.data, name, self.arrival.ending)
        assert isinstance(prompt, SoftPrompt), "what has tokens is no text"
        same = (each.path for each in shelf.library.entries() if each.name == self.name and not each.problem)
        there = next((path for path in same if load_any(path, name) == prompt), None)
        return shelf.add(prompt) if there is None else there.relative_to(shelf.library.folder).as_posix()

    def record(self) -> dict[str, Any]:
        """For programs."""
        facts = {"name": self.name, "tokens": self.arrival.tokens, "width": self.arrival.width}
        return {**facts, "metadata": dict(self.arrival.metadata), "problem": self.arrival.problem}


def card(options: argparse.Namespace) -> int:
    """Raises SoftPromptError, and has then written nothing."""
    path = Path(options.card)
    if options.add:
        target = _target(options, path)
        write_atomically(target, _added(path, [_prompt(name, options.folder) for name in options.add]))
        path = target
    found = carried(path)
    if options.json:
        print(json.dumps({"card": str(path), "prompts": [each.record() for each in found]}, ensure_ascii=False))
        return 0
    print("\n\n".join(told(each) for each in found) or f"{path} carries no soft prompt: --add NAME puts one in")
    if options.add:
        print(f"\nWritten: {path} ({path.stat().st_size:,} bytes). Who gets it types: soft-prompts import {path.name}")
    return 0


def carried(path: Path) -> list[Carried]:
    """The soft prompts in the card at `path`; none where it is no card. Raises InvalidFile for one that is damaged."""
    envelope = reading.read(path, _opened)
    found = assets.carried(envelope) if envelope else []
    return [_looked(each, path) for each in found]


def arrivals(path: Path, called: str) -> list[Arrival]:
    """For a library's shelf: what an upload carries. called: its name where it came from."""
    try:
        envelope = reading.read(path, _opened)
    except InvalidFile:
        return []  # what the shelf says of it is better
    if envelope is None or not cards.matches(envelope.value):
        return []
    found = [_looked(each, Path(called)).arrival for each in assets.carried(envelope)]
    return found or [Arrival(suggest_name(Path(called).stem), problem=NONE)]


def told(prompt: Carried) -> str:
    """What one should know before one uses it: the model it wants, its sample, its licence, what is not inside."""
    arrival = prompt.arrival
    if arrival.problem:
        return f"{prompt.source} carries '{prompt.name}', which cannot be used: {arrival.problem}"
    said = arrival.metadata
    rows = [
        ("soft prompt", prompt.name),
        ("for the model", said.get("base_model", "not said")),
        ("context", f"{arrival.tokens} tokens, {arrival.width} wide"),
        *(
            (key, said[key])
            for key in ("description", "author", "method", "held_out", "base", "recall")
            if said.get(key)
        ),
        ("licence", said.get("licence") or UNLICENSED),
    ]
    sample = [columns(("without", said["sample_base"]), ("with it", said["sample"]))] if "sample_base" in said else []
    return "\n\n".join([table(rows), *sample, NOT_INSIDE])


def _opened(data: bytes) -> Envelope | None:
    try:
        return opened(data)
    except InvalidFile:
        return None  # said better by whoever reads the entries


def _looked(asset: assets.Asset, path: Path) -> Carried:
    name = suggest_name(asset.name)
    if asset.problem:
        return Carried(name, Arrival(name, problem=asset.problem), str(path))
    try:
        prompt = read(asset.data, name, ".safetensors")
    except SoftPromptError as problem:
        return Carried(name, Arrival(name, problem=str(problem)), str(path))
    assert isinstance(prompt, SoftPrompt), "only a text is another kind of prompt, and it ends in .txt"
    tokens, width = prompt.vectors.shape
    found = Arrival(name, "", ".safetensors", tokens, width, prompt.metadata, data=asset.data)
    return Carried(name, found, str(path))


def _prompt(name: str, folder: str) -> SoftPrompt:
    prompt = find(name, folder)
    if not isinstance(prompt, SoftPrompt):
        raise InvalidFile(f"'{name}' is a text, and needs no carrying: write it into the card itself")
    return prompt


def _added(path: Path, prompts: Sequence[SoftPrompt]) -> bytes:
    def with_all(data: bytes) -> bytes:
        for prompt in prompts:
            envelope = opened(data)
            if envelope is None:
                raise InvalidFile("it is no Character Card, and only such carry soft prompts")
            data = assets.with_prompt(envelope, prompt.name, native.write(prompt))
        return data

    return reading.read(path, with_all)


def _target(options: argparse.Namespace, path: Path) -> Path:
    last = options.add[-1].rsplit("/", 1)[-1].removesuffix(".safetensors")
    target = Path(options.output) if options.output else Path(f"{path.stem} with {suggest_name(last)}{path.suffix}")
    if target.exists() and not options.overwrite:
        raise InvalidFile(f"{target} exists already: give --output another name, or --overwrite")
    return target
