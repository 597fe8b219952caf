"""`filing(gr, parts, text)`: what one does with the files of the library, as components; names as in `Changes`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import finding
from .acts import Acts
from .answers import FOUND
from .parts import button
from .shelf_answers import Keeping
from .shelf_markup import waiting

Text = Callable[..., None]
OPENING = "The door opened, and"


def narrowing(gr: Any, parts: dict[str, Any]) -> None:
    """Which rows the list shows; a short list needs none of it."""
    with gr.Row(elem_id="sp-find"):
        parts["find"] = gr.Textbox(
            "", label="Find", show_label=False, container=False, placeholder="Find by name or description",
            max_lines=1, scale=4, min_width=200,
        )  # fmt: skip
        orders = [(words, key) for key, (words, _) in finding.ORDERS.items()]
        parts["order"] = gr.Dropdown(
            orders, value="name", label="Order", show_label=False, container=False, scale=2, min_width=170,
            elem_id="sp-order",
        )  # fmt: skip
        parts["place"] = gr.Dropdown(
            finding.folders([]), value="", label="Folder", show_label=False, container=False, scale=2, min_width=150,
            elem_id="sp-place",
        )  # fmt: skip


def bringing(gr: Any, parts: dict[str, Any], text: Text) -> None:
    """A file from elsewhere: shown first, then kept or not."""
    with gr.Row(elem_id="sp-bring", elem_classes=["sp-acts"]):
        parts["upload"] = gr.UploadButton("Add a file …", size="sm", scale=0, min_width=120, elem_id="sp-upload")
        gr.HTML('<p class="sp-small">or drop it on the list. You see what it is before it is kept.</p>',
                elem_classes=["sp-bare", "sp-grow"])  # fmt: skip
    text("brought", line=True, elem_id="sp-brought")
    with gr.Row(elem_id="sp-binned", elem_classes=["sp-acts"]):
        text("binned", line=True)
        parts["again"] = button(gr, "Undo", "sp-undo")
    with gr.Column(elem_id="sp-offer"):
        text("offered")
        with gr.Row(elem_classes=["sp-acts"]):
            parts["keep_as"] = gr.Textbox("", label="Name in the library", max_lines=1, scale=3, min_width=200,
                                          elem_id="sp-keep-as")  # fmt: skip
            parts["keep"] = button(gr, "Keep it", "sp-keep", variant="primary")
            parts["refuse"] = button(gr, "No", "sp-refuse")


def showing(gr: Any, parts: dict[str, Any], text: Text) -> None:
    """What the tag does, before it is written anywhere."""
    with gr.Row(elem_id="sp-showing", elem_classes=["sp-acts"]):
        parts["opening"] = gr.Textbox(
            OPENING, label="Beginning of a line", show_label=False, container=False, max_lines=1, scale=3,
            min_width=200, elem_id="sp-opening",
        )  # fmt: skip
        parts["line"] = button(gr, "Show a line", "sp-line")
    text("lines", elem_id="sp-lines")


def filing(gr: Any, parts: dict[str, Any], text: Text) -> None:
    """What can be done with the chosen row's file; what is rare is folded."""
    with gr.Column(elem_id="sp-file"):
        with gr.Row(elem_classes=["sp-acts"]):
            parts["download"] = button(gr, "Download", "sp-download")
            parts["duplicate"] = button(gr, "Duplicate", "sp-duplicate")
            parts["convert"] = button(gr, "Make vectors of this text", "sp-convert")
            parts["discard"] = button(gr, "Delete", "sp-discard")
        with gr.Row(elem_id="sp-filed", elem_classes=["sp-acts"]):
            text("filed", line=True)
            parts["take_back"] = button(gr, "Undo", "sp-take-back")
        text("forbidden_file", line=True)
        with gr.Accordion("Rename or describe it", open=False, elem_id="sp-words"):
            _words(gr, parts)
        with gr.Accordion("What its vectors are like", open=False, elem_id="sp-like"):
            _likeness(gr, parts, text)


def _words(gr: Any, parts: dict[str, Any]) -> None:
    with gr.Row(elem_classes=["sp-acts", "sp-ends"]):
        parts["title"] = gr.Textbox("", label="Name; a slash makes a folder", max_lines=1, scale=3, min_width=200,
                                    elem_id="sp-title-box")  # fmt: skip
        parts["rename"] = button(gr, "Rename", "sp-rename")
    with gr.Column(elem_id="sp-describing"):
        parts["description"] = gr.Textbox("", label="Description", lines=2, elem_id="sp-description")
        with gr.Row(elem_classes=["sp-acts", "sp-ends"]):
            parts["author"] = gr.Textbox("", label="Author", max_lines=1, scale=3, min_width=200, elem_id="sp-author")
            parts["describe"] = button(gr, "Save description", "sp-describe")


def _likeness(gr: Any, parts: dict[str, Any], text: Text) -> None:
    note = (
        "Each vector of a prompt lies between all words. These are the words of the loaded model that they lie nearest "
        "to: hints, not what the prompt says."
    )
    gr.HTML(f'<p class="sp-small">{note}</p>', elem_classes=["sp-bare"])
    with gr.Row(elem_classes=["sp-acts"]):
        parts["look"] = button(gr, "Show the nearest words", "sp-look")
    text("like", elem_id="sp-likeness")


def discarded(gr: Any, parts: dict[str, Any], text: Text) -> None:
    """The trash."""
    with gr.Accordion("Trash", open=False, elem_id="sp-trash"):
        text("trash")
        text("unbinned", line=True)


def hidden(gr: Any, parts: dict[str, Any]) -> None:
    """What the page and the answers tell each other, unseen."""
    parts["bin"] = gr.Textbox("", show_label=False, elem_id="sp-bin")
    for name in ("offer", "undo", "back", "called"):
        parts[name] = gr.Textbox("", show_label=False)
    parts["parcel"] = gr.File(show_label=False, elem_id="sp-parcel")


def events(acts: Acts, keeping: Keeping) -> None:
    """What they answer."""
    parts, on = acts.parts, acts.on
    for name in ("order", "place"):
        on(parts[name].change, keeping.panel.find, "answer", gives=FOUND, trigger_mode="always_last")
    for name in ("rename", "describe", "duplicate", "discard"):
        on(parts[name].click, getattr(keeping, name), "filed")
    on(parts["again"].click, keeping.undo, "binned")
    on(parts["take_back"].click, keeping.take_back, "filed")
    on(parts["bin"].change, keeping.put_back, "unbinned", trigger_mode="always_last")
    # On its way here gradio takes letters out of a file's name.
    named = "(file, name, ...rest) => [file, (Array.isArray(file) ? file[0] : file)?.orig_name ?? '', ...rest]"
    brought = on(parts["upload"].upload, keeping.offer, "brought", "upload", "called", js=named)
    acts.script(brought.success, "() => { window.softPrompts?.reveal('#sp-offer'); return []; }")
    kept = on(parts["keep"].click, keeping.keep, "brought")
    acts.script(kept.success, "() => { window.softPrompts?.reveal('#sp-details'); return []; }")
    on(parts["refuse"].click, keeping.refuse, "brought")
    fetched = on(parts["download"].click, keeping.download, "filed")
    acts.script(fetched.success, "(file) => { window.softPrompts?.download(file); return []; }", "parcel")
    _asking(acts, keeping)


def _asking(acts: Acts, keeping: Keeping) -> None:
    """What the model is asked for, which may be busy; that it is waited for stands there at once."""
    parts = acts.parts
    for name, where in (("convert", "filed"), ("look", "like"), ("line", "lines")):
        acts.script(parts[name].click, f"() => {json.dumps(waiting())}", gives=[where])
    acts.on(parts["convert"].click, keeping.convert, "filed", queue=True)
    acts.on(parts["look"].click, keeping.resembles, "like", queue=True)
    acts.stream(parts["line"].click, keeping.lines, "lines")
