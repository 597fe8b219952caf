"""Trainings in memory: a `Trains` whose run goes on by hand, or by the clock, through every state, some hostile."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from soft_prompts.errors import InvalidFile, SoftPromptError, TrainingError
from soft_prompts.trainer.board import Board, Plan, Preview, State
from soft_prompts.trainer.trains import Taken
from soft_prompts.trainer.understanding import Pair, Understood

EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>${window.pwned=1}{{value}}\'"`&\u202eevil'
STATES: tuple[State, ...] = get_args(State)
OPENING = "The door opened and"

REPORT: dict[str, Any] = {
    "method": "world info", "held_out": 1.21, "base": 3.4, "unrelated": 0.021, "recall": 2 / 3,
    "lines": [
        {"name": "nothing", "tokens": 0, "nats": 3.4, "bits": 1.1, "answers": None, "recall": 0.0},
        {"name": "the lore", "tokens": 412, "nats": 1.9, "bits": 0.7, "answers": None, "recall": 2 / 3},
        {"name": "the facts, cut to the prompt's length", "tokens": 24, "nats": 2.9, "bits": 1.0, "answers": None,
         "recall": 1 / 3},
        {"name": "soft prompt", "tokens": 24, "nats": 1.21, "bits": 0.4, "answers": None, "recall": 2 / 3},
    ],
    "answers": [
        {"call": "Emma wears", "response": " a black suit", "said": " a black suit", "right": True, "nats": 0.1},
        {"call": "Emma lives in", "response": " the lighthouse", "said": " the lighthouse", "right": True, "nats": 0.2},
        {"call": "Emma's cat is called", "response": " Salt", "said": " Pepper, and it", "right": False, "nats": 4.0},
    ],
    "notes": ["calls of one answer were taken for one fact"],
    "verdict": [
        "A token of right answers costs the model 3.400 nats, and 1.210 behind the soft prompt: 2.190 less. Less is "
        "better.",
        "Less good: the lore in the context, with 1.900, for 412 tokens of context, where the soft prompt takes 24.",
        "It answers 2 of 3 questions right, word for word; without it the model answers 0 of 3 questions.",
        "On unrelated text its predictions move by 0.021 nats a token: it hardly changes what the model writes "
        "elsewhere.",
    ],
}  # fmt: skip
STYLE = {**REPORT, "method": "finetune", "answers": [], "recall": None, "verdict": REPORT["verdict"][:1]}


class MemoryTrains:
    """`MemoryTrains(speed=20)`: 20 steps a second; 0: `advance` moves it. `fail`: raised by what it shall do next."""

    def __init__(self, speed: float = 0.0, steps: int = 300) -> None:
        self.speed, self.length = speed, steps
        self.changes = 0
        self.made: dict[str, Board] = {}
        self.began = 0.0
        self.reason = self.advice = self.asks = ""
        self.original: str | None = None
        self.fail: Exception | None = None
        self.wait: Callable[[], object] = lambda: None
        self.asked: list[tuple[str, Any]] = []

    # ---- what a page asks

    def learn_on(self, original: str) -> None:
        self._act("learn on", original)
        self.original = original

    @property
    def revision(self) -> str:
        self._by_the_clock()
        return str(self.changes)

    def boards(self) -> Sequence[Board]:
        self._by_the_clock()
        self.asked.append(("boards", None))
        order = {"interrupted": 1, "stopped": 1, "failed": 1}
        return sorted(self.made.values(), key=lambda each: (0 if each.live else order.get(each.state, 2), -each.begun))

    def understand(self, kind: str, files: Sequence[Path]) -> Understood:
        self._act("understand", (kind, list(files)))
        texts = [self._text(path) for path in files]
        if kind == "world-info":
            pairs = [pair for path, text in zip(files, texts, strict=True) for pair in _pairs(path, text)]
            return Understood(kind, f"{len(pairs)} facts", (), tuple(pairs), (), files[0].stem, files[0].name)
        whole = f"{len(texts)} {'text' if len(texts) == 1 else 'texts'}, {sum(map(len, texts)):,} characters"
        notes = tuple(f"{path.name}: blank lines at its end were left out" for path in files if path.stem.endswith("_"))
        title = ", ".join(path.name for path in files)
        return Understood(kind, whole, tuple(text[:200] for text in texts[:3]), (), notes, files[0].stem, title)

    def plan(
        self, kind: str, name: str, files: Sequence[Path], pairs: Sequence[Pair] | None, settings: dict[str, str]
    ) -> Plan:
        self._act("plan", (kind, name, list(files), pairs, settings))
        words = tuple(word for key, value in settings.items() for word in (f"--{key}", value))
        title = ", ".join(path.name for path in files) or f"{len(pairs or ())} facts"
        return Plan(name, kind, words, title)

    def estimate(self, plan: Plan) -> str:
        self.wait()
        self._act("estimate", plan)
        return "About 12 min for 300 steps and the report, less if it ends early. 1.2 GB of memory; 5.0 GB are free."

    def start(self, plan: Plan, replace: bool = False, agreed: bool = False) -> None:
        self.wait()
        self._act("start", (plan, replace, agreed))
        if self.live:
            raise TrainingError(f"“{self.live.plan.name}” is being trained: wait for its end, or stop it.")
        if plan.name in self.made and self.made[plan.name].state == "done" and not replace:
            raise Taken(f"There is a prompt called “{plan.name}” already.")
        self.began = time.monotonic()
        facts = {"method": plan.kind, "model": "storyteller", "settings": {"tokens": 20, "steps": self.length}}
        self.put(Board(plan, "training", facts, steps=self.length, begun=time.time()))

    def pause(self) -> None:
        self._act("pause", None)
        self.change(state="paused", left=None)

    def go_on(self, name: str, agreed: bool = False) -> None:
        self._act("go_on", (name, agreed))
        self.began = time.monotonic() - (self.made[name].step / self.speed if self.speed else 0)
        self.put(replace(self.made[name], state="training", report={}, problem=""))

    def stop(self) -> None:
        self._act("stop", None)
        self.change(state="stopped", left=None, ended="stopped")

    def again(self, name: str, new: str, further: bool = False) -> Plan:
        self._act("again", (name, new, further))
        return replace(self.made[name].plan, name=new)

    def forget(self, name: str) -> None:
        self._act("forget", name)
        del self.made[name]

    # ---- what happens by itself

    @property
    def live(self) -> Board | None:
        return next((each for each in self.made.values() if each.live), None)

    def put(self, board: Board) -> Board:
        self.made[board.plan.name] = board
        self.changes += 1
        return board

    def change(self, **what: Any) -> Board:
        """The live run, other than it was."""
        assert self.live
        return self.put(replace(self.live, **what))

    def advance(self, steps: int = 1) -> None:
        """So many steps, a look at unseen text every 25th, a preview every 50th, the end behind the last."""
        for _ in range(steps):
            board = self.live
            if board is None or board.state != "training":
                return
            self.put(stepped(board))
            if board.step + 1 >= board.steps:
                self.end(**(REPORT if board.plan.kind == "world-info" else STYLE))

    def end(self, **report: Any) -> None:
        self.change(state="done", left=0.0, report=report, ended="all steps were made")

    def _by_the_clock(self) -> None:
        if self.speed and self.live and self.live.state == "training":
            self.advance(int((time.monotonic() - self.began) * self.speed) - self.live.step)

    def _act(self, what: str, facts: Any) -> None:
        self.asked.append((what, facts))
        failure, self.fail = self.fail, None
        if failure:
            raise failure
        self.changes += 1

    def _text(self, path: Path) -> str:
        data = Path(path).read_bytes()
        if not data.strip():
            raise InvalidFile(f"{path.name}: it holds no text, but blank lines at most; check that it was saved")
        try:
            return data.decode()
        except UnicodeDecodeError:
            raise InvalidFile(f"{path.name}: it is no text in UTF-8: open it, and save it as plain text") from None


def _pairs(path: Path, text: str) -> list[Pair]:
    try:
        return [Pair(each["call"], each["response"], bool(each.get("held_out"))) for each in json.loads(text)]
    except (ValueError, KeyError, TypeError):
        shape = '[{"call": " Emma wears", "response": " a black suit"}]'
        raise InvalidFile(f"{path.name}: it holds no facts; they look like {shape}") from None


def stepped(board: Board) -> Board:
    """A step later."""
    number = board.step + 1
    loss = 2.1 + 1.3 * math.exp(-number / 60) + 0.12 * math.sin(number * 2.399)
    seen = 2.3 + 1.2 * math.exp(-number / 70) if number % 25 == 0 else None
    best = min(each for each in (board.best, seen, 9.0 if seen is None else seen) if each is not None)
    previews = board.previews
    if number % 50 == 0:
        previews += (Preview(number, OPENING, " she went in.", f" the rain came with him, {number} nights of it."),)
    return replace(
        board, step=number, history=(*board.history, (number, loss, seen)), previews=previews, tokens_per_second=1204.0,
        left=(board.steps - number) * 0.4, best=best if best < 9 else board.best,
    )  # fmt: skip


def board_in(state: State, name: str = "noir", kind: str = "finetune", **more: Any) -> Board:
    """A run that has come to such a state."""
    board = Board(
        Plan(name, kind, ("--tokens", "20"), "chandler.txt"), "training",
        {"method": kind, "model": "storyteller", "settings": {"tokens": 20, "steps": 300}}, steps=300, begun=1.0,
    )  # fmt: skip
    if state in ("waiting", "preparing"):
        return replace(board, state=state, phase=("reading the text", 3, 10) if state == "preparing" else ("", 0, 0))
    for _ in range(300 if state in ("reporting", "done") else 120):
        board = stepped(board)
    report = {"done": STYLE}.get(state, {})
    problem = "The disk is full: free some space, and go on." if state == "failed" else ""
    phase = ("measuring", 1, 4) if state == "reporting" else ("", 0, 0)
    return replace(board, **{"state": state, "report": report, "problem": problem, "phase": phase, **more})


def evil_board(state: State) -> Board:
    """A run in which every text is hostile, and no number is one."""
    report = json.loads(json.dumps(REPORT).replace("the lore", "LORE").replace("Emma", "EMMA"))
    report["notes"] = report["verdict"] = [EVIL]
    report["lines"] = [{"name": EVIL, "tokens": EVIL, "nats": None}, {"name": EVIL}, {"nats": EVIL, "recall": EVIL}]
    report["answers"] = [{"call": EVIL, "response": EVIL, "said": EVIL, "right": False}, {}]
    report["unrelated"] = None
    return Board(
        Plan(EVIL, EVIL, (EVIL,), EVIL), state, {"model": EVIL, "settings": {"tokens": EVIL}}, (EVIL, 1, 0), 3, 0,
        math.nan, math.inf, math.nan, ((1, math.nan, None), (2, math.inf, -math.inf), (3, 2.0, None)),
        (Preview(3, EVIL, EVIL, EVIL),), (EVIL,), report, EVIL, EVIL, 0.0,
    )  # fmt: skip


def soft(words: str) -> SoftPromptError:
    return SoftPromptError(words)
