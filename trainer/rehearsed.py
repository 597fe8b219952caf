"""`rehearsed(plan.words, lends, ...)`: what a training would take, in words for a page; torch only once it is tried."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from ..errors import TrainingError
from ..hosts.protocol import Lends
from ..terminal import duration, size
from .lent import Lent
from .live import turns
from .recipe import options_of
from .worker import Environment, Process

_DRY = ("--dry-run", "--json")


def rehearsed(words: tuple[str, ...], lends: Lends, where: Callable[[], Environment], begun: Callable[[], bool]) -> str:
    """begun: whether a training has begun meanwhile, which nothing is to hold up; raises SoftPromptError."""
    events: list[dict[str, Any]] = []
    if lends.way == "worker":
        environment = where()
        if not environment.python:
            return "How long it takes is known once what it needs is there: begin, and you will see."
        Process(environment.command((*words, *lends.model_words(), *_DRY)), events.append).run()
    else:
        _here(words, lends, events.append, begun)
    ends = [each for each in events if each.get("event") == "end"]
    if not ends:
        raise TrainingError("the trial ended without a result; the server's terminal may say more")
    return _told(ends[-1])


def _here(
    words: tuple[str, ...], lends: Lends, put: Callable[[dict[str, Any]], None], begun: Callable[[], bool]
) -> None:
    from .job import Job
    from .showing import Events

    for _ in lends.waits():
        pass
    model, tokenizer = lends.borrow()
    turn = turns(lends, model)

    def lock() -> AbstractContextManager[Any]:
        if begun():
            raise TrainingError("a training has begun, so this estimate was left off")
        return turn()  # type: ignore[no-any-return]

    Job(options_of(words, *_DRY), Events(put), lent=Lent(model, tokenizer, lock)).run()


def _told(end: dict[str, Any]) -> str:
    found = end["estimate"]
    words = (
        f"About {duration(found['seconds'] or 0.0)} for {end['steps']:,} steps and the report, less if it ends early"
    )
    words += f"; {size(found['step'])} of memory beside the model, of which {size(found['free'])} are free."
    return words + (" Memory is scarce, so each step takes a third longer." if found["recompute"] else "")
