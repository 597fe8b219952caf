"""`curve(history, steps)`: the loss of a run as a picture that stays sharp; its letters stand beside it, as HTML.

The box of the lines is 100 by 100 and is stretched to its place, which letters would not survive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

History = Sequence[tuple[int, float, "float | None"]]
Points = list[tuple[float, float]]

MOST = 160
"""Points of a line: more than can be told apart."""
UNIT = "nats a token"


def curve(history: History, steps: int) -> str:
    """A figure with two lines, their axes, and what they show in words."""
    loss, seen = _losses(history), _seen(history)
    low, high = _limits([value for _, value in [*loss, *seen]])
    last = max(steps, *(int(number) for number, _ in [*loss, *seen]), 1)
    lines = [_line(_within(points, last, low, high), kind) for points, kind in ((loss, "loss"), (seen, "seen"))]
    marks = _dots(_within(seen, last, low, high))
    grid = "".join(f'<path class="sp-grid" d="M0 {_place(each, low, high):.2f}H100"/>' for each in _ticks(low, high))
    words = described(loss, seen)
    return (
        '<figure class="sp-curve"><figcaption class="sp-legend">'
        '<span class="sp-key sp-key-loss">while it learns</span><span class="sp-key sp-key-seen">on text it does not '
        f'learn from</span><span class="sp-unit">{UNIT}, less is better</span></figcaption>'
        f'<div class="sp-plot"><div class="sp-ys" aria-hidden="true">{_names(low, high) if loss else ""}</div>'
        '<svg role="img" viewBox="0 0 100 100" preserveAspectRatio="none" focusable="false">'
        f"<title>The curve of the training</title><desc>{words}</desc>{grid}{''.join(lines)}{marks}</svg>"
        f'{_waiting(loss)}</div><div class="sp-xs" aria-hidden="true"><span>0</span><span>step</span>'
        f"<span>{last:,}</span></div></figure>"
    )


def described(loss: Points, seen: Points) -> str:
    """The picture in a sentence or two."""
    if not loss:
        return "No step has been made yet."
    (first, high), (last, low) = loss[0], loss[-1]
    words = f"While it learns: {high:.3f} {UNIT} at step {first:.0f}, {low:.3f} at step {last:.0f}."
    if seen:
        best = min(seen, key=lambda each: each[1])
        words += (
            f" On text it does not learn from: {seen[-1][1]:.3f} now, {best[1]:.3f} at its best, step {best[0]:.0f}."
        )
    return words


def _losses(history: History) -> Points:
    """Of each step, or the mean of as many as lie side by side."""
    finite = [(float(number), float(loss)) for number, loss, _ in history if _drawable(loss)]
    size = max(1, -(-len(finite) // MOST))
    parts = [finite[place : place + size] for place in range(0, len(finite), size)]
    return [(part[-1][0], sum(loss for _, loss in part) / len(part)) for part in parts]


def _seen(history: History) -> Points:
    return [(float(number), value) for number, _, value in history if value is not None and _drawable(value)]


def _drawable(value: float) -> bool:
    """No loss is as large as that; a worker may say anything."""
    return math.isfinite(value) and abs(value) < 1e6


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """All of it but a few wild steps, which would press the rest flat."""
    ordered = sorted(values)
    inner = ordered[: max(1, len(ordered) * 98 // 100)] or [0.0, 1.0]
    room = 0.06 * (inner[-1] - inner[0]) or 0.1
    return inner[0] - room, inner[-1] + room


def _within(points: Points, last: int, low: float, high: float) -> Points:
    """In the box: from the left to the right, and from below to above."""
    return [(100 * min(1.0, number / last), _place(value, low, high)) for number, value in points]


def _place(value: float, low: float, high: float) -> float:
    return 100 * (1 - min(1.0, max(0.0, (value - low) / (high - low))))


def _line(points: Points, kind: str) -> str:
    return f'<polyline class="sp-{kind}" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in points)}"/>'


def _dots(points: Iterable[tuple[float, float]]) -> str:
    # A line of no length with a round end: a circle would be stretched with the box.
    return "".join(f'<path class="sp-seen sp-mark" d="M{x:.2f} {y:.2f}h0"/>' for x, y in points)


def _ticks(low: float, high: float) -> list[float]:
    """Some round numbers."""
    raw = (high - low) / 6
    unit = 10 ** math.floor(math.log10(raw))
    step = next(unit * each for each in (1, 2, 5, 10) if unit * each >= raw)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _names(low: float, high: float) -> str:
    ticks = _ticks(low, high)
    gap = ticks[1] - ticks[0] if len(ticks) > 1 else high - low
    digits = max(0, -math.floor(math.log10(gap)))
    return "".join(f'<span style="top:{_place(each, low, high):.2f}%">{each:.{digits}f}</span>' for each in ticks)


def _waiting(loss: Points) -> str:
    return "" if loss else '<p class="sp-small sp-hint">The curve begins with the first step.</p>'
