"""`Feed(host).news(seen)`: what a page knows of the library while its writer writes, beside the panel.

The page does the rest by itself: a list to choose a name from (choosing.js), the line of costs under a text box
(costs.js), and the chips of what is shown (chips.js).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

from ..hosts.protocol import Host, Room, Row
from ..tags import name_problem
from . import markup
from .parts import Wiring, asset

log = logging.getLogger(__name__)

LONGEST = 160
"""Characters of a description; the list shows two lines of it."""
SCRIPTS = ("tags", "caret", "writing", "choosing", "costs", "chips")


def css() -> str:
    """The look of it, outside of the panel."""
    return asset(__package__, "page/writing.css")


def js() -> str:
    """What the page does by itself, each on what stands before it."""
    return "\n".join(asset(__package__, f"page/{name}.js") for name in SCRIPTS)


class Feed:
    """`Feed(host).news("")`: the names and what a tag of each costs, where a page does not know it yet."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._last: tuple[object, str] = (None, "")

    def news(self, seen: str, *values: Any) -> tuple[str, str] | None:
        """(a short mark of it, all of it as JSON); nothing where the page has `seen` that mark."""
        told = self._told(values)
        mark = hashlib.blake2s(told.encode("ascii")).hexdigest()[:12]
        return None if mark == seen else (mark, told)

    def _told(self, values: Sequence[Any]) -> str:
        key, last = (self._host.revision, repr(values)), self._last
        if last[0] != key:
            # Another thread may put its own here meanwhile.
            last = self._last = key, json.dumps(_feed(self._host, values))
        return last[1]


def build(gr: Any, host: Host) -> None:
    """Its components, which nobody sees, and the event by which a page asks."""
    feed, context, wiring = Feed(host), host.context(), Wiring(gr)
    with gr.Column(elem_classes=["sp-hidden"]):
        seen = gr.Textbox("", show_label=False)
        names = gr.Textbox("", show_label=False, elem_id="sp-names")
        poll = gr.Button("Names", elem_id="sp-names-poll")

    def answer(known: str, *values: Any) -> list[Any]:
        news = _asked(feed, known, values)
        return list(news) if news else [gr.update(), gr.update()]

    # Without the queue: it must not wait behind a story that is being written.
    how: dict[str, Any] = {"queue": False, "show_progress": "hidden", **wiring.private}
    polled = poll.click(answer, [seen, *context], [seen, names], **how)
    wiring.script(polled.then, "(names) => { window.softPrompts?.named?.(names); return []; }", [names])


def _asked(feed: Feed, seen: str, values: Sequence[Any]) -> tuple[str, str] | None:
    """The news; where they fail the page keeps what it knows, and the library beside it says why."""
    try:
        return feed.news(seen, *values)
    except Exception:
        log.exception("the names for the text boxes could not be told")
        return None


def _feed(host: Host, values: Sequence[Any]) -> dict[str, Any]:
    health, room = host.health(*values), host.room(*values)
    return {
        "names": [_name(row, room) for row in _rows(host.rows())],
        "context": room.context,
        "reply": room.reply,
        "state": health.state,
        "line": "" if health.state == "ready" else markup.shown(health.line),
    }


def _rows(rows: Sequence[Row]) -> list[Row]:
    """Of each name that can be a tag the row that it means: of several files the one that is used."""
    meant: dict[str, Row] = {}
    for row in rows:
        idle = row.verdict in markup.INERT
        if not name_problem(row.name) and (row.name not in meant or not idle):
            meant[row.name] = row
    return list(meant.values())


def _name(row: Row, room: Room) -> dict[str, Any]:
    lacks = room.lacks(row.tokens) if row.usable else ""
    reason = lacks or ("" if row.usable else row.reason or markup.VERDICTS[row.verdict][2])
    return {
        "name": row.name,
        "tokens": row.tokens,
        "usable": row.usable and not lacks,
        "waits": row.verdict == "no model",
        "reason": markup.shown(reason),
        "description": markup.shown(row.description[:LONGEST]),
    }
