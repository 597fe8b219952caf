"""`Live(take)`: what a writer may ask of a run while it goes on; `Here` trains on the host's own model; torch-free.

torch comes in with the thread of the run: a page and its host do without.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import Lends
from .lent import Lent, Withdrawn
from .recipe import options_of

Take = Callable[[dict[str, Any]], None]
"""Called with each event of a run, in its own thread."""

GIVING = 0.002
"""Seconds between two pieces of work: whoever waits for a lock gets it only if nobody takes it again at once."""
LOOKING = 0.5
"""Seconds between two looks at whether the model of a held training is still there."""
AGAIN = "the button that says so"


class Live:
    """One run while it goes on. words: of its plan; more: how it is begun, as `--resume`."""

    def __init__(self, words: tuple[str, ...], more: tuple[str, ...], lends: Lends, take: Take) -> None:
        self.words, self.more = words, more
        self.lends, self.take = lends, take
        self._held = False
        self._ending = False
        self._told = threading.Condition()

    def run(self) -> None:
        """Until it has ended, in the caller's thread; raises SoftPromptError, or Withdrawn where it can go on later."""
        raise NotImplementedError

    def pause(self) -> None:
        """Hold after this step."""
        self._say(held=True)

    def go_on(self) -> None:
        """After a pause."""
        self._say(held=False)

    def stop(self) -> None:
        """End after this step."""
        self._say(ending=True)

    def _phase(self, what: str) -> None:
        """What it is at, before its first step."""
        self.take({"event": "phase", "what": what, "done": 0, "total": 0})

    def _say(self, held: bool | None = None, ending: bool | None = None) -> None:
        with self._told:
            self._held = self._held if held is None else held
            self._ending = self._ending if ending is None else ending
            self._told.notify_all()

    def _wait(self, look: Callable[[], None]) -> None:
        """As long as it is to hold; `look` is called now and then, and may raise."""
        with self._told:
            while self._held and not self._ending:
                self._told.wait(LOOKING)
                look()


class Here(Live):
    """In this program, on the host's model, a lock for each step: between two of them it is everybody's."""

    def run(self) -> None:
        from .job import Job
        from .showing import Events
        from .stopping import Stop

        for _ in self.lends.waits():
            self._phase("waiting for the model")
            if self._ending:
                return self.take({"event": "end", "ended": "stopped", "steps": 0})
        model, tokenizer = self.lends.borrow()
        lock = turns(self.lends, model)
        self._stop = Stop(says=False)
        if self._ending:
            self._stop.ask()
        lent = Lent(model, tokenizer, lock, lambda: self._rest(model))
        options = options_of(self.words, "--json", *self.more)
        Job(options, Events(self.take), self._stop, lent=lent, again=AGAIN).run()

    def stop(self) -> None:
        super().stop()
        if (stop := getattr(self, "_stop", None)) is not None:
            stop.ask()

    def _rest(self, model: Any) -> None:
        time.sleep(GIVING)
        self._wait(lambda: check(self.lends, model))


def turns(lends: Lends, model: Any) -> Callable[[], Any]:
    """What is entered around each piece of work on `model`; raises Withdrawn where that is no longer the host's."""

    @contextmanager
    def turn() -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(lends.step())
            except SoftPromptError as problem:
                raise Withdrawn(str(problem)) from None
            check(lends, model)
            yield

    return turn


def check(lends: Lends, model: Any) -> None:
    """Raises Withdrawn where the host has another model by now, or none."""
    try:
        there = lends.borrow()[0]
    except SoftPromptError as problem:
        raise Withdrawn(
            f"the model was unloaded: {problem}. What was learnt is kept; load it again, and go on"
        ) from None
    if there is not model:
        raise Withdrawn(
            "another model was loaded. What was learnt is kept; load the one that it was trained on, and go on"
        )


def tidy() -> None:
    """Give back what a graphics card holds for the next step."""
    gc.collect()
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
