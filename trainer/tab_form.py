"""`cards()`, `understood(found)`: the form of a new training as HTML; every text of a file goes through `words`."""

from __future__ import annotations

from ..panel.markup import said, words
from .tab_settings import KINDS
from .understanding import Understood


def cards(closed: bool = False) -> str:
    """The three plain starts."""
    shown = "".join(_card(each, closed) for each in KINDS)
    return f'<div class="sp-cards" role="group" aria-label="What to learn">{shown}</div>'


def _card(kind: str, closed: bool) -> str:
    shown = KINDS[kind]
    return (
        f'<button type="button" class="sp-card" data-kind="{kind}" aria-pressed="false"{" disabled" if closed else ""}>'
        f'<span class="sp-icon" aria-hidden="true">{_ICONS[kind]}</span><b>{words(shown.title)}</b>'
        f"<span>{words(shown.line)}</span></button>"
    )


def _icon(drawing: str) -> str:
    return f'<svg viewBox="0 0 24 24" focusable="false">{drawing}</svg>'


_ICONS = {
    "finetune": _icon('<path d="M4 20c6-1 12-7 16-16-9 3-14 8-15 13"/><path d="M4 20l5-6"/>'),
    "world-info": _icon('<path d="M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3z"/><path d="M9 9h6M9 13h6"/>'),
    "distill": _icon('<path d="M4 4h16M6 8h12M8 12h8"/><path d="M12 15v6m-3-3l3 3 3-3"/>'),
}


def about(kind: str) -> str:
    """The head of the form; by its data-kind the style sheet knows which fields belong to it."""
    if kind not in KINDS:
        return ""
    shown = KINDS[kind]
    bring = f'<p class="sp-small">{words(shown.bring)}</p>'
    return f'<div data-kind="{kind}"><h4 class="sp-sub">{words(shown.title)}</h4>{bring}</div>'


def understood(found: Understood) -> str:
    """What files were taken for: in a line, as they begin, and what was passed over."""
    begin = "".join(f"<blockquote>{words(_short(each, 320))}</blockquote>" for each in found.excerpts[:3])
    # What could be typed in a terminal is no way for a page.
    notes = "".join(f"<li>{words(each.partition('; `')[0])}</li>" for each in found.notes)
    listed = f'<ul class="sp-notes">{notes}</ul>' if notes else ""
    return f'<div class="sp-understood">{said(f"Understood: {found.words}")}{begin}{listed}</div>'


def told(text: str) -> str:
    """What is going on, or was found out, in plain words."""
    return f'<div class="sp-said" role="status"><span>{words(text)}</span></div>'


def notice(forbids: str, reason: str) -> str:
    """Why nothing can be trained here or now, and the way that there is."""
    text = forbids or reason
    return f'<div class="sp-notice">{said(text, "fair")}</div>' if text else ""


def advice(text: str, asks: str, file: bool = False) -> str:
    """What to know before a start; asks: what the box below it agrees to. file: what is loaded may have an original."""
    box = f'<p class="sp-consent">{words(asks)}</p>' if asks else ""
    of_file = " sp-file" if file else ""
    return f'<div class="sp-advice{of_file}"><p class="sp-small">{words(text)}</p>{box}</div>' if text or asks else ""


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[:most].rsplit(" ", 1)[0] + " …"
