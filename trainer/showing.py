"""`screen.step(step)`: what is seen of a training while it runs, by people on a terminal or in a file, and by programs.

All screens are spoken to in the same way; a command chooses one and knows no more of it.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Protocol, TextIO

from ..terminal import bar, columns, duration
from .loop import Step
from .reporting import as_json, plain

PAUSE = 15.0
"""Seconds between two lines where nobody watches."""


class Screen(Protocol):
    """Where a training is seen."""

    def begin(self, words: str, facts: dict[str, Any]) -> None:
        """What is about to happen: as a sentence, and as facts."""

    def phase(self, what: str, done: int, total: int) -> None:
        """How far a preparation is: the `watch` of a Training."""

    def step(self, step: Step) -> None:
        """A step was made."""

    def preview(self, number: int, opening: str, without: str, behind: str) -> None:
        """How the model goes on after the opening, without the prompt and behind it as it is at this step."""

    def note(self, text: str) -> None:
        """What a writer should know."""

    def end(self, words: str, facts: dict[str, Any]) -> None:
        """The result: as text, and as facts."""


class Events:
    """`Events(board.take)`: each happening as a dict, `{"event": "step", "number": 1, ...}`, here or in a worker."""

    def __init__(self, put: Callable[[dict[str, Any]], None]) -> None:
        self._put = put
        self._phases = Phases()

    def begin(self, words: str, facts: dict[str, Any]) -> None:
        self._tell("start", facts)

    def phase(self, what: str, done: int, total: int) -> None:
        left = self._phases.left(what, done, total)
        self._tell("phase", {"what": what, "done": done, "total": total, "left": left})

    def step(self, step: Step) -> None:
        self._tell("step", asdict(step))

    def preview(self, number: int, opening: str, without: str, behind: str) -> None:
        self._tell("preview", {"number": number, "opening": opening, "without": without, "with": behind})

    def note(self, text: str) -> None:
        self._tell("note", {"text": text})

    def end(self, words: str, facts: dict[str, Any]) -> None:
        self._tell("end", facts)

    def _tell(self, event: str, facts: dict[str, Any]) -> None:
        self._put(plain({"event": event, **facts}))


class Programs(Events):
    """One JSON object a line."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(lambda event: print(as_json(event), file=stream, flush=True))


class People:
    """A line that lives, in a terminal; plain lines now and then, elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._shown = ""
        self._last = 0.0
        self._phase = ""
        self._phases = Phases()
        self._speed = Speed()

    def begin(self, words: str, facts: dict[str, Any]) -> None:
        self._say(words)

    def phase(self, what: str, done: int, total: int) -> None:
        new, self._phase = what != self._phase, what
        left = self._phases.left(what, done, total)
        more = "" if left is None else f", {duration(left)} left"
        if self._live:
            self._write("" if done >= total else bar(done, total, what + more))
        elif done < total and (new or self._due()):
            self._say(f"{what}: {done} of {total}{more}" if done else f"{what} ...")
        if done >= total:
            self._phase = ""

    def step(self, step: Step) -> None:
        self._speed.take(step)
        if step.skipped:
            self.note(f"step {step.number} changed nothing: {step.skipped}")
        line = bar(step.number, step.steps, self._speed.words(step), self._width, 24 if self._width > 100 else 12)
        if self._live:
            self._write(line)
        elif step.validation is not None or self._due():
            self._say(line)

    def preview(self, number: int, opening: str, without: str, behind: str) -> None:
        self._say(
            columns(("without", opening.lstrip() + without), (f"at step {number}", opening.lstrip() + behind)) + "\n"
        )

    def note(self, text: str) -> None:
        self._say(f"Note: {text}")

    def end(self, words: str, facts: dict[str, Any]) -> None:
        self._say(words)

    @property
    def _width(self) -> int:
        return shutil.get_terminal_size().columns if self._live else 120

    def _due(self) -> bool:
        return time.monotonic() - self._last > PAUSE

    def _say(self, text: str) -> None:
        self._write("")
        print(text, file=self._stream, flush=True)
        self._last = time.monotonic()

    def _write(self, line: str) -> None:
        """In the place of the line that lives."""
        if self._live and (line or self._shown):
            self._stream.write("\r" + line.ljust(len(self._shown)) + ("" if line else "\r"))
            self._stream.flush()
            self._shown = line


class Nobody:
    """The screen of every process but the first."""

    def begin(self, words: str, facts: dict[str, Any]) -> None:
        pass

    def phase(self, what: str, done: int, total: int) -> None:
        pass

    def step(self, step: Step) -> None:
        pass

    def preview(self, number: int, opening: str, without: str, behind: str) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def end(self, words: str, facts: dict[str, Any]) -> None:
        pass


class Phases:
    """Time left of a preparation or a report, by what its pieces have taken."""

    def __init__(self) -> None:
        self._what, self._begun = "", 0.0

    def left(self, what: str, done: int, total: int) -> float | None:
        """Seconds; None: not known."""
        if what != self._what or not done:
            self._what, self._begun = what, time.monotonic()
        # The first piece is slower than the others: nothing is promised by it alone.
        return (time.monotonic() - self._begun) / done * (total - done) if 1 < done <= total else None


class Speed:
    """Tokens a second and time left, from the last steps."""

    def __init__(self, steps: int = 30) -> None:
        self._recent: deque[Step] = deque(maxlen=steps)

    def take(self, step: Step) -> None:
        self._recent.append(step)

    @property
    def tokens(self) -> float:
        """A second; steps with a look at the validation part are left out, if there are others."""
        bare = [step for step in self._recent if step.validation is None] or list(self._recent)
        return sum(step.tokens for step in bare) / max(1e-9, sum(step.seconds for step in bare))

    def words(self, step: Step) -> str:
        """`step 120/400, loss 2.914, best 2.951, 3 min left, 1,204 tokens/s`."""
        each = sum(step.seconds for step in self._recent) / len(self._recent)
        left = duration(each * (step.steps - step.number))
        return (
            f"step {step.number}/{step.steps}, loss {step.loss:.3f}, best {step.best:.3f}, {left} left, "
            f"{self.tokens:,.0f} tokens/s"
        )
