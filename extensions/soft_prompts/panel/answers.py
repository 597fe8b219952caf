"""`Panel(host).poll(Asked())`: what the panel's events answer, as changes of its components; no gradio.

`answer` is the only way in from a page: whatever goes wrong behind it becomes words there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import EVERYWHERE, Host, Pin, Row, Scope
from ..tags import tag_for
from . import finding, markup
from .allowed import Changes as Changes
from .allowed import allowed
from .saying import LINES as LINES
from .saying import answer as answer
from .saying import answers as answers
from .saying import line, silence

FOUND = ("library", "seen", *LINES)
"""What another search changes."""


@dataclass(frozen=True)
class Asked:
    """What the page sends with every event; each field is named like its component, values: of the host's `context()`.

    key: of the chosen row. fresh: of the one that was made just now. order, place: of the list. title, description,
    author: what the chosen row shall be called, and say of itself. offer: which upload is shown; keep_as: its name.
    undo, bin: what shall be put back, by the line of the deletion and by the trash. back: what of the chosen file shall
    be taken back. opening: of a line to show.
    """

    seen: str = ""
    key: str = ""
    fresh: str = ""
    find: str = ""
    scope: str = EVERYWHERE.key
    strength: float | None = 1.0
    on: bool = True
    name: str = ""
    sentence: str = ""
    order: str = "name"
    place: str = ""
    title: str = ""
    description: str = ""
    author: str = ""
    offer: str = ""
    keep_as: str = ""
    undo: str = ""
    bin: str = ""
    back: str = ""
    opening: str = ""
    values: tuple[Any, ...] = ()


class Panel:
    """`Panel(host).poll(Asked())`: the answers to the page's events, as changes of components."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def poll(self, asked: Asked) -> Changes:
        """Everything, where anything has changed since `asked.seen`; else nothing."""
        return self._all(asked) if self.moved(asked) else {}

    def moved(self, asked: Asked) -> bool:
        """Whether anything has changed since `asked.seen`."""
        return self._now(asked) != asked.seen

    def choose(self, asked: Asked) -> Changes:
        """Another row; its strength is the pinned one where it is pinned in the chosen scope."""
        rows = self.rows(asked)
        row = self._chosen(rows, asked)
        chosen, asked = asked.scope, self._where_pinned(asked, row)
        pins = self._pins(asked).get(asked.scope, ())
        strength = next((pin.strength for pin in pins if row and pin.name == row.name), 1.0)
        tag = str(tag_for(row.name, strength)) if row else ""
        # Making one chooses it, too, and deleting it none: what was said then still holds.
        silent = {} if asked.key == asked.fresh else {**silence(), "fresh": {"value": ""}}
        said: Changes = {"strength": {"value": strength}, "tag": {"value": tag}, **_said_of(row)}
        changes = self._all(asked, rows)
        scope = {"scope": {**changes["scope"], "value": asked.scope}} if asked.scope != chosen else {}
        return {**changes, **scope, **said, **silent}

    def _where_pinned(self, asked: Asked, row: Row | None) -> Asked:
        """The chosen scope, or the first one where the row is pinned: there it can be taken away."""
        pinned = [
            scope for scope, pins in self._pins(asked).items() if any(row and pin.name == row.name for pin in pins)
        ]
        return asked if asked.scope in pinned or not pinned else replace(asked, scope=pinned[0])

    def find(self, asked: Asked) -> Changes:
        """The rows that hold the words, of this folder, in this order."""
        return {"library": self._listed(self.rows(asked), asked), **silence()}

    def _listed(self, rows: Sequence[Row], asked: Asked) -> dict[str, Any]:
        return {"value": markup.library(rows, self.host.folder, asked.find, asked.order, asked.place)}

    def scope(self, asked: Asked) -> Changes:
        """Another place to pin in."""
        return {**self._all(asked), **silence()}

    def pin(self, asked: Asked) -> Changes:
        """The chosen row, at the strength of the slider, in the chosen scope."""
        row, scope = self._target(asked)
        self.host.pin(scope.key, row.name, 1.0 if asked.strength is None else round(float(asked.strength), 2))
        return {**self._all(asked), **silence(), "said": self._pinned_there(row, scope, asked)}

    def _pinned_there(self, row: Row, scope: Scope, asked: Asked) -> dict[str, Any]:
        if not self.host.on:
            return line(f"Pinned {scope.label}. It stands nowhere while soft prompts are off.", "fair")
        if problem := self.host.left_out(scope.key, row.name, *asked.values):
            return line(f"Pinned {scope.label}, but it is left out now: {problem}.", "fair")
        return line(f"Pinned {scope.label}: it now stands before every text there.")

    def unpin(self, asked: Asked) -> Changes:
        """The chosen row, from the chosen scope; one whose file is gone leaves the list."""
        row, scope = self._target(asked)
        self.host.unpin(scope.key, row.name)
        return {**self._all(asked), **silence(), "said": line(f"No longer pinned {scope.label}.")}

    def switch(self, asked: Asked) -> Changes:
        """The master switch."""
        self.host.switch(asked.on)
        return {**self._all(asked), **silence()}

    def make(self, asked: Asked) -> Changes:
        """A prompt from a sentence, which is then the chosen row."""
        if not asked.name.strip() or not asked.sentence.strip():
            raise SoftPromptError("A prompt needs a name and a sentence: type both, then press “Make it”.")
        self.check_free()
        row = self.host.make(asked.name.strip(), asked.sentence)
        clean: Changes = {"name": {"value": ""}, "sentence": {"value": ""}}
        ready = line(f"{row.tag} is in the library. Insert it where you write.")
        return {**self.show(asked, markup.key(row)), **clean, "ready": ready}

    def show(self, asked: Asked, key: str) -> Changes:
        """Another row is the chosen one, and the list shows it; what is said with it holds until the next act."""
        chosen = replace(asked, key=key, fresh=key, find="", place="")
        kept: Changes = {"key": {"value": key}, "fresh": {"value": key}, "find": {"value": ""}}
        changes = self.choose(chosen)
        return {**changes, **silence(), **kept, "place": {**changes["place"], "value": ""}}

    def check_free(self) -> None:
        """Raises SoftPromptError where the host's rules let nobody change files."""
        if self.host.forbids:
            raise SoftPromptError(f"Files cannot be changed here: {self.host.forbids}.")

    def report(self, asked: Asked) -> Changes:
        """All of it as text, for the clipboard and for the eye."""
        return {"report": {"value": self.host.report()}, **silence()}

    def _all(self, asked: Asked, rows: list[Row] | None = None) -> Changes:
        host, rows = self.host, self.rows(asked) if rows is None else rows
        folders = finding.folders(rows)
        # Its value stays as it is unless it must go: the page may hold another one by now.
        place: dict[str, Any] = {"choices": folders}
        if asked.place not in [key for _, key in folders]:
            asked, place = replace(asked, place=""), {**place, "value": ""}
        return {
            "seen": {"value": self._now(asked)},
            "health": {"value": markup.health(host.health(*asked.values))},
            "on": {"value": host.on},
            "count": {"value": markup.count(rows, host.folder, host.others())},
            "library": self._listed(rows, asked),
            "place": place,
            "last": {"value": markup.request(host.last_request())},
            **self._details(self._chosen(rows, asked), asked),
        }

    def _details(self, row: Row | None, asked: Asked) -> Changes:
        scopes, pins = self._scopes(asked), self._pins(asked)
        scope = asked.scope if asked.scope in pins else scopes[0].key
        choice: Changes = {"scope": {"choices": [(each.label, each.key) for each in scopes]}, **allowed(self.host, row)}
        if scope != asked.scope:
            choice["scope"]["value"] = scope
        if row is None:
            return {**choice, "detail": {"value": ""}}
        places = [each.key for each in scopes if any(pin.name == row.name for pin in pins[each.key])]
        return {
            **choice,
            "detail": {"value": markup.details(row, self.host.shelf.words(row.file))},
            "pin": {"interactive": row.verdict not in markup.INERT},
            "unpin": {"interactive": scope in places},
        }

    def _now(self, asked: Asked) -> str:
        """A short mark of all that the page should show now."""
        scopes = tuple((each.key, each.label) for each in self._scopes(asked))
        shown = repr((self.host.revision, scopes, asked.key, asked.values))
        return hashlib.blake2s(shown.encode("utf-8", "backslashreplace")).hexdigest()[:12]

    def rows(self, asked: Asked) -> list[Row]:
        """The host's rows as they are now, and pins whose file is gone: else nobody could take them away."""
        rows = list(self.host.rows())
        places, known = self._places(asked), {row.name for row in rows}
        gone = [_gone(name, words) for name, words in places.items() if name not in known]
        now = self._now_and_here(asked)
        # Of thousands of rows, few are pinned.
        return [now(replace(row, pinned=where) if (where := _pinned(row, places)) else row) for row in rows] + gone

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

    def row(self, asked: Asked) -> Row:
        """The chosen row; raises SoftPromptError where its file has gone since the page was drawn."""
        row = self.chosen(asked)
        if row is None:
            raise SoftPromptError("This prompt is no longer there. Choose again in the list.")
        return row

    def chosen(self, asked: Asked) -> Row | None:
        """The chosen row, where it has a file."""
        row = self._chosen(self.rows(asked), asked)
        return row if row and row.file else None

    def _target(self, asked: Asked) -> tuple[Row, Scope]:
        """What to pin where; both may have gone since the page was drawn."""
        row = self._chosen(self.rows(asked), asked)
        scope = next((each for each in self._scopes(asked) if each.key == asked.scope), None)
        if row is None or scope is None:
            raise SoftPromptError("This prompt or this place is no longer there. Choose again in the list.")
        return row, scope


def _said_of(row: Row | None) -> Changes:
    """What the forms of the chosen row hold at first, and what was asked about the one before is gone."""
    held = {"title": row.name, "description": row.description, "author": row.author} if row else {}
    fresh = dict.fromkeys(("title", "description", "author", "like", "lines"), "")
    return {name: {"value": value} for name, value in {**fresh, **held}.items()}


def _pinned(row: Row, places: dict[str, str]) -> str:
    """Of two files with one name, the pin is that of the one which is used."""
    return "" if row.verdict in ("unreadable", "shadowed") else places.get(row.name, "")


def _gone(name: str, places: str) -> Row:
    reason = "No file in the library has this name any more. Unpin it, or put the file back."
    return Row(name, "", 0, "missing", reason, pinned=places)
