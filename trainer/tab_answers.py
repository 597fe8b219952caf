"""`Training(trains, host).poll(Asked())`: what the section's events answer, as changes of its components; no gradio.

A run is drawn in parts, and `seen` tells which of them the page has: what has not changed is never drawn again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import Host
from ..panel.markup import said
from ..tags import name_problem, suggest_name
from . import tab_form as form
from . import tab_markup as markup
from .board import Board, Plan
from .tab_settings import FACTS, KINDS, SETTINGS, settings_of
from .tab_wrong import Beside, NameTaken
from .trains import Taken, Trains
from .understanding import Pair

log = logging.getLogger(__name__)

Changes = dict[str, dict[str, Any]]
"""Name of a component -> its new properties."""
DRAWN = ("notice", "progress", "controls", "plot", "previews", "spoken", "others", "cards", "advice", "original")
"""Parts that a poll draws, each for itself."""
LINES = ("acted", "read", "paired", "named", "tuned", "started")
"""Components that hold a message: of a run, of the files, of the table, of the name, of the settings, of the start."""
EMPTY = json.dumps([["", "", False]] * 3)
"""A table to type facts into."""


@dataclass(frozen=True)
class Asked:
    """What the page sends. act: a deed on a run, as JSON; files: paths of uploads; pairs: the table, as JSON;
    suggested: the name that was filled in last; values: of the fields that are folded away, by their option."""

    seen: str = ""
    act: str = ""
    kind: str = ""
    files: tuple[str, ...] = ()
    pairs: str = ""
    name: str = ""
    suggested: str = ""
    original: str = ""
    tokens: str = ""
    replace: bool = False
    consent: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


class Training:
    """`Training(trains, host).start(asked)`: the answers to the section's events."""

    def __init__(self, trains: Trains, host: Host) -> None:
        self.trains, self.host = trains, host

    def poll(self, asked: Asked) -> Changes:
        """What has changed since `asked.seen`, part by part."""
        return self._drawn(asked) if self.moved(asked) else {}

    def moved(self, asked: Asked) -> bool:
        """Whether anything has changed since `asked.seen`."""
        return bool(_seen(asked).get("") != self._now())

    def act(self, asked: Asked) -> Changes:
        """A button on a run."""
        told = _object(asked.act)
        board = next((each for each in self.trains.boards() if markup.key(each) == told.get("run")), None)
        if board is None:
            raise SoftPromptError("This training is no longer there.")
        self._deed(board, str(told.get("act")), str(told.get("new") or "").strip(), told.get("agreed") is True)
        return {**self._drawn(asked), **_silent()}

    def _deed(self, board: Board, act: str, new: str, agreed: bool) -> None:
        name = board.plan.name
        if act in ("pause", "stop"):
            if not board.live:
                raise SoftPromptError(f"“{name}” has ended meanwhile.")
            self.trains.pause() if act == "pause" else self.trains.stop()
        elif act == "go_on":
            self._may_begin(agreed or board.live)
            self.trains.go_on(name, agreed)
        elif act in ("again", "further"):
            self._may_begin(agreed)
            self._good(new, "acted")
            if self._taken(new):
                raise SoftPromptError(f"There is a soft prompt called “{new}” already: give this one another name.")
            self.trains.start(self.trains.again(name, new, act == "further"), agreed=agreed)
        elif act == "forget":
            self.trains.forget(name)

    def _may_begin(self, agreed: bool) -> None:
        self._allowed()
        if self.trains.asks and not agreed:
            raise SoftPromptError(f"Please agree first, by the box of this training: {self.trains.asks}")

    def choose(self, asked: Asked) -> Changes:
        """One of the three starts, or none."""
        kind = KINDS.get(asked.kind)
        names = [("nothing of yours", ""), *((row.name, row.name) for row in self.host.rows() if row.usable)]
        tokens = {"choices": list(kind.tokens), "value": kind.usual} if kind else {}
        return {
            **_silent(), "about": {"value": form.about(asked.kind)}, "tokens": tokens, "understood": {"value": ""},
            "set-from": {"choices": names, "value": ""}, "estimated": {"value": ""},
            "pairs": {"value": asked.pairs if _rows(asked.pairs) else EMPTY},
        }  # fmt: skip

    def read(self, asked: Asked) -> Changes:
        """What the chosen files are."""
        clean = {**_silent("read", "paired"), "understood": {"value": ""}, "estimated": {"value": ""}}
        if not asked.files or asked.kind not in KINDS:
            return clean
        found = self.trains.understand(asked.kind, [Path(each) for each in asked.files])
        table = [[pair.call, pair.response, pair.held_out] for pair in found.pairs]
        changes = {**clean, "understood": {"value": form.understood(found)}}
        if asked.kind == FACTS:
            changes["pairs"] = {"value": json.dumps(table)}
        # A name that the writer chose stays.
        if found.name and asked.name.strip() in ("", asked.suggested):
            name = suggest_name(found.name)
            changes |= {"name": {"value": name}, "suggested": {"value": name}}
        return changes

    def named(self, asked: Asked) -> Changes:
        """Whether the name will do."""
        clean = {**_silent("named", "started"), "replace": {"value": False}}
        name = asked.name.strip()
        if name:
            self._good(name, "named")
        return {**clean, "named": {"value": NameTaken(name).shown}} if self._taken(name) else clean

    def learn_on(self, asked: Asked) -> Changes:
        """What a training for the loaded file learns on."""
        original = asked.original.strip()
        if self.trains.original not in (None, original):
            self._allowed()
            self.trains.learn_on(original)
        return {**self._drawn(asked), **_silent("tuned")}

    def estimate(self, asked: Asked) -> Changes:
        """How long it would take; this may need a minute."""
        self._allowed()
        plan = self._plan(asked)
        words = f"{plan.name}: {self.trains.estimate(plan)}"
        return {**_silent(), "estimated": {"value": form.told(words)}}

    def start(self, asked: Asked) -> Changes:
        """Begin; a second click finds that it has begun."""
        self._allowed()
        plan = self._plan(asked)
        if not self._begun(plan):
            self._ready(asked)
            self.trains.start(plan, asked.replace, asked.consent)
        return {**self._drawn(asked), **_cleared()}

    def _ready(self, asked: Asked) -> None:
        if self.trains.asks and not asked.consent:
            raise Beside("started", f"Please agree first, by the box above: {self.trains.asks}")
        if self._taken(asked.name.strip()) and not asked.replace:
            raise NameTaken(asked.name.strip())

    def _begun(self, plan: Plan) -> bool:
        live = next((each.plan for each in self.trains.boards() if each.live), None)
        return live is not None and (live.name, live.kind, live.title) == (plan.name, plan.kind, plan.title)

    def _plan(self, asked: Asked) -> Plan:
        if asked.kind not in KINDS:
            raise Beside("started", "Choose what to learn: one of the three above.")
        pairs = _table(asked.pairs) if asked.kind == FACTS else None
        if pairs is None and not asked.files:
            raise Beside("read", "There is nothing to learn from yet: choose a file, or drop it here.")
        if not asked.name.strip():
            raise Beside("named", "It needs a name: you will type it in tags, as <<sp:name>>.")
        self._good(asked.name.strip(), "named")
        settings = settings_of(asked.kind, asked.tokens, asked.values)
        return self.trains.plan(asked.kind, asked.name.strip(), [Path(each) for each in asked.files], pairs, settings)

    def _allowed(self) -> None:
        if why := self.host.forbids or self.trains.reason:
            raise SoftPromptError(why)

    def _good(self, name: str, line: str) -> None:
        if problem := name_problem(name):
            other = f" Try “{suggest_name(name)}”." if name else ""
            raise Beside(line, f"“{name}” cannot be its name: {problem}.{other}")

    def _taken(self, name: str) -> bool:
        unfinished = any(each.plan.name == name and each.state in markup.RESUMABLE for each in self.trains.boards())
        return unfinished or any(row.name == name for row in self.host.rows())

    # ---- drawing

    def _drawn(self, asked: Asked) -> Changes:
        """The parts that are other than the page has them."""
        now, seen = self._now(), _seen(asked)
        parts = self._parts()
        marks = {name: _mark(html) for name, html in parts.items()}
        changed = {name: {"value": html} for name, html in parts.items() if seen.get(name) != marks[name]}
        return {**changed, "seen": {"value": json.dumps({"": now, **marks})}}

    def _parts(self) -> dict[str, str]:
        boards, trains, forbids = self.trains.boards(), self.trains, self.host.forbids
        live = next((each for each in boards if each.live), None)
        return {
            "notice": form.notice(forbids, trains.reason),
            "progress": markup.progress(live),
            "controls": markup.controls(live),
            "plot": markup.plot(live),
            "previews": markup.previews(live),
            "spoken": markup.spoken(live),
            "others": markup.others([each for each in boards if not each.live], trains.asks),
            "cards": form.cards(bool(forbids or trains.reason)),
            "advice": form.advice(trains.advice, trains.asks, trains.original is not None),
            "original": trains.original or "",
        }

    def _now(self) -> str:
        """A short mark of all that the page should show."""
        trains = self.trains
        told = trains.reason, trains.advice, trains.asks, trains.original, self.host.forbids
        return _mark(repr((trains.revision, *told)))


def answer(act: Callable[[Asked], Changes], asked: Asked, line: str) -> Changes:
    """`answer(training.start, asked, "started")`: what the act changes; an error stands beside what it is about."""
    try:
        return act(asked)
    except Beside as problem:
        where, shown, words = problem.line, problem.shown, str(problem)
    except Taken:
        taken = NameTaken(asked.name.strip())
        where, shown, words = taken.line, taken.shown, str(taken)
    except SoftPromptError as problem:
        where, shown, words = line, said(str(problem), "bad"), str(problem)
    except Exception as fault:
        log.exception("the training section's %s failed", act.__name__)
        words = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
        where, shown = line, said(words, "bad")
    # What was waited for is waited for no longer.
    waited: Changes = {"read": {"understood": {"value": ""}}, "started": {**_silent(), "estimated": {"value": ""}}}.get(
        line, {}
    )
    # Who pressed a button looks there, and what it is about may be out of sight.
    also: Changes = {"started": {"value": said(words, "bad")}} if line == "started" else {}
    # What was drawn may be in the middle of something: the next poll draws all of it.
    return {**waited, **also, where: {"value": shown}, "seen": {"value": ""}}


def _silent(*lines: str) -> Changes:
    return {line: {"value": ""} for line in lines or LINES}


def _cleared() -> Changes:
    """The form, as it was before anything was chosen."""
    empty = ("kind", "name", "suggested", "understood", "about", "estimated", "set-from")
    fields: Changes = {f"set-{setting.key}": {"value": None if setting.is_file else ""} for setting in SETTINGS}
    boxes: Changes = {"replace": {"value": False}, "consent": {"value": False}}
    texts: Changes = {name: {"value": ""} for name in empty}
    return {**_silent(), **fields, **boxes, **texts, "files": {"value": None}, "pairs": {"value": EMPTY}}


def _table(text: str) -> list[Pair]:
    """The rows that were filled in; raises Beside where one is half empty, or all of them are."""
    rows = _rows(text)
    for number, (call, response, _) in rows:
        if not call.strip() or not response.strip():
            lacks = "call" if not call.strip() else "response"
            raise Beside("paired", f"Row {number} has no {lacks}: fill it in, or delete the row.")
    if not rows:
        raise Beside("paired", "There is no fact yet: type a call and its response, or choose a file.")
    if all(held for _, (_, _, held) in rows):
        raise Beside("paired", "All facts are held out, so there is none to learn: take the mark off some of them.")
    return [Pair(*row) for _, row in rows]


def _rows(text: str) -> list[tuple[int, tuple[str, str, bool]]]:
    """(number as one counts, (call, response, held out)) of the rows in which anything stands."""
    try:
        found = json.loads(text or "[]")
        rows = [(number, (str(row[0]), str(row[1]), bool(row[2]))) for number, row in enumerate(found, 1)]
    except (ValueError, TypeError, LookupError, RecursionError):
        return []
    return [(number, row) for number, row in rows if row[0].strip() or row[1].strip()]


def _seen(asked: Asked) -> dict[str, Any]:
    return _object(asked.seen)


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _mark(text: str) -> str:
    return hashlib.blake2s(text.encode("utf-8", "backslashreplace")).hexdigest()[:12]


def paths(files: Sequence[Any] | str | None) -> tuple[str, ...]:
    """Of what gr.File hands over: nothing, one path, or several."""
    return tuple(str(each) for each in ([files] if isinstance(files, str) else files or ()))
