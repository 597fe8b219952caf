"""Requests to a vLLM server hold what the model reads for a text with tags, in the format that it documents."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.errors import UnknownPrompt
from soft_prompts.hosts import vllm

from .law import A, B, Pair
from .test_docs import blocks


def received(body: dict[str, Any]) -> torch.Tensor:
    """As the server reads it: (tokens, width)."""
    saved = base64.b64decode(body["prompt_embeds"], validate=True)
    found = torch.load(io.BytesIO(saved), weights_only=True, map_location="cpu")
    assert isinstance(found, torch.Tensor) and found.ndim == 2 and found.is_floating_point()
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_request_holds_what_the_text_itself_would(dtype: torch.dtype, model: Any, tokenizer: Any) -> None:
    pair = Pair(model.to(dtype), tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt]) as attached:
        body = vllm.completion(A + "<<sp:p>>" + B, attached, "org/model", max_tokens=5)
        _, plain = pair.ids([A, "<<sp:p>>", B])
    assert {key: body[key] for key in body if key != "prompt_embeds"} == {"model": "org/model", "max_tokens": 5}
    found = received(json.loads(json.dumps(body)))
    assert found.dtype == dtype
    assert torch.equal(found, model.get_input_embeddings()(plain)[0])


def test_a_model_goes_on_behind_them_as_behind_the_tags(family_model: Any, tokenizer: Any) -> None:
    pair = Pair(family_model, tokenizer)
    with soft_prompts.attach(family_model, tokenizer, prompts=[pair.prompt]) as attached:
        text = A + "<<sp:p>>" + B + "<<sp:p:0.5>>"
        embeds = received(vllm.completion(text, attached, "m"))
        soft = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            wanted = family_model(input_ids=soft, use_cache=False).logits
    with torch.no_grad():
        found = family_model(inputs_embeds=embeds[None], use_cache=False).logits
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_request_is_no_larger_than_its_embeddings(model: Any) -> None:
    whole = torch.ones(1000, 32)
    assert len(vllm.encoded(whole[:2])) < 4 * 2 * 32 * 4 / 3 + 3000
    assert torch.equal(received({"prompt_embeds": vllm.encoded(whole[:2].T)}), whole[:2].T)


def test_a_tag_that_means_nothing_is_no_request(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    SoftPrompt("noir", np.ones((2, 32))).save(tmp_path / "noir.safetensors")
    with (
        soft_prompts.attach(model, tokenizer, tmp_path) as attached,
        pytest.raises(UnknownPrompt, match="did you mean 'noir'"),
    ):
        vllm.completion("<<sp:nior>>", attached, "m")


class Server(BaseHTTPRequestHandler):
    """As much of vLLM's as answers one completion, and remembers what it was asked."""

    asked: list[tuple[str, dict[str, Any]]] = []  # noqa: RUF012

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, json.loads(body)))
        answer = json.dumps({"choices": [{"text": f" {len(received(self.asked[-1][1]))} tokens"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_the_page_runs(
    server: str, storyteller: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, tokenizer = storyteller
    SoftPrompt("noir", np.full((4, 160), 0.01)).save("soft_prompts/noir.safetensors")
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", {"org/model": model}.get)
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", {"org/model": tokenizer}.get)
    names: dict[str, Any] = {"server": server}
    for code in blocks("docs/vllm.md", "python"):
        exec(compile(code, "docs/vllm.md", "exec"), names)
    path, body = Server.asked[-1]
    assert path == "/v1/completions"
    assert body["max_tokens"] == 60 and "prompt" not in body
    bare = len(tokenizer("The door opened and")["input_ids"])
    assert names["answer"] == f" {bare + 4} tokens"
