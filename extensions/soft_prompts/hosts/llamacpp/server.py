"""`Server("http://127.0.0.1:8080").post("/tokenize", {...})`: a running llama-server, by the standard library alone."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

from ...errors import SoftPromptError

_PATIENCE = 600.0
"""Seconds that an answer may take: a long text on a slow machine takes minutes before its first token."""


class Server:
    """address: of the server; key: what it was started with as `--api-key`, if anything."""

    def __init__(self, address: str, key: str = "") -> None:
        self.address = address.rstrip("/")
        self._key = key

    def get(self, path: str) -> Any:
        """The parsed answer; raises SoftPromptError."""
        with self._open(path, None) as answer:
            return json.load(answer)

    def post(self, path: str, asked: Mapping[str, Any]) -> Any:
        """The parsed answer; raises SoftPromptError with what the server said."""
        with self._open(path, asked) as answer:
            return json.load(answer)

    def stream(self, path: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The parsed parts of an answer as they come; leaving the loop ends the request."""
        with self._open(path, {**asked, "stream": True}) as answer:
            for line in answer:
                if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                    yield json.loads(line[6:])

    def _open(self, path: str, asked: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if asked is None else json.dumps(asked).encode()
        request = urllib.request.Request(self.address + path, data, headers)
        try:
            return urllib.request.urlopen(request, timeout=_PATIENCE)
        except urllib.error.HTTPError as problem:
            with problem:
                raise SoftPromptError(f"llama-server refuses the request: {_said(problem.read())}") from None
        except OSError as problem:
            reason = getattr(problem, "reason", problem)
            raise SoftPromptError(f"no llama-server answers at {self.address} ({reason}): is it running?") from problem


def _said(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body[:300].decode("utf-8", "replace") or "without a word"
