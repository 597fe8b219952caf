"""`LibrarySection().build(gr, host)`: the library as a writer sees it.

What the events answer stands in answers.py and shelf_answers.py, what it looks like in markup.py, shelf_markup.py and
page/*.css, what the page does by itself in page/*.js.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..hosts.protocol import EVERYWHERE, Host
from ..tags import LARGEST_STRENGTH
from . import markup, shelf_parts
from .acts import Acts
from .answers import FOUND, Asked, Panel, answer
from .parts import asset, button
from .shelf_answers import Keeping

STRENGTH = (
    "1 is as it was made, 0.5 is half of it. 0 says nothing and still costs its tokens: leave the tag out instead. "
    "Below 0 it pulls away from what it stands for. Far from 1, on either side, texts fall apart."
)


class LibrarySection:
    """The files of the folder, and what can be done with each."""

    title = "Library"
    key = "shelf"

    @property
    def css(self) -> str:
        """Its look."""
        return "\n".join(asset(__package__, f"page/{name}.css") for name in ("library", "shelf"))

    @property
    def js(self) -> str:
        """What the page does by itself."""
        return "\n".join(asset(__package__, f"page/{name}.js") for name in ("library", "shelf"))

    def build(self, gr: Any, host: Host) -> None:
        """Its components and events."""
        panel = Panel(host)
        keeping = Keeping(panel)
        acts = Acts(gr, _components(gr, host, keeping), host.context())
        _events(acts, panel, keeping)
        shelf_parts.events(acts, keeping)

    def mark(self) -> str:
        """Nothing goes on here that another room should hear of."""
        return ""


def _components(gr: Any, host: Host, keeping: Keeping) -> dict[str, Any]:
    """The page from top to bottom, as it is before its first poll; names as in `Changes`.

    Nothing is hidden by `visible`: gradio 6 forgets what is given to a component that it has not drawn. The style sheet
    hides what has nothing to say.
    """
    parts: dict[str, Any] = {}
    first = answer(keeping.poll, Asked(), "answer")

    def text(name: str, line: bool = False, **more: Any) -> None:
        classes = ["sp-bare", "sp-line"] if line else ["sp-bare"]
        parts[name] = gr.HTML(first.get(name, {}).get("value", ""), elem_classes=classes, **more)

    with gr.Column(elem_id="sp-shelf-page"):
        with gr.Column(elem_classes=["sp-hidden"]):
            parts["seen"] = gr.Textbox("", show_label=False)
            parts["key"] = gr.Textbox("", show_label=False, elem_id="sp-key")
            parts["fresh"] = gr.Textbox("", show_label=False)
            parts["poll"] = gr.Button("News", elem_id="sp-poll")
            parts["bell"] = gr.Textbox("", show_label=False, elem_id="sp-bell")
            shelf_parts.hidden(gr, parts)
        with gr.Row(elem_classes=["sp-top"]):
            # On the left: the webui's toasts lie over the right.
            parts["on"] = gr.Checkbox(
                host.on, label="Soft prompts on", container=False, scale=0, min_width=150, elem_id="sp-on"
            )
            with gr.Column(scale=5, min_width=260):
                text("health")
        text("answer", line=True)
        text("count")
        text("forbidden", line=True)
        shelf_parts.narrowing(gr, parts)
        text("library", elem_id="sp-library")
        shelf_parts.bringing(gr, parts, text)
        with gr.Column(elem_id="sp-details"):
            text("detail")
            _acts(gr, parts, text)
            text("said", line=True, elem_id="sp-said")
            shelf_parts.filing(gr, parts, text)
        with gr.Accordion("Make a prompt from a sentence", open=not host.rows(), elem_id="sp-maker"):
            _maker(gr, parts)
            text("made", line=True)
            text("forbidden_make", line=True)
        shelf_parts.discarded(gr, parts, text)
        gr.HTML(markup.heading("Last request"), elem_classes=["sp-bare"])
        text("last", elem_id="sp-last")
        _report(gr, parts)
    return parts


def _acts(gr: Any, parts: dict[str, Any], text: Callable[..., None]) -> None:
    """What one can do with the chosen row."""
    with gr.Column(elem_id="sp-acts"):
        parts["strength"] = gr.Slider(
            -LARGEST_STRENGTH, LARGEST_STRENGTH, 1, step=0.05, label="Strength", elem_id="sp-strength"
        )
        gr.HTML(f'<p class="sp-small">{STRENGTH}</p>', elem_id="sp-explained", elem_classes=["sp-bare"])
        with gr.Row(elem_classes=["sp-acts"]):
            parts["tag"] = gr.Textbox(
                "", label="Tag", show_label=False, container=False, interactive=False, max_lines=1, scale=3,
                min_width=220, elem_id="sp-tag",
            )  # fmt: skip
            parts["insert"] = button(gr, "Insert", "sp-insert", variant="primary")
            parts["copy"] = button(gr, "Copy tag", "sp-copy")
        # Kept free, so that no message moves what stands below it.
        with gr.Column(elem_id="sp-near"):
            gr.HTML('<div id="sp-note" class="sp-note" role="status"></div>', elem_classes=["sp-bare"])
            text("ready", line=True)
        shelf_parts.showing(gr, parts, text)
    with gr.Row(elem_id="sp-pinning", elem_classes=["sp-acts"]):
        parts["scope"] = gr.Radio(
            [(EVERYWHERE.label, EVERYWHERE.key)], value=EVERYWHERE.key, label="Pin it before every text", scale=3,
            elem_id="sp-scope",
        )  # fmt: skip
        parts["pin"] = button(gr, "Pin", "sp-pin")
        parts["unpin"] = button(gr, "Unpin", "sp-unpin")


def _maker(gr: Any, parts: dict[str, Any]) -> None:
    """A prompt from a sentence: its name, its words."""
    parts["name"] = gr.Textbox("", label="Name", placeholder="noir", max_lines=1, elem_id="sp-name")
    parts["sentence"] = gr.Textbox(
        "", label="Sentence", lines=2, elem_id="sp-sentence",
        placeholder="A detective story of the 1940s: rain, neon, and nobody tells the truth.",
    )  # fmt: skip
    parts["make"] = button(gr, "Make it", "sp-make")


def _report(gr: Any, parts: dict[str, Any]) -> None:
    """All of it as text, at the foot of the page, where no toast lies over it."""
    with gr.Row(elem_classes=["sp-acts"]):
        parts["copy_report"] = button(gr, "Copy report", "sp-copy-report")
        gr.HTML('<div class="sp-note" role="status"></div>', elem_id="sp-report-note", elem_classes=["sp-bare"])
    with gr.Column(elem_id="sp-report"):
        parts["report"] = gr.Textbox("", label="The report", lines=6, max_lines=12, placeholder=" ", interactive=True)
        parts["close_report"] = button(gr, "Close", "sp-close-report")


def _events(acts: Acts, panel: Panel, keeping: Keeping) -> None:
    parts, on, script = acts.parts, acts.on, acts.script
    polled, drawn = acts.polls(keeping.poll, panel.moved, "health")
    script(polled.success, "(bell) => { window.softPrompts?.rung(bell); return []; }", "bell")
    script(drawn.success, "() => { window.softPrompts?.answered(); return []; }")
    # The last of several quick choices counts, also while the first is being answered.
    # Not `input`: gradio 6 fires that for keys only, not for a script or for what is pasted.
    on(parts["key"].change, panel.choose, "answer", trigger_mode="always_last")
    on(parts["find"].change, panel.find, "answer", gives=FOUND, trigger_mode="always_last")
    on(parts["scope"].input, panel.scope, "said")
    on(parts["pin"].click, panel.pin, "said")
    on(parts["unpin"].click, panel.unpin, "said")
    on(parts["on"].input, panel.switch, "answer")
    # This one asks the model, which may be busy.
    made = on(parts["make"].click, panel.make, "made", queue=True, show_progress="minimal")
    script(made.success, "() => { window.softPrompts?.made(); return []; }")
    for field in ("name", "sentence"):
        # What was wrong with the form may be right by now.
        script(parts[field].input, "() => ''", gives=["made"])
    reported = on(parts["copy_report"].click, panel.report, "answer")
    script(reported.success, "(text) => { window.softPrompts?.copyReport(text); return []; }", "report")
    script(parts["close_report"].click, "() => ''", gives=["report"])
    script(parts["insert"].click, "(tag) => { window.softPrompts?.insert(tag); return []; }", "tag")
    script(parts["copy"].click, "(tag) => { window.softPrompts?.copyTag(tag); return []; }", "tag")
    retag = "(tag, strength) => window.softPrompts?.tag(tag, strength) ?? tag"
    script(parts["strength"].change, retag, "tag", "strength", gives=["tag"])
