"""Stands in for the webui's `modules.api.script`: an ASGI app as Starlette builds one, with no route of the webui's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import modules.api.completions
import modules.logits  # noqa: F401  (as there: whoever imports the API has both)
from modules import shared


def verify_api_key(authorization: str | None = None) -> bool:
    """Unlike the webui's, which raises: whether the header is the right one."""
    return not shared.args.api_key or authorization == f"Bearer {shared.args.api_key}"


class App:
    """Starlette's properties that matter: middleware is put outermost and refused once the stack is built, which it is
    at the first request; routes may come at any time, since they are looked up at each request."""

    def __init__(self) -> None:
        self.routes: dict[tuple[str, str], tuple[Callable[..., Any], Sequence[Any]]] = {}
        self.middleware_stack: Any = None
        self.user_middleware: list[Callable[[Any], Any]] = [_Cors]

    def add_api_route(
        self, path: str, endpoint: Callable[..., Any], *, methods: Sequence[str] = ("GET",), dependencies: Any = ()
    ) -> None:
        self.routes.update({(method, path): (endpoint, dependencies) for method in methods})

    def add_middleware(self, middleware: Any, **options: Any) -> None:
        if self.middleware_stack is not None:
            raise RuntimeError("Cannot add middleware after an application has started")
        self.user_middleware.insert(0, partial(middleware, **options))

    def build_middleware_stack(self) -> Any:
        stack: Any = self._answer
        for each in reversed(self.user_middleware):
            stack = each(stack)
        return stack

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        await self.middleware_stack(scope, receive, send)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        endpoint, dependencies = self.routes.get((scope["method"], scope["path"]), (None, ()))
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        status, answer = (200, None) if all(check(given) for check in dependencies) else (401, "Unauthorized")
        if endpoint is None:
            status, answer = 404, "Not Found"
        elif status == 200:
            answer = await asyncio.to_thread(endpoint)
        content = json.dumps(answer if status == 200 else {"detail": answer}).encode()
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": content})


class _Cors:
    """The webui lets every page read its answers, and what of ours answers passes through here."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], (b"access-control-allow-origin", b"*")]}
            await send(message)

        await self.app(scope, receive, sending)


app = App()
check_key = [verify_api_key]
