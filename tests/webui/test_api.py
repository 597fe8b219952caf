"""The webui's API, as its app without a server: which tags of a request are named, and what the list says of each."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

Inside = Any  # the fixture of conftest.py
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone"
STRICT = {"x-soft-prompts": "strict"}


def ask(inside: Inside, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], Any]:
    """(status, headers, answer) of the API's app; with a body it is posted."""
    given = {"host": "localhost", "content-type": "application/json", **headers}
    messages = [{"type": "http.request", "body": json.dumps(body).encode() if body else b"", "more_body": False}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}
    scope |= {"path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "client": ("127.0.0.1", 1)}
    scope |= {"method": "POST" if body else "GET", "server": ("localhost", 5000)}
    scope["headers"] = [(name.encode(), value.encode()) for name, value in given.items()]
    asyncio.run(inside.module("api.script").app(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, b"".join(each.get("body", b"") for each in sent[1:])


def named(inside: Inside, path: str, body: dict[str, Any]) -> dict[str, str]:
    """{tag: problem} that the header tells; strict mode must refuse exactly then, naming the same."""
    _, headers, _ = ask(inside, path, body)
    found = json.loads(headers.get("x-soft-prompts-unresolved", "[]"))
    status, _, answer = ask(inside, path, body, **STRICT)
    refused = (status == 400 and b"unresolved_soft_prompt" in answer) or b"invalid_request_error" in answer
    assert refused == bool(found)
    assert all(each["tag"] in json.loads(answer)["error"]["message"] for each in found)
    return {each["tag"]: each["problem"] for each in found}


def listed(inside: Inside, name: str) -> dict[str, Any]:
    """What GET /v1/soft-prompts says of one name."""
    rows = json.loads(ask(inside, "/v1/soft-prompts")[2])["data"]
    return dict(next(each for each in rows if each["name"] == name))


def within(room: int, text: str) -> dict[str, Any]:
    return {"prompt": text, "max_tokens": 4, "truncation_length": room + 4, "temperature": 0}


def test_a_completion_names_what_it_cuts_off(inside: Inside, lamp: str) -> None:
    text = BEFORE + lamp + AFTER
    whole, size = len(inside.ids(text)), len(inside.ids(lamp)) - len(inside.ids(""))
    lost = {}
    for free in range(1, whole + 2):
        told = named(inside, "/v1/completions", within(free, text))
        assert set(told) <= {lamp}
        lost[free] = told.get(lamp, "")
        # What is told before is what comes to pass.
        inside.complete(text, max_new_tokens=4, truncation_length=free + 4)
        assert bool(lost[free]) == bool(inside.ours.last.uses[0].problem), free
    assert lost[size - 1] == f"it needs {size} tokens, and this request has room for {size - 1} beside the reply"
    assert "cut off with the beginning" in lost[size]
    assert not lost[whole] and not lost[whole - 1]


def test_pins_take_their_room(inside: Inside, lamp: str) -> None:
    inside.save("pin", " It was a cold night")
    text, whole = lamp + AFTER, len(inside.ids(lamp + AFTER))
    assert named(inside, "/v1/completions", within(whole, text)) == {}
    inside.ours.desk.pin("everywhere", "pin")
    try:
        assert set(named(inside, "/v1/completions", within(whole, text))) == {lamp}
    finally:
        inside.ours.desk.unpin("everywhere", "pin")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/internal/chat-prompt"])
def test_a_chat_names_what_can_never_fit(inside: Inside, path: str) -> None:
    # The webui needs some room for a chat's template, and fails without it.
    size = len(inside.save("tower", inside.LAMP * 8))
    for free, told in ((size - 1, {"<<sp:tower>>"}), (size + 200, set())):
        body = {"messages": [{"role": "user", "content": "Hello<<sp:tower>>"}], "max_tokens": 2, "temperature": 0}
        assert set(named(inside, path, {**body, "truncation_length": free + 2})) == told


def test_lengths_as_programs_write_them(inside: Inside) -> None:
    from soft_prompts.hosts.webui.room import room_of

    settings = {"truncation_length": 1000}
    for body, wanted in (
        ({}, 488),
        ({"max_tokens": None}, 488),
        ({"max_tokens": "100"}, 900),
        ({"max_completion_tokens": 100, "max_tokens": None}, 900),
        ({"truncation_length": 0, "max_tokens": 0}, 1000),
        ({"truncation_length": 300}, 0),
        ({"max_tokens": "many"}, 0),
        ({"max_tokens": [1]}, 0),
    ):
        assert room_of(body, settings) == wanted, body
    assert room_of({}, {}) == 0


def test_the_list_says_what_can_be_used_now(inside: Inside, lamp: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (inside.folder / "broken.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    row = partial(listed, inside)
    assert row("lamp")["usable"] and row("lamp")["reason"] == "made for this model"
    inside.ours.desk.switch(False)
    assert not row("lamp")["usable"] and "switched off" in row("lamp")["reason"] and row("lamp")["fit"] == "fits"
    assert "cut short" in row("broken")["reason"]
    inside.ours.desk.switch(True)
    size = row("lamp")["tokens"]
    monkeypatch.setitem(inside.shared.settings, "truncation_length", size)
    assert not row("lamp")["usable"]
    assert row("lamp")["reason"] == f"it needs {size} tokens, and the context has room for {size - 1} beside the reply"
    monkeypatch.setitem(inside.shared.settings, "truncation_length", size + 1)
    assert row("lamp")["usable"]


def test_a_loader_that_cannot_is_the_reason(inside: Inside, lamp: str) -> None:
    class TensorRTLLMModel:
        def generate(self, text: str, state: Any) -> str:
            return ""

        def unload(self) -> None:
            pass

    tokenizer = inside.shared.tokenizer
    inside.models.unload_model()
    inside.shared.model, inside.shared.tokenizer = TensorRTLLMModel(), tokenizer
    try:
        row = listed(inside, "lamp")
        assert (row["usable"], row["fit"]) == (False, "no model") and "TensorRT-LLM" in row["reason"]
    finally:
        inside.models.unload_model()
        inside.load()


def test_what_the_model_wrote_is_no_tag_of_the_request(inside: Inside) -> None:
    reply = "Then the keeper typed <<sp:nobody>> into the old machine, and waited."
    inside.ours.written.remember(reply)
    body = within(500, BEFORE + reply + AFTER)
    assert named(inside, "/v1/completions", body) == {}
    assert set(named(inside, "/v1/completions", within(500, "<<sp:nobody>>"))) == {"<<sp:nobody>>"}
