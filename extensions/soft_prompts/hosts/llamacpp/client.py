"""`Client("model.gguf", sidecar, address).complete("The sky, <<sp:noir>>")`: a bare llama-server, with tags."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ...errors import SoftPromptError, UnsupportedModel
from ...library import Library
from ...prompt import SoftPrompt
from ...resolve import Resolver
from ...slots import Slots
from ...tags import Tag, parse, tag_for
from ..protocol import Piece
from .model import GgufModel
from .probe import probe
from .server import Gone, Refused, Server
from .sidecar import Sidecar, Wanted, make
from .text import Text
from .trial import Likely, answered, check_length, ends_of, question, trial
from .view import GgufView
from .wire import Wire, anew


class Client:
    """`Client("model.gguf", "soft_prompts/")`, then `start` a llama-server with `flags`, then `complete`.

    model: the GGUF that the server runs. library: a folder or a Library; prompts: soft prompts by name besides these.
    address and key: of the server. folder: where the sidecar is written, by default `.llamacpp` in the library.
    wait: seconds to wait for a server that is not there yet, as while it is started again.
    """

    def __init__(
        self,
        model: GgufModel | str | os.PathLike[str],
        library: Library | str | os.PathLike[str] | None = None,
        *,
        prompts: Iterable[SoftPrompt] = (),
        address: str = "http://127.0.0.1:8080",
        key: str = "",
        folder: str | os.PathLike[str] | None = None,
        allow_strangers: bool = False,
        wait: float = 0.0,
    ) -> None:
        self.model = model if isinstance(model, GgufModel) else GgufModel.open(Path(model))
        self.library = Library(library) if isinstance(library, (str, os.PathLike)) else library
        self.server = Server(address, key, wait)
        self.slots = Slots(self.model.width)
        self.view = GgufView(self.model, lambda text: self.text.seams.inner(text))
        self.resolver = Resolver(self.view, self.slots, self.library, prompts, allow_strangers)
        self.text = Text(self.server.post, self.resolver, self.slots)
        self.wire = Wire(self.slots, self.text, self.resolver.words)
        self.sidecar: Sidecar | None = None
        self._folder = folder
        self._names = [prompt.name for prompt in prompts]
        self._checked = ""
        """What the server that was tried last calls the place of an image: another word with each start."""

    def prepare(self, tags: Iterable[str | Tag] = ()) -> Sidecar:
        """Write the sidecar for these tags, or for all that fits in the library; start the server with its flags.

        A text needs no place in it: its words are sent.
        """
        chosen = [_tag(each) for each in tags]
        slots = [self.resolver.place(tag) for tag in chosen if not self.resolver.is_text(tag)]
        if not chosen:
            slots = list(self.resolver.fitting(map(tag_for, [*self._names, *(self.library or ())])))
        self.sidecar = make(self.model, [Wanted(slot.key, slot.vectors) for slot in slots], self.folder)
        self._checked = ""
        return self.sidecar

    @property
    def folder(self) -> Path:
        """Where sidecars are written."""
        if self._folder is not None:
            return Path(self._folder)
        return (self.library.folder if self.library is not None else Path()) / ".llamacpp"

    def check(self) -> float:
        """Try the running server out, see probe.py; raises UnsupportedModel where it does not do what it should."""
        if self.sidecar is None:
            raise SoftPromptError("there is no sidecar yet: prepare() one, and start the server with its flags")
        media = self._media()
        try:
            found = probe(self.server.post, self.sidecar, media)
        except (UnsupportedModel, Refused) as problem:
            raise UnsupportedModel(
                f"{problem}. First see that it was started with {shlex.join(self.sidecar.flags)}"
            ) from problem
        self._checked = media
        return found

    def complete(self, prompt: str, **options: Any) -> str:
        """The text that follows; options are those of llama-server's /completion, as n_predict and temperature."""
        try:
            return self._complete(prompt, options)
        except Gone:
            if not self.server.wait:
                raise
            # It may come up with another sidecar: what is sent is made anew.
            return self._complete(prompt, options)

    def stream(self, prompt: str, **options: Any) -> Iterator[str]:
        """The same in parts, as they are written."""
        asked = self.request(prompt, options)
        parts = self.server.stream("/completion", asked)
        try:
            first = next(parts)
        except Refused as problem:
            parts = self.server.stream("/completion", self._again(asked, problem))
            first = next(parts)
        for part in chain([first], parts):
            yield str(part.get("content", ""))

    def request(self, prompt: str, options: dict[str, Any]) -> dict[str, Any]:
        """What is sent; raises UnknownPrompt and its like for a tag, and SoftPromptError for one with no room."""
        media = self._media()  # first: this waits for a server, and the text is read by it too
        return self._sent({**options, "prompt": self.text.encode(prompt).ids}, media)

    def trial(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        """(column 0 or 1, what it wrote next): two texts side by side, see trial.py. Raises as `request` does."""
        settings = self.server.get("/props").get("default_generation_settings", {})
        rows = [self.text.encode(each).ids for each in (left, right)]
        check_length(rows, tokens, settings.get("n_ctx"))
        options: dict[str, Any] = {"tokens": tokens, "seed": seed, "temperature": temperature}
        return trial(rows, self._likeliest, ends_of(self.model), **options)

    def _likeliest(self, ids: Sequence[int]) -> Sequence[Likely]:
        answer = self._answer(self._sent(question(ids), self._media()))
        return answered(answer, self.sidecar.banned if self.sidecar else ())

    def _sent(self, asked: dict[str, Any], media: str) -> dict[str, Any]:
        if needed := self.wire.needed(asked["prompt"]):
            sidecar = self.sidecar or self.prepare()
            if lacking := [slot.tag for slot in needed if slot.key not in sidecar.places]:
                raise SoftPromptError(
                    f"the server was started without {', '.join(map(str, lacking))}: prepare([...]) with all tags that "
                    "you use, and start it again"
                )
            if media != self._checked:
                self.check()
        return self.wire.payload(asked, self.sidecar, media)

    def _complete(self, prompt: str, options: dict[str, Any]) -> str:
        return str(self._answer(self.request(prompt, options))["content"])

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            found = self.server.post("/completion", asked)
        except Refused as problem:
            found = self.server.post("/completion", self._again(asked, problem))
        return dict(found)

    @staticmethod
    def _again(asked: dict[str, Any], problem: Refused) -> dict[str, Any]:
        if (again := anew(asked, str(problem))) is None:
            raise problem
        return again

    def _media(self) -> str:
        return str(self.server.get("/props").get("media_marker", "<__media__>"))


def _tag(tag: str | Tag) -> Tag:
    """Of a name, or of a tag as it is written."""
    if isinstance(tag, Tag):
        return tag
    piece = next(iter(parse(tag)), None)
    return piece if isinstance(piece, Tag) else tag_for(tag)
