"""`library(rows)`: what a panel shows, as HTML in which nothing of a file can be markup; no gradio, no host.

Names, descriptions and reasons come out of files that strangers made. Each goes through `words`, once, at the place
where it enters the HTML.
"""

from __future__ import annotations

import hashlib
import html
import time
from collections.abc import Sequence

from .hosts.protocol import Health, Request, Row, Use, Verdict

LONGEST = 200
"""Rows in one list; of more, the writer finds the rest by name."""

VERDICTS: dict[Verdict, tuple[str, str, str]] = {  # -> kind (the colour), mark, words: never the colour alone
    "fits": ("good", "✓", "fits this model"),
    "relative": ("fair", "≈", "fits nearly"),
    "unknown": ("fair", "?", "may fit"),
    "text": ("good", "✓", "plain text, any model"),
    "stranger": ("bad", "✕", "made for another model"),
    "width": ("bad", "✕", "made for another model"),
    "unreadable": ("bad", "✕", "cannot be used"),
    "shadowed": ("idle", "-", "not used"),
    "missing": ("bad", "✕", "pinned, but gone"),
    "no model": ("idle", "…", "no model loaded"),
}
STATES = {"ready": ("good", "✓"), "waiting": ("idle", "…"), "off": ("idle", "-"), "cannot": ("bad", "!")}
INERT = ("unreadable", "shadowed", "missing")
"""Verdicts whose tag nobody should type."""
FIND_FROM = 12
"""Rows, from which on a list needs a field to find one."""
JOINERS = "\u200c\u200d"
"""Without width, and part of words in Persian, in India, and of emoji."""


def words(text: str) -> str:
    """Untrusted text for HTML: escaped, and characters that steer (bidi, control, half pairs) shown, not obeyed."""
    shown = (
        each if each.isprintable() or each in JOINERS else " " if each in "\r\n\t" else f"\\u{ord(each):04x}"
        for each in text
    )
    return html.escape("".join(shown), quote=True)


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


def heading(title: str, aside: str = "") -> str:
    """A section's title; aside: small words beside it."""
    return f'<h3 class="sp-title">{words(title)}<small>{words(aside)}</small></h3>'


def count(rows: Sequence[Row], folder: str) -> str:
    """`7 files, 4 usable now`, and the folder they lie in."""
    files = sum(row.verdict != "missing" for row in rows)
    usable = sum(row.usable for row in rows)
    return f"{files:,} {'file' if files == 1 else 'files'}, {usable:,} usable now · {folder}" if files else folder


def library(rows: Sequence[Row], folder: str, find: str = "") -> str:
    """One button per row, told apart by `data-key`; which one is chosen is marked by the page itself."""
    if not rows:
        return _empty(folder)
    found = sorted((row for row in rows if _matches(row, find)), key=lambda row: row.verdict in INERT)
    items = "".join(f"<li>{_row(row)}</li>" for row in found[:LONGEST])
    if not found:
        items = f'<li class="sp-none">Nothing here is called “{words(find)}”.</li>'
    if len(found) > LONGEST:
        items += f'<li class="sp-none">{len(found) - LONGEST:,} more: type a part of the name above.</li>'
    many = " sp-many" if len(rows) >= FIND_FROM else ""
    return f'<ul class="sp-rows{many}">{items}</ul>'


def details(row: Row, pinned: str) -> str:
    """The chosen row in full; pinned: half a sentence on where it stands now, or nothing."""
    lines = [f"<p>{words(each)}</p>" for each in (row.description, row.reason) if each]
    facts = [_tokens(row.tokens), f"file {row.file}" if row.file else "", pinned]
    small = " · ".join(words(each) for each in facts if each)
    inert = " sp-inert" if row.verdict in INERT else ""
    return (
        f'<div class="sp-chosen{inert}" data-key="{key(row)}" data-pinned="{"yes" if pinned else "no"}">'
        f'<div class="sp-name">{words(row.name)}{_verdict(row)}</div>'
        f'{"".join(lines)}<p class="sp-small">{small}</p></div>'
    )


def request(last: Request) -> str:
    """What became of each tag of the last request."""
    if not last.when:
        return '<p class="sp-small">Nothing yet. Once the model has answered, each tag stands here with its cost.</p>'
    if not last.uses:
        return f'<p class="sp-small">{_prompt(last)} No soft prompts in it.</p>'
    items = "".join(f"<li>{_use(use, last.tokens)}</li>" for use in last.uses)
    return f'<p class="sp-small">{_prompt(last)}</p><ul class="sp-uses">{items}</ul>'


def said(text: str, problem: bool = False) -> str:
    """What an event answers, in words; a problem is read out at once."""
    role, kind, mark = ("alert", "bad", "!") if problem else ("status", "good", "✓")
    dot = f'<span class="sp-dot sp-{kind}" aria-hidden="true">{mark}</span>'
    return f'<div class="sp-said" role="{role}">{dot}<span>{words(text)}</span></div>' if text else ""


def _matches(row: Row, find: str) -> bool:
    within = f"{row.name}\n{row.file}\n{row.description}\n{row.reason}".casefold()
    return all(word in within for word in find.casefold().split())


def _row(row: Row) -> str:
    about = row.description if row.usable or not row.reason else row.reason
    pinned = f'<span class="sp-pin">pinned {words(row.pinned)}</span>' if row.pinned else ""
    return (
        f'<button type="button" class="sp-row" data-key="{key(row)}">'
        f'<span class="sp-tag">{_tag(row)}</span><span class="sp-tokens">{words(_tokens(row.tokens))}</span>'
        f"{_verdict(row)}"
        f'<span class="sp-about">{pinned}{words(about)}</span></button>'
    )


def _tag(row: Row) -> str:
    """The tag with its brackets dimmed, or the file where it has none."""
    if row.verdict == "unreadable":
        return words(row.file or row.name)
    return f"<i>&lt;&lt;sp:</i>{words(row.name)}<i>&gt;&gt;</i>"


def _verdict(row: Row) -> str:
    kind, mark, short = VERDICTS[row.verdict]
    return f'<span class="sp-fit sp-{kind}"><b aria-hidden="true">{mark}</b> {short}</span>'


def _tokens(count: int) -> str:
    return f"{count:,} {'token' if count == 1 else 'tokens'}" if count else ""


def _prompt(last: Request) -> str:
    cost = sum(use.tokens for use in last.uses)
    share = f", {cost:,} of them ({_share(cost, last.tokens)}) for soft prompts" if cost else ""
    clock = time.strftime("%H:%M", time.localtime(last.when))
    return f"At {clock}: a prompt of {last.tokens:,} tokens{share}."


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _use(use: Use, whole: int) -> str:
    kind, mark = ("bad", "✕") if use.problem else ("good", "✓")
    times = f", {use.times} times" if use.times > 1 else ""
    cost = f"{_tokens(use.tokens) or '0 tokens'} ({_share(use.tokens, whole)}){times}"
    fate = use.problem or cost + (", pinned" if use.pinned else "")
    return (
        f'<span class="sp-tag">{words(use.tag)}</span>'
        f'<span class="sp-fit sp-{kind}"><b aria-hidden="true">{mark}</b> {words(fate)}</span>'
    )


def _empty(folder: str) -> str:
    return (
        '<div class="sp-empty"><p><b>No soft prompts yet.</b> Two ways to begin:</p><ol>'
        f"<li>Drop a file (<code>.safetensors</code>, or a <code>.txt</code>) into <code>{words(folder)}</code>. "
        "It appears here by itself.</li>"
        "<li>Or make one from a sentence, below.</li></ol>"
        "<p>Then write its tag, for instance <code>&lt;&lt;sp:noir&gt;&gt;</code>, anywhere in your text.</p></div>"
    )
