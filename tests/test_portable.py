"""A portable build: no torch, no transformers, no watchdog, and the extension under whatever name its folder has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from soft_prompts import SoftPrompt

from .conftest import make_model, make_tokenizer

CHECKOUT = Path(__file__).resolve().parent.parent

# The stand-in for the webui, in a Python that has no more than a portable build.
PROGRAM = """
import importlib, json, logging, sys
from types import SimpleNamespace

class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in "torch transformers accelerate peft watchdog safetensors gradio".split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacks())
fake, user_data, gguf = sys.argv[1:]
sys.path.insert(0, fake)
sys.argv = ["server.py", "--user-data-dir", user_data, "--api"]
from modules import extensions, shared
shared.args.extensions = extensions.available_extensions = ["a clone"]
extensions.load_extensions()
from soft_prompts.hosts.webui.host import webui
from soft_prompts.tags import Tag
ours, said = webui(), []
ours.on_warning(said.append)

class Answer(SimpleNamespace):
    status_code = 200
    def json(self):
        return vars(self)

class Session:
    # Half a llama-server: it knows letters, and does nothing with soft prompts.
    sent = []
    def post(self, url, json=None, **options):
        if url.endswith("/tokenize"):
            return Answer(tokens=[1] * json["add_special"] + [ord(each) % 97 + 5 for each in json["content"]])
        self.sent.append(json["prompt"])
        likely = [{"id": each, "logprob": -1.0} for each in range(32)]
        return Answer(completion_probabilities=[{"top_logprobs": likely}])

class LlamaServer:
    port, bos_token, media_marker = 1, "<s>", "<m>"
    def __init__(self, path):
        self.model_path, self.session, self.started = path, Session(), 0
    def encode(self, text, add_bos_token=False):
        raise AssertionError("wrapped")
    def decode(self, ids):
        return ""
    def get_logits(self, prompt, state):
        return []
    def generate_with_streaming(self, prompt, state):
        payload = {"prompt": self.encode(prompt, add_bos_token=state["add_bos_token"])}
        self.session.post("/completion", json=payload)
        yield "yes"
    def _start_server(self):
        self.started += 1
    def stop(self):
        pass

report = {"loaded": list(extensions.state), "waiting": ours.desk.health().line, "kind": ours.watch.kind}
shared.model = shared.tokenizer = LlamaServer(gguf)
report["ready"] = ours.desk.health().line
ids = shared.model.encode("The <<sp:noir>>sky")
report["soft"] = sum(each >= 10**9 for each in ids)
state = {"add_bos_token": True, "truncation_length": 100, "max_new_tokens": 10}
report["wrote"] = list(shared.model.generate_with_streaming("The <<sp:noir>>sky", state))
report["started"] = shared.model.started
report["read"], report["plain"] = Session.sent[-1], shared.model.encode("The sky", True)
report["cannot"] = [ours.desk.health().line, ours.check(Tag("noir"))]
report["rows"] = [row.name for row in ours.desk.rows()]
report["said"], report["report"] = said, ours.desk.report()
extension = extensions.state["a clone"][2]
report["hooks"] = [extension.custom_css() != "", extension.ui(), extension.custom_tokenized_length("x")]
ours.stop()
print(json.dumps(report))
"""


pytest.importorskip("gguf")
from .llamacpp.gguf_models import write_gguf  # noqa: E402


def link(target: Path) -> None:
    try:
        target.symlink_to(CHECKOUT, target_is_directory=True)
    except OSError:
        pytest.skip("this account may not make links")


def test_a_portable_build_is_told_and_never_taken_down(tmp_path: Path) -> None:
    user_data = tmp_path / "user_data"
    (user_data / "extensions").mkdir(parents=True)
    link(user_data / "extensions" / "a clone")
    (user_data / "soft_prompts").mkdir()
    (user_data / "soft_prompts" / "sea.txt").write_text("The sea.", "utf-8")
    original = make_model("llama", 464, tie_word_embeddings=False)
    model = write_gguf(tmp_path / "model.gguf", original, make_tokenizer("bytes"))
    prompt = SoftPrompt("noir", np.ones((4, 32), np.float32))
    prompt.save(user_data / "soft_prompts" / "noir.safetensors")
    fake = CHECKOUT / "tests" / "webui" / "fake"
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", PROGRAM, str(fake), str(user_data), str(model)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["loaded"] == ["a clone"], done.stderr
    assert report["waiting"] == "No model is loaded. Load one with the llama.cpp loader, and tags work."
    # A GGUF model is served with nothing but numpy and gguf, up to where its server is asked.
    assert report["ready"].startswith("Tags work. ") and report["soft"] == 4
    # This server does nothing with soft prompts: it was tried, and no tag reaches it, least of all as text.
    assert report["wrote"] == ["yes"] and report["started"] == 2
    assert report["read"] == report["plain"]
    assert "does not do with soft prompts what it should" in report["cannot"][1]
    assert report["kind"] == "polling" and "pip install watchdog" in report["report"]
    assert "does not do with soft prompts" in report["said"][-1] and report["rows"] == ["noir", "sea"]
    assert report["hooks"] == [True, None, None], "without gradio the tab is left out, and nothing else"


@pytest.mark.parametrize(("there", "words"), [
    ({"gguf"}, "Load one with the llama.cpp loader, and tags work."),
    ({"gguf", "torch", "transformers"}, "Load one with the llama.cpp or the Transformers loader, and tags work."),
    ({"torch", "transformers"}, r"Load one with the Transformers loader, and tags work \(for GGUF models .* missing: "),
    (set(), "Tags cannot work yet: .* the package gguf is missing: run install.py webui again, or pip install gguf"),
])  # fmt: skip
def test_what_tags_work_with_is_said_by_what_is_there(
    there: set[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soft_prompts.hosts.webui import desk

    monkeypatch.setattr(desk, "_installed", there.__contains__)
    assert re.match(words, desk._loaders())
