"""Trainings of a host: one at a time on a model that others use, told to any page, and found again after a crash."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import InvalidFile, InvalidPrompt, SoftPromptError, TrainingError
from soft_prompts.hosts.hf import attach
from soft_prompts.hosts.hf.sample import continuation
from soft_prompts.trainer import Corpus, Finetune, Training
from soft_prompts.trainer.board import Board
from soft_prompts.trainer.claim import Claim
from soft_prompts.trainer.kept import Kept
from soft_prompts.trainer.runs import Pair, Runs, Taken
from soft_prompts.trainer.worker import Environment

SMALL = {"tokens": "4", "steps": "8", "batch": "2", "block": "32", "validate": "4", "preview-every": "4"}
PAIRS = [Pair(" Emma lives in", " the tower"), Pair(" The keeper lives in", " the city", held_out=True)]


class Lending:
    """A host with one model and one lock. `model` may be taken away."""

    reason = ""

    def __init__(self, model: Any, tokenizer: Any, way: Literal["here", "worker", "none"] = "here") -> None:
        self.model, self.tokenizer, self.way = model, tokenizer, way
        self.lock = threading.Lock()
        self.turns = 0
        self.before: Callable[[], None] = lambda: None
        self.told: list[str] = []

    def waits(self) -> Iterator[None]:
        while self.loading:
            time.sleep(0.01)
            yield

    loading = False
    original = None

    def borrow(self) -> tuple[Any, Any]:
        if self.model is None:
            raise TrainingError("no model is loaded")
        return self.model, self.tokenizer

    @contextmanager
    def step(self) -> Iterator[None]:
        self.before()
        with self.lock:
            self.turns += 1
            yield

    def model_words(self) -> Sequence[str]:
        return self.told

    def release(self) -> Callable[[], None]:
        self.told = [*self.told, "released"]
        return lambda: self.told.append("back")


@pytest.fixture
def lends(model: Any, tokenizer: Any) -> Lending:
    return Lending(model, tokenizer)


@pytest.fixture
def story_file(tmp_path: Path, story: str) -> Path:
    path = tmp_path / "up" / "Lamp 1.txt"
    path.parent.mkdir()
    path.write_text(story * 6, "utf-8")
    return path


@pytest.fixture
def runs(tmp_path: Path, lends: Lending) -> Iterator[Runs]:
    made = Runs(Library(tmp_path / "library"), lends)
    yield made
    made.close()


def until(true: Callable[[], Any], seconds: float = 60.0) -> Any:
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)
    return found


def board(runs: Runs, name: str = "lamp") -> Board:
    (found,) = [each for each in runs.boards() if each.plan.name == name]
    return found


def ended(runs: Runs, name: str = "lamp") -> Board:
    until(lambda: runs._live is None)
    return board(runs, name)


def reached(runs: Runs, step: int, name: str = "lamp") -> Board:
    """The board once it is there."""
    found = until(lambda: (board(runs, name).step >= step and board(runs, name)) or not board(runs, name).live)
    assert isinstance(found, Board), board(runs, name).problem
    return found


def begun(runs: Runs, path: Path, name: str = "lamp", **settings: str) -> None:
    runs.start(runs.plan("finetune", name, [path], None, {**SMALL, **settings}))


# ---- from files to a prompt


def test_from_files_to_a_prompt_in_the_library(runs: Runs, story_file: Path, tmp_path: Path, lends: Lending) -> None:
    found = runs.understand("finetune", [story_file])
    assert (found.name, found.title, found.kind) == ("Lamp 1", "Lamp 1.txt", "finetune")
    assert found.words.startswith("1 story, ") and found.excerpts[0].startswith("Once upon a time")
    plan = runs.plan("finetune", " lamp ", [story_file], None, SMALL)
    assert (plan.name, plan.title) == ("lamp", "Lamp 1.txt")
    story_file.unlink()  # an upload goes whenever it likes
    before = runs.revision
    runs.start(plan)
    done = ended(runs)
    assert (done.state, done.problem, done.step, done.steps) == ("done", "", 8, 8)
    assert [each[0] for each in done.history] == list(range(1, 9))
    assert [each[0] for each in done.history if each[2] is not None] == [4, 8]
    assert [each.number for each in done.previews] == [4, 8]
    assert done.report["held_out"] < done.report["base"] and done.report["verdict"]
    assert done.start["settings"]["tokens"] == 4 and done.tokens_per_second > 0
    assert runs.revision != before
    library = Library(tmp_path / "library")
    assert isinstance(library["lamp"], SoftPrompt) and list(library) == ["lamp"]
    home = tmp_path / "library" / "lamp.training"
    assert sorted(each.name for each in home.iterdir()) == [
        "curve.csv", "curve.png", "report.json", "report.md", "run.json", "sources",
    ]  # fmt: skip
    assert not any((tmp_path / "library" / ".training").iterdir())
    assert lends.turns > 16 and not lends.lock.locked()
    assert str(tmp_path) not in (home / "run.json").read_text("utf-8")


def test_an_attached_model_gives_the_same_numbers(
    model: Any, tokenizer: Any, story: str, tmp_path: Path, runs: Runs, story_file: Path, lends: Lending
) -> None:
    settings = {"tokens": 4, "steps": 8, "batch": 2, "block": 32, "validate": 4}
    bare = Training(model, tokenizer, Finetune(Corpus(story * 6)), **settings)  # type: ignore[arg-type]
    losses = [step.loss for step in bare]
    SoftPrompt.from_text(" and the lamp", model, tokenizer, name="sea").save(tmp_path / "library" / "sea.safetensors")
    plain = continuation(model, tokenizer, "The door opened and the lamp", 6, 0, 0)
    with attach(model, tokenizer, tmp_path / "library"):
        said = []

        def write() -> None:
            with lends.lock:
                said.append(continuation(model, tokenizer, "The door opened<<sp:sea>>", 6, 0, 0))

        write()
        seen = []
        lends.before = lambda: seen.append(write()) if lends.turns % 4 == 3 else None
        begun(runs, story_file)
        done = ended(runs)
        lends.before = lambda: None
        write()
    assert [loss for _, loss, _ in done.history] == losses
    assert len(seen) > 3 and len(set(said)) == 1 and said[0] == plain


def test_facts_of_a_table(runs: Runs, tmp_path: Path) -> None:
    plan = runs.plan("world-info", "emma", [], [*PAIRS, Pair(" ", "")], SMALL)
    assert plan.title == "facts typed here"
    runs.start(plan)
    done = ended(runs, "emma")
    assert done.state == "done" and done.report["answers"]
    kept = tmp_path / "library" / "emma.training" / "sources" / "pairs.json"
    assert json.loads(kept.read_text("utf-8")) == [
        {"call": " Emma lives in", "response": " the tower"},
        {"call": " The keeper lives in", "response": " the city", "held_out": True},
    ]


def test_what_is_distilled_brings_its_questions(runs: Runs, tmp_path: Path, story_file: Path) -> None:
    asked = story_file.with_name("asked.json")
    asked.write_text(json.dumps([{"call": " Who is Emma?", "response": " Nobody"}]), "utf-8")
    found = runs.understand("distill", [asked, story_file])
    assert found.pairs == (Pair(" Who is Emma?", " Nobody"),) and "1 question about it" in found.words
    plan = runs.plan("distill", "world", [asked, story_file], None, {"rows": "8"})
    assert any(word.startswith("--questions=") for word in plan.words)
    assert plan.title == "Lamp 1.txt and 1 more" or plan.title == "asked.json and 1 more"


@pytest.mark.parametrize(
    ("kind", "name", "files", "pairs", "settings", "words"),
    [
        ("finetune", "lamp", [], None, {}, "nothing to learn from"),
        ("finetune", "a*b", ["story"], None, {}, "cannot name a soft prompt"),
        ("finetune", "../x", ["story"], None, {}, "cannot name a soft prompt"),
        ("finetune", "lamp", ["story"], None, {"tokens": "many"}, "tokens: 'many' is no whole number"),
        ("finetune", "lamp", ["story"], None, {"output": "/tmp"}, "no setting 'output'"),
        ("finetune", "lamp", ["story"], None, {"trust-remote-code": "1"}, "no setting 'trust-remote-code'"),
        ("finetune", "lamp", ["gone.txt"], None, {}, "gone.txt: it is not there any more"),
        ("finetune", "lamp", ["noise"], None, {}, "noise.bin: "),
        ("world-info", "lamp", ["story"], None, {}, "Lamp 1.txt: "),
        ("world-info", "lamp", [], [Pair("who", "")], {}, "row 1 of the table has no response"),
        ("poetry", "lamp", ["story"], None, {}, "no training 'poetry'"),
    ],
)
def test_what_cannot_be_trained_is_said_and_leaves_nothing(
    runs: Runs,
    story_file: Path,
    tmp_path: Path,
    kind: str,
    name: str,
    files: list[str],
    pairs: list[Pair] | None,
    settings: dict[str, str],
    words: str,
) -> None:
    noise = tmp_path / "noise.bin"
    noise.write_bytes(bytes(range(256)) * 4)
    paths = [{"story": story_file, "noise": noise}.get(each, tmp_path / each) for each in files]
    with pytest.raises(SoftPromptError) as problem:
        runs.plan(kind, name, paths, pairs, settings)
    assert words in str(problem.value)
    assert str(tmp_path) not in str(problem.value)
    stage = tmp_path / "library" / ".training"
    assert not stage.exists() or not list(stage.iterdir())


# ---- while it goes on


def test_stop_acts_within_a_step_and_keeps_the_best(runs: Runs, story_file: Path, tmp_path: Path) -> None:
    begun(runs, story_file, steps="400")
    reached(runs, 5)
    runs.stop()
    at = board(runs).step
    assert board(runs).state == "stopping"
    stopped = ended(runs)
    assert (stopped.state, stopped.problem) == ("stopped", "") and at <= stopped.step <= at + 1
    assert isinstance(Library(tmp_path / "library")["lamp"], SoftPrompt)
    runs.go_on("lamp")
    going = reached(runs, stopped.step + 1)
    assert [each[0] for each in going.history] == sorted({each[0] for each in going.history})
    assert going.notes and "going on from step" in " ".join(going.notes)
    runs.stop()
    assert ended(runs).state == "stopped"


def test_a_model_that_is_being_loaded_is_waited_for(runs: Runs, story_file: Path, lends: Lending) -> None:
    """A writer who is quicker than the disk has begun a training, and not failed to."""
    lends.loading = True
    begun(runs, story_file)
    until(lambda: board(runs).phase[0] == "waiting for the model")
    assert board(runs).live and not board(runs).step
    lends.loading = False
    assert ended(runs).state == "done"
    lends.loading = True
    begun(runs, story_file, "other")
    until(lambda: board(runs, "other").phase[0])
    runs.stop()
    assert ended(runs, "other").state != "failed" and not ended(runs, "other").step


def test_a_pause_leaves_the_model_free(runs: Runs, story_file: Path, lends: Lending) -> None:
    begun(runs, story_file, steps="400")
    reached(runs, 3)
    runs.pause()
    assert board(runs).state == "paused"
    until(lambda: not lends.lock.locked())
    time.sleep(0.1)
    at, turns = board(runs).step, lends.turns
    time.sleep(0.3)
    assert (board(runs).step, lends.turns, board(runs).state) == (at, turns, "paused")
    assert lends.lock.acquire(blocking=False)
    lends.lock.release()
    runs.go_on("lamp")
    reached(runs, at + 1)
    assert board(runs).state == "training"
    runs.pause()
    runs.stop()
    assert ended(runs).state == "stopped"


def test_one_at_a_time_whoever_asks(runs: Runs, story_file: Path) -> None:
    plans = [runs.plan("finetune", name, [story_file], None, {**SMALL, "steps": "400"}) for name in ("lamp", "sea")]
    said: list[str] = []

    def start(number: int) -> None:
        try:
            runs.start(plans[number % 2])
        except TrainingError as problem:
            said.append(str(problem))

    browsers = [threading.Thread(target=start, args=[number]) for number in range(6)]
    for each in browsers:
        each.start()
    for each in browsers:
        each.join()
    assert len(said) == 5 and all("is being trained" in each for each in said)
    assert len([each for each in runs.boards() if each.live]) == 1
    with pytest.raises(TrainingError, match="is being trained: wait until it ends"):
        runs.estimate(plans[0])
    runs.stop()
    until(lambda: runs._live is None)


def test_a_name_that_is_taken_is_replaced_if_one_says_so(runs: Runs, story_file: Path, tmp_path: Path) -> None:
    begun(runs, story_file)
    assert ended(runs).state == "done"
    first = (tmp_path / "library" / "lamp.safetensors").read_bytes()
    plan = runs.plan("finetune", "lamp", [story_file], None, {**SMALL, "from": "lamp", "seed": "1"})
    with pytest.raises(Taken, match="there is a soft prompt 'lamp' already"):
        runs.start(plan)
    assert (tmp_path / "library" / "lamp.safetensors").read_bytes() == first
    assert ended(runs).state == "done"
    runs.start(plan, replace=True)
    assert ended(runs).state == "done"
    assert (tmp_path / "library" / "lamp.safetensors").read_bytes() != first
    with pytest.raises(TrainingError, match="has ended"):
        runs.go_on("lamp")


def test_another_program_has_the_name(runs: Runs, story_file: Path, tmp_path: Path) -> None:
    with Claim(tmp_path / "library" / "lamp.training" / "in-use", "lamp"):
        with pytest.raises(TrainingError, match="lamp is being trained already, by"):
            begun(runs, story_file)
        assert not runs.boards()


def test_a_model_that_is_taken_away(runs: Runs, story_file: Path, lends: Lending, make: Any) -> None:
    begun(runs, story_file, steps="400")
    reached(runs, 5)
    model, lends.model = lends.model, make("gpt2")
    gone = ended(runs)
    assert gone.state == "interrupted" and "another model was loaded" in gone.problem and gone.problem in gone.notes
    runs.go_on("lamp")
    assert ended(runs).state == "failed"  # it was trained on another one
    lends.model = None
    runs.go_on("lamp")
    assert "no model is loaded" in ended(runs).problem
    lends.model = model
    runs.go_on("lamp")
    reached(runs, gone.step + 1)
    runs.pause()
    time.sleep(0.1)
    lends.model = None
    gone = ended(runs)
    assert gone.state == "interrupted" and "the model was unloaded" in gone.problem


def test_a_full_disk(runs: Runs, story_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import errno

    from soft_prompts import container

    replace = container.os.replace
    full = threading.Event()

    def replaced(source: Any, target: Any) -> None:
        if full.is_set():
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("os.replace", replaced)
    begun(runs, story_file, steps="400")
    reached(runs, 5)
    full.set()
    failed = ended(runs)
    assert failed.state == "failed" and "No space left on device; nothing was changed" in failed.problem
    assert isinstance(Library(tmp_path / "library")["lamp"], SoftPrompt)
    full.clear()
    runs.go_on("lamp")
    reached(runs, 5 + 1)
    runs.stop()
    assert ended(runs).state == "stopped"


def test_whatever_fails_is_said_and_the_model_is_as_before(
    runs: Runs, story_file: Path, lends: Lending, everything: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = everything(lends.model)
    monkeypatch.setattr(Training, "_advance", lambda *more: 1 / 0)
    begun(runs, story_file)
    failed = ended(runs)
    assert failed.state == "failed" and failed.problem == "ZeroDivisionError: division by zero"
    assert everything(lends.model) == before and not lends.lock.locked()


def test_eight_writers_while_it_trains(
    runs: Runs, story_file: Path, model: Any, tokenizer: Any, lends: Lending
) -> None:
    plain = continuation(model, tokenizer, "The door opened", 4, 0, 0)
    begun(runs, story_file, steps="400")
    reached(runs, 2)
    said: list[str] = []

    def write() -> None:
        for _ in range(4):
            with lends.lock:
                said.append(continuation(model, tokenizer, "The door opened", 4, 0, 0))

    writers = [threading.Thread(target=write) for _ in range(8)]
    at = board(runs).step
    for each in writers:
        each.start()
    for each in writers:
        each.join(60)
    assert said == [plain] * 32
    reached(runs, at + 1)
    runs.stop()
    assert ended(runs).state == "stopped"


# ---- before and after


def test_an_estimate_writes_nothing(runs: Runs, story_file: Path, tmp_path: Path) -> None:
    plan = runs.plan("finetune", "lamp", [story_file], None, SMALL)
    words = runs.estimate(plan)
    assert words.startswith("About ") and "for 8 steps and the report" in words and "memory" in words
    assert not (tmp_path / "library" / "lamp.training").exists() and not runs.boards()


def test_a_server_that_was_killed_goes_on(
    runs: Runs, story_file: Path, tmp_path: Path, lends: Lending, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(runs, story_file, steps="400")
    reached(runs, 5)
    runs.stop()
    stopped = ended(runs)
    # As if it had been killed: what is on the disk says that it trains, and nobody has the name.
    kept = Kept(tmp_path / "library")
    kept.write(Board(**{**vars(stopped), "state": "training"}), False)
    other = Runs(Library(tmp_path / "library"), lends)
    found = board(other)
    assert (found.state, found.step, found.history) == ("interrupted", stopped.step, stopped.history)
    with Claim(tmp_path / "library" / "lamp.training" / "in-use", "lamp"):
        assert not Runs(Library(tmp_path / "library"), lends).boards(), "somebody else trains it"
    other.go_on("lamp")
    reached(other, stopped.step + 1)
    other.stop()
    assert ended(other).state == "stopped"
    other.forget("lamp")
    assert not other.boards() and not Runs(Library(tmp_path / "library"), lends).boards()


def test_a_recipe_serves_another_model(runs: Runs, story_file: Path, tmp_path: Path, make: Any, tokenizer: Any) -> None:
    begun(runs, story_file)
    assert ended(runs).state == "done"
    library = tmp_path / "library"
    plan = runs.again("lamp", "lamp-2", further=True)
    assert "--from=lamp" in plan.words and not [word for word in plan.words if word.startswith("--tokens")]
    runs.start(plan)
    further = ended(runs, "lamp-2")
    assert further.state == "done" and len(Library(library)["lamp-2"]) == 4  # type: ignore[arg-type]
    assert further.history[0][1] < board(runs).history[0][1]
    # Moved to another folder with all that belongs to it, as a shelf does it.
    (library / "dark").mkdir()
    (library / "lamp.training").rename(library / "dark" / "noir.training")
    other = Runs(Library(library), Lending(make("llama", hidden_size=16, num_attention_heads=2), tokenizer))
    plan = other.again("dark/noir", "lamp-16")
    assert plan.title == "Lamp 1.txt" and "--tokens=4" in plan.words
    other.start(plan)
    assert ended(other, "lamp-16").state == "done"
    with pytest.raises(TrainingError, match="is not kept here"):
        other.again("lamp", "lamp-2")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sources", ["../../lamp.safetensors"]),
        ("sources", ["/etc/passwd"]),
        ("sources", ["..\\x"]),
        ("settings", {"trust-remote-code": "true"}),
        ("settings", {"output": "/tmp"}),
        ("settings", {"questions": "../x.json"}),
        ("kind", "--help"),
        ("board", {"state": "training"}),
        ("board", []),
        ("version", 2),
        ("sources", 7),
    ],
)
def test_a_recipe_is_not_taken_on_trust(
    runs: Runs, story_file: Path, tmp_path: Path, lends: Lending, key: str, value: Any
) -> None:
    begun(runs, story_file, steps="400")
    reached(runs, 1)
    runs.stop()
    ended(runs)
    path = tmp_path / "library" / "lamp.training" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), key: value}), "utf-8")
    other = Runs(Library(tmp_path / "library"), lends)
    assert other.boards() == []
    with pytest.raises(TrainingError, match="is not kept here"):
        other.again("lamp", "noir")


def test_what_forbids_and_what_is_lacking(story_file: Path, tmp_path: Path, lends: Lending) -> None:
    runs = Runs(Library(tmp_path / "library"), lends, lambda: "several people share this server")
    assert runs.reason == "several people share this server"
    with pytest.raises(TrainingError, match="several people"):
        runs.plan("finetune", "lamp", [story_file], None, SMALL)
    lends.way, lends.reason = "none", "no model is loaded: load one"
    assert Runs(Library(tmp_path / "library"), lends).reason == lends.reason
    lends.way = "worker"
    lacking = Runs(Library(tmp_path / "library"), lends, where=lambda: Environment(problem="torch is missing"))
    assert lacking.reason == "torch is missing"
    for act in (lacking.pause, lacking.stop):
        with pytest.raises(TrainingError, match="nothing is being trained"):
            act()
    with pytest.raises(TrainingError, match="no training of 'x' is known"):
        lacking.go_on("x")


def test_names_and_files_of_all_kinds(runs: Runs, story_file: Path) -> None:
    with pytest.raises(InvalidPrompt):
        runs.plan("finetune", "", [story_file], None, SMALL)
    odd = story_file.with_name("-rf é.txt")
    odd.write_text(story_file.read_text("utf-8"), "utf-8")
    same = story_file.parent / "more" / story_file.name
    same.parent.mkdir()
    same.write_text("Another one.", "utf-8")
    plan = runs.plan("finetune", "people/emma", [odd, story_file, same], None, {**SMALL, "opening": "--help me"})
    assert plan.title == "-rf é.txt and 2 more"
    runs.start(plan)
    assert ended(runs, "people/emma").state == "done"
    with pytest.raises(InvalidFile, match="empty.txt"):
        empty = story_file.with_name("empty.txt")
        empty.write_text("\n\n", "utf-8")
        runs.plan("finetune", "lamp", [empty], None, SMALL)
