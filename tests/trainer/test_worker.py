"""A training in a process of its own: told line by line, held, ended, killed, and set up once the writer agrees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf")

from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import TrainingError
from soft_prompts.fingerprint import judge
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.trainer import worker
from soft_prompts.trainer.board import Board
from soft_prompts.trainer.runs import Runs
from soft_prompts.trainer.worker import Environment, Process, environment

from ..conftest import make_model, make_tokenizer
from ..llamacpp.gguf_models import write_gguf

SMALL = {"tokens": "4", "steps": "8", "batch": "2", "block": "32", "validate": "4", "preview-every": "4"}
LONG = {**SMALL, "steps": "4000", "patience": "1000"}


class Hosting:
    """A host that runs a file in llama.cpp, and writes down what it is asked."""

    way = "worker"
    reason = ""

    def __init__(self, file: Path) -> None:
        self.words = ["--model", str(file)]
        self.told: list[str] = []

    def borrow(self) -> Any:
        pytest.fail("there is nothing to borrow")

    step = borrow

    original = ""

    def model_words(self) -> list[str]:
        return self.words

    def release(self) -> Callable[[], None]:
        self.told.append("unloaded")
        return lambda: self.told.append("loaded")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = make_model("llama", 464, tie_word_embeddings=False)
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", model, make_tokenizer("bytes"), "Q8_0")


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process, too: threads of a small model wait for one another, above all beside another job."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def hosting(file: Path) -> Hosting:
    return Hosting(file)


@pytest.fixture
def text(tmp_path: Path, story: str) -> Path:
    path = tmp_path / "lamp.txt"
    path.write_text(story * 6, "utf-8")
    return path


@pytest.fixture
def runs(tmp_path: Path, hosting: Hosting) -> Iterator[Runs]:
    made = Runs(Library(tmp_path / "library"), hosting)  # type: ignore[arg-type]
    yield made
    made.close()


def until(true: Callable[[], Any], seconds: float = 120.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)
    return found


def board(runs: Runs) -> Board:
    (found,) = runs.boards()
    return found


def reached(runs: Runs, step: int) -> Board:
    until(lambda: board(runs).step >= step or not board(runs).live)
    assert board(runs).step >= step, board(runs).problem
    return board(runs)


def ended(runs: Runs) -> Board:
    until(lambda: runs._live is None)
    return board(runs)


def child(runs: Runs) -> int:
    """The process of the run."""
    live: Any = runs._live
    return int(live._process._child.pid)


def test_this_python_can_train(tmp_path: Path) -> None:
    found = environment()
    assert found.python == Path(sys.executable) and not found.problem
    assert "Download" not in found.asks()
    assert "Download a/b from" in found.asks("a/b") and "on a/b, which needs" in found.advice("a/b")
    assert "Download" not in found.asks(str(tmp_path)), "a folder is there"


@pytest.mark.slow
def test_from_a_file_of_llama_cpp_to_a_prompt_for_it(runs: Runs, text: Path, hosting: Hosting, file: Path) -> None:
    plan = runs.plan("finetune", "lamp", [text], None, SMALL)
    assert runs.estimate(plan).startswith("About ") and not hosting.told
    runs.start(plan, agreed=True)
    done = ended(runs)
    assert (done.state, done.problem, done.step) == ("done", "", 8)
    assert [each.number for each in done.previews] == [4, 8] and done.start["model"] == "tiny"
    assert done.report["held_out"] < done.report["base"]
    assert hosting.told == ["unloaded", "loaded"]
    prompt = runs._library["lamp"]
    assert isinstance(prompt, SoftPrompt) and judge(prompt, GgufModel.open(file)).verdict == "fits"


@pytest.mark.slow
def test_held_ended_and_gone_on_with(runs: Runs, text: Path, hosting: Hosting) -> None:
    runs.start(runs.plan("finetune", "lamp", [text], None, LONG), agreed=True)
    reached(runs, 5)
    runs.pause()
    until(lambda: hosting.told == ["unloaded", "loaded"])  # the model is free meanwhile
    held = board(runs)
    assert held.state == "paused" and isinstance(runs._library["lamp"], SoftPrompt)
    runs.go_on("lamp")
    assert reached(runs, held.step + 1).state == "training"
    assert hosting.told[-1] == "unloaded"
    at = board(runs).step
    runs.stop()
    stopped = ended(runs)
    assert stopped.state == "stopped" and stopped.step >= at and hosting.told[-1] == "loaded"
    runs.go_on("lamp")
    reached(runs, stopped.step + 1)
    # What kills it is said, and what it had saved is gone on from.
    os.kill(child(runs), signal.SIGKILL)
    killed = ended(runs)
    assert killed.state == "failed" and "no memory left" in killed.problem
    runs.go_on("lamp")
    reached(runs, stopped.step)
    runs.stop()
    assert ended(runs).state == "stopped"


@pytest.mark.slow
def test_what_it_says_last_is_the_reason(runs: Runs, text: Path, hosting: Hosting, tmp_path: Path) -> None:
    hosting.words = ["--model", str(tmp_path / "gone.gguf")]
    runs.start(runs.plan("finetune", "lamp", [text], None, SMALL))
    failed = ended(runs)
    assert failed.state == "failed" and "gone.gguf" in failed.problem and "No such file" in failed.problem
    assert not failed.problem.startswith("soft-prompts") and not hosting.told


@pytest.mark.slow
def test_a_host_whose_model_does_not_come_back(runs: Runs, text: Path, hosting: Hosting) -> None:
    def back() -> None:
        raise TrainingError("emma could not be loaded again")

    hosting.release = lambda: back  # type: ignore[method-assign]
    hosting.words = ["--model", "gone.gguf"]
    runs.start(runs.plan("finetune", "lamp", [text], None, SMALL), agreed=True)
    assert "could not be loaded again" in ended(runs).problem


# ---- what is needed first

SETTING_UP = "print('  torch, the largest part    60 s  Downloading', flush=True)"


def test_nothing_is_downloaded_without_consent(
    text: Path, hosting: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = Environment(folder=tmp_path / ".venv")
    assert "3 GB on Linux" in lacking.asks() and str(tmp_path / ".venv") in lacking.asks()
    runs = Runs(Library(tmp_path / "library"), hosting, where=lambda: lacking)  # type: ignore[arg-type]
    assert runs.asks == lacking.asks() and "process of its own" in runs.advice
    plan = runs.plan("finetune", "lamp", [text], None, SMALL)
    assert "once what it needs is there" in runs.estimate(plan)
    with pytest.raises(TrainingError, match="consent"):
        runs.start(plan)
    monkeypatch.setattr(worker, "_SET_UP", SETTING_UP)
    monkeypatch.setattr(worker, "environment", lambda: lacking)
    seen: list[str] = []
    take = runs._take
    monkeypatch.setattr(runs, "_take", lambda event: (seen.append(str(event.get("what"))), take(event)))
    plan = runs.plan("finetune", "lamp", [text], None, SMALL)
    runs.start(plan, agreed=True)
    failed = ended(runs)
    assert "setting up what a training needs: torch, the largest part 60 s Downloading" in seen
    assert failed.state == "failed" and "was set up, and cannot train" in failed.problem


def test_a_python_without_torch_looks_beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    has = worker._has
    monkeypatch.setattr(worker, "_has", lambda name: name != "torch" and has(name))
    found = environment()
    assert found.folder is not None and found.folder.name == ".venv" and not found.problem
    monkeypatch.setattr(worker, "CHECKOUT", tmp_path)
    assert "lacks torch" in environment().problem and environment().python is None


def test_a_process_that_says_odd_things() -> None:
    events: list[Any] = []
    lines: list[str] = []
    said = 'import sys; print(\'[1]\\n\\u00e9\\n{"event": "note", "text": "x"}\\n{\'); '
    said += "sys.exit('soft-prompts: it is late')"
    with pytest.raises(TrainingError, match="^it is late\n"):
        Process([sys.executable, "-X", "utf8", "-c", said], events.append, lines.append).run()
    assert events == [{"event": "note", "text": "x"}] and lines == ["é", "{"]
    with pytest.raises(TrainingError, match="ended with status 3 and without a word"):
        Process([sys.executable, "-c", "raise SystemExit(3)"], events.append).run()
    with pytest.raises(TrainingError, match="cannot be started"):
        Process(["/nowhere/python"], events.append).run()


# ---- the server itself

SERVER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from soft_prompts import Library
from soft_prompts.trainer.runs import Runs

class Hosting:
    way, reason = sys.argv[4], ""
    original = ""
    def model_words(self): return ["--model", sys.argv[2]]
    def release(self): return lambda: None
    def step(self):
        from contextlib import nullcontext
        return nullcontext()
    def borrow(self): return MODEL
    def waits(self): return ()

if sys.argv[4] == "here":
    from soft_prompts.trainer.loading import Choice, load
    MODEL = load(Choice(sys.argv[2]))[:2]
runs = Runs(Library(sys.argv[1]), Hosting())
settings = {"tokens": "4", "steps": "4000", "batch": "2", "block": "32", "validate": "4", "patience": "1000"}
runs.start(runs.plan("finetune", "lamp", [Path(sys.argv[3]) / "lamp.txt"], None, settings))
while True:
    (board,) = runs.boards()
    print(board.step, board.state, board.problem, flush=True)
    time.sleep(0.05)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="nothing there kills a program as SIGKILL does")
@pytest.mark.parametrize("way", ["here", "worker"])
def test_a_server_that_is_killed(way: str, tmp_path: Path, text: Path, file: Path, hosting: Hosting) -> None:
    library = tmp_path / "library"
    words = [sys.executable, "-I", "-c", SERVER, str(library), str(file), str(tmp_path), way]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if int(line.split()[0]) >= 10:
                break
            assert "failed" not in line, line
        # So long that the board was written down once more.
        until(lambda: (library / "lamp.training" / "training.state").exists())
        server.kill()
    runs = Runs(Library(library), hosting)  # type: ignore[arg-type]
    until(lambda: not runs._kept.busy("lamp"))  # a worker finds that nobody hears it any more
    found = board(runs)
    assert found.state == "interrupted" and isinstance(runs._library["lamp"], SoftPrompt)
    runs.go_on("lamp")
    going = reached(runs, 11)
    assert any("going on from step" in note for note in going.notes)
    runs.stop()
    assert ended(runs).state == "stopped"
