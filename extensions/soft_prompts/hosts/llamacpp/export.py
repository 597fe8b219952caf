"""`export(["noir"], library, Path("model.gguf"))`: a sidecar to use by hand, and the words that say how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...container import write_atomically
from ...errors import InvalidFile, InvalidPrompt, SoftPromptError, UnknownPrompt
from ...library import Library
from ...resolve import Resolver
from ...slots import Slot, Slots
from ...tags import Tag, name_problem, parse
from .header import read_header
from .mmproj import images
from .model import GgufModel
from .sidecar import Sidecar, Wanted, plan, route_of
from .view import GgufView, NoTokenizer

_PARSED = (2, 3, 4)
"""Token types whose text a tokenizer of llama.cpp reads as that one token: unknown, control, user defined."""


@dataclass(frozen=True)
class Exported:
    """path: of the sidecar; why: of its way, where that is the one by images.

    ids: by tag, what to send in its place; text: the same to paste, where that works; images: by tag, PNG as base64.
    """

    path: Path
    model: Path
    library: Path
    sidecar: Sidecar
    why: str
    ids: dict[str, list[int]]
    text: dict[str, str]
    images: dict[str, list[str]]

    def record(self) -> dict[str, Any]:
        """For programs."""
        facts = {"path": str(self.path), "model": str(self.model), "flags": self.sidecar.flags, "way": self.sidecar.way}
        if self.sidecar.way == "mmproj":
            return {**facts, "images": self.images}
        return {**facts, "ids": self.ids, "text": self.text, "banned": list(self.sidecar.banned)}

    def __str__(self) -> str:
        size = f"{self.path}: {self.path.stat().st_size:,} bytes, made for {self.model.name} and no other file"
        start = f"llama-server --model {_typed(self.model)} {self.sidecar.flags[0]} {_typed(self.path)}"
        lines = self._as_images() if self.sidecar.way == "mmproj" else self._as_ids()
        return "\n".join([size, "", f"start  {start}", *lines])

    def _as_ids(self) -> list[str]:
        lines = []
        if self.text.keys() == self.ids.keys():
            lines.append(f"       koboldcpp --model {_typed(self.model)} --lora {_typed(self.path)}  (not tried)")
        for tag, ids in self.ids.items():
            lines += ["", tag, f"       {len(ids)} ids, sent in its place: {_ranges(ids)}"]
            if tag in self.text:
                lines.append(f"       or pasted there as text: {self.text[tag]}")
        first = next(iter(self.ids.values()))
        sent = '"prompt": ["Once upon ", ' + ", ".join(map(str, first[:2])) + ', ..., "a time"]'
        banned = json.dumps([[each, False] for each in self.sidecar.banned])
        return [
            *lines,
            "",
            f"send   {sent}",
            '       to /completion; where it begins with ids, put "" before them: that brings the BOS, if there is one',
            f'ban    "logit_bias": {banned}',
            "       with every request, or the model may write them",
        ]

    def _as_images(self) -> list[str]:
        return [
            f"       {self.why}: so it takes soft prompts as images",
            "",
            "send   from a program in Python, which finds the tags:",
            "",
            "from soft_prompts.hosts.llamacpp.client import Client",
            "",
            f"client = Client({str(self.model)!r}, {str(self.library)!r})",
            f"client.prepare({list(self.images)!r})",
            f"print(client.complete({f'Once upon {next(iter(self.images))}a time'!r}, n_predict=60))",
            "",
            "       other programs: --json gives the images; send them to /completion in the order of the places that",
            '       "media_marker" of /props marks: "prompt": {"prompt_string": ..., "multimodal_data": [...]}',
        ]


def export(names: Sequence[str], library: Library, gguf: Path, target: Path | None = None) -> Exported:
    """names: of prompts, with a strength or not ("noir", "noir:0.5"), or tags. target: a file, a folder, or the
    model's folder.

    Raises UnknownPrompt, Misfit, UnsupportedModel, and InvalidFile where it cannot be written.
    """
    model = GgufModel.open(gguf)
    tags = list(dict.fromkeys(map(_tag, names)))
    found = _placed(model, library, tags)
    path = _path(tags, gguf, target)
    _check_free(path)
    planned = plan(model, [Wanted(slot.key, slot.vectors) for slot in found.values()], path)
    sidecar = planned.sidecar
    if lacking := [str(tag) for tag, slot in found.items() if slot.key not in sidecar.places]:
        raise SoftPromptError(
            f"there is no room in {model.name} for {', '.join(lacking)}: it has room for {route_of(model).room} "
            "vectors in one file; export fewer, or shorter ones"
        )
    write_atomically(path, planned.content())
    places = {str(tag): list(sidecar.places[slot.key]) for tag, slot in found.items()}
    if sidecar.way == "mmproj":
        shown = {tag: images(each, sidecar.side, sidecar.patch) for tag, each in places.items()}
        return Exported(path, gguf, library.folder, sidecar, route_of(model).why, {}, {}, shown)
    return Exported(path, gguf, library.folder, sidecar, "", places, _texts(model, places), {})


def _tag(name: str) -> Tag:
    """The tag that `name` is or names; raises UnknownPrompt where no tag can say it."""
    for text in (name, f"<<sp:{name}>>"):
        pieces = parse(text)
        if len(pieces) == 1 and isinstance(pieces[0], Tag):
            return pieces[0]
    raise UnknownPrompt(
        f"'{name}' cannot name a soft prompt: {name_problem(name) or 'it is no tag'}. `soft-prompts list` shows the "
        "names"
    )


def _placed(model: GgufModel, library: Library, tags: Sequence[Tag]) -> dict[Tag, Slot]:
    resolver = Resolver(GgufView(model), Slots(model.width), library)
    found = {}
    for tag in tags:
        try:
            found[tag] = resolver.place(tag)
        except NoTokenizer as problem:
            raise InvalidPrompt(f"{tag}: {problem}") from None
    return found


def _path(tags: Sequence[Tag], gguf: Path, target: Path | None) -> Path:
    if target is not None and target.suffix == ".gguf" and not target.is_dir():
        return target
    # The strength, too: the same prompt at another one is another file.
    parts = [str(tag)[len("<<sp:") : -len(">>")].replace("/", "-").replace(":", "-") for tag in tags]
    return (target or gguf.parent) / f"{'+'.join(parts)[:80]}.for.{gguf.stem}.gguf"


def _check_free(path: Path) -> None:
    """Raises InvalidFile where something stands that is not ours, such as a model."""
    if not path.exists():
        return
    try:
        values = read_header(path).values
    except InvalidFile:
        values = {}
    if values.get("general.name") != "soft prompts" or values.get("general.type") not in ("adapter", "mmproj"):
        raise InvalidFile(f"{path} is there already and was not written by this command: choose another --output")


def _texts(model: GgufModel, places: dict[str, list[int]]) -> dict[str, str]:
    """What a writer can paste, for each tag whose tokens a tokenizer finds in text."""
    return {
        tag: "".join(model.tokens[each] for each in ids)
        for tag, ids in places.items()
        if all(model.kinds[each] in _PARSED for each in ids)
    }


def _typed(path: Path) -> str:
    return f'"{path}"' if " " in str(path) else str(path)


def _ranges(ids: Sequence[int]) -> str:
    """1-3, 7 for 1, 2, 3, 7."""
    parts: list[list[int]] = []
    for each in ids:
        if parts and each == parts[-1][-1] + 1:
            parts[-1].append(each)
        else:
            parts.append([each])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
