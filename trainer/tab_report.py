"""`report(found)`: what a training has come to, in pictures; found: as reporting.record gives it, from any process.

Nothing of it is taken on trust: names and answers are others' words, and what should be a number may be none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..panel.markup import said as line
from ..panel.markup import words

COSTS = ((0.05, "hardly changes it"), (0.3, "colours it"), (math.inf, "takes it over"))
"""Up to so many nats a token on unrelated text, and what that means; as reporting has it."""
_LEAST, _MOST = 0.01, 2.0
"""Where the scale of costs begins and ends."""
_OPEN = 12
"""Facts that are shown at once; of more, one opens the list."""
_ASKED = {
    "distill": "How far the model is from knowing the whole text",
    "world info": "How much the right answers surprise the model",
}
_NAMES = {"nothing": "without anything", "soft prompt": "with the soft prompt"}


def report(found: dict[str, Any]) -> str:
    """Bars, facts, the cost elsewhere, and all of it in sentences."""
    if not found:
        return ""
    warning = found.get("warning")
    first = line(warning, "fair") if isinstance(warning, str) and warning else ""
    return "".join((first, _bars(found), _facts(found), _cost(number(found.get("unrelated"))), _sentences(found)))


def number(value: Any) -> float | None:
    """A number, or None where it is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def _listed(found: dict[str, Any], key: str) -> list[Any]:
    value = found.get(key)
    return value if isinstance(value, list) else []


def _records(found: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [each for each in _listed(found, key) if isinstance(each, dict)]


def _bars(found: dict[str, Any]) -> str:
    lines = _records(found, "lines")
    nats = [number(each.get("nats")) for each in lines]
    most = max((each for each in nats if each is not None), default=0.0)
    if not most:
        return ""
    distilled = found.get("method") == "distill"
    what = _ASKED.get(str(found.get("method")), "How much new text surprises the model")
    rows = "".join(_bar(each, value, most, nats[0]) for each, value in zip(lines, nats, strict=True))
    unit = f"nats a token{' apart' if distilled else ''}"
    return f'<h4 class="sp-sub">{what}<small>{unit}; shorter is better</small></h4><ul class="sp-bars">{rows}</ul>'


def _bar(line: dict[str, Any], nats: float | None, most: float, first: float | None) -> str:
    name = str(line.get("name", ""))
    tokens = number(line.get("tokens"))
    mine = " sp-mine" if name == "soft prompt" else ""
    wide = 100 * max(0.0, nats or 0.0) / most
    size = f"<small>{tokens:,.0f} tokens</small>" if tokens else ""
    return (
        f'<li class="sp-bar{mine}"><span class="sp-bar-name">{words(_NAMES.get(name, name))}{size}</span>'
        f'<span class="sp-track" aria-hidden="true"><span style="width:{wide:.1f}%"></span></span>'
        f'<span class="sp-value">{_value(nats, first)}</span></li>'
    )


def _value(nats: float | None, first: float | None) -> str:
    if nats is None:
        return "not measured"
    if not first or nats == first:
        return f"{nats:.3f}"
    share = round(100 * (nats / first - 1))
    change = f"{-share} % less" if share < 0 else f"{share} % more" if share else "the same"
    return f"{nats:.3f}<small>{change}</small>"


def _facts(found: dict[str, Any]) -> str:
    """What it was asked, wrong ones first: they are why one looks."""
    answers = sorted(_records(found, "answers"), key=lambda each: bool(each.get("right")))
    if not answers:
        return ""
    right = sum(bool(each.get("right")) for each in answers)
    opened = " open" if len(answers) <= _OPEN else ""
    items = "".join(map(_fact, answers))
    return (
        f'<details class="sp-facts"{opened}><summary><span class="sp-sub">It knows {right} of {len(answers)}'
        f"<small>asked word for word</small></span></summary><ul>{items}</ul></details>"
    )


def _fact(answer: dict[str, Any]) -> str:
    call, wanted, said = (words(str(answer.get(key, "")).strip()) for key in ("call", "response", "said"))
    if answer.get("right"):
        return f"<li>{_mark('good', '✓', 'right')}<span>{call} <b>{wanted}</b></span></li>"
    return (
        f"<li>{_mark('bad', '✕', 'wrong')}<span>{call} <b>{said or '…'}</b>"
        f'<small class="sp-small">right: {wanted}</small></span></li>'
    )


def _mark(kind: str, sign: str, name: str) -> str:
    return f'<span class="sp-dot sp-{kind}" role="img" aria-label="{name}">{sign}</span>'


def _cost(nats: float | None) -> str:
    """A scale on which each stretch has its words."""
    title = '<h4 class="sp-sub">What it does to other texts<small>less is better</small></h4>'
    if nats is None:
        return f'{title}<p class="sp-small">That could not be measured.</p>'
    verdict = next(each for most, each in COSTS if nats <= most)
    edges = [0.0, *(place(most) for most, _ in COSTS[:-1]), 100.0]
    zones = "".join(
        f'<span style="width:{right - left:.1f}%"{_here(each == verdict)}>{each}</span>'
        for (_, each), left, right in zip(COSTS, edges[:-1], edges[1:], strict=True)
    )
    return (
        f'{title}<div class="sp-scale" role="img" aria-label="It {verdict}: {nats:.3f} nats a token">'
        f'<span class="sp-pointer" style="left:{place(nats):.1f}%"></span><div class="sp-zones">{zones}</div></div>'
    )


def place(nats: float) -> float:
    """Per cent of the scale from its left; each stretch to the right is many times the one before."""
    inner = min(_MOST, max(_LEAST, nats))
    return 100 * math.log(inner / _LEAST) / math.log(_MOST / _LEAST)


def _here(true: bool) -> str:
    return ' class="sp-here"' if true else ""


def _sentences(found: dict[str, Any]) -> str:
    said = "".join(f"<p>{words(str(each))}</p>" for each in _listed(found, "verdict"))
    notes = "".join(f"<p>Note: {words(str(each))}</p>" for each in _listed(found, "notes"))
    if not said + notes:
        return ""
    return f'<details class="sp-more"><summary>In words and numbers</summary>{said}{notes}</details>'


def gist(found: dict[str, Any]) -> str:
    """One line for the head of a run: what it is worth."""
    first, last = (number(found.get(key)) for key in ("base", "held_out"))
    answers: Sequence[dict[str, Any]] = _records(found, "answers")
    if answers:
        return f"knows {sum(bool(each.get('right')) for each in answers)} of {len(answers)}"
    if first and last is not None and found.get("method") == "distill":
        return f"does {100 * (1 - last / first):.0f} % of what the whole text does"
    if first and last is not None:
        return f"{100 * (1 - last / first):.0f} % less surprised" if last < first else "no better than without"
    return ""
