"""`table(history)`, `picture(history)`: the loss of every step as CSV and as a PNG.

A history is what a State keeps: (step, loss, validation or None) for each step.
"""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

from ..errors import TrainingError

History = Sequence[tuple[int, float, "float | None"]]

_TRAINING, _SMOOTH, _VALIDATION = "#a9c4e4", "#1f5fa8", "#c8501e"


def table(history: History) -> bytes:
    """CSV with a line of names; validation is empty where it was not looked at."""
    lines = ["step,loss,validation"]
    lines += [f"{number},{loss:.6g},{'' if seen is None else f'{seen:.6g}'}" for number, loss, seen in history]
    return ("\n".join(lines) + "\n").encode()


def picture(history: History, title: str, begun: float | None = None) -> bytes:
    """PNG; begun: validation before the first step. Raises TrainingError, with what to type, without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise TrainingError("the curve is not drawn, for matplotlib is missing: pip install matplotlib") from None
    figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    _draw(figure.add_subplot(), history, title, begun)
    drawn = io.BytesIO()
    with warnings.catch_warnings():
        # A name may hold letters that the font has not: they become boxes, and nothing else is to be said of it.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _draw(axes: Any, history: History, title: str, begun: float | None) -> None:
    steps = [number for number, loss, _ in history if math.isfinite(loss)]
    losses = [loss for _, loss, _ in history if math.isfinite(loss)]
    axes.plot(steps, losses, color=_TRAINING, linewidth=1, label="training, each step")
    if len(losses) >= 20:
        axes.plot(steps, _smoothed(losses), color=_SMOOTH, linewidth=1.8, label="training, smoothed")
    seen = [(0, begun)] if begun is not None and math.isfinite(begun) else []
    seen += [(number, each) for number, _, each in history if each is not None and math.isfinite(each)]
    if seen:
        axes.plot(*zip(*seen, strict=True), color=_VALIDATION, marker="o", markersize=4, label="validation, unseen")
        best = min(seen, key=lambda each: each[1])
        kept = f"kept: step {best[0]}, {best[1]:.3f}"
        axes.plot(*best, color=_VALIDATION, marker="*", markersize=15, linestyle="", label=kept)
    # A name may hold a $, which would begin a formula.
    axes.set_title(title, loc="left", fontsize=11, parse_math=False)
    axes.set_xlabel("step")
    axes.set_ylabel("nats per token (less is better)")
    axes.set_ylim(_limits(losses, [each for _, each in seen]))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    # Losses fall, so this corner is free; for the best one matplotlib looks at all points, and warns when that is slow.
    axes.legend(frameon=False, fontsize=9, loc="upper right")


def _smoothed(losses: Sequence[float]) -> list[float]:
    """A running mean over a twentieth of the steps."""
    half = max(1, len(losses) // 40)
    parts = [losses[max(0, place - half) : place + half + 1] for place in range(len(losses))]
    return [sum(part) / len(part) for part in parts]


def _limits(losses: Sequence[float], seen: Sequence[float]) -> tuple[float, float]:
    """All of it but a few wild steps, which would press the rest flat."""
    ordered = sorted(losses)
    inner = ordered[: max(1, len(ordered) * 98 // 100)]
    values = [*inner, *seen] or [0.0, 1.0]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.1
    return low - room, high + room
