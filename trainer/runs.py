"""`Runs(library, lends)`: the trainings of one host: what files mean, what a run would take, one at a time; torch-free.

A run belongs to the server and not to a page: it goes on when the browser is closed, and what was interrupted by a
crash is found again when the server starts.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import SoftPromptError, TrainingError
from ..hosts.protocol import Host, Lends
from ..library import Library
from .board import Board, Plan, State, noted, taken
from .kept import Kept
from .lent import Withdrawn
from .live import Here, Live, tidy
from .rehearsed import rehearsed
from .trains import Taken, Trains
from .understanding import Pair, Understood, understood
from .worker import Away, Environment, environment

__all__ = ["Pair", "Runs", "Taken", "Trains", "Understood", "runs_of"]

log = logging.getLogger(__name__)

SNAPSHOT = 10.0
"""Seconds between two records of a board: what a crash may take of its picture, not of its training."""
_SAME = 3.0
"""Seconds for which what was found of an environment is believed."""
PATIENCE = 20.0
"""Seconds that a program which ends waits for the step that its training is in."""


class Runs:
    """forbids: why nothing may be trained here, in words. where: what a process of its own would run in."""

    def __init__(
        self,
        library: Library,
        lends: Lends,
        forbids: Callable[[], str] = str,
        where: Callable[[], Environment] = environment,
    ) -> None:
        self._library, self._lends = library, lends
        self._forbids, self._find = forbids, where
        self._kept = Kept(library.folder)
        self._lock = threading.RLock()
        self._boards: dict[str, Board] = {}
        self._replace: dict[str, bool] = {}
        self._looked = False
        self._live: Live | None = None
        self._running = ""
        self._thread: threading.Thread | None = None
        self._changes = itertools.count(1)
        self._revision = 0
        self._written = 0.0
        self._found: tuple[float, Environment] | None = None

    # ---- what a page shows

    @property
    def revision(self) -> str:
        with self._lock:
            return f"{self._revision}.{self._lends.way}.{bool(self.reason)}"

    @property
    def reason(self) -> str:
        if forbidden := self._forbids():
            return forbidden
        return self._where().problem if self._lends.way == "worker" else self._lends.reason

    @property
    def advice(self) -> str:
        if self._lends.way == "worker":
            return self._where().advice(self.original or "")
        return "It is trained on the loaded model, which stays free for writing between two steps."

    @property
    def asks(self) -> str:
        return self._where().asks(self.original or "") if self._lends.way == "worker" else ""

    @property
    def original(self) -> str | None:
        return self._lends.original if self._lends.way == "worker" else None

    def learn_on(self, original: str) -> None:
        self._lends.learn_on(original)
        with self._lock:
            self._revision += 1

    def boards(self) -> Sequence[Board]:
        with self._lock:
            self._look()
            return sorted(self._boards.values(), key=lambda each: (_ORDER.get(each.state, 0), -each.begun))

    def understand(self, kind: str, files: Sequence[Path]) -> Understood:
        return understood(kind, files)

    def plan(
        self, kind: str, name: str, files: Sequence[Path], pairs: Sequence[Pair] | None, settings: dict[str, str]
    ) -> Plan:
        self._check()
        return self._kept.plan(kind, name.strip(), [Path(each) for each in files], pairs, settings)

    def again(self, name: str, new: str, further: bool = False) -> Plan:
        self._check()
        return self._kept.again(name, new.strip(), further)

    def estimate(self, plan: Plan) -> str:
        self._check()
        self._check_free()
        return rehearsed(plan.words, self._lends, self._where, lambda: self._live is not None)

    # ---- what a page asks for

    def start(self, plan: Plan, replace: bool = False, agreed: bool = False) -> None:
        with self._lock:
            self._look()  # which tries the names of runs: not while one of ours takes its own
            self._check(plan.name)
            self._check_free()
            if not replace and plan.name in self._library:
                raise Taken(f"there is a soft prompt '{plan.name}' already: choose another name, or replace it")
            self._check_idle(plan.name)
            self._begin(self._kept.settle(plan), replace, agreed, ("--overwrite",) if replace else ())

    def go_on(self, name: str, agreed: bool = False) -> None:
        with self._lock:
            self._look()
            board = self._known(name)
            if board.state == "paused" and self._live is not None:
                self._set(replace(board, state="training" if board.pace else "preparing"))
                return self._live.go_on()
            if board.live:
                raise TrainingError(f"{name} is being trained already")
            if board.state == "done":
                raise TrainingError(f"{name} has ended; begin a new training from it instead")
            self._check(name)
            self._check_free()
            self._check_idle(name)
            overwrite = self._replace.get(name, False)
            more = ("--resume", "--overwrite") if overwrite else ("--resume",)
            self._begin(self._kept.settle(board.plan), overwrite, agreed, more, board)

    def pause(self) -> None:
        with self._lock:
            live, board = self._going()
            if board.state not in ("paused", "stopping"):
                self._set(replace(board, state="paused"))
                live.pause()

    def stop(self) -> None:
        with self._lock:
            live, board = self._going()
            self._set(replace(board, state="stopping"))
            live.stop()

    def forget(self, name: str) -> None:
        with self._lock:
            self._look()
            if self._known(name).live:
                raise TrainingError(f"{name} is being trained: stop it before")
            self._kept.forget(name)
            del self._boards[name]
            self._changed()

    def close(self) -> None:
        """End what is going on, keep the best, and wait for it; what was interrupted so is found again."""
        with self._lock:
            live, thread = self._live, self._thread
            if live is not None:
                live.stop()
        if thread is not None:
            thread.join(PATIENCE)

    # ---- a run

    def _begin(
        self, plan: Plan, overwrite: bool, agreed: bool, more: tuple[str, ...], before: Board | None = None
    ) -> None:
        board = replace(before or Board(plan, "waiting"), plan=plan, state="waiting", problem="", ended="", report={})
        board = replace(board, begun=time.time(), pace=(), left=None)
        self._kept.write(board, overwrite)
        more = (*more, f"--output={self._library.folder}")
        self._live = self._made(plan.words, more, agreed)
        self._running, self._replace[plan.name] = plan.name, overwrite
        self._set(board)
        self._thread = threading.Thread(target=self._carry, args=[self._live], name="soft-prompts", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _made(self, words: tuple[str, ...], more: tuple[str, ...], agreed: bool) -> Live:
        if self._lends.way == "worker":
            return Away(words, more, self._lends, self._take, self._where(), agreed)
        return Here(words, more, self._lends, self._take)

    def _carry(self, live: Live) -> None:
        """The thread of a run: whatever becomes of it, the board says so."""
        state, problem = self._carried(live)
        tidy()
        with self._lock:
            board = self._boards[self._running]
            if board.live:
                board = replace(board, state=state, problem=problem, phase=("", 0, 0), left=None)
            if problem and board.state != "failed":
                board = noted(board, problem)
            self._live = None
            self._set(board)
            self._record(board)
        self._library.refresh()
        atexit.unregister(self.close)

    def _carried(self, live: Live) -> tuple[State, str]:
        """(what it is if it has not said so itself, and why)."""
        try:
            live.run()
        except Withdrawn as back:
            return "interrupted", str(back)
        except SoftPromptError as known:
            return "failed", str(known)
        except Exception as unknown:
            log.exception("a training failed")
            return "failed", f"{type(unknown).__name__}: {unknown}"
        board = self._boards[self._running]
        return "failed", "it ended without a result; the server's terminal may say more" if board.live else ""

    def _take(self, event: dict[str, Any]) -> None:
        with self._lock:
            board = taken(self._boards[self._running], event)
            self._set(board)
        if time.monotonic() - self._written > SNAPSHOT:
            self._record(board)

    def _record(self, board: Board) -> None:
        self._written = time.monotonic()
        try:
            self._kept.write(board, self._replace.get(board.plan.name, False))
        except SoftPromptError as problem:  # a full disk ends trainings where it must, and not for a picture
            log.warning("soft prompts: %s", problem)

    # ---- what is known

    def _look(self) -> None:
        if not self._looked:
            self._looked = True
            for board in self._kept.unfinished():
                record = self._kept.read(board.plan.name)
                self._boards.setdefault(board.plan.name, board)
                self._replace.setdefault(board.plan.name, record is not None and record.replace)

    def _where(self) -> Environment:
        """What a process would run in; a page asks every second, and it seldom changes."""
        now = time.monotonic()
        if self._found is None or now - self._found[0] > _SAME:
            self._found = now, self._find()
        return self._found[1]

    def _known(self, name: str) -> Board:
        if name not in self._boards:
            raise TrainingError(f"no training of '{name}' is known here")
        return self._boards[name]

    def _going(self) -> tuple[Live, Board]:
        if self._live is None:
            raise TrainingError("nothing is being trained: it has ended meanwhile")
        return self._live, self._boards[self._running]

    def _check(self, name: str = "") -> None:
        if reason := self.reason:
            raise TrainingError(f"{name} cannot be trained now: {reason}" if name else reason)

    def _check_free(self) -> None:
        if self._live is not None:
            raise TrainingError(f"{self._running} is being trained: wait until it ends, or stop it before")

    def _check_idle(self, name: str) -> None:
        if told := self._kept.busy(name):
            raise TrainingError(told)

    def _set(self, board: Board) -> None:
        self._boards[board.plan.name] = board
        self._changed()

    def _changed(self) -> None:
        self._revision = next(self._changes)


_ORDER = {"interrupted": 1, "stopped": 1, "failed": 1, "done": 2}

_hosts: dict[str, Runs] = {}
_hosting = threading.Lock()


def runs_of(host: Host) -> Runs:
    """The one of this host: a page that is built anew shows the run that goes on."""
    library = host.shelf.library
    with _hosting:
        key = str(library.folder.absolute())
        if key not in _hosts:
            _hosts[key] = Runs(library, host.lends, lambda: host.forbids)
        return _hosts[key]
