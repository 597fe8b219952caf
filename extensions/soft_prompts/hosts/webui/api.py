"""`GET /v1/soft-prompts`, and answers that name the tags which mean nothing: soft prompts on the webui's API.

Plain ASGI, so that nothing needs to be installed, and nothing but a header is added to what the webui answers.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from .nested import texts
from .refused import tags_of

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATHS = ("/v1/completions", "/v1/chat/completions", "/v1/messages", "/v1/internal/logits", "/v1/internal/chat-prompt")
HEADER = "x-soft-prompts-unresolved"
STRICT = b"x-soft-prompts"
LARGEST_BODY = 64 << 20
MOST_NAMED = 20


def add_route(app: Any, dependencies: Any, host: Any) -> None:
    """`GET /v1/soft-prompts` on a FastAPI app: names, tokens, whether they fit, and whether tags work at all."""

    def soft_prompts() -> dict[str, Any]:
        health = host.desk.health()
        rows = [
            {"name": row.name, "tag": row.tag, "tokens": row.tokens, "fit": row.verdict, "usable": row.usable,
             "reason": row.reason, "description": row.description}
            for row in host.desk.rows()
        ]  # fmt: skip
        return {"object": "list", "status": health.state, "message": health.line, "data": rows}

    app.add_api_route("/v1/soft-prompts", soft_prompts, methods=["GET"], dependencies=dependencies)


class Middleware:
    """ASGI around `app`: reads the tags of a request before the webui does; see `PATHS`."""

    def __init__(self, app: Any, host: Any) -> None:
        self.app = app
        self._host = host

    @classmethod
    def around(cls, app: Any, host: Any) -> Middleware:
        """Put it around a Starlette app, which may be running: then its stack is built already, and is wrapped."""
        if getattr(app, "middleware_stack", None) is None:
            build = app.build_middleware_stack
            ours = cls(None, host)

            def built() -> Any:
                ours.app = build()
                return ours

            app.build_middleware_stack = built
            return ours
        ours = app.middleware_stack = cls(app.middleware_stack, host)
        return ours

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass on, refuse, or add the header."""
        watched = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/") in PATHS
        if not watched or not self._host.started or not self._may(scope):
            await self.app(scope, receive, send)
            return
        body, receive = await _read(receive)
        problems = self._problems(body)
        if problems and self._is_strict(scope):
            await _refuse(send, problems)
        else:
            await self.app(scope, receive, _with_header(send, problems) if problems else send)

    def _is_strict(self, scope: MutableMapping[str, Any]) -> bool:
        asked = dict(scope["headers"]).get(STRICT, b"").lower() == b"strict"
        return asked or bool(self._host.settings.choices.strict)

    def _may(self, scope: MutableMapping[str, Any]) -> bool:
        """Who has no key learns no names from us; the webui itself says so to them."""
        key = getattr(self._host.shared.args, "api_key", None)
        if not key:
            return True
        headers = dict(scope["headers"])
        given = headers.get(b"x-api-key") or headers.get(b"authorization", b"").removeprefix(b"Bearer ")
        return hmac.compare_digest(given, str(key).encode())

    def _problems(self, body: bytes) -> dict[str, str]:
        """{tag: why it is left out} for the tags anywhere in a JSON body."""
        if b"<<sp:" not in body and b"\\u003c" not in body.lower():
            return {}
        try:
            found = list(texts(json.loads(body)))
        except (ValueError, RecursionError):
            return {}  # the webui says best what is wrong with it
        tags = dict.fromkeys(tag for text in found for tag in tags_of(text))
        problems = {tag.text or str(tag): self._host.check(tag) for tag in tags}
        return {tag: problem for tag, problem in problems.items() if problem}


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """(the body, a `receive` that gives it again); a body that is too large to look into is passed on unread."""
    held: list[Message] = []
    size, more = 0, True
    while more and size <= LARGEST_BODY:
        message = await receive()
        held.append(message)
        size += len(message.get("body", b""))
        more = message["type"] == "http.request" and message.get("more_body", False)
    body = b"" if more else b"".join(message.get("body", b"") for message in held)

    async def again() -> Message:
        return held.pop(0) if held else await receive()

    return body, again


def _with_header(send: Send, problems: dict[str, str]) -> Send:
    named = [{"tag": tag, "problem": problem[:300]} for tag, problem in list(problems.items())[:MOST_NAMED]]
    header = (HEADER.encode(), json.dumps(named).encode("ascii"))
    # Else a browser keeps the header from the page that asked.
    exposed = (b"access-control-expose-headers", HEADER.encode())

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), header, exposed]}
        await send(message)

    return sending


async def _refuse(send: Send, problems: dict[str, str]) -> None:
    words = "; ".join(f"{tag}: {problem}" for tag, problem in list(problems.items())[:MOST_NAMED])
    error = {"message": words, "type": "invalid_request_error", "param": None, "code": "unresolved_soft_prompt"}
    body = json.dumps({"error": error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
