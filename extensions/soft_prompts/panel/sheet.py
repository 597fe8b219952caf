"""`build(gr, host, writes)`: the sheet that a writer fills where there is no webui around the panel.

`Sheet.go_on` is what its button does, without gradio.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import SoftPromptError
from ..hosts.protocol import Host, Writes
from ..tags import join
from . import markup
from .parts import Wiring, asset, button

log = logging.getLogger(__name__)

SHORTEST, USUAL, LONGEST = 20, 120, 400
"""Tokens that are written at once."""
HEAT = "Low: the likeliest words, and often the same ones. High: surprises, and mistakes."
SEED = "The same number and the same text give the same words again. 0: others each time."


def css() -> str:
    """Its look."""
    return asset(__package__, "page/sheet.css")


def js() -> str:
    """What the page does by itself: it keeps the text."""
    return asset(__package__, "page/sheet.js")


class Pen:
    """Of one page: whoever takes it up again has stopped the one before."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self) -> Callable[[], bool]:
        """Whether it is still held by who has taken it up now."""
        self._taken += 1
        mine = self._taken
        return lambda: self._taken == mine


class Sheet:
    """`Sheet(host, writes).go_on("It rained")`: the text as it grows, and a line that says how it goes."""

    def __init__(self, host: Host, writes: Writes) -> None:
        self._host = host
        self._writes = writes

    def go_on(
        self, text: str, heat: float = 0.7, length: int = USUAL, seed: int = 0, pen: Pen | None = None
    ) -> Iterator[tuple[str, str, str]]:
        """(the text so far, the line below it, the text before) until the model has ended; never raises."""
        held = (pen or Pen()).take()
        if self._host.health().state == "waiting":
            yield text, state("The model is being loaded. It begins by itself."), text
        written = ""
        # The other way round too: no seed is a seed.
        dice = int(seed or 0) or random.randrange(1, 2**31)
        try:
            for piece in self._writes.write(text, tokens=int(length), seed=dice, temperature=float(heat)):
                if not held():
                    # In the order of what was written: said by another event, a late word would come after it.
                    yield text + join([written]), state("Stopped."), text
                    return
                if piece:
                    written += piece
                    # What the model writes is words, also where it looks like a tag.
                    yield text + join([written]), state("Writing …"), text
            yield text + join([written]), state("" if written else "The model has nothing to add here."), text
        except SoftPromptError as problem:
            yield text + join([written]), state(str(problem), bad=True), text
        except Exception as fault:
            log.exception("writing failed")
            words = f"That failed ({type(fault).__name__}: {fault}). It is a fault of soft prompts, please report it."
            yield text + join([written]), state(words, bad=True), text


def state(line: str, bad: bool = False) -> str:
    """One line below the text; its place is kept where it is empty."""
    role = "alert" if bad else "status"
    return f'<div class="sp-state{" sp-wrong" if bad else ""}" role="{role}">{markup.words(line)}</div>'


def stopped(pen: Pen) -> str:
    """Whoever holds the pen says so with the next word."""
    pen.take()
    return state("Stopped.")


def taken_back(text: str, before: str) -> tuple[str, str]:
    """The text without what was written last, where that still stands behind it."""
    if before != text and text.startswith(before):
        return before, state("")
    return text, state("There is nothing to take back.")


def build(gr: Any, host: Host, writes: Writes | None) -> None:
    """A text box; with `writes`, also what lets the model go on with it."""
    with gr.Column(elem_id="sp-sheet"):
        text = gr.Textbox(
            "", label="Your text", lines=6, max_lines=20, elem_id="sp-text",
            placeholder="Write here. Insert tags from below, or type <<sp: to choose one.",
        )  # fmt: skip
        if writes is None:
            return
        with gr.Row(elem_classes=["sp-acts"]):
            go = button(gr, "Go on writing", "sp-go", variant="primary")
            stop = button(gr, "Stop", "sp-stop")
            back = button(gr, "Take back", "sp-back")
            line = gr.HTML(state(""), elem_id="sp-state", elem_classes=["sp-bare"])
        with gr.Accordion("How it writes", open=False, elem_id="sp-how"):
            heat = gr.Slider(0, 1.5, 0.7, step=0.05, label="Temperature", info=HEAT, elem_id="sp-heat")
            length = gr.Slider(SHORTEST, LONGEST, USUAL, step=10, label="Length, in tokens", elem_id="sp-length")
            seed = gr.Number(0, precision=0, minimum=0, label="Seed", info=SEED, elem_id="sp-seed")
        before, pen = gr.State(""), gr.State(Pen())
    wiring = Wiring(gr)
    gr.on(
        [go.click, text.submit],
        Sheet(host, writes).go_on,
        [text, heat, length, seed, pen],
        [text, line, before],
        # Each window writes by itself; the model gives each of them its turn.
        concurrency_limit=None,
        show_progress="hidden",
        **wiring.private,
    )
    how: dict[str, Any] = {"queue": False, "show_progress": "hidden", **wiring.private}
    stop.click(stopped, [pen], line, **how)
    back.click(taken_back, [text, before], [text, line], **how)
