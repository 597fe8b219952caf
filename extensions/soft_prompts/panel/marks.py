"""`build(gr, sections)`: what goes on in each room of the panel, on its tab, from wherever in the panel one looks.

Above all rooms: gradio 6 draws a room when it is first opened, and a page that was loaded anew has opened none of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from .markup import words
from .parts import Section, Wiring

log = logging.getLogger(__name__)


def build(gr: Any, sections: Sequence[Section]) -> None:
    """Unseen; each room's own style draws by it."""

    def marks() -> str:
        try:
            return _marks(sections)
        except Exception:
            log.exception("what goes on cannot be said")
            return ""

    wiring = Wiring(gr)
    with gr.Column(elem_classes=["sp-hidden"]):
        shown = gr.HTML(marks(), elem_id="sp-marks")
        poll = gr.Button("News", elem_id="sp-marks-poll")
    polled = poll.click(marks, [], [shown], **wiring.quick)
    wiring.script(polled.success, "() => { window.softPrompts?.marked(); return []; }")


def _marks(sections: Sequence[Section]) -> str:
    marks = [(section.key, section.mark()) for section in sections]
    return "".join(f'<i data-room="{words(key)}" data-mark="{words(mark)}"></i>' for key, mark in marks if mark)
