"""`Stock(...).ensure(needed, rest)`: what the webui's llama-server has of soft prompts, and how it comes to more.

A server takes them at its start only. So it is started anew where something is missing, with as much of the library as
has room, while all others wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...errors import SoftPromptError, UnsupportedModel
from ...library import Library
from ...slots import Slot
from ...tags import Tag, tag_for
from ..llamacpp.model import GgufModel
from ..llamacpp.probe import probe
from ..llamacpp.sidecar import Route, Sidecar, Wanted, make, route_of
from .deploy.flagging import apart
from .gate import Gate
from .llama_kept import FOLDER, wanted
from .llama_start import Starts

log = logging.getLogger("textgen")

_PER_SECOND = 500 << 20
"""Bytes of a model that a start reads in a second, where none was measured yet."""


class Stock:
    """Mutates the server of `model`: starts it anew. told: is told before it does.

    refused: why no tag is served any more: the server was tried, and did not do what it should.
    """

    def __init__(
        self,
        model: Any,
        file: GgufModel,
        route: Route,
        starts: Starts,
        gate: Gate,
        folder: Path,
        told: Callable[[str], None],
    ) -> None:
        self.refused = ""
        self._model, self._file, self._route = model, file, route
        self._starts, self._gate, self._folder, self._told = starts, gate, folder, told
        self._lock = threading.RLock()
        self._seconds = file.path.stat().st_size / _PER_SECOND + 2

    @property
    def sidecar(self) -> Sidecar | None:
        """What the server has now."""
        return self._starts.sidecar(self._model)

    def begin(self) -> None:
        """Try out what the server came up with; where that fails, it is started without.

        What is adopted was not seen to be started with: another content is no fault, and the first need starts anew.
        """
        try:
            self._try()
        except SoftPromptError as problem:
            if self._starts.disown(self._model):
                return log.info("soft prompts: what the webui started llama.cpp with is not used: %s", problem)
            self.refused = str(problem)
            self._starts.start(self._model, None)

    def ensure(self, needed: Sequence[Slot], rest: Callable[[], Iterable[Slot]]) -> None:
        """Make sure that the server has these; else it is started anew, once for all that wait.

        rest: what else is put in as far as it fits, the most wanted first. Raises SoftPromptError, and the server goes
        on without.
        """
        if not self._lacking(needed):
            return
        with self._lock:
            if self.refused:
                raise UnsupportedModel(self.refused)
            if lacking := self._lacking(needed):
                self._restart(needed, rest, ", ".join(str(slot.tag) for slot in lacking))

    def _lacking(self, needed: Sequence[Slot]) -> list[Slot]:
        sidecar = self.sidecar
        return [slot for slot in needed if sidecar is None or slot.key not in sidecar.places]

    def _restart(self, needed: Sequence[Slot], rest: Callable[[], Iterable[Slot]], tags: str) -> None:
        wanted = {slot.key: Wanted(slot.key, slot.vectors, str(slot.tag)) for slot in [*needed, *rest()]}
        sidecar = make(self._file, list(wanted.values()), self._folder)
        if lacking := [slot.tag for slot in needed if slot.key not in sidecar.places]:
            raise UnsupportedModel(
                f"{', '.join(map(str, lacking))}: together they need more than the {self._route.room} vectors that "
                f"this model has room for with llama.cpp ({self._route.why}): use fewer in one text"
            )
        self._told(f"llama.cpp is started once more, so that it has {tags} (about {max(1, round(self._seconds))} s)")
        began = time.monotonic()
        with self._gate.alone():
            try:
                self._starts.start(self._model, sidecar)
                if self.sidecar is None:  # else our ids would be sent to a server that knows none of them
                    raise UnsupportedModel("llama.cpp was started, and nobody saw that it was with soft prompts")
                self._try()
            except SoftPromptError as problem:
                self.refused = str(problem)
                if self.sidecar is not None:
                    self._starts.start(self._model, None)
                raise
        self._seconds = time.monotonic() - began
        log.info("soft prompts: llama.cpp has %d soft prompts now, after %.1f s", len(sidecar.places), self._seconds)

    def _try(self) -> None:
        """Raises UnsupportedModel where the server does not do with its sidecar what it should."""
        if self.sidecar is not None:
            probe(self._ask, self.sidecar, self._model.media_marker)

    def _ask(self, path: str, asked: Mapping[str, Any]) -> Any:
        """Past all that stands in front of the session: that waits until nobody is alone."""
        post = type(self._model.session).post
        return post(self._model.session, f"http://127.0.0.1:{self._model.port}{path}", json=dict(asked)).json()


def examined(model: Any, args: Any) -> tuple[GgufModel, Route]:
    """The file of a model of the webui, and how it can be served; raises SoftPromptError where it cannot."""
    if getattr(args, "ik", False):
        raise UnsupportedModel(
            "ik_llama.cpp (--ik) has not been tried with soft prompts: load the model with the llama.cpp loader itself"
        )
    file = GgufModel.open(Path(model.model_path))
    route, flags = route_of(file), apart(getattr(args, "extra_flags", None))[0]
    taken = getattr(args, "mmproj", None) not in (None, "None") or "mmproj" in flags
    if route.way == "mmproj" and taken:
        raise UnsupportedModel(
            f"this model takes soft prompts in the place of a projector ({route.why}), and that place is taken by your "
            "mmproj: load the model without it, and tags work"
        )
    return file, route


def planned(model: Any, args: Any, library: Library, favourites: Sequence[Tag]) -> Sidecar:
    """The sidecar for a model that is about to be started, of all that needs no tokenizer; raises SoftPromptError."""
    file, _ = examined(model, args)
    library.refresh()
    found = wanted(file, library, [*favourites, *map(tag_for, library)])
    if not found:
        raise SoftPromptError("the library holds none for this model")
    return make(file, found, library.folder / FOLDER)
