"""The webui's model, lent to a training: it stays the webui's, and whoever unloads it has it back."""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from soft_prompts.errors import TrainingError
from soft_prompts.hosts.webui.lending import Lending
from soft_prompts.trainer.board import Board
from soft_prompts.trainer.runs import Runs, runs_of

Inside = Any  # the fixture of conftest.py
SMALL = {"tokens": "4", "steps": "400", "batch": "2", "block": "32", "validate": "2", "preview-every": "100"}
OPENING = "Once upon a time there was a miller"


@pytest.fixture
def lends(inside: Inside) -> Lending:
    found = inside.ours.desk.lends
    assert isinstance(found, Lending)
    return found


@pytest.fixture
def runs(inside: Inside) -> Iterator[Runs]:
    made = Runs(inside.ours.library, inside.ours.desk.lends, lambda: inside.ours.desk.forbids)
    yield made
    made.close()


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "lamp.txt"
    path.write_text("The keeper lit the lamp. The sea was calm, and nobody came. " * 60, "utf-8")
    return path


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
    until(lambda: not board(runs).live and runs._live is None)
    return board(runs)


def test_the_model_is_lent_where_it_is(inside: Inside, lends: Lending) -> None:
    assert (lends.way, lends.reason) == ("here", "")
    model, tokenizer = lends.borrow()
    assert model is inside.shared.model and tokenizer is inside.shared.tokenizer
    with pytest.raises(TrainingError, match="can be trained on where it is"):
        lends.model_words()
    inside.models.unload_model()
    assert lends.way == "none" and "no model is loaded" in lends.reason
    with pytest.raises(TrainingError, match="no model is loaded"):
        lends.borrow()
    inside.load()
    assert lends.borrow()[0] is inside.shared.model


def test_a_step_keeps_generations_out_and_the_model_in(inside: Inside, lends: Lending) -> None:
    inside.models.last_generation_time = 0
    with lends.step():
        assert inside.shared.generation_lock.locked()
        assert time.time() - inside.models.last_generation_time < 5
        inside.models.last_generation_time = 0
    assert time.time() - inside.models.last_generation_time < 5
    assert not inside.shared.generation_lock.locked()
    with pytest.raises(ZeroDivisionError), lends.step():
        raise ZeroDivisionError
    assert not inside.shared.generation_lock.locked()


def test_without_a_lock(inside: Inside, lends: Lending, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside.shared, "generation_lock", None)
    with lends.step():
        pass


def test_not_beside_the_webuis_own_training(
    inside: Inside, lends: Lending, runs: Runs, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.start(runs.plan("finetune", "lamp", [text], None, SMALL))
    reached(runs, 2)
    monkeypatch.setattr(inside.shared, "model_dirty_from_training", True)
    found = ended(runs)
    assert found.state == "interrupted" and "own Training tab" in found.problem
    assert lends.way == "none" and "own Training tab" in runs.reason
    with pytest.raises(TrainingError, match="own Training tab"):
        runs.go_on("lamp")
    monkeypatch.setattr(inside.shared, "model_dirty_from_training", False)
    runs.go_on("lamp")
    reached(runs, found.step + 1)


def test_a_training_while_eight_write(inside: Inside, runs: Runs, text: Path, lamp: str) -> None:
    plain, tagged = inside.complete(OPENING), inside.complete(OPENING + lamp)
    assert tagged == inside.complete(OPENING + inside.LAMP) != plain
    runs.start(runs.plan("finetune", "sea", [text], None, SMALL))
    began = reached(runs, 1).step
    said: list[str] = []

    def write(number: int) -> None:
        said.append(inside.complete(OPENING + (lamp if number % 2 else "")))

    writers = [threading.Thread(target=write, args=[number]) for number in range(8)]
    for each in writers:
        each.start()
    for each in writers:
        each.join(120)
    assert sorted(said) == sorted([plain, tagged] * 4)
    reached(runs, began + 1)
    runs.stop()
    stopped = ended(runs)
    assert stopped.state == "stopped" and stopped.best is not None
    # The tag of what was learnt works at once, and the model is as it was.
    assert inside.complete(OPENING + "<<sp:sea>>").strip()
    assert inside.complete(OPENING) == plain
    row = {each.name: each for each in inside.ours.desk.rows()}["sea"]
    assert (row.verdict, row.tokens) == ("fits", 4)


def test_a_model_that_is_unloaded_and_comes_back(inside: Inside, runs: Runs, text: Path) -> None:
    runs.start(runs.plan("finetune", "lamp", [text], None, SMALL))
    reached(runs, 3)
    inside.models.unload_model()
    gone = ended(runs)
    assert gone.state == "interrupted" and "unloaded" in gone.problem and "no model is loaded" in runs.reason
    inside.load()
    runs.go_on("lamp")
    assert reached(runs, gone.step + 1).state == "training"
    runs.stop()
    assert ended(runs).state == "stopped"


def test_the_page_finds_the_same_runs_again(inside: Inside) -> None:
    assert runs_of(inside.ours.desk) is runs_of(inside.ours.desk)


def test_a_file_of_llama_cpp_makes_room_and_comes_back(
    inside: Inside, lends: Lending, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = SimpleNamespace(file=SimpleNamespace(path=Path("/models/emma.gguf")), serves=lambda *pair: True)
    monkeypatch.setattr(inside.ours.current, "served", served)
    assert (lends.way, lends.reason, list(lends.model_words())) == ("worker", "", ["--model", "/models/emma.gguf"])
    with pytest.raises(TrainingError, match=r"llama\.cpp"):
        lends.borrow()
    assert lends.original == ""
    with pytest.raises(TrainingError, match="neither a folder with a config.json nor a name"):
        lends.learn_on("C:/nowhere")
    for wrong in ("--trust-remote-code", "a/b/c", "a/ b", "../x"):
        with pytest.raises(TrainingError, match="neither"):
            lends.learn_on(wrong)
    lends.learn_on("a/b")
    assert lends.original == "a/b" and list(lends.model_words()) == ["--model", "a/b"]
    other = SimpleNamespace(file=SimpleNamespace(path=Path("/models/other.gguf")), serves=lambda *pair: True)
    monkeypatch.setattr(inside.ours.current, "served", other)
    assert lends.original == "" and list(lends.model_words()) == ["--model", "/models/other.gguf"]
    monkeypatch.setattr(inside.ours.current, "served", served)
    lends.learn_on("")
    assert not inside.ours.settings.choices.originals
    inside.models.active_generation_count += 1
    done: list[Any] = []
    asks = threading.Thread(target=lambda: done.append(lends.release()))
    asks.start()
    time.sleep(0.2)
    assert inside.shared.model is not None and not done, "somebody is writing"
    inside.models.active_generation_count -= 1
    asks.join(10)
    assert inside.shared.model is None and not inside.shared.generation_lock.locked()
    loaded: list[tuple[str, str]] = []
    load = inside.models.load_model
    monkeypatch.setattr(inside.models, "load_model", lambda name, loader: loaded.append((name, loader)) or load(name))
    done[0]()
    assert loaded == [("storyteller", "Transformers")] and inside.shared.model is not None
    kept = inside.shared.model
    done[0]()
    assert inside.shared.model is kept, "the writer has loaded another one"
    inside.models.unload_model()
    monkeypatch.setattr(inside.models, "load_model", lambda name, loader: (None, None))
    with pytest.raises(TrainingError, match="could not be loaded again"):
        done[0]()


LLAMA_SERVER = os.environ.get("LLAMA_SERVER") or shutil.which("llama-server") or ""


@pytest.fixture
def llama(inside: Inside, gguf_of_tests: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Inside]:
    """The webui with the storyteller as GGUF, in a real llama-server."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import demo

    binaries = ModuleType("llama_cpp_binaries")
    binaries.get_binary_path = lambda: LLAMA_SERVER  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "llama_cpp_binaries", binaries)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # threads of a small model wait for one another, above all beside a job
    model, tokenizer = (each.from_pretrained(demo.path()) for each in (AutoModelForCausalLM, AutoTokenizer))
    gguf_of_tests.write_gguf(inside.user_data / "models" / "lent.gguf", model, tokenizer)
    args, before = inside.shared.args, dict(vars(inside.shared.args))
    args.loader, args.ctx_size, args.threads, args.gpu_layers = "llama.cpp", 1024, 1, 0
    inside.models.unload_model()
    inside.shared.model, inside.shared.tokenizer = inside.models.load_model("lent.gguf")
    yield inside
    inside.models.unload_model()
    vars(args).update(before)
    inside.load()


@pytest.mark.llamacpp
@pytest.mark.slow
@pytest.mark.skipif(not LLAMA_SERVER, reason="LLAMA_SERVER names no llama-server, and none is on the PATH")
@pytest.mark.parametrize("original", [False, True], ids=["the file", "its original"])
def test_from_a_running_gguf_to_a_story_with_the_tag(llama: Inside, runs: Runs, text: Path, original: bool) -> None:
    from soft_prompts import demo

    runs.learn_on(str(demo.path()) if original else "")
    assert runs.reason == "" and "process of its own" in runs.advice and "Unload the model" in runs.asks
    assert ("on the model's file" in runs.advice) != original
    plain, first = llama.complete(OPENING), llama.shared.model
    settings = {**SMALL, "steps": "6", "validate": "3"}
    runs.start(runs.plan("finetune", "lamp", [text], None, settings), agreed=True)
    until(lambda: llama.shared.model is None)
    until(lambda: runs._live is None, 600)
    (done,) = runs.boards()
    assert (done.state, done.problem) == ("done", "") and done.start["model"] == ("storyteller" if original else "lent")
    assert llama.shared.model is not None and llama.shared.model is not first
    assert {each.name: each.verdict for each in llama.ours.desk.rows()} == {"lamp": "fits"}
    assert llama.complete(OPENING) == plain != llama.complete(OPENING + "<<sp:lamp>>")
    assert not [use for use in llama.ours.last.uses if use.problem]
