"""`Chats().prompt(generate_chat_prompt, "Hello", state)`: a chat's prompt, in which no tag is cut in two.

The webui builds it anew for every length it tries, and counts the tokens of each through a hook that knows neither the
chat nor what was hidden: that is what is remembered here, for the thread that builds.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...tags import Tag, has_tags, parse
from ..protocol import Room
from ..settings import scopes_of
from .nested import changed, texts
from .shelter import Shelter
from .written import Written

log = logging.getLogger("textgen")

SCOPES = "soft_prompts_scopes"
"""Where a chat's prompt leaves in the webui's `state` which pins count for it."""
LOST = "soft_prompts_lost"
"""The tags of the message that is answered which the webui has cut off with its end."""
CONTINUED = "soft_prompts_continued"
"""The beginning of a reply that is continued: the writer's, or written before."""
_SPOKEN = ("context", "custom_system_message", "user_bio")
"""What else of the state can become the message that is cut."""


@dataclass(frozen=True)
class Chat:
    """A chat's prompt while it is built, and after: scopes of its pins, how long it may be (None: not known), and the
    tags of the message that is answered."""

    scopes: tuple[str, ...]
    limit: int | None
    shelter: Shelter
    asked: tuple[Tag, ...] = ()
    prompt: str = ""


def room_in(state: Mapping[str, Any]) -> Room:
    """The webui's context and what it keeps for the reply; nothing is known where this state does not say."""
    try:
        return Room(int(state["truncation_length"]), int(state["max_new_tokens"]))
    except (KeyError, TypeError, ValueError):
        return Room()


def limit_of(state: Mapping[str, Any]) -> int | None:
    """How many tokens the webui allows for the prompt; None where this state does not say."""
    room = room_in(state)
    return room.context - room.reply if room.context else None


class Chats:
    """written: what the model wrote itself; default: the character that the webui takes where a request names none."""

    def __init__(self, written: Written, default: Callable[[], str] = str) -> None:
        self._written = written
        self.context = ("", "")
        """(character, chat) that was worked on last."""
        self._default = default
        self._local = threading.local()

    def of(self, prompt: str) -> Chat | None:
        """The chat that a prompt belongs to whose tokens are counted in this thread; None: it is no chat's."""
        building: Chat | None = getattr(self._local, "building", None)
        built: Chat | None = getattr(self._local, "built", None)
        return building or (built if built is not None and built.prompt == prompt else None)

    def prompt(self, call: Callable[..., Any], user_input: str, state: dict[str, Any], **options: Any) -> Any:
        """What `generate_chat_prompt` gives; `state` learns whose pins count."""
        try:
            chat, user_input, given, options = self._begun(user_input, state, options)
        except Exception:  # a chat must go on, with whatever is odd in it
            log.exception("soft prompts could not look into a chat: a tag in it may be cut in two")
            return call(user_input, state, **options)
        outer, self._local.building = getattr(self._local, "building", None), chat
        try:
            made = call(user_input, given, **options)
        finally:
            self._local.building = outer
        rows = changed(list(made[1]), chat.shelter.show) if isinstance(made, tuple) else []
        prompt = chat.shelter.show(made[0] if isinstance(made, tuple) else made)
        self._local.built = replace(chat, prompt=prompt)
        if chat.asked:
            state[LOST] = list((Counter(chat.asked) - Counter(_tags(prompt))).elements())
        return (prompt, rows) if isinstance(made, tuple) else prompt

    def _begun(
        self, user_input: str, state: dict[str, Any], options: dict[str, Any]
    ) -> tuple[Chat, str, dict[str, Any], dict[str, Any]]:
        """(the chat, and what `generate_chat_prompt` is called with: tags hidden in all that it could cut)."""
        character = str(state.get("character_menu") or state.get("character") or self._default())
        self.context = character if state.get("mode") != "instruct" else "", str(state.get("unique_id") or "")
        scopes = scopes_of(*self.context)
        state[SCOPES], state[LOST] = scopes, []
        history = options.get("history", state.get("history"))
        # What is continued was there before; the rest of the reply is the model's own.
        rows = history.get("internal") if options.get("_continue") and isinstance(history, dict) else None
        state[CONTINUED] = rows[-1][1] if rows else ""
        history = self._read(history)
        spoken = {key: state[key] for key in _SPOKEN if key in state}
        said = [user_input, history, spoken]
        if not any(map(has_tags, texts(said))):
            return Chat(tuple(scopes), limit_of(state), Shelter([])), user_input, state, options
        shelter, asked = Shelter([*texts(said), *texts(state)]), tuple(_tags(user_input))
        user_input, history, spoken = changed(said, shelter.hide)
        chat = Chat(tuple(scopes), limit_of(state), shelter, asked)
        return chat, user_input, {**state, **spoken}, {**options, "history": history}

    def _read(self, history: Any) -> Any:
        """The history, with the tags that the model wrote as text."""
        rows = history.get("internal") if isinstance(history, dict) else None
        if not rows or not any(map(has_tags, texts([row[1:2] for row in rows]))):
            return history
        return {**history, "internal": [[*row[:1], self._written.as_text(row[1], 0), *row[2:]] for row in rows]}


def _tags(text: str) -> list[Tag]:
    return [piece for piece in parse(text) if isinstance(piece, Tag)] if has_tags(text) else []


def scopes_in(state: dict[str, Any]) -> Sequence[str] | None:
    """Which pins count for the prompt of this state; None: no chat has built it."""
    found = state.get(SCOPES)
    return found if isinstance(found, list) else None
