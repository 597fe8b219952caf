"""`with gr.Blocks(): panel.build(host)`: the tab of soft prompts, in the webui and alone; gradio 4.37 and 6.

Each section is a room of its own. What its events answer stands apart from gradio (answers.py), what it looks like too
(markup.py); `page` holds what the browser does by itself. gradio is imported when it is needed: so this loads without.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from html import escape
from typing import Any

from ..hosts.protocol import Host, Writes
from . import marks, sheet, writing
from .library import LibrarySection
from .parts import Section, Wiring, asset
from .trying import TryingSection

__all__ = ["build", "css", "js", "standalone", "toast"]

log = logging.getLogger(__name__)


def css(more: Sequence[Section] = ()) -> str:
    """`custom_css = panel.css`: the panel's look, for the page's head; more: sections beside our own."""
    return "\n".join([asset(__package__, "page/common.css"), writing.css(), *(each.css for each in _sections(more))])


def js(more: Sequence[Section] = ()) -> str:
    """`custom_js = panel.js`: statements to run once in the page, after it has loaded."""
    return "\n".join([asset(__package__, "page/common.js"), writing.js(), *(each.js for each in _sections(more))])


def toast(message: str) -> None:
    """`host.on_warning(panel.toast)`: a toast on the page whose event this thread answers; never raises."""
    try:
        import gradio as gr
        from gradio.context import LocalContext

        # Outside of an event gr.Warning would warn in Python, which may be an error there.
        if LocalContext.blocks.get(None) is None or LocalContext.event_id.get(None) is None:
            return
        # A toast is text in gradio 4 and HTML since 5, where `<<sp:name>>` would vanish and a name could be a script.
        gr.Warning(message if gr.__version__.startswith("4.") else escape(message))
    except Exception:
        log.exception("a warning could not be shown as a toast: %s", message)


def build(host: Host, more: Sequence[Section] = ()) -> None:
    """`panel.build(host)` within a `gr.Blocks` or a tab of one; `css()` and `js()` belong into the same page."""
    import gradio as gr

    wiring, sections = Wiring(gr), _sections(more)
    with gr.Column(elem_id="soft-prompts"):
        writing.build(gr, host)
        with gr.Tabs(elem_id="sp-tabs"):
            for section in sections:
                with wiring.tab(section.title, f"sp-{section.key}"):
                    section.build(gr, host)
        marks.build(gr, sections)
    host.on_warning(toast)


def standalone(host: Host, more: Sequence[Section] = (), writes: Writes | None = None) -> Any:
    """`panel.standalone(host).launch()`: the panel below a sheet to write on, which `writes` fills."""
    import gradio as gr

    with gr.Blocks(title="Soft prompts", analytics_enabled=False) as blocks:
        # Within the page: gradio 4 takes css in Blocks, 6 in launch.
        gr.HTML(f"<style>{css(more)}\n{sheet.css()}</style>", elem_id="sp-style")
        with gr.Column(elem_id="sp-page"):
            sheet.build(gr, host, writes)
            build(host, more)
        blocks.load(None, None, None, js=f"() => {{\n{js(more)}\n{sheet.js()}\nreturn [];\n}}")
    return blocks


def _sections(more: Sequence[Section]) -> list[Section]:
    return [LibrarySection(), *more, TryingSection()]
