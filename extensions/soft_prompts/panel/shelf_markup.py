"""`offer(arrival)`: what the library's files look like while something is done to them; nothing of a file is markup."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..arrival import NOT_INSIDE, UNLICENSED, Arrival
from ..hosts.protocol import Verdict
from ..trash import Discarded
from .markup import LONGEST_TEXT, VERDICTS, said, words

MOST_VECTORS = 200
"""Vectors of which the nearest word is shown."""
MOST_DISCARDED = 20
"""Files of the trash that are listed, the latest."""
WAITING = "Waiting for the model …"


def forbidden(reason: str) -> str:
    """Why files stay as they are here; empty where they may be changed."""
    return said(f"Files cannot be changed here: {reason}.", "idle") if reason else ""


def offer(found: Arrival, taken: str = "", fit: tuple[Verdict, str] | None = None) -> str:
    """An upload, before it is kept. taken: the name that it would have had, where another file has that already.

    fit: of what was trained, whether it would fit the loaded model, and the reason.
    """
    if found.problem:
        head = f"<p><b>{words(found.name)}</b> cannot be kept: {words(found.problem.rstrip('?'))}.</p>"
        return f'<div class="sp-offered sp-refused" role="alert">{head}</div>'
    said_of = found.metadata
    kind = f"{found.tokens:,} tokens, {found.width:,} wide" if found.tokens else "a text, its own words on any model"
    facts = [
        ("It is", kind),
        ("It came in", found.source),
        ("Made for", said_of.get("base_model", found.variant)),
        ("Here", _fit(*fit) if fit else ""),
        ("Says of itself", said_of.get("description", "")),
        ("Author", said_of.get("author", "")),
        ("Licence", said_of.get("licence", "") or (UNLICENSED if found.tokens else "")),
        ("Its words", found.text),
        ("Without it", said_of.get("sample_base", "")),
        ("With it", said_of.get("sample", "")),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{words(_short(value))}</dd></div>" for name, value in facts if value)
    notes = [
        f"There is a “{taken}” already: this one gets another name." if taken else "",
        NOT_INSIDE if found.tokens and said_of.get("method") != "text" else "",
        f"{_more(found.more)} in {found.source}: you are asked about it next." if found.more else "",
    ]
    also = "".join(f'<p class="sp-small">{words(each)}</p>' for each in notes if each)
    title = "<p><b>Keep this file?</b> It is not in the library yet.</p>"
    return f'<div class="sp-offered" role="status">{title}<dl class="sp-facts">{rows}</dl>{also}</div>'


def _fit(verdict: Verdict, reason: str) -> str:
    _, mark, told = VERDICTS[verdict]
    return f"{mark} {told}" if verdict in ("fits", "no model") else f"{mark} {told}: {reason}"


def _more(count: int) -> str:
    return "One more is" if count == 1 else f"{count} more are"


def vectors(near: Sequence[str]) -> str:
    """The nearest word of each vector, in their order."""
    if not near:
        return said("This prompt has no vectors on the loaded model.", "fair")
    items = "".join(f"<li><code>{words(_word(each))}</code></li>" for each in near[:MOST_VECTORS])
    more = f'<p class="sp-small">and {len(near) - MOST_VECTORS:,} more.</p>' if len(near) > MOST_VECTORS else ""
    return f'<ol class="sp-near-words">{items}</ol>{more}'


def lines(opening: str, tag: str, left: str, right: str) -> str:
    """One beginning, gone on with twice: with the tag, and without."""
    both = "".join(
        f'<div><dt>{name}</dt><dd><span class="sp-begun">{words(opening)}</span>{words(text) or "…"}</dd></div>'
        for name, text in ((f"With {words(tag)}", left), ("Without", right))
    )
    return f'<dl class="sp-facts sp-lines" role="status">{both}</dl>'


def waiting() -> str:
    """At once, before the model has had its turn."""
    return said(WAITING, "idle")


def trash(gone: Sequence[Discarded]) -> str:
    """Each with a button that puts it back, told apart by `data-bin`."""
    if not gone:
        return '<p class="sp-small">Nothing was deleted.</p>'
    items = "".join(f"<li>{_discarded(each)}</li>" for each in gone[:MOST_DISCARDED])
    more = f'<p class="sp-small">and {len(gone) - MOST_DISCARDED:,} older.</p>' if len(gone) > MOST_DISCARDED else ""
    return f'<ul class="sp-trash">{items}</ul>{more}'


def _discarded(each: Discarded) -> str:
    when = time.strftime("%d %B, %H:%M", time.localtime(each.when))
    label = f'aria-label="Put {words(each.file)} back"'
    back = f'<button type="button" class="sp-back" data-bin="{words(each.key)}" {label}>Put back</button>'
    return f'<span class="sp-tag">{words(each.file)}</span><span class="sp-small">{when}</span>{back}'


def _word(token: str) -> str:
    """A token without the space before it; one of nothing else is shown by signs."""
    return token.strip() or token.translate({ord(" "): "␣", ord("\n"): "⏎", ord("\r"): "⏎", ord("\t"): "⇥"})


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]} …"
