"""Stands in for the webui's `modules.llama_cpp_server`: a llama-server of its own for each model, spoken to by HTTP.

Kept with care: the model is its own tokenizer, every request goes through `self.session.post`, what `--extra-flags`
says is read at each start, the port stays, and nothing cuts a prompt that is too long.
"""

from __future__ import annotations

import json
import shlex
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modules.shared as shared
import requests

State = dict[str, Any]


class LlamaServer:
    """The server is started by the constructor, and ended by `stop`."""

    def __init__(self, model_path: Path, server_path: str | None = None) -> None:
        self.model_path = model_path
        self.server_path = server_path
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self.session = requests.Session()
        self.vocabulary_size = None
        self.n_ctx: int | None = None
        self.bos_token = "<s>"
        self.media_marker = "<__media__>"
        self.last_prompt_token_count = 0
        self._start_server()

    def encode(self, text: str, add_bos_token: bool = False, **kwargs: Any) -> list[int]:
        if self.bos_token and text.startswith(self.bos_token):
            add_bos_token = False
        payload = {"content": text, "add_special": add_bos_token}
        found: list[int] = self.session.post(self._url("tokenize"), json=payload).json().get("tokens", [])
        return found

    def decode(self, token_ids: Any, **kwargs: Any) -> str:
        return str(self.session.post(self._url("detokenize"), json={"tokens": token_ids}).json().get("content", ""))

    def prepare_payload(self, state: State) -> State:
        payload = {name: state[name] for name in ("temperature", "top_k", "top_p", "min_p", "seed")}
        banned = [[int(each), False] for each in (state["custom_token_bans"] or "").split(",") if each.strip()]
        payload |= {"ignore_eos": state["ban_eos_token"], "repeat_penalty": state["repetition_penalty"]}
        return {**payload, **({"logit_bias": banned} if banned else {})}

    def is_multimodal(self) -> bool:
        return shared.args.mmproj not in (None, "None")

    def _process_images_for_generation(self, state: State) -> list[Any]:
        return list(state.get("image_attachments") or [])

    def generate_with_streaming(self, prompt: str, state: State) -> Iterator[str]:
        payload = self.prepare_payload(state)
        token_ids = self.encode(prompt, add_bos_token=state["add_bos_token"])
        self.last_prompt_token_count = len(token_ids)
        auto = state["truncation_length"] - len(token_ids)
        length = auto if state["auto_max_new_tokens"] else state["max_new_tokens"]
        payload |= {"prompt": token_ids, "n_predict": length, "stream": True, "cache_prompt": True}
        response = self.session.post(self._url("completion"), json=payload, stream=True)
        try:
            response.raise_for_status()
            text = ""
            for line in response.iter_lines():
                if shared.stop_everything:
                    break
                if not line.startswith(b"data: "):
                    continue
                part = json.loads(line[6:])
                if part.get("content"):
                    text += part["content"]
                    yield text
                if part.get("stop"):
                    break
        finally:
            response.close()

    def generate(self, prompt: str, state: State) -> str:
        *_, output = ["", *self.generate_with_streaming(prompt, state)]
        return output

    def get_logits(self, prompt: str, state: State, n_probs: int = 128, use_samplers: bool = False) -> list[State]:
        payload = self.prepare_payload(state)
        ids = self.encode(prompt, add_bos_token=state["add_bos_token"])
        payload |= {"prompt": ids, "n_predict": 0, "logprobs": True, "n_probs": n_probs, "stream": False}
        payload["post_sampling_probs"] = use_samplers
        first = self.session.post(self._url("completion"), json=payload).json()["completion_probabilities"][0]
        found: list[State] = first["top_probs" if use_samplers else "top_logprobs"]
        return found

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"

    def _start_server(self) -> int:
        if self.server_path is None:
            import llama_cpp_binaries

            self.server_path = llama_cpp_binaries.get_binary_path()
        command = [str(self.server_path), "--model", str(self.model_path), "--port", str(self.port), "--no-webui"]
        command += ["--ctx-size", str(shared.args.ctx_size or 8192), "--threads", "1"]
        command += ["--parallel", str(shared.args.parallel)]
        flags = (shared.args.extra_flags or "").strip()
        if flags.startswith("-"):
            command += shlex.split(flags)
        elif flags:
            pairs = [item.split("=", 1) for item in flags.split(",")]
            command += [part for name, *value in pairs for part in (f"--{name}", *value)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            if (code := self.process.poll()) is not None:
                raise RuntimeError(f"Server process terminated unexpectedly with exit code: {code}")
            try:
                if self.session.get(self._url("health")).status_code == 200:
                    break
            except requests.RequestException:
                pass
            time.sleep(0.05)
        told = self.session.get(self._url("props")).json()
        self.bos_token, self.media_marker = told.get("bos_token", "<s>"), told.get("media_marker", "<__media__>")
        self.n_ctx = told.get("default_generation_settings", {}).get("n_ctx")
        return self.port

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=5)
            self.process = None
