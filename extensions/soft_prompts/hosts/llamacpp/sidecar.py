"""`make(model, wanted, folder)`: the file that llama.cpp is started with, and where in it each soft prompt stands."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...container import write_atomically
from ...errors import UnsupportedModel
from .lora import lora_bytes
from .mmproj import PATCHES, mmproj_bytes, patch_for, room_of, side_for
from .model import GgufModel
from .spare import spare_rows

VERSION = 1
"""Of what is written: another one makes every kept sidecar stale."""

PROBE = 2
"""Rows that a sidecar keeps for trying it out: they stand for two ordinary tokens."""

_WORDS = 4096
"""Of the vocabulary's first words, which are the most frequent ones in most: what a model knows well."""

FEWEST = 16 + PROBE
"""Spare rows below which a model is served by the other way."""

KEPT = 4
"""Sidecars that stay in their folder; the one used longest ago goes."""

Way = Literal["lora", "mmproj"]
Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Wanted:
    """A soft prompt at a strength, as a Slot has them: key and vectors, (tokens, width); tag: how it is called."""

    key: Hashable
    vectors: Vectors
    tag: str = ""


@dataclass(frozen=True)
class Route:
    """How a model gets soft prompts. room: vectors, the probe's left out; why: of the other way, in words."""

    way: Way
    rows: tuple[int, ...]
    room: int
    why: str


@dataclass(frozen=True)
class Sidecar:
    """places: key -> row of the vocabulary ("lora") or of the projector's table ("mmproj") for each vector.

    probe: the same for the ordinary tokens `told`; banned: rows that must never be written; side and patch: of images.
    tags: of the places, in their order; digest: of the model and all of the vectors.
    """

    path: Path
    way: Way
    places: Mapping[Hashable, tuple[int, ...]]
    probe: tuple[int, ...]
    told: tuple[int, ...]
    banned: tuple[int, ...]
    side: int = 1
    patch: int = PATCHES[0]
    tags: tuple[str, ...] = ()
    digest: str = ""

    @property
    def flags(self) -> list[str]:
        """What llama-server is started with."""
        return ["--lora" if self.way == "lora" else "--mmproj", str(self.path)]


def route_of(model: GgufModel) -> Route:
    """How this model can be served; raises UnsupportedModel, with the reason and what would help."""
    rows = spare_rows(model)
    if not model.tied and len(rows) >= FEWEST:
        return Route("lora", rows, len(rows) - PROBE, f"{len(rows)} rows of its vocabulary are spare")
    why = (
        "its embeddings are its output as well, and llama.cpp takes no adapter for these"
        if model.tied
        else f"only {len(rows)} rows of its vocabulary are spare"
    )
    if _takes_images(model):
        return Route("mmproj", (), room_of(PATCHES[-1]) - PROBE, why)
    raise UnsupportedModel(
        f"{model.name} cannot be given soft prompts in llama.cpp: {why}, and models of the architecture "
        f"'{model.architecture}' take no projector; load its original with the Transformers loader"
    )


@dataclass(frozen=True)
class Plan:
    """A sidecar before it is written: where each prompt stands, and `content()`, which takes seconds to make."""

    sidecar: Sidecar
    content: Callable[[], bytes]

    @property
    def digest(self) -> str:
        """Another one, another content."""
        return self.sidecar.digest


def plan(model: GgufModel, wanted: Sequence[Wanted], path: Path = Path()) -> Plan:
    """What has no room is left out, the last ones first; the same model and the same prompts give the same content.

    Raises UnsupportedModel.
    """
    route = route_of(model)
    taken = _fitting(wanted, route.room)
    told = _ordinary(model, taken)
    vectors = np.concatenate([model.embed(told), *(each.vectors for each in taken)])
    lora = route.way == "lora"
    rows = route.rows[: len(vectors)] if lora else tuple(range(len(vectors)))
    side = side_for([len(each.vectors) for each in taken]) if taken and not lora else 1
    places: dict[Hashable, tuple[int, ...]] = {}
    start = PROBE
    for each in taken:
        places[each.key] = rows[start : start + len(each.vectors)]
        start += len(each.vectors)
    sidecar = Sidecar(
        path,
        route.way,
        places,
        rows[:PROBE],
        told,
        rows if lora else (),
        side,
        patch_for(len(vectors)) or PATCHES[0],
        tuple(each.tag for each in taken),
        _digest(model, route.way, side, vectors),
    )

    def content() -> bytes:
        return lora_bytes(model, dict(zip(rows, vectors, strict=True))) if lora else mmproj_bytes(model, vectors, side)

    return Plan(sidecar, content)


def make(model: GgufModel, wanted: Sequence[Wanted], folder: Path) -> Sidecar:
    """As planned, written into `folder` or found there; raises UnsupportedModel, and InvalidFile where it cannot be."""
    planned = plan(model, wanted)
    path = folder / f"{planned.digest}.gguf"
    if not path.exists():
        write_atomically(path, planned.content())
    path.touch()
    _tidy(folder, path)
    return replace(planned.sidecar, path=path)


def _fitting(wanted: Sequence[Wanted], room: int) -> list[Wanted]:
    """Those that have room, the first ones first; one that is too long does not keep a shorter one out."""
    taken = []
    for each in wanted:
        if len(each.vectors) <= room:
            taken.append(each)
            room -= len(each.vectors)
    return taken


def _ordinary(model: GgufModel, taken: Sequence[Wanted]) -> tuple[int, ...]:
    """Two tokens that are plain words: the same ones for the same prompts, and others for others.

    So a server with another sidecar of this model fails its trial, which a pair for all would pass.
    """
    # Whole words of ASCII: half a character, which may be a token as well, is nothing that a server says.
    bare = [text.strip("▁Ġ") for text in model.tokens]
    words = [
        each
        for each, text in enumerate(bare)
        if model.kinds[each] == 1 and len(text) > 1 and text.isascii() and text.isalpha()
    ][:_WORDS]
    words = words or [each for each, kind in enumerate(model.kinds) if kind == 1]
    if len(words) < PROBE:
        raise UnsupportedModel(f"{model.name} has no ordinary tokens in its vocabulary: is this the right file?")
    content = hashlib.sha256(b"".join(each.vectors.tobytes() for each in taken))
    number, half = int.from_bytes(content.digest()[:8], "big"), len(words) // 2
    return words[number % half], words[half + number // half % (len(words) - half)]


def _takes_images(model: GgufModel) -> bool:
    # Each layer of these reads the ids anew, besides the embeddings.
    return model.architecture not in ("gemma3n",)


def _digest(model: GgufModel, way: Way, side: int, vectors: Vectors) -> str:
    content = hashlib.sha256(json.dumps([VERSION, way, side, model.identity, vectors.shape]).encode())
    content.update(vectors.tobytes())
    return content.hexdigest()[:32]


def _tidy(folder: Path, newest: Path) -> None:
    """Let go of what was used longest ago; a file that is in use on Windows stays until the next time."""
    found = sorted(folder.glob("*.gguf"), key=lambda each: os.stat(each).st_mtime, reverse=True)
    for each in [each for each in found if each != newest][KEPT - 1 :]:
        with contextlib.suppress(OSError):
            each.unlink()
