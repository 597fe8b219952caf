"""`StartFile(folder, "model.gguf").keep(sidecar)`: what llama-server gets where the webui itself starts it; torch-free.

A flag in the webui's settings of one model names this file, so it stays in its place and only its content changes.
Beside it stands what it holds. `prepare` makes it for `install.py webui`, before there is a flag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...container import write_atomically
from ...library import Library
from ...resolve import Resolver
from ...slots import Slots
from ...tags import Tag, parse, tag_for
from ..llamacpp.model import GgufModel
from ..llamacpp.sidecar import Sidecar, Wanted, plan
from ..llamacpp.view import GgufView
from ..settings import NAME, Settings

FOLDER = ".llamacpp"
"""Where sidecars lie, in the library's folder; what begins with a dot is no soft prompt."""


@dataclass(frozen=True)
class Note:
    """digest: of the sidecar, see there; content: of the file's bytes; tags: of what it holds, in their order."""

    digest: str
    content: str
    tags: tuple[str, ...]

    @property
    def means(self) -> list[Tag]:
        """The tags, read."""
        return [tag for text in self.tags for tag in parse(text) if isinstance(tag, Tag)]


class StartFile:
    """folder: the library's; name: of the model's file."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / FOLDER / "start" / name
        self._note = self.path.with_name(f"{name}.json")

    def keep(self, sidecar: Sidecar, content: bytes) -> None:
        """From now on the webui's own start has this; raises InvalidFile where it cannot be written."""
        write_atomically(self.path, content)
        told = {"digest": sidecar.digest, "content": _digest(content), "tags": sidecar.tags}
        write_atomically(self._note, json.dumps(told, indent=1).encode())

    def note(self) -> Note | None:
        """What the file holds; None where it is not the one that was kept."""
        try:
            told = json.loads(self._note.read_text("utf-8"))
            found = Note(str(told["digest"]), str(told["content"]), tuple(map(str, told["tags"])))
            return found if _digest(self.path.read_bytes()) == found.content else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def adopted(self, model: GgufModel, library: Library) -> Sidecar | None:
        """The file as a sidecar, where model and library are as they were when it was kept."""
        note = self.note()
        if note is None:
            return None
        made = plan(model, wanted(model, library, note.means), self.path)
        return made.sidecar if made.digest == note.digest else None


def wanted(model: GgufModel, library: Library, tags: Iterable[Tag]) -> Sequence[Wanted]:
    """What these tags mean on this model, each once; those that mean nothing, or are their own words, left out."""
    slots = Resolver(GgufView(model), Slots(model.width), library).fitting(tags)
    found = {slot.key: Wanted(slot.key, slot.vectors, str(slot.tag)) for slot in slots}
    return list(found.values())


def prepare(model: str, folder: str) -> tuple[str, str]:
    """(flag, file): the start file of a model, of what was in it, what is pinned, and all of the library that fits.

    Raises SoftPromptError where this model cannot be served.
    """
    library = Library(folder, ignore=(NAME,))
    pins = Settings(library.folder / NAME).choices.pins
    pinned = [tag_for(pin.name, pin.strength) for each in pins.values() for pin in each]
    file, start = GgufModel.open(model), StartFile(library.folder, Path(model).name)
    note = start.note()
    tags = [*(note.means if note else ()), *pinned, *map(tag_for, library)]
    made = plan(file, wanted(file, library, tags), start.path)
    start.keep(made.sidecar, made.content())
    word, path = made.sidecar.flags
    return word, path


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
