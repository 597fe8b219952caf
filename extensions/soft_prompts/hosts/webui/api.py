"""`GET /v1/soft-prompts`, and answers that name the tags which are left out: soft prompts on the webui's API.

Plain ASGI, so that nothing needs to be installed, and nothing but a header is added to what the webui answers. It
stands innermost: the webui's own guards see a request before ours does, and an answer after.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from ...tags import Tag
from ..outcome import lookalikes
from ..plain import tags_of
from ..protocol import Row
from .loaders import SWITCHED_OFF
from .nested import texts
from .room import context_of, lost, too_long

if TYPE_CHECKING:
    from .host import Webui

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("textgen")

ANTHROPIC = "/v1/messages"
PATHS = ("/v1/completions", "/v1/chat/completions", ANTHROPIC, "/v1/internal/logits", "/v1/internal/chat-prompt")
HEADER = "x-soft-prompts-unresolved"
STRICT = b"x-soft-prompts"
LARGEST_BODY = 64 << 20
LARGEST_HEADER = 3_000
"""Bytes: clients take 8 or 16 thousand for all headers together, and give up on an answer that has more."""
MOST_LOOKED_AT = 200


def add_route(app: Any, dependencies: Any, host: Webui) -> None:
    """`GET /v1/soft-prompts` on a FastAPI app: names, tokens, whether they fit, and whether tags work at all."""

    def soft_prompts() -> dict[str, Any]:
        health = host.desk.health()
        rows = [_listed(row, _unusable(row, host)) for row in host.desk.rows()]
        return {"object": "list", "status": health.state, "message": health.line, "data": rows}

    app.add_api_route("/v1/soft-prompts", soft_prompts, methods=["GET"], dependencies=dependencies)


def _listed(row: Row, problem: str) -> dict[str, Any]:
    return {
        "name": row.name, "tag": row.tag, "tokens": row.tokens, "fit": row.verdict, "usable": not problem,
        "reason": problem or row.reason, "description": row.description,
    }  # fmt: skip


def _unusable(row: Row, host: Webui) -> str:
    """Why the tag of a row would do nothing now, in words; empty when it would."""
    if not row.usable:
        return (host.current.reason if row.verdict == "no model" else "") or row.reason or row.verdict
    if not host.desk.on:
        return SWITCHED_OFF
    context = context_of(host.shared.settings)
    # A prompt that leaves no token for a reply is of no use.
    return too_long(row.tokens, context - 1, "the context") if 0 < context <= row.tokens else ""


class Middleware:
    """ASGI around `app`: reads the tags of a request before its route does; see `PATHS`."""

    def __init__(self, app: Any, host: Webui) -> None:
        self.app = app
        self._host = host

    @classmethod
    def within(cls, app: Any, host: Webui) -> None:
        """Put it innermost into a Starlette app, which may be running."""
        # A running app takes no more middleware; without its stack it builds a new one at the next request.
        app.middleware_stack = None
        app.add_middleware(cls, host=host)
        app.user_middleware.append(app.user_middleware.pop(0))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, refuse, or add the header."""
        watched = scope["type"] == "http" and scope["method"] == "POST" and scope["path"].rstrip("/") in PATHS
        if not watched or not self._host.started or not self._may(scope):
            await self.app(scope, receive, send)
            return
        body, receive = await _read(receive)
        # In a thread: what nearly fits a misspelt name takes a while to find, and streams are running meanwhile.
        problems, nearly = await asyncio.to_thread(self._problems, body, scope["path"].rstrip("/"))
        if problems and self._is_strict(scope):
            await _refuse(send, problems, scope["path"])
        else:
            told = {**problems, **nearly}
            await self.app(scope, receive, _with_header(send, told) if told else send)

    def _is_strict(self, scope: Scope) -> bool:
        asked = dict(scope["headers"]).get(STRICT, b"").lower() == b"strict"
        return asked or bool(self._host.settings.choices.strict)

    def _may(self, scope: Scope) -> bool:
        """Who has no key learns no names from us; the route itself says so to them."""
        key = str(getattr(self._host.shared.args, "api_key", None) or "")
        headers = dict(scope["headers"])
        anthropic = scope["path"].rstrip("/") == ANTHROPIC
        given = headers.get(b"x-api-key" if anthropic else b"authorization", b"")
        return not key or hmac.compare_digest(given, key.encode() if anthropic else b"Bearer " + key.encode())

    def _problems(self, body: bytes, path: str) -> tuple[dict[str, str], dict[str, str]]:
        """{tag: why it is left out} for the tags anywhere in a JSON body; none where it cannot be told.

        And {text: how it would be a tag}, for what is nearly one: that is text, and a program may mean it so.
        """
        if b"<<" not in body and b"\\u003c" not in body.lower():
            return {}, {}
        try:
            asked = json.loads(body)
            # What the model wrote itself is read as text, here as in the prompt.
            read = [self._host.written.as_text(text) for text in texts(asked) if "<<" in text]
            tags = list(dict.fromkeys(tag for text in read for tag in tags_of(text)))[:MOST_LOOKED_AT]
            nearly = {use.tag: use.problem for text in read for use in lookalikes(text)}
            problems = {_written(tag): self._host.check(tag) for tag in tags}
            if tags:
                problems = {**lost(self._host, path, asked), **{tag: why for tag, why in problems.items() if why}}
        except (ValueError, RecursionError):
            return {}, {}  # the webui says best what is wrong with it
        except Exception:  # whatever ails us, the request must go on
            log.exception("soft prompts could not look into a request")
            return {}, {}
        return {tag: problem for tag, problem in problems.items() if problem}, nearly


def _written(tag: Tag) -> str:
    return tag.text or str(tag)


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
    header = (HEADER.encode(), _in_a_header(problems).encode("ascii"))
    # Else a browser keeps the header from the page that asked.
    exposed = (b"access-control-expose-headers", HEADER.encode())

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", []), header, exposed]}
        await send(message)

    return sending


def _in_a_header(problems: dict[str, str]) -> str:
    """A JSON list of {"tag", "problem"} that fits a header; what does not fit is counted in a last {"more"}."""
    listed: list[str] = []
    for tag, problem in problems.items():
        entry = json.dumps({"tag": tag, "problem": problem[:200]})
        if sum(map(len, listed)) + len(entry) > LARGEST_HEADER:
            listed.append(json.dumps({"more": len(problems) - len(listed)}))
            break
        listed.append(entry)
    return f"[{', '.join(listed)}]"


async def _refuse(send: Send, problems: dict[str, str], path: str) -> None:
    """Status 400 in the form of the API that was asked."""
    words = "; ".join(f"{tag}: {problem}" for tag, problem in list(problems.items())[:20])
    error: dict[str, Any] = {"type": "invalid_request_error", "message": words}
    if path.rstrip("/") == ANTHROPIC:
        answer = {"type": "error", "error": error}
    else:
        answer = {"error": {**error, "param": None, "code": "unresolved_soft_prompt"}}
    body = json.dumps(answer).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body", "body": body})
