"""`Client("model.gguf", sidecar, address).complete("The sky, <<sp:noir>>")`: a bare llama-server, with tags."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ...errors import SoftPromptError
from ...library import Library
from ...prompt import SoftPrompt
from ...resolve import Resolver
from ...slots import Slot, Slots
from ...tags import Tag, parse, tag_for
from .model import GgufModel
from .probe import probe
from .server import Server
from .sidecar import Sidecar, Wanted, make
from .text import Text
from .view import GgufView
from .wire import Wire


class Client:
    """`Client("model.gguf", "soft_prompts/")`, then `start` a llama-server with `flags`, then `complete`.

    model: the GGUF that the server runs. library: a folder or a Library; prompts: soft prompts by name besides these.
    address and key: of the server. folder: where the sidecar is written, by default `.llamacpp` in the library.
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
    ) -> None:
        self.model = model if isinstance(model, GgufModel) else GgufModel.open(Path(model))
        self.library = Library(library) if isinstance(library, (str, os.PathLike)) else library
        self.server = Server(address, key)
        self.slots = Slots(self.model.width)
        self.view = GgufView(self.model, lambda text: self.text.seams.inner(text))
        self.resolver = Resolver(self.view, self.slots, self.library, prompts, allow_strangers)
        self.text = Text(self.server.post, self.resolver, self.slots)
        self.wire = Wire(self.slots, self.text, self.resolver.words)
        self.sidecar: Sidecar | None = None
        self._folder = folder
        self._media = ""
        self._names = [prompt.name for prompt in prompts]

    def prepare(self, tags: Iterable[str | Tag] = ()) -> Sidecar:
        """Write the sidecar for these tags, or for all that fits in the library; start the server with its flags."""
        wanted = [self._wanted(each) for each in tags] or [self._wanted(tag_for(name)) for name in self._all()]
        self.sidecar = make(self.model, [Wanted(slot.key, slot.vectors) for slot in wanted], self.folder)
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
        self._media = str(self.server.get("/props").get("media_marker", "<__media__>"))
        return probe(self.server.post, self.sidecar, self._media)

    def complete(self, prompt: str, **options: Any) -> str:
        """The text that follows; options are those of llama-server's /completion, as n_predict and temperature."""
        return str(self.server.post("/completion", self.request(prompt, options))["content"])

    def stream(self, prompt: str, **options: Any) -> Iterator[str]:
        """The same in parts, as they are written."""
        for part in self.server.stream("/completion", self.request(prompt, options)):
            yield str(part.get("content", ""))

    def request(self, prompt: str, options: dict[str, Any]) -> dict[str, Any]:
        """What is sent; raises UnknownPrompt and its like for a tag, and SoftPromptError for one with no room."""
        sidecar = self.sidecar or self.prepare()
        asked = {**options, "prompt": self.text.encode(prompt).ids}
        lacking = [slot.tag for slot in self.wire.needed(asked["prompt"]) if slot.key not in sidecar.places]
        if lacking:
            raise SoftPromptError(
                f"the server was started without {', '.join(map(str, lacking))}: prepare([...]) with all tags that you "
                "use, and start it again"
            )
        if not self._media:
            self.check()
        return self.wire.payload(asked, sidecar, self._media)

    def _all(self) -> list[str]:
        """Names of all that fits."""
        found = list(self._names)
        for name in self.library or ():
            try:
                self.resolver.place(tag_for(name))
            except SoftPromptError:
                continue
            found.append(name)
        return found

    def _wanted(self, tag: str | Tag) -> Slot:
        if isinstance(tag, str):
            piece = next(iter(parse(tag)), None)
            tag = piece if isinstance(piece, Tag) else tag_for(tag)
        return self.resolver.place(tag)
