"""`TryingSection().build(gr, host)`: one beginning, two columns: with a soft prompt and without, or any two of them.

What the events answer stands in trying_answers.py, what it looks like in trying_markup.py and trying.css, what the page
does by itself in trying.js.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..hosts.protocol import Host
from ..tags import LARGEST_STRENGTH
from . import trying_markup as markup
from .answers import answer
from .markup import words
from .parts import Wiring, asset, button
from .trying_answers import HOTTEST, LONGEST, PLACE, SHORTEST, USUAL, Asked, Desk

HINT = (
    f"The soft prompt stands before your beginning. To have it elsewhere, write {PLACE} there. Tags of your own stay "
    "in both columns."
)
LUCK = (
    "The same seed, and the same choices, give the same words. Temperature 0 always takes the likeliest word; more is "
    "freer."
)
ASKED = (
    "run", "hint", "seen", "hinted", "text", "left", "left_strength", "right", "right_strength", "seed", "tokens",
    "temperature",
)  # fmt: skip
POLLED = ("seen", "hinted", "left", "left_strength", "right", "reason")
WRITTEN = ("state", "columns", "legend")


class TryingSection:
    """Writing side by side."""

    title = "Try"
    key = "try"

    @property
    def css(self) -> str:
        """Its look."""
        return asset(__package__, "page/trying.css")

    @property
    def js(self) -> str:
        """What the page does by itself."""
        return asset(__package__, "page/trying.js")

    def build(self, gr: Any, host: Host) -> None:
        """Its components and events."""
        desk = Desk(host)
        _events(gr, desk, _components(gr, desk))

    def mark(self) -> str:
        """Nothing goes on here that another room should hear of."""
        return ""


def _components(gr: Any, desk: Desk) -> dict[str, Any]:
    """The page from top to bottom, as it is before its first poll; names as in `Changes`."""
    parts: dict[str, Any] = {}
    first = desk.poll(Asked())

    def text(name: str, value: str = "", line: bool = False) -> None:
        classes = ["sp-bare", "sp-line"] if line else ["sp-bare"]
        parts[name] = gr.HTML(value, elem_classes=classes, elem_id=f"sp-try-{name}")

    with gr.Column(elem_id="sp-try-page"):
        with gr.Column(elem_classes=["sp-hidden"]):
            for name in ("run", "hint", "seen", "hinted"):
                parts[name] = gr.Textbox(first.get(name, {}).get("value", ""), show_label=False)
            parts["poll"] = gr.Button("News", elem_id="sp-try-poll")
            parts["bell"] = gr.Textbox("", show_label=False, elem_id="sp-try-bell")
        text("reason", first["reason"]["value"], line=True)
        parts["text"] = gr.Textbox(
            "", label="Your beginning", lines=4, max_lines=14, elem_id="sp-try-text",
            placeholder="The rain had stopped when she opened the door, and",
        )  # fmt: skip
        _small(gr, HINT)
        with gr.Row(elem_id="sp-try-sides"):
            for side in ("left", "right"):
                _side(gr, parts, side, first[side])
        with gr.Accordion("Length, luck and temperature", open=False, elem_id="sp-try-more"):
            _more(gr, parts)
        with gr.Row(elem_classes=["sp-acts"], elem_id="sp-try-acts"):
            parts["write"] = button(gr, "Write", "sp-try-write", variant="primary")
            parts["stop"] = button(gr, "Stop", "sp-try-stop")
            parts["colours"] = gr.Checkbox(
                True, label="Colours", container=False, scale=0, min_width=110, elem_id="sp-try-colours"
            )
        text("state", markup.state(""))
        text("columns")
        text("legend")
        gr.HTML('<p id="sp-try-word" role="status"></p>', elem_classes=["sp-bare", "sp-unseen"])
        gr.HTML('<div id="sp-try-note" class="sp-note" role="status"></div>', elem_classes=["sp-bare"])
    return parts


def _small(gr: Any, line: str) -> None:
    """A line of explanation; gradio's own `info` is too pale to be read by everybody."""
    gr.HTML(f'<p class="sp-small">{words(line)}</p>', elem_classes=["sp-bare"])


def _side(gr: Any, parts: dict[str, Any], side: str, first: dict[str, Any]) -> None:
    """What stands before one column."""
    with gr.Column(elem_classes=["sp-side"], min_width=240):
        # Any value is taken: else one whose file has gone would stop all events of the page.
        parts[side] = gr.Dropdown(
            first["choices"], value=first.get("value", ""), label=f"On the {side}", allow_custom_value=True,
            elem_id=f"sp-try-{side}",
        )  # fmt: skip
        parts[f"{side}_strength"] = gr.Slider(
            -LARGEST_STRENGTH, LARGEST_STRENGTH, 1, step=0.05, label=f"Strength on the {side}",
            elem_id=f"sp-try-{side}-strength", elem_classes=["sp-strength"],
        )  # fmt: skip


def _more(gr: Any, parts: dict[str, Any]) -> None:
    """What need not be known."""
    parts["tokens"] = gr.Slider(
        SHORTEST, LONGEST, USUAL, step=10, label="Tokens of each column", elem_id="sp-try-tokens"
    )
    with gr.Row(elem_classes=["sp-acts"]):
        parts["seed"] = gr.Number(0, precision=0, label="Seed of both texts", elem_id="sp-try-seed")
        parts["dice"] = button(gr, "🎲 Another seed", "sp-try-dice")
    parts["temperature"] = gr.Slider(0, HOTTEST, 0.7, step=0.05, label="Temperature", elem_id="sp-try-temperature")
    _small(gr, LUCK)


def _events(gr: Any, desk: Desk, parts: dict[str, Any]) -> None:
    inputs = [parts[name] for name in ASKED]
    wiring = Wiring(gr)
    quick = wiring.quick

    def moved(*sent: Any) -> bool:
        return bool(desk.poll(Asked(*sent)))

    def poll(*sent: Any) -> list[Any]:
        changes = answer(desk.poll, Asked(*sent), "reason")
        return wiring.updates(changes, POLLED)

    def write(*sent: Any) -> Iterator[list[Any]]:
        # Values as they are: of updates in a stream, gradio 6 now and then shows the object itself.
        for changes in desk.write(Asked(*sent)):
            yield [changes[name]["value"] if name in changes else gr.update() for name in WRITTEN]

    def stop(*sent: Any) -> None:
        desk.stop(Asked(*sent))

    def adding(what: str) -> str:
        """What the page puts into what is sent: see trying.js."""
        return f"(...sent) => window.softPrompts?.{what}?.(sent) ?? sent"

    polled = wiring.polled(parts["poll"], parts["bell"], inputs, moved, js=adding("hinted"))
    wiring.script(polled.success, "(bell) => { window.softPrompts?.trying(bell); return []; }", [parts["bell"]])
    drawn = parts["bell"].change(
        poll, inputs, [parts[name] for name in POLLED], js=adding("hinted"), trigger_mode="always_last", **quick
    )
    wiring.script(drawn.success, "() => { window.softPrompts?.tried(); return []; }")
    parts["dice"].click(desk.dice, [], [parts["seed"]], **quick)
    # What it does is seen in what is being written: two events that draw one line get into each other's way.
    parts["stop"].click(stop, inputs, [], js=adding("signed"), **quick)
    # Each browser waits for the model by itself, and none for another's page.
    slow: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": 16, **wiring.private}
    slow["js"] = adding("signed")
    parts["write"].click(write, inputs, [parts[name] for name in WRITTEN], **slow)
    coloured = "(on) => { window.softPrompts?.colours(on); return []; }"
    wiring.script(parts["colours"].change, coloured, [parts["colours"]])
    for side in ("left", "right"):
        wiring.script(parts[side].change, "() => { window.softPrompts?.sides(); return []; }")
