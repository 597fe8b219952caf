"""`Panel(host).poll(Asked())`: what the panel's events answer, as changes of its components; no gradio.

`answer` is the only way in from a page: whatever goes wrong behind it becomes words there.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import EVERYWHERE, Host, Pin, Row, Scope
from ..tags import tag_for
from . import markup

log = logging.getLogger(__name__)

Changes = dict[str, dict[str, Any]]
"""Name of a component -> its new properties."""
LINES = ("answer", "ready", "said", "made")
"""Components that hold a message: of the page, of the tag, of its pins, of the form."""


@dataclass(frozen=True)
class Asked:
    """What the page sends with every event; key: of the chosen row; fresh: of the one that was made just now; values:
    of the host's `context()`."""

    seen: str = ""
    key: str = ""
    fresh: str = ""
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
        # Making one chooses it, too: what was said of it then still holds.
        silent = {} if row and asked.key == asked.fresh else {**_silent(), "fresh": {"value": ""}}
        return {**self._all(asked), "strength": {"value": strength}, "tag": {"value": tag}, **silent}

    def _where_pinned(self, asked: Asked, row: Row | None) -> Asked:
        """The chosen scope, or the first one where the row is pinned: there it can be taken away."""
        pinned = [
            scope for scope, pins in self._pins(asked).items() if any(row and pin.name == row.name for pin in pins)
        ]
        return asked if asked.scope in pinned or not pinned else replace(asked, scope=pinned[0])

    def find(self, asked: Asked) -> Changes:
        """The rows that hold the words."""
        return {"library": {"value": markup.library(self._rows(asked), self.host.folder, asked.find)}, **_silent()}

    def scope(self, asked: Asked) -> Changes:
        """Another place to pin in."""
        return {**self._all(asked), **_silent()}

    def pin(self, asked: Asked) -> Changes:
        """The chosen row, at the strength of the slider, in the chosen scope."""
        row, scope = self._target(asked)
        self.host.pin(scope.key, row.name, 1.0 if asked.strength is None else round(float(asked.strength), 2))
        return {**self._all(asked), **_silent(), "said": self._pinned_there(row, scope, asked)}

    def _pinned_there(self, row: Row, scope: Scope, asked: Asked) -> dict[str, Any]:
        if not self.host.on:
            return _line(f"Pinned {scope.label}. It stands nowhere while soft prompts are off.", "fair")
        if problem := self.host.left_out(scope.key, row.name, *asked.values):
            return _line(f"Pinned {scope.label}, but it is left out now: {problem}.", "fair")
        return _line(f"Pinned {scope.label}: it now stands before every text there.")

    def unpin(self, asked: Asked) -> Changes:
        """The chosen row, from the chosen scope; one whose file is gone leaves the list."""
        row, scope = self._target(asked)
        self.host.unpin(scope.key, row.name)
        return {**self._all(asked), **_silent(), "said": _line(f"No longer pinned {scope.label}.")}

    def switch(self, asked: Asked) -> Changes:
        """The master switch."""
        self.host.switch(asked.on)
        return {**self._all(asked), **_silent()}

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
        ready = _line(f"{row.tag} is in the library. Insert it where you write.")
        return {**self.choose(chosen), **clean, "fresh": {"value": chosen.key}, "ready": ready}

    def report(self, asked: Asked) -> Changes:
        """All of it as text, for the clipboard and for the eye."""
        return {"report": {"value": self.host.report()}, **_silent()}

    def _all(self, asked: Asked) -> Changes:
        host, rows = self.host, self._rows(asked)
        return {
            "seen": {"value": self._now(asked)},
            "health": {"value": markup.health(host.health(*asked.values))},
            "on": {"value": host.on},
            "count": {"value": markup.count(rows, host.folder, host.others())},
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
        places = [each.key for each in scopes if any(pin.name == row.name for pin in pins[each.key])]
        return {
            **choice,
            "detail": {"value": markup.details(row)},
            "pin": {"interactive": row.verdict not in markup.INERT},
            "unpin": {"interactive": scope in places},
        }

    def _now(self, asked: Asked) -> str:
        """A short mark of all that the page should show now."""
        scopes = tuple((each.key, each.label) for each in self._scopes(asked))
        shown = repr((self.host.revision, scopes, asked.key, asked.values))
        return hashlib.blake2s(shown.encode("utf-8", "backslashreplace")).hexdigest()[:12]

    def _rows(self, asked: Asked) -> list[Row]:
        """The host's rows as they are now, and pins whose file is gone: else nobody could take them away."""
        rows = list(self.host.rows())
        places, known = self._places(asked), {row.name for row in rows}
        gone = [_gone(name, words) for name, words in places.items() if name not in known]
        now = self._now_and_here(asked)
        return [now(replace(row, pinned=_pinned(row, places))) for row in rows] + gone

    def _now_and_here(self, asked: Asked) -> Callable[[Row], Row]:
        """What a row is beyond its file and the model: no room for it, switched off, or a model that takes no tags."""
        on, room = self.host.on, self.host.room(*asked.values)
        cannot = self.host.health(*asked.values).state == "cannot"

        def now(row: Row) -> Row:
            if not on and (row.usable or row.verdict == "no model"):
                return replace(row, verdict="off", reason="")
            if cannot and row.verdict == "no model":
                return replace(row, verdict="refused", reason="")
            lacks = room.lacks(row.tokens) if row.usable else ""
            return replace(row, verdict="long", reason=lacks) if lacks else row

        return now

    def _places(self, asked: Asked) -> dict[str, str]:
        """{name: where it is pinned, how strongly, and whether it stands there, in words}."""
        found: dict[str, list[str]] = {}
        for scope in self._scopes(asked):
            for pin in self.host.pins(scope.key):
                out = self.host.on and self.host.left_out(scope.key, pin.name, *asked.values)
                words = f"{scope.label}{pin.at}{' (left out)' if out else ''}"
                found.setdefault(pin.name, []).append(words)
        return {name: ", ".join(words) for name, words in found.items()}

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
    """`answer(panel.pin, asked, "said")`: what the act changes; what goes wrong stands in words in that line.

    There is one message at a time: the next act takes the last one's away.
    """
    try:
        return act(asked)
    except SoftPromptError as problem:
        words = str(problem)
    except Exception as fault:
        log.exception("the panel's %s failed", act.__name__)
        words = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
    # What was drawn may be in the middle of something: the next poll draws all of it.
    return {**(_silent() if line in LINES else {}), line: _line(words, "bad"), "seen": {"value": ""}}


def _line(text: str, kind: markup.Kind = "good") -> dict[str, Any]:
    return {"value": markup.said(text, kind)}


def _silent() -> Changes:
    return {line: _line("") for line in LINES}


def _pinned(row: Row, places: dict[str, str]) -> str:
    """Of two files with one name, the pin is that of the one which is used."""
    return "" if row.verdict in ("unreadable", "shadowed") else places.get(row.name, "")


def _gone(name: str, places: str) -> Row:
    reason = "No file in the library has this name any more. Unpin it, or put the file back."
    return Row(name, "", 0, "missing", reason, pinned=places)
