"""`Trains`: what a page may ask of the trainings of a host, in records; torch-free. `Runs` is the one that trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..errors import TrainingError
from .board import Board, Plan
from .understanding import Pair, Understood


class Taken(TrainingError):
    """There is a soft prompt of that name; it may be replaced."""


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
    def original(self) -> str | None:
        """What is learnt on instead of the loaded file; empty: that itself; None where there is nothing to choose."""

    def learn_on(self, original: str) -> None:
        """A folder or a name that Transformers knows; raises SoftPromptError where it can be none."""

    @property
    def asks(self) -> str:
        """What a writer is to agree to before a start, as a download, in words; empty where there is nothing."""

    def boards(self) -> Sequence[Board]:
        """The live one first, then what can be gone on with, then what has ended since the server started."""

    def understand(self, kind: str, files: Sequence[Path]) -> Understood:
        """What these files are, as a training of this kind would read them; raises InvalidFile that names the file."""

    def plan(
        self, kind: str, name: str, files: Sequence[Path], pairs: Sequence[Pair] | None, settings: dict[str, str]
    ) -> Plan:
        """A plan whose sources are kept with the run, so that the uploads may go. pairs: as edited, in their stead.

        settings: the options of `soft-prompts train` without dashes, as {"tokens": "20", "from": "noir"}.
        """

    def estimate(self, plan: Plan) -> str:
        """What it would take in time and memory, in words, by a few real steps: this may need a minute."""

    def start(self, plan: Plan, replace: bool = False, agreed: bool = False) -> None:
        """Begin; raises TrainingError where one is going on, and Taken where the name is taken, not to be replaced.

        agreed: to what `asks` says.
        """

    def pause(self) -> None:
        """Hold after this step; the model is free meanwhile."""

    def go_on(self, name: str, agreed: bool = False) -> None:
        """After a pause, a stop or a crash: from where it stood."""

    def stop(self) -> None:
        """End after this step, and keep the best."""

    def again(self, name: str, new: str, further: bool = False) -> Plan:
        """The plan that a prompt was made by, under a new name, to be trained for the model that is loaded now.

        further: from what that prompt knows, with as many steps again.
        """

    def forget(self, name: str) -> None:
        """Take what has ended, or was interrupted, out of `boards`."""
