"""`export(["noir"], library, "model.gguf", folder)`: a sidecar to use by hand, and the words that say how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...container import write_atomically
from ...errors import InvalidPrompt, SoftPromptError
from ...library import Library
from ...prompt import TextPrompt
from ...resolve import Resolver
from ...slots import Slot, Slots
from ...tags import Piece, Tag, parse, tag_for
from .model import GgufModel
from .sidecar import Sidecar, Wanted, plan
from .view import GgufView

_PARSED = (2, 3, 4)
"""Token types whose text a tokenizer of llama.cpp reads as that one token: unknown, control, user defined."""


@dataclass(frozen=True)
class Exported:
    """path: of the sidecar; ids: by tag, what to send in its place; text: the same to paste, where that works."""

    path: Path
    model: Path
    sidecar: Sidecar
    ids: dict[str, list[int]]
    text: dict[str, str]

    def record(self) -> dict[str, Any]:
        """For programs."""
        facts = {"path": str(self.path), "flags": self.sidecar.flags, "way": self.sidecar.way}
        return {**facts, "ids": self.ids, "text": self.text, "banned": list(self.sidecar.banned)}

    def __str__(self) -> str:
        start = f"llama-server --model {self.model} {' '.join(self.sidecar.flags)}"
        lines = [
            f"{self.path}: {self.path.stat().st_size:,} bytes, for {self.model.name} alone",
            "",
            f"start:   {start}",
        ]
        if self.sidecar.way == "mmproj":
            return "\n".join([*lines, *_BY_IMAGES])
        lines += [f"         koboldcpp --model {self.model} --lora {self.path}", ""]
        for tag, ids in self.ids.items():
            lines.append(f"{tag}: {len(ids)} ids, to send in its place: {_ranges(ids)}")
            if tag in self.text:
                lines.append(f"         or paste: {self.text[tag]}")
        banned = json.dumps([[each, False] for each in self.sidecar.banned])
        return "\n".join([*lines, "", f'ban them from what is written, with every request: "logit_bias": {banned}'])


_BY_IMAGES = (
    "",
    "This model takes soft prompts as images, which only a program can send:",
    "  from soft_prompts.hosts.llamacpp.client import Client",
    '  client = Client("MODEL.gguf", "soft_prompts"); client.complete("<<sp:NAME>> Once")',
)


def export(names: Sequence[str], library: Library, gguf: Path, target: Path | None = None) -> Exported:
    """names: of prompts, or tags with a strength. target: a file or a folder, by default the folder of the model.

    Raises UnknownPrompt, Misfit, UnsupportedModel, and InvalidFile where it cannot be written.
    """
    model = GgufModel.open(gguf)
    slots = Slots(model.width)
    resolver = Resolver(GgufView(model, _no_tokenizer), slots, library)
    tags = [_tag(name) for name in names]
    found: dict[Tag, Slot] = {tag: _placed(resolver, library, tag) for tag in tags}
    wanted = [Wanted(slot.key, slot.vectors) for slot in found.values()]
    path = _path(tags, gguf, target)
    planned = plan(model, wanted, path)
    if lacking := [str(tag) for tag, slot in found.items() if slot.key not in planned.sidecar.places]:
        raise SoftPromptError(f"there is no room in {model.name} for {', '.join(lacking)}: export fewer at once")
    write_atomically(path, planned.content())
    places = {str(tag): list(planned.sidecar.places[slot.key]) for tag, slot in found.items()}
    if planned.sidecar.way == "mmproj":
        return Exported(path, gguf, planned.sidecar, {}, {})
    pasted = {
        tag: "".join(model.tokens[each] for each in ids)
        for tag, ids in places.items()
        if all(model.kinds[each] in _PARSED for each in ids)
    }
    return Exported(path, gguf, planned.sidecar, places, pasted)


def _tag(name: str) -> Tag:
    pieces: list[Piece] = parse(name)
    return pieces[0] if len(pieces) == 1 and isinstance(pieces[0], Tag) else tag_for(name)


def _placed(resolver: Resolver, library: Library, tag: Tag) -> Slot:
    if isinstance(library[tag.name], TextPrompt):
        raise InvalidPrompt(f"'{tag.name}' is a text, which every model reads as it is: paste its words")
    return resolver.place(tag)


def _path(tags: Sequence[Tag], gguf: Path, target: Path | None) -> Path:
    if target is not None and target.suffix == ".gguf":
        return target
    names = "+".join(tag.name.replace("/", "-") for tag in tags)[:80]
    return (target or gguf.parent) / f"{names}.for.{gguf.stem}.gguf"


def _no_tokenizer(text: str) -> list[int]:
    raise InvalidPrompt("a text has no vectors before a server reads it")


def _ranges(ids: Sequence[int]) -> str:
    """1-3, 7 for 1, 2, 3, 7."""
    parts: list[list[int]] = []
    for each in ids:
        if parts and each == parts[-1][-1] + 1:
            parts[-1].append(each)
        else:
            parts.append([each])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
