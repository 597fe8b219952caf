"""A portable build: no torch, no transformers, no watchdog, and the extension under whatever name its folder has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
fake, user_data = sys.argv[1:]
sys.path.insert(0, fake)
sys.argv = ["server.py", "--user-data-dir", user_data, "--api"]
from modules import extensions, shared
shared.args.extensions = extensions.available_extensions = ["a clone"]
extensions.load_extensions()
from soft_prompts.hosts.webui.host import webui
ours, said = webui(), []
ours.on_warning(said.append)

class LlamaServer:
    def encode(self, text, add_bos_token=False):
        return list(text)
    def generate(self, prompt, state):
        return prompt

report = {"loaded": list(extensions.state), "waiting": ours.desk.health().line, "kind": ours.watch.kind}
shared.model = shared.tokenizer = LlamaServer()
report["cannot"] = ours.desk.health().line
report["read"] = shared.model.generate("The <<sp:sea>>sky", {})
report["rows"] = [row.name for row in ours.desk.rows()]
report["said"], report["report"] = said, ours.desk.report()
extension = extensions.state["a clone"][2]
report["hooks"] = [extension.custom_css() != "", extension.ui(), extension.custom_tokenized_length("x")]
ours.stop()
print(json.dumps(report))
"""


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
    fake = CHECKOUT / "tests" / "webui" / "fake"
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", PROGRAM, str(fake), str(user_data)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["loaded"] == ["a clone"], done.stderr
    assert "no torch and no transformers" in report["waiting"]
    assert "llama.cpp" in report["cannot"]
    assert report["kind"] == "polling" and "pip install watchdog" in report["report"]
    assert report["read"] == "The sky", "no tag reaches the model as text"
    assert "llama.cpp" in report["said"][0] and report["rows"] == ["sea"]
    assert report["hooks"] == [True, None, None], "without gradio the tab is left out, and nothing else"
