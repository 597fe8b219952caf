"""`lost(host, "/v1/completions", body)`: the tags of a request for which it has no room, told before it is answered.

What the webui will cut off is known of a completion, whose prompt is there. A chat's prompt is built later, from its
latest messages: of that only a tag that is too long by itself is known. Old messages that go take their tags along, as
in every chat, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ...errors import SoftPromptError
from ...tags import Tag, has_tags
from ..outcome import outcome
from ..plain import tags_of
from . import contract
from .nested import texts

if TYPE_CHECKING:
    from .host import Webui
    from .serving import Serves

COMPLETIONS = "/v1/completions"
CUT = (COMPLETIONS, "/v1/chat/completions", "/v1/messages", "/v1/internal/chat-prompt")
"""Paths whose prompts the webui cuts to `truncation_length`."""
REPLY = 512
"""Tokens that the webui keeps free for a reply whose length the request does not say."""


def context_of(settings: Mapping[str, Any]) -> int:
    """The tokens of the webui's context, prompt and reply together; 0 where it does not say."""
    length = settings.get("truncation_length")
    return length if isinstance(length, int) else 0


def room_of(body: Mapping[str, Any], settings: Mapping[str, Any]) -> int:
    """How many tokens a request leaves for its prompt; 0 where that cannot be told, or the webui refuses it."""
    asked = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    try:
        reply = next((int(each) for each in asked if each is not None), REPLY)
        return max(int(body.get("truncation_length") or context_of(settings)) - reply, 0)
    except (TypeError, ValueError):
        return 0


def too_long(tokens: int, room: int, where: str) -> str:
    """Why a tag of so many tokens cannot be used, in words."""
    return f"it needs {tokens:,} tokens, and {where} has room for {room:,} beside the reply"


def lost(host: Webui, path: str, body: Any) -> dict[str, str]:
    """{tag as written: why it will not reach the model} for tags that are all right by themselves."""
    served, settings = host.current.answers, getattr(host.shared, "settings", {})
    if served is None or path not in CUT or not isinstance(body, dict) or not (room := room_of(body, settings)):
        return {}
    # The negative prompt is never cut.
    read = {key: value for key, value in body.items() if key != "negative_prompt"}
    tags = dict.fromkeys(tag for text in texts(read) for tag in tags_of(text))
    sizes = {tag: _size(served, tag) for tag in tags}
    found = {tag.text or str(tag): too_long(size, room, "this request") for tag, size in sizes.items() if size > room}
    if path == COMPLETIONS:
        for prompt in _prompts(body):
            for written, problem in _cut_off(host, served, prompt, room, body):
                found.setdefault(written, problem)
    return found


def _size(served: Serves, tag: Tag) -> int:
    try:
        return len(served.place(tag).ids)
    except SoftPromptError:
        return 0  # it is refused for a reason of its own


def _prompts(body: Mapping[str, Any]) -> list[str]:
    given = body.get("prompt")
    return [each for each in (given if isinstance(given, list) else [given]) if isinstance(each, str)]


def _cut_off(host: Webui, served: Serves, prompt: str, room: int, body: Any) -> Iterator[tuple[str, str]]:
    """(tag as written, problem) of each that goes with the beginning of a text; see `Webui.arranged`."""
    prompt = host.written.as_text(prompt)
    if not has_tags(prompt):
        return
    whole = contract.encode(prompt, add_bos_token=body.get("add_bos_token", True))
    pins, pinned = host.pins(None, room)
    ids = served.arranged(whole[:, -room:], lambda: whole, pins, room)
    reached = served.reached(ids)[sum(not use.problem for use in pinned) :]
    yield from ((use.tag, use.problem) for use in outcome(prompt, reached, served.place) if use.problem)
