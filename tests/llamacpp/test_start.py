"""How the webui's llama-server comes to its flags, and who waits for whom meanwhile; no server is needed."""

from __future__ import annotations

import shlex
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts.errors import SoftPromptError, UnsupportedModel
from soft_prompts.hosts.llamacpp.sidecar import Sidecar
from soft_prompts.hosts.webui.gate import Gate
from soft_prompts.hosts.webui.llama_start import Starts, with_flags
from soft_prompts.hosts.webui.llama_stock import examined, planned
from soft_prompts.library import Library
from soft_prompts.prompt import SoftPrompt

from ..conftest import make_model, make_tokenizer
from .gguf_models import write_gguf

PATH = "/home/a writer's/soft_prompts/.llamacpp/x.gguf"


def args(**changes: Any) -> Any:
    return SimpleNamespace(**{"ik": False, "extra_flags": None, "mmproj": None, **changes})


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder, tokenizer = tmp_path_factory.mktemp("start"), make_tokenizer("bytes")
    found = {}
    for name, tied in (("lora", False), ("mmproj", True)):
        model = make_model("llama", 464, tie_word_embeddings=tied)
        found[name] = SimpleNamespace(model_path=write_gguf(folder / f"{name}.gguf", model, tokenizer))
    return found


@pytest.mark.parametrize("flags", [None, "", "--jinja --rpc 1,2", '"--jinja"', "'-v'"])
def test_our_flag_stands_behind_the_writers(flags: str | None) -> None:
    words = shlex.split(with_flags(flags, ["--lora", PATH]))
    assert words[-2:] == ["--lora", PATH]
    assert words[:-2] == shlex.split((flags or "").strip("\"'"))


def test_the_webuis_older_spelling() -> None:
    assert with_flags("rpc=1", ["--lora", PATH]) == f"rpc=1,lora={PATH}"
    with pytest.raises(SoftPromptError, match="write them as '--flag value'"):
        with_flags("rpc=1", ["--lora", "/a,b/x.gguf"])


def test_what_is_not_served_is_told(models: dict[str, Any], tmp_path: Path) -> None:
    assert [examined(models[way], args())[1].way for way in models] == ["lora", "mmproj"]
    with pytest.raises(UnsupportedModel, match="has not been tried"):
        examined(models["lora"], args(ik=True))
    for taken in (
        args(mmproj="eyes.gguf"),
        args(extra_flags="--mmproj eyes.gguf"),
        args(extra_flags="mmproj=eyes.gguf"),
    ):
        with pytest.raises(UnsupportedModel, match="taken by your mmproj"):
            examined(models["mmproj"], taken)
        assert examined(models["lora"], taken)[1].way == "lora"
    with pytest.raises(SoftPromptError, match="holds none for this model"):
        planned(models["lora"], args(), Library(tmp_path), [])
    (tmp_path / "words.txt").write_text("The sea.", "utf-8")
    SoftPrompt("other", np.ones((4, 99), np.float32)).save(tmp_path / "other.safetensors")
    with pytest.raises(SoftPromptError, match="holds none for this model"):
        planned(models["lora"], args(), Library(tmp_path), [])
    SoftPrompt("noir", np.ones((4, 32), np.float32)).save(tmp_path / "noir.safetensors")
    sidecar = planned(models["lora"], args(), Library(tmp_path), [])
    assert len(sidecar.places) == 1 and sidecar.path.parent == tmp_path / ".llamacpp"
    assert Library(tmp_path).others() == [], "what lies in a folder with a dot is no soft prompt, and no other file"


class Server:
    """As the webui's class: flags are read at each start."""

    def __init__(self, flags: Any, fails: str = "") -> None:
        self.flags, self.fails, self.seen = flags, fails, []
        self._start_server()

    def _start_server(self) -> None:
        self.seen.append(self.flags.extra_flags)
        if self.fails and self.fails in (self.flags.extra_flags or ""):
            raise RuntimeError("exit code 1")

    def stop(self) -> None:
        pass


def sidecar(name: str) -> Sidecar:
    return Sidecar(Path(name), "lora", {}, (1, 2), (3, 4), (1, 2))


def test_starts_with_what_is_planned_and_without_where_that_fails() -> None:
    flags, original = args(extra_flags="--jinja"), Server._start_server
    starts = Starts(Server, flags, lambda model: sidecar("planned")).install()
    try:
        model = Server(flags, fails="broken")
        assert (model.seen, flags.extra_flags) == (["--jinja --lora planned"], "--jinja")
        assert starts.sidecar(model) == sidecar("planned")
        starts.start(model, sidecar("other"))
        assert (model.seen[-1], starts.sidecar(model)) == ("--jinja --lora other", sidecar("other"))
        with pytest.raises(SoftPromptError, match="exit code 1.* started without"):
            starts.start(model, sidecar("broken"))
        assert (model.seen[-1], starts.sidecar(model), flags.extra_flags) == ("--jinja", None, "--jinja")
    finally:
        starts.remove()
    assert Server._start_server is original


def test_whatever_ails_the_plan_the_model_starts() -> None:
    def fails(model: Any) -> Any:
        raise RuntimeError("ours, not theirs")

    flags = args()
    starts = Starts(Server, flags, fails).install()
    try:
        assert Server(flags).seen == [None]
    finally:
        starts.remove()


def test_who_is_alone_waits_for_the_others_and_they_for_him() -> None:
    gate, order = Gate(), []
    inside = gate.ticket()
    inside.__enter__()

    def alone() -> None:
        with gate.alone():
            order.append("alone")
            gate.wait()  # oneself is nobody to wait for
            time.sleep(0.05)
            order.append("done")

    def late() -> None:
        gate.wait()
        with gate.ticket():
            order.append("late")

    threads = [threading.Thread(target=alone), threading.Thread(target=late)]
    threads[0].start()
    time.sleep(0.05)
    threads[1].start()
    time.sleep(0.05)
    assert order == []
    order.append("left")
    inside.__exit__(None, None, None)
    for each in threads:
        each.join(5)
    assert order == ["left", "alone", "done", "late"]
    assert gate.closed_lately()
