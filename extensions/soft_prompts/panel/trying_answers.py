"""`Desk(host).write(Asked(text="The sky", left="noir"))`: what the events of the Try section answer; no gradio.

A model that is at work for others makes a trial wait. So it is asked in a thread of its own, and the page hears at once
that it waits, can stop it, and sees the words in bunches.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import Host, Piece, Row
from ..tags import LARGEST_STRENGTH, Tag, parse
from . import trying_markup as markup
from .answers import Changes
from .markup import said
from .trying_markup import Side

log = logging.getLogger(__name__)

PLACE = "{tag}"
"""What a writer types where the soft prompt shall stand."""
NOTHING = "(no soft prompt)"
"""What a list calls the choice of none; no name of a prompt has brackets."""
SHORTEST, USUAL, LONGEST = 10, 60, 400
"""Tokens of each column."""
HOTTEST = 2.0
PACE = 0.2
"""Seconds between two looks at what was written."""
DRAWN = 1500
"""Pieces that any page draws within a second: of a long text, it is shown more seldom."""
SEEDS = 1_000_000
WAITING = "Waiting for the model …"


@dataclass(frozen=True)
class Asked:
    """What the page sends with every event; run: which trial; hint: the tag that is chosen in the library, of which
    `hinted` was taken over already; seen: what the lists show."""

    run: str = ""
    hint: str = ""
    seen: str = ""
    hinted: str = ""
    text: str = ""
    left: str = ""
    left_strength: float | None = 1.0
    right: str = ""
    right_strength: float | None = 1.0
    seed: float | None = 0
    tokens: float | None = USUAL
    temperature: float | None = 0.7

    @property
    def sides(self) -> tuple[Side, Side]:
        """What is tried against what."""
        return Side(self.left or "", _strength(self.left_strength)), Side(
            self.right or "", _strength(self.right_strength)
        )


class Trial:
    """`Trial(start).news()`: what was written since, in a thread of its own, until it has ended or is stopped."""

    def __init__(self, start: Callable[[], Iterator[tuple[int, Piece]]]) -> None:
        self.ended = False
        self.stopped = threading.Event()
        self._found: queue.SimpleQueue[tuple[int, Piece] | Exception | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(start,), name="soft-prompts-trial", daemon=True).start()

    def news(self, seconds: float) -> list[tuple[int, Piece]]:
        """What has come, waiting for it for so long; raises what the trial raised."""
        found: list[tuple[int, Piece]] = []
        try:
            each = self._found.get(timeout=seconds)
            while each is not None and not isinstance(each, Exception):
                found.append(each)
                each = self._found.get_nowait()
        except queue.Empty:
            return found
        self.ended = True
        if isinstance(each, Exception):
            raise each
        return found

    def _work(self, start: Callable[[], Iterator[tuple[int, Piece]]]) -> None:
        try:
            pieces = start()
            for each in pieces:
                self._found.put(each)
                if self.stopped.is_set():
                    break
            # Whoever holds the model's lock is told at once, not when somebody collects the garbage.
            getattr(pieces, "close", lambda: None)()
            self._found.put(None)
        except Exception as problem:
            self._found.put(problem)


class Desk:
    """One for each interface; every browser has a trial of its own."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._running: set[str] = set()
        self._stopped: deque[str] = deque(maxlen=200)

    # ---- what can be chosen

    def poll(self, asked: Asked) -> Changes:
        """The lists, where the library has changed since, and why nothing can be tried, if so."""
        reason = self.host.tries.reason
        seen = f"{self.host.revision} {reason}"
        picked = self._hinted(asked)
        if seen == asked.seen and not picked:
            return {}
        rows = [row for row in self.host.rows() if row.usable]
        if not picked and not asked.left and not asked.right:
            picked = {"left": {"value": self._first(rows)}}
        choices = [(NOTHING, ""), *((row.name, row.name) for row in rows)]
        # What was chosen stays, also where its file has gone meanwhile: the writer hears of it when it is tried.
        lists = {side: {"choices": choices, **picked.get(side, {})} for side in ("left", "right")}
        return {**picked, **lists, "reason": {"value": said(reason, "idle")}, "seen": {"value": seen}}

    def _hinted(self, asked: Asked) -> Changes:
        """What was chosen in the library since is what one wants to try."""
        tag = next((each for each in parse(asked.hint or "") if isinstance(each, Tag)), None)
        if tag is None or asked.hint == asked.hinted:
            return {}
        if not any(row.name == tag.name and row.usable for row in self.host.rows()):
            return {"hinted": {"value": asked.hint}}
        strength = max(-LARGEST_STRENGTH, min(LARGEST_STRENGTH, tag.strength))
        return {"hinted": {"value": asked.hint}, "left": {"value": tag.name}, "left_strength": {"value": strength}}

    def _first(self, rows: Sequence[Row]) -> str:
        """The prompt that was used last, else the newest."""
        known = {row.name for row in rows}
        used = [each for use in self.host.last_request().uses for each in parse(use.tag)]
        newest = [row.name for row in sorted(rows, key=lambda row: -row.changed)]
        names = [*(each.name for each in used if isinstance(each, Tag)), *newest]
        return next((name for name in names if name in known), "")

    @staticmethod
    def dice() -> int:
        """Another seed."""
        return secrets.randbelow(SEEDS)

    # ---- writing

    def write(self, asked: Asked) -> Iterator[Changes]:
        """Both columns as they grow; never raises. What goes wrong stands in words in the line above them."""
        if asked.run and asked.run in self._running:
            yield {}  # the second click of two
            return
        self._running.add(asked.run)
        try:
            yield from self._tried(asked)
        finally:
            self._running.discard(asked.run)

    def _tried(self, asked: Asked) -> Iterator[Changes]:
        texts: tuple[list[Piece], list[Piece]] = ([], [])
        yield self._shown(asked, texts, WAITING, running=True)
        try:
            if reason := self.host.tries.reason:
                raise SoftPromptError(reason)
            yield from self._written(asked, texts)
        except SoftPromptError as problem:
            yield self._shown(asked, texts, str(problem), "bad")
        except Exception as fault:
            log.exception("a trial failed")
            line = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
            yield self._shown(asked, texts, line, "bad")

    def stop(self, asked: Asked) -> None:
        """End this page's trial, also while it waits."""
        self._stopped.append(asked.run)

    def _written(self, asked: Asked, texts: tuple[list[Piece], list[Piece]]) -> Iterator[Changes]:
        trial = Trial(lambda: self._begin(asked))
        try:
            # It may have been stopped before it came up.
            while not trial.ended and not (asked.run and asked.run in self._stopped):
                news = trial.news(PACE)
                for number, piece in news:
                    texts[number].append(piece)
                if news:
                    yield self._shown(asked, texts, "Writing …", running=True)
                    time.sleep(min(1.0, sum(map(len, texts)) / DRAWN))
            yield self._shown(asked, texts, _ended(trial, texts))
        finally:
            # A page that is closed in the middle of it ends its trial.
            trial.stopped.set()

    def _begin(self, asked: Asked) -> Iterator[tuple[int, Piece]]:
        left, right = (placed(asked.text or "", side) for side in asked.sides)
        tokens = int(min(LONGEST, max(SHORTEST, USUAL if asked.tokens is None else asked.tokens)))
        heat = float(min(HOTTEST, max(0.0, 0.7 if asked.temperature is None else asked.temperature)))
        return self.host.tries.write(left, right, tokens=tokens, seed=int(asked.seed or 0), temperature=heat)

    def _shown(
        self, asked: Asked, texts: Sequence[Sequence[Piece]], line: str, kind: Any = "idle", running: bool = False
    ) -> Changes:
        lead = (asked.text or "").replace(PLACE, "")
        return {
            "state": {"value": markup.state(line, kind)},
            "columns": {"value": markup.columns(asked.sides, texts, lead, running)},
            "legend": {"value": markup.legend(asked.sides)},
        }


def placed(text: str, side: Side) -> str:
    """The text with the side's tag where `{tag}` stands in it, or before it; the writer's own tags stay as they are."""
    tag = str(side.tag) if side.tag else ""
    first, *rest = text.split(PLACE) if PLACE in text else ["", text]
    for part in rest:
        # A backslash before a tag would make it a literal.
        slashes = len(first) - len(first.rstrip("\\")) if tag else 0
        first += "\\" * slashes + tag + part
    return first


def _ended(trial: Trial, texts: Sequence[Sequence[Piece]]) -> str:
    if not trial.ended:
        return "Stopped."
    return "Done." if any(texts) else "The model has nothing to add to this text."


def _strength(value: float | None) -> float:
    return round(float(1.0 if value is None else value), 2)
