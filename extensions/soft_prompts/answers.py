"""`Panel(host).poll(Asked())`: what the panel's events answer, as changes of its components; no gradio.

`answer` is the only way in from a page: whatever goes wrong behind it becomes words there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import markup
from .errors import SoftPromptError
from .hosts.protocol import EVERYWHERE, Host, Pin, Row, Scope
from .tags import tag_for

log = logging.getLogger(__name__)

Changes = dict[str, dict[str, Any]]
"""Name of a component -> its new properties."""


@dataclass(frozen=True)
class Asked:
    """What the page sends with every event; key: of the chosen row; values: of the host's `context()`."""

    seen: str = ""
    key: str = ""
    find: str = ""
    scope: str = EVERYWHERE.key
    strength: float | None = 1.0
    on: bool = True
    name: str = ""
    sentence: str = ""
    values: tuple[Any, ...] = ()


class Panel:
    """`Panel(host).poll(Asked())`: the answers to the page's events, as changes of components."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def poll(self, asked: Asked) -> Changes:
        """Everything, where anything has changed since `asked.seen`; else nothing."""
        return self._all(asked) if self._now(asked) != asked.seen else {}

    def choose(self, asked: Asked) -> Changes:
        """Another row; its strength is the pinned one where it is pinned in the chosen scope."""
        row = self._chosen(self._rows(asked), asked)
        asked = self._where_pinned(asked, row)
        pins = self._pins(asked).get(asked.scope, ())
        strength = next((pin.strength for pin in pins if row and pin.name == row.name), 1.0)
        tag = str(tag_for(row.name, strength)) if row else ""
        return {**self._all(asked), "strength": {"value": strength}, "tag": {"value": tag}, "said": _line("")}

    def _where_pinned(self, asked: Asked, row: Row | None) -> Asked:
        """The chosen scope, or the first one where the row is pinned: there it can be taken away."""
        pinned = [
            scope for scope, pins in self._pins(asked).items() if any(row and pin.name == row.name for pin in pins)
        ]
        return asked if asked.scope in pinned or not pinned else replace(asked, scope=pinned[0])

    def find(self, asked: Asked) -> Changes:
        """The rows that hold the words."""
        return {"library": {"value": markup.library(self._rows(asked), self.host.folder, asked.find)}}

    def scope(self, asked: Asked) -> Changes:
        """Another place to pin in."""
        return self._all(asked)

    def pin(self, asked: Asked) -> Changes:
        """The chosen row, at the strength of the slider, in the chosen scope."""
        row, scope = self._target(asked)
        self.host.pin(scope.key, row.name, 1.0 if asked.strength is None else round(float(asked.strength), 2))
        return {**self._all(asked), "said": _line(f"Pinned {scope.label}: it now stands before every text there.")}

    def unpin(self, asked: Asked) -> Changes:
        """The chosen row, from the chosen scope; one whose file is gone leaves the list."""
        row, scope = self._target(asked)
        self.host.unpin(scope.key, row.name)
        return {**self._all(asked), "said": _line(f"No longer pinned {scope.label}.")}

    def switch(self, asked: Asked) -> Changes:
        """The master switch."""
        self.host.switch(asked.on)
        return {**self._all(asked), "answer": _line("")}

    def make(self, asked: Asked) -> Changes:
        """A prompt from a sentence, which is then the chosen row."""
        if not asked.name.strip() or not asked.sentence.strip():
            raise SoftPromptError("A prompt needs a name and a sentence: type both, then press “Make it”.")
        row = self.host.make(asked.name.strip(), asked.sentence)
        chosen = replace(asked, key=markup.key(row), find="")
        clean: Changes = {
            "name": {"value": ""},
            "sentence": {"value": ""},
            "key": {"value": chosen.key},
            "find": {"value": ""},
        }
        made = _line(f"{row.tag} is in the library. Insert it where you write.")
        return {**self.choose(chosen), **clean, "made": made}

    def report(self, asked: Asked) -> Changes:
        """All of it as text, for the clipboard and for the eye."""
        return {"report": {"value": self.host.report()}, "answer": _line("")}

    def _all(self, asked: Asked) -> Changes:
        host, rows = self.host, self._rows(asked)
        return {
            "seen": {"value": self._now(asked)},
            "health": {"value": markup.health(host.health())},
            "on": {"value": host.on},
            "count": {"value": markup.heading("Library", markup.count(rows, host.folder))},
            "library": {"value": markup.library(rows, host.folder, asked.find)},
            "last": {"value": markup.request(host.last_request())},
            **self._details(self._chosen(rows, asked), asked),
        }

    def _details(self, row: Row | None, asked: Asked) -> Changes:
        scopes, pins = self._scopes(asked), self._pins(asked)
        scope = asked.scope if asked.scope in pins else scopes[0].key
        choice = {"scope": {"choices": [(each.label, each.key) for each in scopes], "value": scope}}
        if row is None:
            return {**choice, "detail": {"value": ""}}
        places = [each for each in scopes if any(pin.name == row.name for pin in pins[each.key])]
        where = ", ".join(_place(each, row.name, pins[each.key]) for each in places)
        return {
            **choice,
            "detail": {"value": markup.details(row, f"pinned {where}" if where else "")},
            "pin": {"interactive": row.verdict not in markup.INERT},
            "unpin": {"interactive": any(each.key == scope for each in places)},
        }

    def _now(self, asked: Asked) -> str:
        """A short mark of all that the page should show now."""
        scopes = tuple((each.key, each.label) for each in self._scopes(asked))
        shown = repr((self.host.revision, scopes, asked.key))
        return hashlib.blake2s(shown.encode("utf-8", "backslashreplace")).hexdigest()[:12]

    def _rows(self, asked: Asked) -> list[Row]:
        """The host's rows, and those pins that have no file any more: else nobody could take them away."""
        rows = list(self.host.rows())
        known = {row.name for row in rows}
        gone: dict[str, list[str]] = {}
        for scope in self._scopes(asked):
            for pin in self.host.pins(scope.key):
                if pin.name not in known:
                    gone.setdefault(pin.name, []).append(scope.label)
        return rows + [_gone(name, ", ".join(places)) for name, places in gone.items()]

    def _scopes(self, asked: Asked) -> Sequence[Scope]:
        return self.host.scopes(*asked.values) or (EVERYWHERE,)

    def _pins(self, asked: Asked) -> dict[str, Sequence[Pin]]:
        return {scope.key: self.host.pins(scope.key) for scope in self._scopes(asked)}

    def _chosen(self, rows: Sequence[Row], asked: Asked) -> Row | None:
        return next((row for row in rows if markup.key(row) == asked.key), None)

    def _target(self, asked: Asked) -> tuple[Row, Scope]:
        """What to pin where; both may have gone since the page was drawn."""
        row = self._chosen(self._rows(asked), asked)
        scope = next((each for each in self._scopes(asked) if each.key == asked.scope), None)
        if row is None or scope is None:
            raise SoftPromptError("This prompt or this place is no longer there. Choose again in the list.")
        return row, scope


def answer(act: Callable[[Asked], Changes], asked: Asked, line: str) -> Changes:
    """`answer(panel.pin, asked, "said")`: what the act changes; what goes wrong stands in words in that line."""
    try:
        return act(asked)
    except SoftPromptError as problem:
        return {line: _line(str(problem), problem=True)}
    except Exception as fault:
        log.exception("the panel's %s failed", act.__name__)
        words = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
        return {line: _line(words, problem=True)}


def _line(text: str, problem: bool = False) -> dict[str, Any]:
    return {"value": markup.said(text, problem)}


def _place(scope: Scope, name: str, pins: Sequence[Pin]) -> str:
    strength = next(pin.strength for pin in pins if pin.name == name)
    return scope.label if strength == 1 else f"{scope.label} at {strength:g}"


def _gone(name: str, places: str) -> Row:
    reason = "No file in the library has this name any more. Unpin it, or put the file back."
    return Row(name, "", 0, "missing", reason, pinned=places)
