"""`Desk(webui)`: what a panel and the API may ask of the webui's host; see `soft_prompts.hosts.protocol.Host`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...errors import SoftPromptError
from ...fingerprint import Described
from ...shelf import Shelf
from ..catalogue import Catalogue
from ..protocol import EVERYWHERE, Health, Pin, Request, Room, Row, Scope, Verdict
from ..report import report
from ..settings import scopes_of
from . import contract
from .chats import room_in
from .lending import Lending
from .trying import Trying

if TYPE_CHECKING:
    from .host import Webui
    from .serving import Serves

log = logging.getLogger("textgen")

_CONTEXT = ("character_menu", "unique_id", "mode", "truncation_length", "max_new_tokens")
"""Components of the webui's interface that say which character and chat a pin is for, and how long a prompt may be."""
_PACKAGES = ("torch", "transformers", "gguf", "gradio", "numpy", "watchdog")


class Desk:
    """Asks only; what it changes are the writer's settings and files."""

    def __init__(self, webui: Webui) -> None:
        self._webui = webui
        current = webui.current
        self._catalogue = Catalogue(webui.library, lambda: self.folder, lambda: (current.revision, current.served))
        self.words = self._catalogue.words
        self.shelf = Shelf(webui.library)
        self.tries = Trying(webui)
        self.lends = Lending(webui)
        self._places: dict[str, str] = {}

    @property
    def folder(self) -> str:
        """Where the files are dropped, as the writer knows it: from the webui's user_data on."""
        return "/".join(self._webui.folder.parts[-2:])

    @property
    def revision(self) -> str:
        """Changes with the listing, the model, the settings and the requests."""
        webui = self._webui
        return f"{self._listing()}.{webui.last.when}"

    @property
    def on(self) -> bool:
        """The master switch."""
        return self._webui.settings.choices.on

    def switch(self, on: bool) -> None:
        """Turn all soft prompts on or off, and remember it."""
        self._webui.current.switch(on)
        self._webui.settings.switch(on)
        self._webui.off_is_known = not on

    # ---- health

    def health(self, *values: Any) -> Health:
        """Whether tags work now, and why not."""
        current = self._webui.current
        details = tuple(self._details())
        if not self.on:
            return Health("off", "Soft prompts are switched off: tags are left out of what the model reads.", details)
        if current.reason:
            return Health("cannot", f"Tags do not work now: {current.reason}.", details)
        if current.served is None:
            return Health("waiting", f"No model is loaded. {_loaders()}", details)
        room = self.room(*values)
        usable = sum(row.usable and not room.lacks(row.tokens) for row in self.rows())
        many = "1 soft prompt is" if usable == 1 else f"{usable or 'No'} soft prompts are"
        words = (
            f"Tags work. {many} ready for the loaded model." if self.rows() else "Tags work. The library is empty yet."
        )
        return Health("ready", words, details)

    def report(self) -> str:
        """Plain text for a bug report: versions, health, the tags of the last request; no text of the writer's."""
        return report(self.health(), self._webui.last, _PACKAGES)

    def _details(self) -> list[str]:
        webui = self._webui
        commit = contract.commit(contract.root())
        known = f"tested, {contract.TESTED[commit]}" if commit in contract.TESTED else "not tested"
        losses = contract.problems(contract.WRAPPED, loaded_only=True)
        watching = webui.watch.kind
        return [
            f"webui: {commit[:7] or 'version unknown'} ({known})",
            f"loader: {webui.current.loader or 'none'}",
            *([f"model: {webui.current.served.kind}, {webui.current.served.tested}"] if webui.current.served else []),
            f"folder: {self.folder} ({watching}), {len(webui.library.entries())} files",
            *([f"new files are looked for: {webui.words(webui.watch.reason)}"] if webui.watch.reason else []),
            *([webui.settings.problem] if webui.settings.problem else []),
            *sorted({f"this webui is another than we know, so {contract.LOSSES[name]}" for name in losses}),
        ]

    # ---- the library

    def rows(self) -> Sequence[Row]:
        """Every file, by name, and whether it fits the loaded model."""
        return self._catalogue.rows()

    def fits(self, found: Described) -> tuple[Verdict, str]:
        """Whether what is not in the library yet would fit the model."""
        return self._catalogue.fits(found)

    def others(self) -> Sequence[str]:
        """Names of files in the folder that are no soft prompts."""
        return self._catalogue.others()

    def make(self, name: str, sentence: str) -> Row:
        """A text prompt, which any model can use as it is; raises SoftPromptError for a name or a text that is none."""
        return self._catalogue.make(name, sentence)

    def bake(self, name: str) -> Row:
        """A text's vectors on the loaded model, as a file beside it."""
        return self._catalogue.bake(name, self._served().baked)

    def resembles(self, name: str) -> Sequence[str]:
        """For each vector the token it is nearest to on the loaded model."""
        return self._served().resembles(name)

    @property
    def forbids(self) -> str:
        """With --multi-user the webui deletes and saves nothing; with a password alone its users may."""
        shared = bool(getattr(self._webui.shared.args, "multi_user", False))
        return "the webui runs with --multi-user, where nobody changes files" if shared else ""

    def _served(self) -> Serves:
        served = self._webui.current.served
        if served is None:
            why = self._webui.current.reason or "no model is loaded: load one in the Model tab"
            raise SoftPromptError(f"The model is asked for that, and {why}.")
        return served

    def _listing(self) -> str:
        webui = self._webui
        webui.settings.choices  # noqa: B018 - looks at the file, which may have been changed by hand
        return f"{webui.library.revision}.{webui.current.revision}.{webui.settings.revision}.{self.others()}"

    # ---- pins

    def context(self) -> Sequence[Any]:
        """The components of the webui's interface that `scopes` takes the values of."""
        components = getattr(self._webui.shared, "gradio", {})
        return [components[name] for name in _CONTEXT] if all(name in components for name in _CONTEXT) else []

    def scopes(self, *values: Any) -> Sequence[Scope]:
        """Everywhere, with the character and in the chat that the interface shows, or that was worked on last."""
        here = self._here(values)
        instruct = bool(values) and values[2] == "instruct"
        # Where something is pinned already, it can also be taken away.
        keys = [*here, *(key for key in self._webui.settings.choices.pins if key not in here)]
        return [Scope(key, self._label(key, here, instruct)) for key in keys]

    def _here(self, values: Sequence[Any]) -> list[str]:
        character, chat = values[:2] if values else self._webui.chats.context
        return scopes_of(character or "", chat or "")

    def _label(self, key: str, here: Sequence[str], instruct: bool) -> str:
        kind, _, name = key.partition(":")
        if kind == "character":
            return f"with {name}{' (not in instruct mode)' if instruct else ''}"
        if kind == "chat":
            return "in this chat" if key in here else f"in the chat {name}{self._partner(name)}"
        return EVERYWHERE.label

    def _partner(self, chat: str) -> str:
        """Whom a chat of another time was with, as the webui's logs are laid; they are asked once."""
        if chat not in self._places and not set(chat) & set("/\\"):
            logs = self._webui.folder.parent / "logs" / "chat"
            found = sorted(each.parent.name for each in logs.glob("*/*.json") if each.stem == chat)
            self._places[chat] = f" with {' and '.join(found)}" if found else ""
        return self._places.get(chat, "")

    def pins(self, scope: str) -> Sequence[Pin]:
        """What is pinned there."""
        return self._webui.settings.choices.pins.get(scope, ())

    def left_out(self, scope: str, name: str, *values: Any) -> str:
        """Why a pin would be left out of a prompt now; asked as the prompt asks, with what is pinned around it."""
        here, room = self._here(values), self.room(*values)
        around = here[: here.index(scope) + 1] if scope in here else [EVERYWHERE.key, scope]
        pins = self._webui.settings.pins(around)
        uses = self._webui.pins(around, room.context - room.reply if room.context else None)[1]
        problems = {pin.name: use.problem for pin, use in zip(pins, uses, strict=False)}
        return self._webui.words(problems.get(name, ""))

    def room(self, *values: Any) -> Room:
        """What the interface allows a prompt, or without one the webui's settings."""
        given = dict(zip(_CONTEXT, values, strict=False)) or self._webui.shared.settings
        return room_in(given)

    def pin(self, scope: str, name: str, strength: float = 1.0) -> None:
        """Pin it; raises UnknownPrompt for a name that the library lacks."""
        self._webui.library[name]
        self._webui.settings.pin(scope, Pin(name, strength))

    def unpin(self, scope: str, name: str) -> None:
        """Take the pin away."""
        self._webui.settings.unpin(scope, name)

    def last_request(self) -> Request:
        """What became of the tags of the last request."""
        return self._webui.last

    def on_warning(self, show: Callable[[str], None]) -> None:
        """`show` is called with every warning."""
        self._webui.on_warning(show)


def _loaders() -> str:
    """With what a model can be loaded here so that tags work, in words."""
    whole = all(map(_installed, ("torch", "transformers")))
    if _installed("gguf"):
        others = "with the llama.cpp or the Transformers loader" if whole else "with the llama.cpp loader"
        return f"Load one {others}, and tags work."
    why = (
        "for GGUF models with the llama.cpp loader the package gguf is missing: run install.py webui again, or "
        "pip install gguf in the webui's own Python"
    )
    return (
        f"Load one with the Transformers loader, and tags work ({why})." if whole else f"Tags cannot work yet: {why}."
    )


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except (ImportError, ValueError):  # half an installation
        return False
