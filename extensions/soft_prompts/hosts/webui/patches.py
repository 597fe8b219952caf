"""`Patches(host).install()`: the few functions of the webui that have no hook and must know of tags, wrapped."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..wrapped import Wrapped
from . import contract
from .api import Middleware, add_route
from .display import readable

if TYPE_CHECKING:
    from .host import Webui


class Patches:
    """Mutates modules of the webui, until `remove()`; what this webui does not have is passed over."""

    def __init__(self, host: Webui) -> None:
        self._host = host
        self._wrapped: dict[str, Wrapped] = {}
        self._api = False

    def install(self) -> None:
        """Wrap what is there and not wrapped yet; called again whenever a model comes, since the API may come late."""
        for place, name, around in (
            ("modules.chat", "generate_chat_prompt", self._host.chats.prompt),
            ("modules.text_generation", "generate_basic_html", self._basic_html),
            ("modules.logits", "_get_next_logits", self._next_logits),
            ("modules.api.completions", "_compute_prompt_logprob_entries", self._prompt_logprobs),
            # Bound by name in here, before or after the one above was wrapped.
            ("modules.api.completions", "generate_chat_prompt", self._host.chats.prompt),
        ):
            # The API's modules are not for us to bring in: without its flag, nobody needs them.
            owner = sys.modules.get(place) if place.startswith("modules.api") else contract.module(place)
            if owner is not None and f"{place}.{name}" not in self._wrapped:
                self._wrap(owner, place, name, around)

    def serve_api(self) -> None:
        """The route and the middleware, where the webui has an API or is about to start one."""
        args = self._host.shared.args
        if self._api or not (getattr(args, "api", False) or getattr(args, "public_api", False)):
            return
        script = contract.module("modules.api.script")
        if script is None or contract.problems({"modules.api.script": contract.WRAPPED["modules.api.script"]}):
            return
        self._api = True
        add_route(script.app, script.check_key, self._host)
        Middleware.within(script.app, self._host)

    def remove(self) -> None:
        """Undo the wrapping, the last one first; the API's additions fall silent with the host."""
        for key in reversed(list(self._wrapped)):
            self._wrapped.pop(key).restore()

    def _wrap(self, owner: Any, place: str, name: str, around: Callable[..., Any]) -> None:
        if name in contract.problems({place: contract.WRAPPED.get(place, {})}, loaded_only=True):
            return
        there = getattr(owner, name, None)
        if isinstance(there, Wrapped) and there.live:
            return  # bound by name from where it is wrapped already
        if isinstance(there, Wrapped):
            setattr(owner, name, there.original)  # bound by name from where it was wrapped once
        if there is not None:
            self._wrapped[f"{place}.{name}"] = Wrapped(owner, name, around).install()

    # ---- what stands in front of the webui's own

    def _basic_html(self, call: Callable[..., str], string: str) -> str:
        """`generate_basic_html`, whose pane takes HTML, with tags that can be read."""
        return call(readable(string))

    def _next_logits(
        self, call: Callable[..., Any], prompt: str, state: Any, use_samplers: Any, *args: Any, **options: Any
    ) -> Any:
        """`_get_next_logits`, which each loader answers in its own way."""
        served = self._host.current.answers
        if served is not None:
            return served.next_logits(self._host, call, prompt, state, use_samplers, *args, **options)
        if not use_samplers:
            self._host.left_out(prompt)
        return call(prompt, state, use_samplers, *args, **options)

    def _prompt_logprobs(
        self, call: Callable[..., Any], prompt: str, logprobs_count: int, input_ids: Any = None
    ) -> Any:
        """`_compute_prompt_logprob_entries`, which would look placeholders up in the vocabulary."""
        served = self._host.current.answers
        if served is None:
            return call(prompt, logprobs_count, input_ids=input_ids)
        ids = contract.encode(prompt) if input_ids is None else input_ids
        return served.entries(call, prompt, logprobs_count, ids, self._host.pins(None, None)[0])
