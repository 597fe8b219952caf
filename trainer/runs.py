"""`Runs`: the trainings of one host: what its files mean, what a run would take, one run at a time; torch-free.

A run belongs to the server and not to a page: it goes on when the browser is closed, and what was interrupted by a
crash is found again when the server starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .board import Board, Plan


@dataclass(frozen=True)
class Pair:
    """A row of the table that a writer edits."""

    call: str
    response: str
    held_out: bool = False


@dataclass(frozen=True)
class Understood:
    """What files were taken for. words: in one line, as "3 stories, 48,210 characters". excerpts: how they begin.

    pairs: of facts, for the table. notes: what was passed over, and why. name: a name for the prompt. title: the files.
    """

    kind: str
    words: str
    excerpts: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""
    title: str = ""


class Trains(Protocol):
    """What the training section asks; any thread may call. Those that fail raise SoftPromptError and change nothing."""

    @property
    def revision(self) -> str:
        """Changes whenever `boards` would answer differently: what a page polls."""

    @property
    def reason(self) -> str:
        """Why nothing can be trained now, and what would help, in words; empty where it can."""

    @property
    def advice(self) -> str:
        """What to know before one starts: where it is trained (here, or in a process of its own), what it unloads."""

    @property
    def consent(self) -> str:
        """What a writer must agree to before a start, as a sentence to tick ("Unload the model meanwhile."), or ""."""

    def boards(self) -> Sequence[Board]:
        """The live one first, then what can be gone on with, then what has ended since the server started."""

    def understand(self, kind: str, files: Sequence[Path]) -> Understood:
        """What these files are, as a training of this kind would read them; raises InvalidFile that names the file."""

    def plan(
        self, kind: str, name: str, files: Sequence[Path], pairs: Sequence[Pair] | None, settings: dict[str, str]
    ) -> Plan:
        """A plan whose sources are kept with the run, so that the uploads may go. pairs: as edited, in their stead.

        settings: options of `soft-prompts train` without the dashes before them, as {"tokens": "20", "from": "noir"}.
        Files among them ("held-out", "lore", "questions") are paths of uploads, and kept as well. Pairs need no file.
        """

    def estimate(self, plan: Plan) -> str:
        """What it would take in time and memory, in words, by a few real steps: this may need a minute."""

    def start(self, plan: Plan, replace: bool = False) -> None:
        """Begin; raises SoftPromptError where one is going on, or the name is taken and not to be replaced."""

    def pause(self) -> None:
        """Hold after this step; the model is free meanwhile."""

    def go_on(self, name: str) -> None:
        """After a pause, a stop, a failure or a crash: from where it stood; after its end: with as many steps more."""

    def stop(self) -> None:
        """End after this step, and keep the best."""

    def again(self, name: str, new: str) -> Plan:
        """The plan that a prompt was made by, under a new name, to be trained for the model that is loaded now."""

    def forget(self, name: str) -> None:
        """Take what has ended, or was interrupted, out of `boards`."""
