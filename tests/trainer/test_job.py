"""One training from the words to the report, on a model that is lent: whose it is when, and how it ends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from soft_prompts import Library, SoftPrompt
from soft_prompts.cli import main
from soft_prompts.trainer.board import POINTS, Board, Plan, noted, taken, thinned
from soft_prompts.trainer.job import Job
from soft_prompts.trainer.lent import Lent, Withdrawn
from soft_prompts.trainer.recipe import options_of
from soft_prompts.trainer.showing import Events
from soft_prompts.trainer.stopping import Stop

SMALL = ("--tokens=4", "--steps=8", "--batch=2", "--block=32", "--validate=4")
FACTS = [
    {"call": f"{who} lives in", "response": f" {where}"}
    for who, where in [("Emma", "the tower"), ("The keeper", "the city"), ("The stranger", "the port")]
]
PLAN = Plan("lamp", "finetune", ())


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lamp.txt").write_text(story * 6, "utf-8")
    (tmp_path / "emma.json").write_text(json.dumps(FACTS), "utf-8")
    return tmp_path


@pytest.fixture
def run(here: Path, model: Any, tokenizer: Any) -> Callable[..., list[dict[str, Any]]]:
    """`run("finetune", "lamp.txt")`: the events of a job on the lent model."""

    def job(*words: str, **options: Any) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        stop = options.pop("stop", None)
        put = options.pop("put", events.append)
        Job(options_of((*words, *SMALL)), Events(put), stop, lent=Lent(model, tokenizer, **options)).run()
        return events

    return job


def test_here_and_in_a_worker_the_same_is_told(
    run: Any, here: Path, model: Any, tokenizer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    model.save_pretrained(here / "tiny")
    tokenizer.save_pretrained(here / "tiny")
    words = ("finetune", "lamp.txt", "--preview-every=4", "--json")
    assert main(["train", *words, *SMALL, "--model", "tiny", "--output", "worker"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = run(*words, "--output=here")
    assert json.loads(json.dumps(told)) == told, "events are as they are printed"
    assert [{**each, **varying(each)} for each in told] == [{**each, **varying(each)} for each in printed]
    boards = []
    for events in (printed, told):
        board = Board(PLAN, "waiting")
        for event in events:
            board = taken(board, {**event, **varying(event)})
        boards.append(board)
    assert boards[0] == boards[1] and boards[0].state == "done"


def varying(event: dict[str, Any]) -> dict[str, Any]:
    """What a clock, a folder or free memory says."""
    names = {"step": ["seconds"], "phase": ["left"], "start": ["estimate", "model"], "end": ["path", "report"]}.get(
        event["event"], []
    )
    return {name: 1 for name in names}


@pytest.mark.parametrize("words", [("world-info", "emma.json"), ("distill", "lamp.txt", "--rows=8")])
def test_between_two_pieces_the_model_is_as_before(
    run: Any, model: Any, everything: Any, words: tuple[str, ...], here: Path, story: str
) -> None:
    (here / "lamp.txt").write_text(story[:300], "utf-8")
    lock, before, looked = threading.Lock(), everything(model), []

    @contextmanager
    def turn() -> Iterator[None]:
        with lock:
            yield

    def rest() -> None:
        looked.append(everything(model) == before and not lock.locked())

    events = run(*words, lock=turn, rest=rest)
    phases = [each for each in events if each["event"] == "phase"]
    # Also while it is prepared and reported on, and not only between two steps.
    assert len(looked) == 8 + len(phases) and all(looked) and len(phases) > 6
    assert everything(model) == before


def test_a_stop_while_it_rests(run: Any, here: Path) -> None:
    stop = Stop(says=False)
    rests: list[int] = []

    def rest() -> None:
        rests.append(1)
        if len(rests) == 3:
            stop.ask()

    events = run("finetune", "lamp.txt", "--output=library", stop=stop, rest=rest)
    assert [each["event"] for each in events][-2:] == ["step", "end"]
    assert (events[-1]["ended"], events[-1]["steps"]) == ("stopped", 3)
    assert isinstance(Library("library")["lamp"], SoftPrompt)


@pytest.mark.parametrize("where", ["lock", "rest"])
def test_a_model_that_is_wanted_back(run: Any, here: Path, where: str) -> None:
    steps: list[Any] = []

    def put(event: dict[str, Any]) -> None:
        steps.extend([event] if event["event"] == "step" else [])

    @contextmanager
    def turn() -> Iterator[None]:
        if len(steps) == 5 and where == "lock":
            raise Withdrawn("it is wanted elsewhere")
        yield

    def rest() -> None:
        if len(steps) == 5 and where == "rest":
            raise Withdrawn("it is wanted elsewhere")

    with pytest.raises(Withdrawn, match="wanted elsewhere"):
        run("finetune", "lamp.txt", "--output=library", lock=turn, rest=rest, put=put)
    assert isinstance(Library("library")["lamp"], SoftPrompt)
    events = run("finetune", "lamp.txt", "--output=library", "--resume")
    assert [each["number"] for each in events if each["event"] == "step"] == [6, 7, 8]


# ---- the board


def step(number: int, **more: Any) -> dict[str, Any]:
    whole = {"number": number, "steps": 100, "loss": 2.0, "best": 1.5, "seconds": 0.5, "tokens": 100}
    return {"event": "step", **whole, "validation": None, "skipped": "", **more}


def told(*events: dict[str, Any], board: Board | None = None) -> Board:
    board = board or Board(PLAN, "waiting")
    for each in events:
        board = taken(board, each)
    return board


def phase(what: str, done: int = 0) -> dict[str, Any]:
    return {"event": "phase", "what": what, "done": done, "total": 4}


def test_a_board_follows_a_run() -> None:
    board = told({"event": "start", "name": "lamp", "settings": {"steps": 100, "tokens": 4}})
    assert (board.state, board.steps, board.start["settings"]["tokens"]) == ("preparing", 100, 4)
    board = told(phase("writing", 1), board=board)
    assert (board.state, board.phase, board.left) == ("preparing", ("writing", 1, 4), None)
    board = told({**phase("writing", 2), "left": 8.5}, board=board)
    assert board.left == 8.5 and told(phase("reading"), board=board).left is None
    board = told(*map(step, range(1, 11)), board=board)
    assert (board.state, board.step, board.phase, board.left) == ("training", 10, ("", 0, 0), 45.0)
    assert board.tokens_per_second == pytest.approx(200)
    looked = told(step(11, seconds=5.5, validation=1.4, best=1.4), board=board)
    assert looked.tokens_per_second == pytest.approx(200) and looked.best == 1.4
    assert looked.left == pytest.approx((5 + 5.5) / 11 * 89)
    board = told(phase("measuring"), board=looked)
    assert (board.state, board.left) == ("reporting", None)
    board = told({"event": "end", "ended": "", "held_out": 1.0}, board=board)
    assert (board.state, board.report) == ("done", {"ended": "", "held_out": 1.0})
    assert told(phase("loading the model again"), {"event": "failed", "problem": "x"}, board=board) == board


def test_what_a_writer_asked_for_stays_until_it_has_come_about() -> None:
    for state in ("paused", "stopping"):
        board = told(step(1), phase("measuring"), board=Board(PLAN, state))  # type: ignore[arg-type]
        assert board.state == state
    stopped = told({"event": "end", "ended": "stopped", "steps": 0}, board=Board(PLAN, "stopping", step=7))
    assert (stopped.state, stopped.step) == ("stopped", 7)


def test_steps_that_are_made_again_replace_what_was_seen() -> None:
    board = told(*map(step, range(1, 8)))
    board = told({"event": "start", "settings": {"steps": 100}}, step(5, loss=1.0), board=board)
    assert [(each[0], each[1]) for each in board.history] == [*((each, 2.0) for each in range(1, 5)), (5, 1.0)]


def test_steps_that_changed_nothing() -> None:
    board = told(step(1, loss=None, skipped="the loss is not finite"))
    assert board.history == () and board.notes == ("step 1 changed nothing: the loss is not finite",)


def test_a_long_run_is_thinned() -> None:
    board = told(*(step(each, steps=5000, validation=1.0 if each % 25 == 0 else None) for each in range(1, 5001)))
    numbers = [each[0] for each in board.history]
    assert len(numbers) <= POINTS and numbers == sorted(set(numbers)) and numbers[-1] == 5000
    assert numbers[-50:] == list(range(4951, 5001)) and numbers[0] < 200
    assert len([each for each in board.history if each[2] is not None]) > 20
    assert thinned(board.history) == board.history
    shown = told(
        *({"event": "preview", "number": each, "opening": "", "without": "", "with": ""} for each in range(90))
    )
    assert len(shown.previews) < 30 and (shown.previews[0].number, shown.previews[-1].number) == (0, 89)


@pytest.mark.parametrize(
    "event",
    [{}, {"event": "step"}, {"event": "other"}, {"event": ["x"]}, {**phase("x"), "done": "one"},
     step(1, seconds="long"), {"event": "start", "settings": {"steps": "many"}}, {"event": "preview", "number": None}],
)  # fmt: skip
def test_what_is_no_event_changes_nothing(event: dict[str, Any]) -> None:
    board = Board(PLAN, "preparing")
    assert taken(board, event) == board


def test_notes_are_said_once() -> None:
    board = noted(noted(Board(PLAN, "training"), "x"), "x")
    assert board.notes == ("x",)
    assert len(told(*({"event": "note", "text": str(each)} for each in range(99))).notes) < 50
