"""`answer(panel.pin, asked, "said")`: what an act changes, and what goes wrong in words; no gradio."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..errors import SoftPromptError
from . import markup
from .allowed import Changes

log = logging.getLogger(__name__)

Question = TypeVar("Question")
"""What a page sends to a section."""
LINES = ("answer", "brought", "binned", "ready", "said", "filed", "made", "unbinned")
"""Components that hold a message: of the page, an upload, a deletion, the tag, its pins, its file, the form, the trash.
"""


def answer(act: Callable[[Question], Changes], asked: Question, where: str) -> Changes:
    """`answer(panel.pin, asked, "said")`: what the act changes; what goes wrong stands in words there.

    There is one message at a time: the next act takes the last one's away.
    """
    try:
        return act(asked)
    except SoftPromptError as problem:
        words = str(problem)
    except Exception as fault:
        log.exception("the panel's %s failed", act.__name__)
        words = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
    # What was drawn may be in the middle of something: the next poll draws all of it.
    return {**(silence() if where in LINES else {}), where: line(words, "bad"), "seen": {"value": ""}}


def answers(act: Callable[[Question], Iterator[Changes]], asked: Question, where: str) -> Iterator[Changes]:
    """`answer` for what comes piece by piece; nothing waits for its end."""
    pieces = act(asked)

    def next_one(_: Question) -> Changes:
        return next(pieces, {})

    next_one.__name__ = act.__name__
    while changes := answer(next_one, asked, where):
        yield changes
        if "seen" in changes:
            return


def line(text: str, kind: markup.Kind = "good", back: bool = False) -> dict[str, Any]:
    """A message, as a component's new properties. back: "Undo" stands beside it."""
    return {"value": markup.said(text, kind, back)}


def silence() -> Changes:
    """No message anywhere."""
    return {name: line("") for name in LINES}
