"""`webui()`: the one host of this process, which the hooks in `soft_prompts.script` call; torch-free.

State lives here and not in the script, which the webui executes anew at each "Apply flags/extensions and restart".
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import SoftPromptError
from ...library import Library
from ...tags import Tag, has_tags, tag_for
from ...watch import Watch
from ..protocol import EVERYWHERE, Request, Use
from . import contract
from .budget import affordable
from .desk import Desk
from .display import readable
from .following import Following
from .loaders import SWITCHED_OFF, Current
from .nested import changed, texts
from .outcome import elsewhere, outcome
from .patches import Patches
from .refused import tags_of
from .settings import NAME, Settings, scopes_of
from .shelter import Shelter

log = logging.getLogger("textgen")

SCOPES = "soft_prompts_scopes"
"""Where a chat prompt leaves in the webui's `state` which pins count for it."""


class Webui:
    """What the hooks call. Mutates the webui, from `start()` to `stop()`."""

    def __init__(self, shared: Any) -> None:
        self.shared = shared
        self.folder = Path(shared.user_data_dir) / "soft_prompts"
        self.library = Library(self.folder, ignore=(NAME, f"{NAME}.unreadable"))
        self.settings = Settings(self.folder / NAME)
        self.current = Current(shared, self.library, self._dropped)
        self.last = Request()
        self.context = ("", "")
        """(character, chat) that the webui worked on last."""
        self.started = False
        self._show: Callable[[str], None] | None = None
        self._local = threading.local()
        self._following: Following | None = None
        self.watch: Watch | None = None
        self._params: dict[str, Any] = {}
        self._patches = Patches(self)
        self.desk = Desk(self)

    # ---- coming and going

    def start(self, params: dict[str, Any]) -> None:
        """Follow the webui's models and the folder; a second call does nothing. params: the extension's own."""
        self._params = params
        if self.started:
            return
        if problems := contract.problems(contract.NEEDED):
            raise ImportError(f"this webui is not as soft prompts know it: {'; '.join(problems.values())}")
        self.started = True
        self.folder.mkdir(parents=True, exist_ok=True)
        self._following = Following(self.shared, self._changed)
        self._following.start()
        self.watch = Watch(self.library)
        self.watch.start()
        self._patches.serve_api()
        self.current.switch(self.settings.choices.on)
        self._changed("model")

    def stop(self) -> None:
        """Undo all of it."""
        self.started = False
        if self._following is not None:
            self._following.stop()
        if self.watch is not None:
            self.watch.close()
        self._patches.remove()
        self.current.close()

    def _changed(self, name: str) -> None:
        """One of the names that are followed was assigned in the webui's `shared`."""
        if name == "input_elements" and not self._enabled():
            log.info("soft prompts: the extension is switched off, and the webui is as it was")
            return self.stop()
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
        shelter: Shelter | None = getattr(self._local, "shelter", None)
        pins = self._length_of_pins(prompt)
        if not shelter and not pins:
            return None
        return pins + len(contract.encode(shelter.show(prompt) if shelter else prompt)[0])

    def arranged(self, state: dict[str, Any], prompt: str, ids: Any) -> Any:
        """The ids that the model shall read in place of those which the webui has encoded and cut."""
        served = self.current.answers
        if served is None:
            self._leave_out(tags_of(prompt))
            return ids
        limit = _limit(state)
        pins, pinned = self.pins(state.get(SCOPES), limit)
        if pins or has_tags(prompt):
            bos = state.get("add_bos_token", True)
            new = served.arranged(ids, lambda: contract.encode(prompt, add_bos_token=bos), pins, limit)
            if new.shape != ids.shape and state.get("auto_max_new_tokens"):
                new = served.allow(new, state["truncation_length"] - new.shape[-1])
            ids = new
        starts = served.starts(ids)[len([use for use in pinned if not use.problem]) :] if pins else served.starts(ids)
        uses = outcome(prompt, starts, served.place, pinned)
        uses += elsewhere(state.get("negative_prompt") or "", served.place, "negative prompt")
        self._note(Request(ids.shape[-1], uses, time.time()))
        return ids

    def pins(self, scopes: Sequence[str] | None, limit: int | None) -> tuple[list[int], tuple[Use, ...]]:
        """(placeholder ids, what became of each pin) for a prompt of at most `limit` tokens."""
        served = self.current.answers
        ids: list[int] = []
        uses: list[Use] = []
        for pin in self.settings.pins(list(scopes or [EVERYWHERE.key])) if served else ():
            tag = tag_for(pin.name, pin.strength)
            try:
                found = served.place(tag).ids if served else range(0)
                ids += found
                uses.append(Use(str(tag), len(found), pinned=True))
            except SoftPromptError as problem:
                uses.append(Use(str(tag), pinned=True, problem=self.words(problem)))
        if ids and limit is not None and not affordable(len(ids), limit):
            many = f"the pinned prompts need {len(ids)} tokens, more than half of the {limit} that a prompt may have"
            return [], tuple(Use(use.tag, pinned=True, problem=use.problem or many) for use in uses)
        return ids, tuple(uses)

    # ---- what the patches call

    def chat_prompt(self, call: Callable[..., Any], user_input: str, state: dict[str, Any], **options: Any) -> Any:
        """`generate_chat_prompt`, in which no tag can be cut in two, and which knows whose pins count."""
        chat = state.get("mode") != "instruct"
        character = str(state.get("character_menu") or state.get("character") or "") if chat else ""
        self.context = character, str(state.get("unique_id") or "")
        scopes = state[SCOPES] = scopes_of(*self.context)
        history = options.get("history", state.get("history"))
        shelter, user_input, history = _sheltered(user_input, history)
        self._local.shelter, self._local.scopes, self._local.limit = shelter, scopes, _limit(state)
        try:
            made = call(user_input, state, **{**options, "history": history})
        finally:
            self._local.shelter = self._local.scopes = None
        shown = tuple(map(shelter.show, made[1])) if isinstance(made, tuple) else ()
        prompt = shelter.show(made[0] if isinstance(made, tuple) else made)
        self._local.built = prompt, scopes
        return (prompt, list(shown)) if isinstance(made, tuple) else prompt

    def basic_html(self, call: Callable[..., str], string: str) -> str:
        """`generate_basic_html`, whose pane takes HTML, with tags that can be read."""
        return call(readable(string))

    def next_logits(
        self, call: Callable[..., Any], prompt: str, state: Any, use_samplers: Any, *args: Any, **options: Any
    ) -> Any:
        """`_get_next_logits`, which without samplers reads the model past every hook."""
        served = self.current.answers
        pins = [] if use_samplers or served is None else self.pins(None, None)[0]
        if not pins or served is None:
            return call(prompt, state, use_samplers, *args, **options)
        ids = served.with_pins(self.shared.tokenizer.encode(prompt, return_tensors="pt"), pins)
        with served.reading(ids, hidden=len(pins)):
            return call(prompt, state, use_samplers, *args, **options)

    def prompt_logprobs(self, call: Callable[..., Any], prompt: str, logprobs_count: int, input_ids: Any = None) -> Any:
        """`_compute_prompt_logprob_entries`, which would look placeholders up in the vocabulary."""
        served = self.current.answers
        if served is None:
            return call(prompt, logprobs_count, input_ids=input_ids)
        ids = contract.encode(prompt) if input_ids is None else input_ids
        return served.entries(call, prompt, logprobs_count, ids, self.pins(None, None)[0])

    # ---- words for the writer

    def words(self, problem: SoftPromptError | str) -> str:
        """The message, in which the folder is called as the writer knows it; where it lies is nobody's business."""
        return str(problem).replace(str(self.folder), self.desk.folder)

    def check(self, tag: Tag) -> str:
        """Why a tag would be left out of a request, in words; empty when it would not."""
        served = self.current.answers
        try:
            if served is not None:
                served.place(tag)
            else:
                self.library[tag.name]
            return ""
        except SoftPromptError as problem:
            return self.words(problem)

    def on_warning(self, show: Callable[[str], None]) -> None:
        """`show` is called with every warning, in the thread of the request that it is about."""
        self._show = show

    def warn(self, words: str) -> None:
        """To the log, and to whoever shows warnings."""
        log.warning("soft prompts: %s", words)
        try:
            if self._show is not None:
                self._show(words)
        except Exception:
            log.exception("soft prompts could not show a warning")

    def _note(self, request: Request) -> None:
        uses = tuple(replace(use, problem=self.words(use.problem)) for use in request.uses)
        self.last = replace(request, uses=uses)
        for use in uses:
            if use.problem:
                self.warn(f"{use.tag} is left out: {use.problem}" if not use.tokens else f"{use.tag}: {use.problem}")

    def _dropped(self, tags: list[Tag]) -> None:
        self._leave_out(tags)

    def _leave_out(self, tags: list[Tag]) -> None:
        """Tags that a loader without soft prompts was given, or one that is switched off."""
        if tags:
            reason = self.current.reason or SWITCHED_OFF
            self._note(Request(0, tuple(Use(tag.text or str(tag), problem=reason) for tag in tags), time.time()))

    def _length_of_pins(self, prompt: str) -> int:
        scopes, limit = getattr(self._local, "scopes", None), getattr(self._local, "limit", None)
        if scopes is None:
            built, scopes = getattr(self._local, "built", ("", None))
            if built != prompt:
                scopes = limit = None
        return len(self.pins(scopes, limit)[0])


def _limit(state: dict[str, Any]) -> int:
    """How many tokens the webui allows for the prompt."""
    return int(state["truncation_length"]) - int(state["max_new_tokens"])


def _sheltered(user_input: str, history: Any) -> tuple[Shelter, str, Any]:
    """What may be cut by characters, with hidden tags: the writer's words, the last row, files attached to them."""
    if not isinstance(history, dict):
        history = {"internal": []}
    rows, metadata = history.get("internal") or [], history.get("metadata") or {}
    keys = [f"user_{len(rows) - 1}", f"user_{len(rows)}"]
    cut = {"rows": rows[-1:], "metadata": {key: metadata[key] for key in keys if key in metadata}}
    if not any(map(has_tags, [user_input, *texts(cut)])):
        return Shelter(), user_input, history
    shelter = Shelter(user_input, *texts(cut))
    hidden = changed(cut, shelter.hide)
    internal = [*rows[:-1], *hidden["rows"]]
    return (
        shelter,
        shelter.hide(user_input),
        {**history, "internal": internal, "metadata": {**metadata, **hidden["metadata"]}},
    )


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
