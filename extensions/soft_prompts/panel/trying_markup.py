"""`columns(sides, texts)`: what two texts side by side look like, as HTML in which no text can be markup.

What the model writes is foreign text, too: each piece goes through `markup.words`, where it enters the HTML.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..hosts.protocol import Piece
from ..tags import Tag, tag_for
from .markup import Kind, said, words

LEVELS = (1.5, 3.0, 10.0)
"""How many times as likely a word must be for the first, the second and the third shade."""
MOST = 1000
"""Times as likely; beyond, nobody counts."""
LEAD = 240
"""Characters of the writer's own text that stand before each column, so that one sees where it goes on."""


@dataclass(frozen=True)
class Side:
    """What stands before one column: a soft prompt at a strength, or nothing (an empty name)."""

    name: str = ""
    strength: float = 1.0

    @property
    def tag(self) -> Tag | None:
        """As one writes it."""
        return tag_for(self.name, self.strength) if self.name else None


def labels(sides: Sequence[Side]) -> tuple[str, str]:
    """("with noir", "without noir"): what a writer calls the columns, never the same for both."""
    left, right = sides
    same = bool(left.name) and left.name == right.name
    found = [_label(side, other, same) for side, other in ((left, right), (right, left))]
    return ("left", "right") if found[0] == found[1] else (found[0], found[1])


def columns(sides: Sequence[Side], texts: Sequence[Sequence[Piece]], lead: str = "", running: bool = False) -> str:
    """Both columns; texts: what each has written; lead: what the writer began with; running: while more is coming."""
    names = labels(sides)
    shown = "".join(
        _column(number, side, names, texts[number], lead[-LEAD:], running) for number, side in enumerate(sides)
    )
    return f'<div class="sp-cols{" sp-running" if running else ""}">{shown}</div>'


def legend(sides: Sequence[Side]) -> str:
    """What the colours say, in words."""
    left, right = labels(sides)
    marks = "".join(
        f'<li><span class="sp-tok sp-{tone}2">likelier {words(_where(name))}</span></li>'
        for tone, name in (("up", left), ("down", right))
    )
    return f'<ul class="sp-legend">{marks}<li>no mark: about as likely in both</li></ul>'


def state(line: str, kind: Kind = "idle") -> str:
    """How it goes, in one line whose place is always kept."""
    return said(line, kind) if kind == "bad" else f'<div class="sp-go" role="status">{words(line)}</div>'


def level(change: float) -> int:
    """0 to 3: which shade a change of so many nats has."""
    return sum(abs(change) >= math.log(each) for each in LEVELS)


def comparison(change: float, names: Sequence[str]) -> str:
    """ "3.2 times likelier with noir"; change: for the left column, in nats; empty: about as likely in both."""
    if not level(change):
        return ""
    name = _where(names[0] if change > 0 else names[1])
    if abs(change) >= math.log(MOST):
        return f"more than {MOST:,} times likelier {name}"
    times = math.exp(abs(change))
    return f"{times:.1f} times likelier {name}" if times < 10 else f"{times:,.0f} times likelier {name}"


def _label(side: Side, other: Side, same: bool) -> str:
    if not side.name:
        return f"without {other.name}" if other.name else "with nothing"
    strength = f" at {side.strength:g}" if side.strength != 1 or same else ""
    return f"with {side.name}{strength}"


def _where(name: str) -> str:
    return f"on the {name}" if name in ("left", "right") else name


def _column(number: int, side: Side, names: Sequence[str], pieces: Sequence[Piece], lead: str, running: bool) -> str:
    name, place = words(names[number]), ("left", "right")[number]
    # The colours say the same in both columns: what the left one's prompt did.
    tokens = "".join(_token(piece, piece.change if number == 0 else -piece.change, names) for piece in pieces)
    begin = f'<span class="sp-lead">{lines(lead)}</span>' if lead else ""
    empty = "" if pieces or not running else '<span class="sp-wait" aria-hidden="true">…</span>'
    return (
        f'<section class="sp-col" data-side="{place}" aria-label="{name}">'
        f'<div class="sp-col-head"><h4>{name}</h4>{_acts(side, names[number], bool(pieces))}</div>'
        f'<div class="sp-story" tabindex="0" role="group" aria-busy="{"true" if running else "false"}" '
        f'aria-label="Text {name}. Arrow keys go through its words.">{begin}{tokens}{empty}</div></section>'
    )


def _acts(side: Side, name: str, written: bool) -> str:
    copy = f'<button type="button" class="sp-mini sp-copy-text" aria-label="Copy the text {words(name)}">Copy</button>'
    tag = words(str(side.tag)) if side.tag else ""
    insert = f'<button type="button" class="sp-mini sp-insert-tag" data-tag="{tag}">Insert tag</button>'
    return f'<span class="sp-minis">{copy if written else ""}{insert if tag else ""}</span>'


def _token(piece: Piece, change: float, names: Sequence[str]) -> str:
    depth = level(change)
    if not depth:
        # The most of a long text: the page has the words for these.
        return f'<span class="sp-tok">{lines(piece.text)}</span>'
    shade = f"sp-{'up' if change > 0 else 'down'}{depth}"
    return f'<span class="sp-tok {shade}" data-say="{words(comparison(change, names))}">{lines(piece.text)}</span>'


def lines(text: str) -> str:
    """As `markup.words`, with line breaks kept."""
    return "\n".join(map(words, text.replace("\r\n", "\n").split("\n")))
