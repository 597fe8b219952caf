"""`Patches(host).install()`: the few functions of the webui that have no hook and must know of tags, wrapped."""

from __future__ import annotations

import sys
from typing import Any

from ..wrapped import Wrapped
from . import contract
from .api import Middleware, add_route


class Patches:
    """Mutates modules of the webui, until `remove()`; what this webui does not have is passed over."""

    def __init__(self, host: Any) -> None:
        self._host = host
        self._wrapped: dict[str, Wrapped] = {}
        self._middleware: Middleware | None = None

    def install(self) -> None:
        """Wrap what is there and not wrapped yet; called again whenever a model comes, since the API may come late."""
        host = self._host
        for place, name, around in (
            ("modules.chat", "generate_chat_prompt", host.chat_prompt),
            ("modules.text_generation", "generate_basic_html", host.basic_html),
            ("modules.logits", "_get_next_logits", host.next_logits),
            ("modules.api.completions", "_compute_prompt_logprob_entries", host.prompt_logprobs),
            # Bound by name in here, before or after the one above was wrapped.
            ("modules.api.completions", "generate_chat_prompt", host.chat_prompt),
        ):
            # The API's modules are not for us to bring in: without its flag, nobody needs them.
            owner = sys.modules.get(place) if place.startswith("modules.api") else contract.module(place)
            key = f"{place}.{name}"
            if owner is None or key in self._wrapped or isinstance(getattr(owner, name, None), Wrapped | None):
                continue
            if name not in contract.problems({place: contract.WRAPPED.get(place, {})}, loaded_only=True):
                self._wrapped[key] = Wrapped(owner, name, around).install()

    def serve_api(self) -> None:
        """The route and the middleware, where the webui has an API or is about to start one."""
        args = self._host.shared.args
        if self._middleware is not None or not (getattr(args, "api", False) or getattr(args, "public_api", False)):
            return
        script = contract.module("modules.api.script")
        if script is None or contract.problems({"modules.api.script": contract.WRAPPED["modules.api.script"]}):
            return
        contract.module("modules.api.completions")
        add_route(script.app, script.check_key, self._host)
        self._middleware = Middleware.around(script.app, self._host)

    def remove(self) -> None:
        """Undo the wrapping, the last one first; the API's additions fall silent with the host."""
        for key in reversed(list(self._wrapped)):
            self._wrapped.pop(key).restore()
