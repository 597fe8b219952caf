"""`library(rows)`: what a panel shows, as HTML in which nothing of a file can be markup; no gradio, no host.

Names, descriptions and reasons come out of files that strangers made. Each goes through `words`, once, at the place
where it enters the HTML.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections.abc import Sequence
from typing import Literal

from ..hosts.protocol import Health, Request, Row, Use, Verdict
from .finding import INERT as INERT
from .finding import found

Kind = Literal["good", "fair", "bad", "idle"]
"""Which colour."""

LONGEST = 200
"""Rows in one list; of more, the writer finds the rest by name."""

VERDICTS: dict[Verdict, tuple[Kind, str, str]] = {  # -> kind (the colour), mark, words: never the colour alone
    "fits": ("good", "✓", "fits this model"),
    "relative": ("fair", "≈", "fits nearly"),
    "unknown": ("fair", "?", "may fit"),
    "text": ("good", "✓", "plain text, any model"),
    "stranger": ("bad", "✕", "made for another model"),
    "width": ("bad", "✕", "made for another model"),
    "unreadable": ("bad", "✕", "cannot be used"),
    "shadowed": ("idle", "=", "not used"),
    "missing": ("bad", "✕", "pinned, but gone"),
    "no model": ("idle", "…", "no model loaded"),
    "long": ("bad", "✕", "too long for this context"),
    "off": ("idle", "○", "switched off"),
    "refused": ("idle", "○", "not with this model"),
}
STATES: dict[str, tuple[Kind, str]] = {
    "ready": ("good", "✓"), "waiting": ("idle", "…"), "off": ("idle", ""), "cannot": ("bad", "!"),
}  # fmt: skip
MARKS: dict[Kind, str] = {"good": "✓", "fair": "!", "bad": "!", "idle": "○"}
METHODS = {"text": "a text, untrained", "finetune": "training on texts", "distill": "squeezing a text"}
"""How it was made, in words."""
AILING = ("unreadable", "missing", "long")
"""Verdicts about which the writer can do something."""
LONGEST_TEXT = 600
"""Characters of a text or a sample that are shown."""
MOST_NAMED = 5
"""Files of other kinds that are named; of more, their number is enough."""
FIND_FROM = 12
"""Rows, from which on a list needs a field to find one."""
JOINERS = "\u200c\u200d"
"""Without width, and part of words in Persian, in India, and of emoji."""


def shown(text: str) -> str:
    """Untrusted text: characters that steer (bidi, control, half pairs) shown, not obeyed."""
    return "".join(
        each if each.isprintable() or each in JOINERS else " " if each in "\r\n\t" else f"\\u{ord(each):04x}"
        for each in text
    )


def words(text: str) -> str:
    """Untrusted text for HTML: escaped, and with nothing in it that steers."""
    return html.escape(shown(text), quote=True)


def key(row: Row) -> str:
    """Twelve hex digits that name a row between page and server: file names may hold anything, and names repeat."""
    named = f"{row.file}\0{row.name}" if row.verdict == "missing" else row.file
    return hashlib.blake2s(named.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def health(state: Health) -> str:
    """The line that is read first, with its details folded."""
    kind, mark = STATES[state.state]
    line = f'<span class="sp-dot sp-{kind}" aria-hidden="true">{mark}</span><span>{words(state.line)}</span>'
    if not state.details:
        return f'<div class="sp-health">{line}</div>'
    items = "".join(f"<li>{words(each)}</li>" for each in state.details)
    return f'<details class="sp-health"><summary>{line}</summary><ul>{items}</ul></details>'


def heading(title: str) -> str:
    """A section's title."""
    return f'<h3 class="sp-title">{words(title)}</h3>'


def count(rows: Sequence[Row], folder: str, others: Sequence[str] = ()) -> str:
    """`Library: 7 files, 4 usable now, 2 need attention`, the folder they lie in, and what else lies there."""
    files = sum(row.verdict != "missing" for row in rows)
    ailing = sum(row.verdict in AILING for row in rows)
    usable = f"{sum(row.usable for row in rows):,} usable now"
    counted = [f"{files:,} {'file' if files == 1 else 'files'}", usable] if files else []
    needs = f"{ailing:,} {'needs' if ailing == 1 else 'need'} attention"
    shown = [words(each) for each in counted]
    shown += [f'<button type="button" class="sp-ailing">{needs}</button>'] if ailing else []
    aside = f"{', '.join(shown)}{' · ' if shown else ''}{words(folder)}"
    return f'<h3 class="sp-title">Library<small>{aside}</small></h3>{_others(others)}'


def library(rows: Sequence[Row], folder: str, find: str = "", order: str = "name", place: str = "") -> str:
    """One button per row, told apart by `data-key`; which one is chosen is marked by the page itself."""
    if not rows:
        return _empty(folder)
    listed = found(rows, find, order, place)
    items = "".join(f"<li>{_row(row)}</li>" for row in listed[:LONGEST])
    if not listed:
        items = f'<li class="sp-none">Nothing here is called “{words(find)}”.</li>'
    if len(listed) > LONGEST:
        items += f'<li class="sp-none">{len(listed) - LONGEST:,} more: type a part of the name above.</li>'
    many = " sp-many" if len(rows) >= FIND_FROM else ""
    parted = " sp-parted" if any("/" in row.file for row in rows) else ""
    return f'<ul class="sp-rows{many}{parted}">{items}</ul>'


def details(row: Row, text: str = "") -> str:
    """The chosen row in full. text: what it says, if it is one."""
    lines = [f"<p>{words(each)}</p>" for each in (row.description, row.reason) if each]
    kinds = [name for name, so in (("inert", row.verdict in INERT), ("gone", not row.file)) if so]
    native = _yes(row.file.lower().endswith(".safetensors"))
    told = [*_facts(row), ("Its words", text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …")]
    facts = "".join(f"<div><dt>{name}</dt><dd>{words(value)}</dd></div>" for name, value in told if value)
    return (
        f'<div class="{" ".join(["sp-chosen", *(f"sp-{each}" for each in kinds)])}" data-key="{key(row)}" '
        f'data-pinned="{_yes(bool(row.pinned))}" data-native="{native}">'
        f'<div class="sp-name">{words(row.name)}{_verdict(row)}</div>'
        f'{"".join(lines)}<dl class="sp-facts">{facts}</dl></div>'
    )


def request(last: Request) -> str:
    """What became of each tag of the last request."""
    if not last.when:
        return '<p class="sp-small">Nothing yet. Once the model has answered, each tag stands here with its cost.</p>'
    if not last.uses:
        return f'<p class="sp-small">{_prompt(last)} No soft prompts in it.</p>'
    # One sentence for all tags that share it.
    fates: dict[tuple[str, Use | None], list[Use]] = {}
    for use in last.uses:
        fates.setdefault((use.problem, None if use.problem else use), []).append(use)
    items = "".join(f"<li>{_fate(uses, last.tokens)}</li>" for uses in fates.values())
    return f'<p class="sp-small">{_prompt(last)}</p><ul class="sp-uses">{items}</ul>'


def said(text: str, kind: Kind = "good", back: bool = False) -> str:
    """What an event answers, in words; a problem is read out at once. back: it can be taken back, beside it."""
    role = "alert" if kind == "bad" else "status"
    dot = f'<span class="sp-dot sp-{kind}" aria-hidden="true">{MARKS[kind]}</span>'
    more = " sp-undoable" if back else ""
    return f'<div class="sp-said{more}" role="{role}">{dot}<span>{words(text)}</span></div>' if text else ""


def _facts(row: Row) -> list[tuple[str, str]]:
    """(what it is called, what it is) of all that is known of a file."""
    return [
        ("Cost", _tokens(row.tokens)),
        ("Made for", row.model),
        ("Made by", METHODS.get(row.method, row.method)),
        ("Test", f"{_arrow(row.score)} nats per token on text that its training never saw" if row.score else ""),
        ("Author", row.author),
        ("Changed", time.strftime("%d %B %Y, %H:%M", time.localtime(row.changed)) if row.changed else ""),
        ("Pinned", row.pinned if row.verdict != "missing" else ""),
        ("File", row.file),
    ]


def _brief(row: Row) -> str:
    """What else a row says of its file, in one line."""
    made = f"for {row.model}" if row.model else ""
    tested = f"test {_arrow(row.score)}" if row.score else ""
    parts = made, METHODS.get(row.method, row.method), tested, f"by {row.author}" if row.author else ""
    line = " · ".join(words(each) for each in parts if each)
    return f'<span class="sp-brief">{line}</span>' if line else ""


def _arrow(score: str) -> str:
    return score.replace("->", "→")


def _row(row: Row) -> str:
    about = row.description if row.usable or not row.reason else row.reason
    pinned = f'<span class="sp-pin">pinned {words(row.pinned)}</span>' if row.pinned else ""
    return (
        f'<button type="button" class="sp-row" data-key="{key(row)}" data-ailing="{_yes(row.verdict in AILING)}">'
        f'<span class="sp-head"><span class="sp-tag">{_tag(row)}</span>{pinned}</span>'
        f'<span class="sp-tokens">{words(_tokens(row.tokens))}</span>{_verdict(row)}'
        f'<span class="sp-about">{words(about)}</span>{_brief(row)}</button>'
    )


def _tag(row: Row) -> str:
    """The tag with its brackets dimmed, or the file where it has none."""
    if row.verdict == "unreadable":
        return words(row.file or row.name)
    return f"<i>&lt;&lt;sp:</i>{words(row.name)}<i>&gt;&gt;</i>"


def _verdict(row: Row) -> str:
    kind, mark, short = VERDICTS[row.verdict]
    return f'<span class="sp-fit sp-{kind}"><b aria-hidden="true">{mark}</b> {short}</span>'


def _yes(true: bool) -> str:
    return "yes" if true else "no"


def _tokens(count: int) -> str:
    return f"{count:,} {'token' if count == 1 else 'tokens'}" if count else ""


def _prompt(last: Request) -> str:
    cost = sum(use.tokens for use in last.uses)
    share = f", {cost:,} of them ({_share(cost, last.tokens)}) for soft prompts" if cost else ""
    clock = time.strftime("%H:%M", time.localtime(last.when))
    return f"At {clock}: a prompt of {last.tokens:,} tokens{share}."


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _cost(use: Use, whole: int) -> str:
    times = f", {use.times} times" if use.times > 1 else ""
    pinned = ", pinned" if use.pinned else ""
    return f"{_tokens(use.tokens) or '0 tokens'} ({_share(use.tokens, whole)}){times}{pinned}"


def _fate(uses: Sequence[Use], whole: int) -> str:
    kind, mark = ("bad", "✕") if uses[0].problem else ("good", "✓")
    fate = uses[0].problem or _cost(uses[0], whole)
    tags = "".join(f'<span class="sp-tag">{words(use.tag)}</span>' for use in uses)
    return f'<b class="sp-{kind}" aria-hidden="true">{mark}</b>{tags}<span class="sp-fit">{words(fate)}</span>'


def _others(names: Sequence[str]) -> str:
    if not names:
        return ""
    one = len(names) == 1
    many = "1 other file is not a soft prompt" if one else f"{len(names):,} other files are not soft prompts"
    more = ", …" if len(names) > MOST_NAMED else ""
    return f'<p class="sp-small">{many}: {words(", ".join(names[:MOST_NAMED]))}{more}</p>'


def _empty(folder: str) -> str:
    return (
        '<div class="sp-empty"><p><b>No soft prompts yet.</b> Three ways to begin:</p><ol>'
        "<li>Drop a file (<code>.safetensors</code>, or a <code>.txt</code>) on this list, or put it into "
        f"<code>{words(folder)}</code> yourself: it appears here.</li>"
        "<li>Or make one from a sentence, below.</li><li>Or train one on texts of your own: “Train”, above.</li></ol>"
        "<p>Then write its tag, for instance <code>&lt;&lt;sp:noir&gt;&gt;</code>, anywhere in your text.</p></div>"
    )
