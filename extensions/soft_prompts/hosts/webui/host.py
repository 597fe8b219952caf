"""`webui()`: the one host of this process, which the hooks in `soft_prompts.script` call; torch-free.

State lives here and not in the script, which the webui executes anew at each "Apply flags/extensions and restart".
"""

from __future__ import annotations

import html
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ...errors import SoftPromptError
from ...library import Library
from ...tags import Tag, has_tags, tag_for
from ...watch import Watch
from ..outcome import cut, elsewhere, lookalikes, outcome
from ..pinned import placed
from ..plain import tags_of
from ..protocol import EVERYWHERE, Request, Use
from ..settings import NAME, Settings
from . import contract
from .chats import CONTINUED, LOST, Chats, limit_of, room_in, scopes_in
from .desk import Desk
from .following import Following
from .loaders import SWITCHED_OFF, Current
from .patches import Patches
from .start_flag import give_back
from .written import Written

log = logging.getLogger("textgen")


class Webui:
    """What the hooks call. Mutates the webui, from `start()` to `stop()`."""

    def __init__(self, shared: Any) -> None:
        self.shared = shared
        self.folder = Path(shared.user_data_dir) / "soft_prompts"
        self.library = Library(self.folder, ignore=(NAME,))
        self.settings = Settings(self.folder / NAME)
        self.current = Current(shared, self.library, self, lambda text: self.written.as_text(text))
        self.written = Written()
        self.chats = Chats(self.written, lambda: str(getattr(shared, "default_settings", {}).get("character") or ""))
        self.watch = Watch(self.library)
        self.desk = Desk(self)
        self.last = Request()
        self.off_is_known = False
        """Whether the writer knows that soft prompts are off: whoever has switched them off needs no warning of it."""
        self.started = False
        self._show: Callable[[str], None] | None = None
        self._params: dict[str, Any] = {}
        self._following = Following(shared, self._changed)
        self._patches = Patches(self)
        self._heard: list[logging.Handler] = []

    # ---- coming and going

    def start(self, params: dict[str, Any]) -> None:
        """Follow the webui's models and the folder; again, it only looks what is new. params: the extension's own."""
        self._params = params
        if problems := contract.problems(contract.NEEDED):
            raise ImportError(f"this webui is not as soft prompts know it: {'; '.join(problems.values())}")
        if not self.started:
            self._hear()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as problem:
                log.warning("soft prompts: the folder %s cannot be made: %s", self.folder, problem.strerror)
            self.current.flag.claim()
            self._following.start()
            self.watch = Watch(self.library).start()
            self.current.switch(self.settings.choices.on)
            self.started = True
        self._patches.serve_api()
        self.current.expect()
        self._changed("model")
        self.current.mend()
        log.info("soft prompts: %s", self.desk.health().line)

    def stop(self) -> None:
        """Undo all of it."""
        self.started = False
        self._following.stop()
        self.watch.close()
        self._patches.remove()
        self.current.close()
        for handler in self._heard:
            logging.getLogger("soft_prompts").removeHandler(handler)

    def _hear(self) -> None:
        """What the package logs goes where the webui logs: it silences the root, and with it every other logger."""
        ours = logging.getLogger("soft_prompts")
        self._heard = [handler for handler in log.handlers if handler not in ours.handlers]
        for handler in self._heard:
            ours.addHandler(handler)

    def _changed(self, name: str) -> None:
        """One of the names that are followed was assigned in the webui's `shared`."""
        if name == "user_config":
            return self.current.flag.saved()
        if name == "input_elements":
            if not self._enabled():
                log.info("soft prompts: the extension is switched off, and the webui is as it was")
                self.stop()
                return give_back(self.folder.parent)
            return self._patches.serve_api()
        self.current.follow()
        if self.current.loader:
            self._patches.install()

    def _enabled(self) -> bool:
        """Whether the webui has loaded this extension into the interface that it is building."""
        loaded = [each[2] for each in contract.extensions_state().values()]
        return any(getattr(each, "params", None) is self._params for each in loaded)

    # ---- what the webui's hooks ask

    def tokenized_length(self, prompt: str) -> int | None:
        """The tokens of a prompt with its pins; None: nothing of ours is in it, count for yourself."""
        chat = self.chats.of(prompt)
        pins = self.pins(chat.scopes, chat.limit)[0] if chat else self.pins(None, None)[0]
        hidden = chat is not None and bool(chat.shelter)
        if not hidden and not pins:
            return None
        return len(pins) + len(contract.encode(chat.shelter.show(prompt) if chat else prompt)[0])

    def arranged(self, state: dict[str, Any], prompt: str, ids: Any) -> Any:
        """The ids that the model shall read in place of those which the webui has encoded and cut."""
        prompt = self.written.as_text(prompt)
        served = self.current.answers
        negative = str(state.get("negative_prompt") or "")
        if served is None:
            self.left_out(prompt + negative, ids.shape[-1])
            return ids
        limit = limit_of(state)
        pins, pinned = self.pins(scopes_in(state), limit)
        if pins or has_tags(prompt):
            bos = state.get("add_bos_token", True)
            new = served.arranged(ids, lambda: contract.encode(prompt, add_bos_token=bos), pins, limit or 0)
            if new.shape != ids.shape and state.get("auto_max_new_tokens"):
                new = served.allow(new, state["truncation_length"] - new.shape[-1])
            ids = new
        self.note(prompt, ids, pinned, state)
        return ids

    def answered(self, reply: str, state: dict[str, Any], is_chat: bool) -> None:
        """A reply is complete: its tags are text, as long as the writer leaves it as it is."""
        if "sp:" not in reply:
            return
        # A chat shows its replies as HTML, and what was continued with them.
        reply = html.unescape(reply) if is_chat else reply
        self.written.remember(reply.removeprefix(state.get(CONTINUED) or ""))

    def pins(self, scopes: Sequence[str] | None, limit: int | None) -> tuple[list[int], tuple[Use, ...]]:
        """(placeholder ids, what became of each pin) for a prompt of at most `limit` tokens."""
        served = self.current.answers
        if served is None:
            return [], ()
        return placed(self.settings.pins(list(scopes or [EVERYWHERE.key])), served.place, limit)

    def logits_pins(self, prompt: str, ids: Any) -> Sequence[int]:
        """The pins of a prompt of which only the next token is asked for."""
        pins, pinned = self.pins(None, None)
        self.note(prompt, ids, pinned, hidden=len(pins))
        return pins

    def favourites(self) -> Sequence[Tag]:
        """Tags that are pinned, and those of the last request: what a loader with little room takes first."""
        choices = self.settings.choices
        pinned = [tag_for(pin.name, pin.strength) for pins in choices.pins.values() for pin in pins]
        used = [tag for use in self.last.uses for tag in tags_of(use.tag)]
        return list(dict.fromkeys([*pinned, *used]))

    # ---- words for the writer

    def words(self, problem: SoftPromptError | str) -> str:
        """The message, in which the folder is called as the writer knows it; where it lies is nobody's business."""
        return self.desk.words(problem)

    def check(self, tag: Tag) -> str:
        """Why a tag would be left out of a request, in words; empty when it would not."""
        served = self.current.answers
        try:
            if served is not None:
                served.place(tag)
                return ""
            if self.current.loader:  # a model that reads no tags: refused, or switched off
                return self.current.reason or SWITCHED_OFF
            self.library[tag.name]
            return ""
        except SoftPromptError as problem:
            return self.words(problem)

    def on_warning(self, show: Callable[[str], None]) -> None:
        """`show` is called with every warning, in the thread of the request that it is about."""
        self._show = show

    def note(
        self,
        prompt: str,
        ids: Any,
        pinned: tuple[Use, ...] = (),
        state: Mapping[str, Any] = MappingProxyType({}),
        hidden: int = 0,
    ) -> None:
        """What the model is given now, for the panel and the log; hidden: tokens of pins that are not in `ids`."""
        served = self.current.answers
        uses, room = pinned, room_in(state)
        negative, lost = str(state.get("negative_prompt") or ""), state.get(LOST) or ()
        if served is not None and (has_tags(prompt) or has_tags(negative)):
            reached = served.reached(ids)[0 if hidden else sum(not use.problem for use in pinned) :]
            uses = outcome(prompt, reached, served.place, pinned, room)
            uses += elsewhere(negative, served.place, "negative prompt")
        if served is not None and lost:
            uses += cut(lost, served.place, room)
        if served is not None and "<<" in prompt:
            uses += lookalikes(prompt)
        self._keep(Request(ids.shape[-1] + hidden, uses, time.time()))

    def left_out(self, text: str, tokens: int = 0) -> None:
        """The same for a text that goes to a loader without soft prompts, or while they are switched off."""
        self.dropped(tags_of(text), tokens=tokens)

    def dropped(self, tags: list[Tag], why: str = "", tokens: int = 0) -> None:
        """Tags that a request cannot have; why: if not because of what the whole loader lacks."""
        if tags:
            reason = why or self.current.reason or SWITCHED_OFF
            self._keep(Request(tokens, tuple(Use(tag.text or str(tag), problem=reason) for tag in tags), time.time()))

    def _keep(self, request: Request) -> None:
        uses = tuple(replace(use, problem=self.words(use.problem)) for use in request.uses)
        self.last = replace(request, uses=uses)
        off = not self.desk.on
        if off and self.off_is_known:
            return
        self.off_is_known = off
        for use in uses:
            if use.problem:
                fact = use.tokens or use.problem.startswith("it was ")
                self._warn(f"{use.tag}: {use.problem}" if fact else f"{use.tag} is left out: {use.problem}")

    def told(self, words: str) -> None:
        """Something the writer should know while a request waits, as a toast and in the log."""
        log.info("soft prompts: %s", words)
        self._toast(words)

    def _warn(self, words: str) -> None:
        log.warning("soft prompts: %s", words)
        self._toast(words)

    def _toast(self, words: str) -> None:
        try:
            if self._show is not None:
                self._show(words)
        except Exception:
            log.exception("soft prompts could not show a warning")


_lock = threading.Lock()
_webui: Webui | None = None


def webui() -> Webui:
    """The host of this process; raises ImportError outside of the webui."""
    global _webui
    with _lock:
        if _webui is None:
            shared = contract.module("modules.shared")
            if shared is None:
                raise ImportError("soft prompts as an extension run inside text-generation-webui only")
            _webui = Webui(shared)
        return _webui
