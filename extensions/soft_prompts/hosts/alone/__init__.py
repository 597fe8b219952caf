"""`Alone(folder, load).start()`: the host of a panel that stands alone, without a webui; see `hosts.protocol.Host`.

The model is loaded beside, and the panel is there before it. torch-free until it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ...fingerprint import Described
from ...library import Library
from ...shelf import Shelf
from ...tags import tag_for
from ...watch import Watch
from ..catalogue import Catalogue, Judges
from ..pinned import placed
from ..protocol import EVERYWHERE, Health, Pin, Request, Room, Row, Scope, Verdict
from ..report import report
from ..settings import NAME, Settings
from .lending import Lending, Trying
from .model import Load, Model
from .writing import LENGTH, OFF, prepared, untagged

__all__ = ["Alone"]

_PACKAGES = ("torch", "transformers", "gradio", "numpy", "watchdog")


class Alone:
    """model: what the writer calls it; load: loads it; words: names it to a process of its own, as ["--model", ...]."""

    forbids = ""
    """All files are the writer's own."""

    def __init__(self, folder: str | Path, load: Load, model: str = "storyteller", words: Sequence[str] = ()) -> None:
        self._folder = Path(folder)
        self._name = "The storyteller" if model == "storyteller" else f"The model {model}"
        self._library = Library(self._folder, ignore=(NAME,))
        self._settings = Settings(self._folder / NAME)
        self._model = Model(load, self._library)
        self._watch = Watch(self._library)
        self._catalogue = Catalogue(self._library, lambda: self.folder, self._serving)
        self._last = Request()
        self._shows: list[Callable[[str], None]] = []
        self.shelf = Shelf(self._library)
        self.tries = Trying(self._model, self)
        self.lends = Lending(self._model, words)

    def start(self) -> Alone:
        """Begin to load the model and to watch the folder."""
        self._model.start()
        self._watch.start()
        return self

    def close(self) -> None:
        """End it; the model is then as it was loaded."""
        self._watch.close()
        self._model.close()

    # ---- what there is

    @property
    def folder(self) -> str:
        """As the writer named it."""
        return str(self._folder)

    @property
    def revision(self) -> str:
        """Changes with the files, the model, the settings and the requests."""
        on = self.on  # looks at the settings' file, which may have been changed by hand
        counts = self._library.revision, self._model.revision, self._settings.revision, self._last.when
        return f"{counts}.{on}.{self.others()}"

    @property
    def on(self) -> bool:
        """The master switch."""
        return self._settings.choices.on

    def switch(self, on: bool) -> None:
        """Turn all soft prompts on or off, and remember it."""
        self._settings.switch(on)

    def health(self, *values: Any) -> Health:
        """Whether tags work now, and why not."""
        details = tuple(self._details())
        if not self.on:
            return Health("off", "Soft prompts are switched off: tags are left out of what the model reads.", details)
        if self._model.loading:
            return Health("waiting", f"{self._name} is being loaded. Look around meanwhile; tags work then.", details)
        if self._model.problem:
            return Health("cannot", f"Tags do not work now: {self._model.problem}", details)
        room = self.room()
        usable = sum(row.usable and not room.lacks(row.tokens) for row in self.rows())
        many = "1 soft prompt is" if usable == 1 else f"{usable or 'No'} soft prompts are"
        words = f"Tags work. {many} ready for it." if self.rows() else "Tags work. The library is empty yet."
        return Health("ready", f"{self._name} is loaded. {words}", details)

    def report(self) -> str:
        """Plain text for a bug report."""
        return report(self.health(), self._last, _PACKAGES)

    def _details(self) -> Iterator[str]:
        yield f"folder: {self.folder} ({self._watch.kind}), {len(self._library.entries())} files"
        if self._watch.reason:
            yield f"new files are looked for: {self._catalogue.words(self._watch.reason)}"
        if self._model.served is not None:
            yield f"model: {self._model.served.called}, passed its self-test"
        if self._settings.problem:
            yield self._settings.problem

    # ---- the library

    def rows(self) -> Sequence[Row]:
        """Every file, by name, and whether it fits the model."""
        return self._catalogue.rows()

    def fits(self, found: Described) -> tuple[Verdict, str]:
        """Whether what is not in the library yet would fit the model."""
        return self._catalogue.fits(found)

    def others(self) -> Sequence[str]:
        """Names of files in the folder that are no soft prompts."""
        return self._catalogue.others()

    def make(self, name: str, text: str) -> Row:
        """A prompt from a sentence."""
        return self._catalogue.make(name, text)

    def bake(self, name: str) -> Row:
        """The vectors of a text on this model, as a file beside it."""
        return self._catalogue.bake(name, self._model.there().baked)

    def _serving(self) -> tuple[int, Judges | None]:
        return self._model.revision, self._model.served

    # ---- pins

    def context(self) -> Sequence[Any]:
        """There is nothing around the panel that a pin could be for."""
        return ()

    def scopes(self, *values: Any) -> Sequence[Scope]:
        """One text box, one scope."""
        return (EVERYWHERE,)

    def pins(self, scope: str) -> Sequence[Pin]:
        """What is pinned there."""
        return self._settings.choices.pins.get(scope, ())

    def left_out(self, scope: str, name: str, *values: Any) -> str:
        """Why a pin would be left out of a text now."""
        served, pins, room = self._model.served, self.pins(scope), self.room()
        if served is None:
            return ""
        uses = placed(pins, served.place, room.context - room.reply if room.context else None)[1]
        problems = {pin.name: use.problem for pin, use in zip(pins, uses, strict=True)}
        return self._catalogue.words(problems.get(name, ""))

    def room(self, *values: Any) -> Room:
        """What the model reads, less what it writes."""
        return Room(self._model.served.context, LENGTH) if self._model.served else Room()

    def pin(self, scope: str, name: str, strength: float = 1.0) -> None:
        """Pin it; raises UnknownPrompt for a name that the library lacks."""
        self._library[name]
        self._settings.pin(scope, Pin(name, strength))

    def unpin(self, scope: str, name: str) -> None:
        """Take the pin away."""
        self._settings.unpin(scope, name)

    # ---- writing

    def write(self, text: str, *, tokens: int = LENGTH, seed: int = 0, temperature: float = 0.7) -> Iterator[str]:
        """What the model writes next, piece by piece; an empty piece while it is waited for. Closing it ends it."""
        for _ in self._model.waited():
            yield ""
        served = self._model.there()
        room = Room(served.context, tokens)
        if self.on:
            ids, request = prepared(served, text, self.pins(EVERYWHERE.key), room)
        else:
            ids, request = untagged(served, text, room)
        self._keep(request)
        yield from served.onwards(ids, tokens, seed, temperature, self._model.turns)

    def last_request(self) -> Request:
        """What became of the tags of the last text."""
        return self._last

    def on_warning(self, show: Callable[[str], None]) -> None:
        """`show` is called with every warning."""
        self._shows.append(show)

    def _keep(self, request: Request) -> None:
        self._last = request
        for use in request.uses:
            if use.problem and use.problem != OFF:
                for show in self._shows:
                    show(f"{use.tag}: {self._catalogue.words(use.problem)}")

    def resembles(self, name: str) -> Sequence[str]:
        """For each vector the token it is nearest to; raises SoftPromptError for what does not fit."""
        return self._model.there().resembles(tag_for(name))
