"""`Server("http://127.0.0.1:8080").post("/tokenize", {...})`: a running llama-server, by the standard library alone."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ...errors import SoftPromptError

_PATIENCE = 600.0
"""Seconds that an answer may take: a long text on a slow machine takes minutes before its first token."""
_PAUSE = 0.2


class Gone(SoftPromptError):
    """Nothing answers there, or not yet, or no more."""


class Refused(SoftPromptError):
    """A server answers, and says why it does not do what it was asked."""


class Server:
    """address: of the server; key: what it was started with as `--api-key`, if anything.

    wait: seconds to wait for one that is not there yet, as while it is started again.
    """

    def __init__(self, address: str, key: str = "", wait: float = 0.0) -> None:
        self.address = address.rstrip("/")
        self.wait = wait
        self._key = key

    def get(self, path: str) -> Any:
        """The parsed answer, waited for; raises Gone and Refused."""
        until = time.monotonic() + self.wait
        while True:
            try:
                return self._whole(path, None)
            except Gone:
                if time.monotonic() >= until:
                    raise
                time.sleep(_PAUSE)

    def post(self, path: str, asked: Mapping[str, Any]) -> Any:
        """The parsed answer; raises Gone, and Refused with what the server said."""
        return self._whole(path, asked)

    def stream(self, path: str, asked: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The parsed parts of an answer as they come; leaving the loop ends the request. Raises as `post` does."""
        last: dict[str, Any] = {}
        with self._open(path, {**asked, "stream": True}) as answer:
            for line in answer:
                if line.startswith(b"data: ") and line.strip() != b"data: [DONE]":
                    last = json.loads(line[6:])
                    if "error" in last:
                        raise Refused(f"llama-server stops: {_said(line[6:])}")
                    yield last
        if not last.get("stop"):  # the standard library takes a broken stream for one that ended
            raise Gone(f"llama-server at {self.address} went away in the middle of a text: is it running?")

    def _whole(self, path: str, asked: Mapping[str, Any] | None) -> Any:
        with self._open(path, asked) as answer:
            return json.load(answer)

    @contextmanager
    def _open(self, path: str, asked: Mapping[str, Any] | None) -> Iterator[Any]:
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if asked is None else json.dumps(asked).encode()
        try:
            request = urllib.request.Request(self.address + path, data, headers)
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
                yield answer
        except urllib.error.HTTPError as problem:
            with problem:
                said = _said(problem.read())
            if problem.code == 503:  # it is loading its model
                raise Gone(f"llama-server at {self.address} is not ready: {said}") from None
            raise Refused(f"llama-server refuses the request: {said}") from None
        except (OSError, http.client.HTTPException) as problem:
            reason = getattr(problem, "reason", "") or problem
            raise Gone(f"no llama-server answers at {self.address} ({reason}): is it running?") from problem
        except ValueError as problem:
            raise Refused(f"what answers at {self.address} is no llama-server: {problem}") from problem


def _said(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return body[:300].decode("utf-8", "replace") or "without a word"
