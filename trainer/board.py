"""`Board().take({"event": "step", ...})`: all that is known of one run, from what its process tells; torch-free.

A run tells the same events here and in a worker (`soft-prompts train --json`): start, phase, step, preview, note, end,
failed. A page shows the board and asks nobody else; so it may be closed and opened again, in two browsers at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal[
    "waiting", "preparing", "training", "paused", "stopping", "reporting", "done", "stopped", "failed", "interrupted",
]  # fmt: skip
"""Of a run. waiting: for the model. stopped: by the writer, the best is kept. interrupted: by a crash; it can go on."""
LIVE = ("waiting", "preparing", "training", "paused", "stopping", "reporting")


@dataclass(frozen=True)
class Plan:
    """What a writer wants trained. words: as `soft-prompts train` takes them, without the model and how it is loaded.

    kind: "finetune", "world-info" or "distill". title: the sources, as the writer called them.
    """

    name: str
    kind: str
    words: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True)
class Preview:
    """How the model went on at a step, without the prompt and behind it."""

    number: int
    opening: str
    without: str
    behind: str


@dataclass(frozen=True)
class Board:
    """A run as it stands. history: (step, loss, validation or None), nats a token; left: seconds, None: not known.

    phase: (what, done, total) of a preparation or the report. report: as reporting.record gives it, once it is there.
    problem: why it failed, in words. begun: epoch seconds.
    """

    plan: Plan
    state: State
    start: dict[str, Any] = field(default_factory=dict)
    phase: tuple[str, int, int] = ("", 0, 0)
    step: int = 0
    steps: int = 0
    best: float | None = None
    tokens_per_second: float = 0.0
    left: float | None = None
    history: tuple[tuple[int, float, float | None], ...] = ()
    previews: tuple[Preview, ...] = ()
    notes: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)
    ended: str = ""
    problem: str = ""
    begun: float = 0.0

    @property
    def live(self) -> bool:
        """Whether something is still being done."""
        return self.state in LIVE
