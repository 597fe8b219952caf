"""`board = taken(board, {"event": "step", ...})`: all that is known of one run, from what it tells; torch-free.

A run tells the same events here and in a worker (`soft-prompts train --json`): start, phase, step, preview, note, end,
failed. A page shows the board and asks nobody else; so it may be closed and opened again, in two browsers at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Literal

State = Literal[
    "waiting", "preparing", "training", "paused", "stopping", "reporting", "done", "stopped", "failed", "interrupted",
]  # fmt: skip
"""Of a run. waiting: for the model. stopped: by the writer, the best is kept. interrupted: by a crash; it can go on."""
LIVE = ("waiting", "preparing", "training", "paused", "stopping", "reporting")
_HELD = ("paused", "stopping")
"""What a writer asked for stays on the board until it has come about."""

POINTS = 240
"""Of a history, at the most; older ones are joined."""
_FRESH = 80
"""Points at its end that stay as they are."""
_STEPS = 30
"""From which the time that is left is estimated, as a terminal does it."""
_PREVIEWS, _NOTES = 24, 40

History = tuple[tuple[int, float, "float | None"], ...]


@dataclass(frozen=True)
class Plan:
    """What a writer wants trained. words: as `soft-prompts train` takes them, without the model and how it is loaded.

    kind: "finetune", "world-info" or "distill". title: the sources, as the writer called them.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True)
class Preview:
    """How the model went on at a step, without the prompt and behind it."""

    number: int
    opening: str
    without: str
    behind: str


@dataclass(frozen=True)
class Board:
    """A run as it stands. history: (step, loss, validation or None), nats a token; left: seconds, None: not known.

    phase: (what, done, total) of a preparation or the report. report: as reporting.record gives it, once it is there.
    problem: why it failed, in words. begun: epoch seconds.
    """

    plan: Plan
    state: State
    start: dict[str, Any] = field(default_factory=dict)
    phase: tuple[str, int, int] = ("", 0, 0)
    step: int = 0
    steps: int = 0
    best: float | None = None
    tokens_per_second: float = 0.0
    left: float | None = None
    history: tuple[tuple[int, float, float | None], ...] = ()
    previews: tuple[Preview, ...] = ()
    notes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    problem: str = ""
    begun: float = 0.0
    pace: tuple[tuple[float, int, bool], ...] = ()

    @property
    def live(self) -> bool:
        """Whether something is still being done."""
        return self.state in LIVE


def taken(board: Board, event: Mapping[str, Any]) -> Board:
    """The board after one event, as `showing.Events` tells it here and `soft-prompts train --json` prints it.

    What a worker prints is another program's word: an event that is none changes nothing, nor does one after the end.
    """
    known = {"start": _start, "phase": _phase, "step": _step, "preview": _preview, "end": _end, "failed": _failed}
    try:
        if not board.live:
            return board
        if event.get("event") == "note":
            return noted(board, str(event["text"]))
        take = known.get(str(event.get("event")))
        return board if take is None else take(board, event)
    except (KeyError, TypeError, ValueError):
        return board


def noted(board: Board, text: str) -> Board:
    """With one more note, unless it is there already."""
    return board if text in board.notes else replace(board, notes=(*board.notes, text)[-_NOTES:])


def thinned(history: History, most: int = POINTS) -> History:
    """As many points at most, the last ones as they are: a picture of a long run shows its shape."""
    if len(history) <= most:
        return history
    old, width = history[:-_FRESH], 2
    while len({each[0] // width for each in old}) > (most - _FRESH) // 2:
        width *= 2
    joined = (list(group) for _, group in groupby(old, lambda each: each[0] // width))
    return (*map(_joined, joined), *history[-_FRESH:])


def _joined(points: Sequence[tuple[int, float, float | None]]) -> tuple[int, float, float | None]:
    """One in the place of several: the mean of the losses, and the last look at unseen text."""
    seen = [each[2] for each in points if each[2] is not None]
    return points[-1][0], sum(each[1] for each in points) / len(points), seen[-1] if seen else None


def _start(board: Board, event: Mapping[str, Any]) -> Board:
    facts = {key: value for key, value in event.items() if key != "event"}
    steps = int(facts.get("settings", {}).get("steps", board.steps))
    return replace(board, start=facts, steps=steps, pace=(), left=None, state=_to(board, "preparing"))


def _phase(board: Board, event: Mapping[str, Any]) -> Board:
    behind = board.state == "reporting" or bool(board.pace)
    what, done, total = str(event["what"]), int(event["done"]), int(event["total"])
    left = event.get("left")
    left = None if left is None else float(left)
    return replace(
        board, phase=(what, done, total), left=left, state=_to(board, "reporting" if behind else "preparing")
    )


def _step(board: Board, event: Mapping[str, Any]) -> Board:
    number, steps, loss, seen = int(event["number"]), int(event["steps"]), event["loss"], event["validation"]
    pace = (*board.pace, (float(event["seconds"]), int(event["tokens"]), seen is not None))[-_STEPS:]
    bare = [each for each in pace if not each[2]] or list(pace)
    speed = sum(each[1] for each in bare) / max(1e-9, sum(each[0] for each in bare))
    left = sum(each[0] for each in pace) / len(pace) * (steps - number)
    # A run that goes on begins where its last checkpoint was, which may be a little before what was seen of it.
    history = tuple(each for each in board.history if each[0] < number)
    if isinstance(loss, int | float):
        history = thinned((*history, (number, float(loss), None if seen is None else float(seen))))
    if event.get("skipped"):
        board = noted(board, f"step {number} changed nothing: {event['skipped']}")
    best = board.best if event["best"] is None else float(event["best"])
    moved = replace(board, step=number, steps=steps, best=best, left=left, history=history, phase=("", 0, 0))
    return replace(moved, pace=pace, tokens_per_second=speed, state=_to(board, "training"))


def _preview(board: Board, event: Mapping[str, Any]) -> Board:
    made = Preview(int(event["number"]), *(str(event[key]) for key in ("opening", "without", "with")))
    before = tuple(each for each in board.previews if each.number < made.number)
    # The first one stays: it is what one compares the last ones with.
    kept = before if len(before) < _PREVIEWS else (before[0], *before[2:])
    return replace(board, previews=(*kept, made))


def _end(board: Board, event: Mapping[str, Any]) -> Board:
    facts = {key: value for key, value in event.items() if key != "event"}
    over = replace(board, phase=("", 0, 0), left=None, ended=str(facts.get("ended") or ""))
    if facts.get("ended") == "stopped":
        return replace(over, state="stopped", step=int(facts.get("steps") or board.step))
    return replace(over, state="done", report=facts)


def _failed(board: Board, event: Mapping[str, Any]) -> Board:
    return replace(board, state="failed", problem=str(event["problem"]), phase=("", 0, 0), left=None)


def _to(board: Board, state: State) -> State:
    return board.state if board.state in _HELD else state
