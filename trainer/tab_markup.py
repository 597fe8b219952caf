"""`progress(board)`: runs as HTML in which nothing of a file, a model or a worker can be markup.

What a run shows while it lives is drawn in parts (progress, controls, curve, previews), each as high as it will ever
be: so nothing below them moves. What has ended folds up into a line.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from ..panel.markup import Kind, said, words
from ..tags import tag_for
from ..terminal import duration
from .board import Board, Preview, State
from .tab_curve import curve
from .tab_report import gist, report
from .tab_settings import KINDS

STATES: dict[State, tuple[Kind, str, str]] = {  # -> kind (the colour), mark, words: never the colour alone
    "waiting": ("idle", "…", "waiting for the model"),
    "preparing": ("idle", "…", "getting ready"),
    "training": ("good", "▸", "training"),
    "paused": ("fair", "‖", "paused, the model is free"),
    "stopping": ("idle", "…", "stopping after this step"),
    "reporting": ("idle", "…", "measuring what it has learnt"),
    "done": ("good", "✓", "done"),
    "stopped": ("fair", "■", "stopped, the best is kept"),
    "failed": ("bad", "!", "failed"),
    "interrupted": ("fair", "!", "interrupted"),
}
ACTS: dict[State, tuple[str, ...]] = {
    "waiting": ("cancel",),
    "preparing": ("cancel",),
    "training": ("pause", "stop"),
    "paused": ("go_on", "stop"),
    "stopping": (),
    "reporting": (),
    "done": ("insert", "forget"),
    "stopped": ("insert", "go_on", "forget"),
    "failed": ("retry", "forget"),
    "interrupted": ("go_on", "forget"),
}
"""What can be done in each state: only what acts then is there."""
LABELS = {
    "pause": "Pause",
    "go_on": "Go on",
    "stop": "Stop and keep the best",
    "cancel": "Stop",
    "insert": "Insert its tag",
    "retry": "Try again",
    "forget": "Forget",
}
CALLS = {"retry": "go_on", "cancel": "stop"}
"""A button that does what another one does, in words of its own."""
ONCE_MORE = {
    "further": ("Go on training", "It begins from what this one knows, with as many steps again.", "Go on training"),
    "again": (
        "Train it for the model that is loaded now",
        "From the same texts and with the same settings, from the beginning.",
        "Train it",
    ),
}
"""Deeds that make a prompt of its own: what they are, what they do, and their button."""
TIMED = ("preparing", "training", "reporting")
BEST = "The best so far on text that it does not learn from, in nats a token: less is better."
RESUMABLE = ("interrupted", "failed", "stopped")


def key(board: Board) -> str:
    """What the page calls a run; a name could hold anything."""
    return hashlib.blake2s(board.plan.name.encode("utf-8", "backslashreplace")).hexdigest()[:12]


# ---- a run that lives


def progress(board: Board | None) -> str:
    """Its name, how far it is, and how long it will take."""
    if board is None:
        return ""
    done, share = _done(board)
    wide = f' style="width:{share:.1f}%"' if share is not None else ""
    now = f' aria-valuenow="{share:.0f}"' if share is not None else ""
    moving = " sp-moving" if share is None else ""
    return (
        f'<div class="sp-live" data-state="{board.state}" data-run="{key(board)}"><div class="sp-name">'
        f'{words(board.plan.name)}{_badge(board.state)}</div><p class="sp-small">{_origin(board)}</p>'
        f'<div class="sp-progress{moving}" role="progressbar" aria-label="{words(board.plan.name)}" aria-valuemin="0" '
        f'aria-valuemax="100"{now} aria-valuetext="{words(done)}"><span{wide}></span></div>'
        f'<p class="sp-figures"><span>{words(done)}</span>{_pace(board)}</p></div>'
    )


def controls(board: Board | None) -> str:
    """Pause, go on, stop: apart from the progress, so that a button keeps its focus while that moves."""
    if board is None:
        return ""
    none = '<span class="sp-small">A moment: this ends by itself.</span>'
    return f'<div class="sp-buttons">{"".join(_button(each, board) for each in ACTS[board.state]) or none}</div>'


def plot(board: Board | None) -> str:
    """Its curve so far."""
    return curve(board.history, board.steps) if board else ""


def previews(board: Board | None) -> str:
    """The samples, the newest first, and the notes; in a box that does not grow."""
    if board is None:
        return ""
    items = "".join(_preview(each, board.plan.name) for each in reversed(board.previews))
    none = '<p class="sp-small">The first sample comes after some steps: the same beginning and the same luck, without '
    none += "the prompt and with it.</p>"
    return (
        f'<h4 class="sp-sub">How it writes<small>newest first</small></h4><div class="sp-samples" tabindex="0" '
        f'role="region" aria-label="Samples">{items or none}{_notes(board.notes)}</div>'
    )


def spoken(board: Board | None) -> str:
    """What a screen reader says of it: at every change, and at every tenth of the way."""
    if board is None:
        return ""
    share = _done(board)[1]
    far = f", {10 * int(share // 10)} per cent" if share is not None and board.state == "training" else ""
    return f"<p>{words(board.plan.name)}: {STATES[board.state][2]}{far}</p>"


def _done(board: Board) -> tuple[str, float | None]:
    """How far, in words and in per cent; None: nobody knows."""
    what, done, total = board.phase
    if board.state in ("preparing", "reporting") and what:
        share = 100 * min(1.0, max(0.0, done / total)) if total else None
        return (f"{what}: {done:,} of {total:,}" if total else what), share
    if board.steps and board.state not in ("waiting", "preparing", "reporting"):
        return f"step {board.step:,} of {board.steps:,}", 100 * min(1.0, board.step / board.steps)
    return STATES[board.state][2], None


def _pace(board: Board) -> str:
    parts = []
    if board.state in TIMED and board.left is not None and _finite(board.left):
        parts.append(f"{duration(board.left)} left")
    if board.state == "training" and _finite(board.tokens_per_second) and board.tokens_per_second > 0:
        parts.append(f"{board.tokens_per_second:,.0f} tokens/s")
    if board.best is not None and _finite(board.best):
        parts.append(f'<abbr title="{BEST}">best {board.best:.3f}</abbr>')
    return "".join(f"<span>{each}</span>" for each in parts)


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _origin(board: Board) -> str:
    """Where it comes from: the kind, the sources, the tokens, the model."""
    settings = board.start.get("settings")
    tokens = settings.get("tokens") if isinstance(settings, dict) else None
    kind = KINDS[board.plan.kind].title if board.plan.kind in KINDS else board.plan.kind
    facts = [kind, board.plan.title, f"{tokens} tokens" if isinstance(tokens, int) else ""]
    facts += [f"for {board.start['model']}" if board.start.get("model") else ""]
    return " · ".join(words(str(each)) for each in facts if each)


def _preview(each: Preview, name: str) -> str:
    opening = f"<i>{words(each.opening.strip())}</i>"
    return (
        f'<div class="sp-sample"><h5>Step {each.number:,}</h5><div><b>without</b><p>{opening}{words(each.without)}</p>'
        f"</div><div><b>with {words(name)}</b><p>{opening}{words(each.behind)}</p></div></div>"
    )


def _notes(notes: Sequence[str]) -> str:
    return f'<ul class="sp-notes">{"".join(f"<li>Note: {words(each)}</li>" for each in notes)}</ul>' if notes else ""


# ---- runs that have ended


def others(boards: Sequence[Board], asks: str = "") -> str:
    """What can be gone on with, and what has ended; what is newest stands open. asks: what a new start agrees to."""
    newest = max((each.begun for each in boards), default=0.0)
    return "".join(_run(each, each.begun == newest, asks) for each in boards)


def _run(board: Board, opened: bool, asks: str) -> str:
    head = f"<small>{words(gist(board.report))}</small>" if board.report else ""
    return (
        f'<details class="sp-run" data-state="{board.state}" data-run="{key(board)}"{" open" if opened else ""}>'
        f'<summary><span class="sp-name">{words(board.plan.name)}{_badge(board.state)}{head}</span></summary>'
        f'<div class="sp-run-body"><p class="sp-small">{_origin(board)}</p>{_ending(board)}'
        f'{_agree(asks)}<div class="sp-buttons">{"".join(_button(each, board) for each in _acts(board))}'
        f'<span class="sp-note" role="status"></span></div>{report(board.report)}'
        f"{_looks(board)}{_once_more(board)}</div></details>"
    )


def _acts(board: Board) -> list[str]:
    """Without a single step there is nothing to insert."""
    return [each for each in ACTS[board.state] if each != "insert" or board.step]


def _ending(board: Board) -> str:
    if board.state == "failed":
        return said(board.problem or "It failed, and nothing says why.", "bad")
    if board.state == "interrupted":
        return said(f"It was interrupted at step {board.step:,} of {board.steps:,}. It can go on from there.", "fair")
    if board.state == "stopped":
        return said(
            f"You stopped it at step {board.step:,} of {board.steps:,}. The best so far is in the library.", "fair"
        )
    return said(f"{tag_for(board.plan.name)} is in the library. Insert it where you write.")


def _looks(board: Board) -> str:
    """Its curve, its samples and its notes, folded."""
    if not board.history and not board.previews and not board.notes:
        return ""
    drawn = curve(board.history, board.steps) if board.history else ""
    samples = "".join(_preview(each, board.plan.name) for each in reversed(board.previews))
    return (
        f'<details class="sp-more"><summary>Its curve and its samples</summary>{drawn}{samples}'
        f"{_notes(board.notes)}</details>"
    )


def _once_more(board: Board) -> str:
    """Two ways on from what has ended; both need a name."""
    if board.state not in ("done", "stopped"):
        return ""
    further = _named("further", board) if board.state == "done" else ""
    return further + _named("again", board)


def _named(act: str, board: Board) -> str:
    title, line, label = ONCE_MORE[act]
    field = f'<input type="text" class="sp-new" value="{words(next_name(board.plan.name))}">'
    return (
        f'<details class="sp-more"><summary>{title}</summary><p class="sp-small">{line}</p><div class="sp-buttons">'
        f'<label>New name {field}</label><button type="button" class="sp-btn" data-act="{act}" '
        f'data-run="{key(board)}">{label}</button></div></details>'
    )


def _agree(asks: str) -> str:
    return f'<label class="sp-small"><input type="checkbox" class="sp-agree"> {words(asks)}</label>' if asks else ""


def next_name(name: str) -> str:
    """ "noir-2" of "noir", "noir-3" of "noir-2"."""
    found = re.fullmatch(r"(.*)-(\d{1,6})", name, re.DOTALL)
    return f"{found[1]}-{int(found[2]) + 1}" if found else f"{name}-2"


def _button(act: str, board: Board) -> str:
    main = " sp-btn-main" if act in ("insert", "go_on", "retry") else ""
    tag = f' data-tag="{words(str(tag_for(board.plan.name)))}"' if act == "insert" else ""
    # What is interrupted and forgotten is gone.
    question = "Forget it for good?" if board.state in RESUMABLE else "The prompt stays. Forget this report?"
    sure = f' data-sure="{question}"' if act == "forget" else ""
    deed = f' data-act="{CALLS.get(act, act)}" data-run="{key(board)}"{tag}{sure}'
    return f'<button type="button" class="sp-btn{main}"{deed}>{LABELS[act]}</button>'


def _badge(state: State) -> str:
    kind, mark, name = STATES[state]
    return f'<span class="sp-fit sp-{kind}"><b aria-hidden="true">{mark}</b> {name}</span>'
