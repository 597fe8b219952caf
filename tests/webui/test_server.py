"""The real webui as a server, as a writer's other programs use it: the API, the real `openai` client, many at once.

Needs TEXTGEN_WEBUI_DIR (its folder) and TEXTGEN_WEBUI_PYTHON (its Python); runs in any environment.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REAL = os.environ.get("TEXTGEN_WEBUI_DIR", "")
pytestmark = [
    pytest.mark.webui,
    pytest.mark.slow,
    pytest.mark.skipif(not REAL, reason="TEXTGEN_WEBUI_DIR names no text-generation-webui"),
]
LAMP = " and the old keeper lit the lamp in the tower"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone"
GREEDY = {"max_tokens": 12, "temperature": 0, "seed": 1}


@pytest.fixture(scope="module")
def server(start: Callable[..., Any]) -> Iterator[Any]:
    with start() as running:
        yield running


def test_the_list(server: Any) -> None:
    found = server.get("/v1/soft-prompts")
    assert found["status"] == "ready"
    assert [(each["name"], each["tag"], each["fit"], each["usable"]) for each in found["data"]] == [
        ("lamp", "<<sp:lamp>>", "fits", True)
    ]
    assert found["data"][0]["tokens"] > 5


def test_completions(server: Any) -> None:
    def text(tag: str, **more: Any) -> str:
        answer = server.post("/v1/completions", {"prompt": BEFORE + tag + AFTER, **GREEDY, **more})
        return str(answer["choices"][0]["text"])

    assert text("<<sp:lamp>>") == text(LAMP) != ""
    streamed = server.stream("/v1/completions", {"prompt": BEFORE + "<<sp:lamp>>" + AFTER, **GREEDY})
    assert "".join(each["choices"][0]["text"] for each in streamed) == text(LAMP)
    penalties = {"repetition_penalty": 1.2, "presence_penalty": 0.5, "frequency_penalty": 0.5, "dry_multiplier": 0.8}
    assert text("<<sp:lamp>>", **penalties) != "", "an error in a sampler is an empty text with status 200"


def test_messages_of_anthropic(server: Any) -> None:
    def said(tag: str) -> Any:
        messages = [{"role": "user", "content": f"Tell me{tag}"}]
        return server.post("/v1/messages", {"model": "x", "messages": messages, **GREEDY})["content"]

    assert said("<<sp:lamp>>") == said(LAMP)


def test_unresolved_tags_are_reported(server: Any) -> None:
    body = {"prompt": BEFORE + "<<sp:lamb>>" + AFTER, **GREEDY}
    status, headers, answer = server.ask("/v1/completions", body)
    assert status == 200
    problems = json.loads(headers["x-soft-prompts-unresolved"])
    assert problems[0]["tag"] == "<<sp:lamb>>" and "did you mean 'lamp'" in problems[0]["problem"]
    plain = server.post("/v1/completions", {"prompt": BEFORE + AFTER, **GREEDY})
    assert answer["choices"][0]["text"] == plain["choices"][0]["text"]
    status, _, answer = server.ask("/v1/completions", body, X_Soft_Prompts="strict")
    assert status == 400 and "<<sp:lamb>>" in answer["error"]["message"]


def test_internal(server: Any) -> None:
    count = server.post("/v1/internal/token-count", {"text": BEFORE + "<<sp:lamp>>" + AFTER})["length"]
    assert count == server.post("/v1/internal/token-count", {"text": BEFORE + LAMP + AFTER})["length"]
    encoded = server.post("/v1/internal/encode", {"text": BEFORE + "<<sp:lamp>>"})
    assert "<<sp:lamp>>" in server.post("/v1/internal/decode", {"tokens": encoded["tokens"]})["text"]
    views = [server.post("/v1/internal/logits", {"prompt": BEFORE + tag}) for tag in ("<<sp:lamp>>", LAMP)]
    assert views[0] == pytest.approx(views[1], abs=1e-5)
    messages = [{"role": "user", "content": "Hello<<sp:lamp>>"}]
    assert "Hello<<sp:lamp>>" in server.post("/v1/internal/chat-prompt", {"messages": messages})["prompt"]


def test_the_openai_client(server: Any) -> None:
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none")

    def ask(tag: str, stream: bool) -> str:
        messages = [{"role": "system", "content": f"It is night{tag}."}, {"role": "user", "content": f"Who{tag}?"}]
        answer = client.chat.completions.create(model="x", messages=messages, stream=stream, **GREEDY)
        if not stream:
            return str(answer.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)

    assert ask("<<sp:lamp>>", False) == ask(LAMP, False) != ""
    assert ask("<<sp:lamp>>", True) == ask(LAMP, True)
    answer = client.completions.create(
        model="x", prompt=BEFORE + "<<sp:lamp>>" + AFTER, echo=True, logprobs=2, **GREEDY
    )
    assert answer.choices[0].text.startswith(BEFORE + "<<sp:lamp>>" + AFTER)
    assert "<<sp:lamp>>" in answer.choices[0].logprobs.tokens
    raw = client.chat.completions.with_raw_response.create(
        model="x", messages=[{"role": "user", "content": "<<sp:lamb>>"}], **GREEDY
    )
    assert "did you mean" in raw.headers["x-soft-prompts-unresolved"]


def test_eight_clients_while_files_come_and_go(server: Any, furnished: Path) -> None:
    """8 x 50 streamed requests: every answer is what its client would get alone; memory stays flat."""
    folder = furnished / "soft_prompts"
    prompts = [
        f"{begin}{tag}{AFTER}" for begin in ("Once", "The miller", "At sea", "In rain") for tag in ("<<sp:lamp>>", "")
    ]

    def answer(prompt: str) -> str:
        events = server.stream("/v1/completions", {"prompt": prompt, **GREEDY})
        return "".join(each["choices"][0]["text"] for each in events)

    alone = {prompt: answer(prompt) for prompt in prompts}
    wrong: list[Any] = []
    stop = threading.Event()
    half = threading.Barrier(9)

    def client(number: int) -> None:
        for turn in range(50):
            if turn == 25:
                half.wait()
            prompt = prompts[(number + turn) % len(prompts)]
            try:
                if (found := answer(prompt)) != alone[prompt]:
                    wrong.append((prompt, found))
            except OSError as problem:
                wrong.append((prompt, repr(problem)))

    def churn() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            path = folder / f"passing{number % 9}.txt"
            path.write_text(f"The sea {number}.", "utf-8")
            stop.wait(0.02)
            path.unlink(missing_ok=True)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(8)]
    churning = threading.Thread(target=churn)
    for thread in [churning, *threads]:
        thread.start()
    half.wait()
    before = server.memory()
    for thread in threads:
        thread.join()
    stop.set()
    churning.join()
    assert wrong == []
    assert server.memory() - before < 32 << 20


def test_load_and_unload_by_the_api(server: Any) -> None:
    text = server.post("/v1/completions", {"prompt": BEFORE + "<<sp:lamp>>", **GREEDY})["choices"][0]["text"]
    server.post("/v1/internal/model/unload", {})
    assert server.get("/v1/soft-prompts")["status"] == "waiting"
    server.post("/v1/internal/model/load", {"model_name": "storyteller"})
    assert server.get("/v1/soft-prompts")["status"] == "ready"
    assert server.post("/v1/completions", {"prompt": BEFORE + "<<sp:lamp>>", **GREEDY})["choices"][0]["text"] == text
