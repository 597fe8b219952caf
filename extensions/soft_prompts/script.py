"""`--extensions soft_prompts`: the contract with text-generation-webui, on one page.

The webui reaches it through the `script.py` at the top of the checkout. What it finds here by name it calls: `setup`
when the extension is loaded, `ui` when the interface is built, the others for each text. `params` is what it reads,
with its settings.yaml in front (`soft_prompts-...`). Each is one line into `hosts.webui`, where the state lives: the
webui executes the script anew at every "Apply flags/extensions and restart".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

if __name__ != "soft_prompts.script":
    raise ImportError(
        f"soft prompts cannot start from {Path(__file__).resolve().parent}: this is an inner folder of the project. "
        "Take it away and put the whole project, the folder with install.py in it, in its place; or type in the "
        "project's folder: python install.py webui FOLDER_OF_THE_WEBUI"
    )

from . import panel
from .hosts.webui.host import webui
from .trainer.runs import runs_of
from .trainer.tab import TrainSection

__all__ = [
    "custom_css",
    "custom_js",
    "custom_tokenized_length",
    "output_modifier",
    "params",
    "setup",
    "tokenizer_modifier",
    "ui",
]

log = logging.getLogger("textgen")
Answer = TypeVar("Answer")

SECTIONS = (TrainSection(runs_of),)
"""What stands in the tab beside what the panel has of its own: it may not know the trainer, which lies above it."""

params = {"display_name": "Soft prompts", "is_tab": True}


def setup() -> None:
    """Follow the webui's models and the folder of soft prompts."""
    webui().start(params)


def ui() -> None:
    """The extension's tab."""
    guarded(_tab, None)


def custom_css() -> str:
    """The tab's look."""
    return guarded(lambda: panel.css(SECTIONS), "")


def custom_js() -> str:
    """What inserts a tag where the writer's cursor is."""
    return guarded(lambda: panel.js(SECTIONS), "")


def custom_tokenized_length(prompt: str) -> int | None:
    """The tokens of a prompt with what is pinned before it."""
    return guarded(lambda: webui().tokenized_length(prompt), None)


def tokenizer_modifier(state: dict[str, Any], prompt: str, input_ids: Any, input_embeds: Any) -> tuple[str, Any, Any]:
    """The ids that the model reads: with pins, and with no tag cut in two."""
    if input_embeds is None:
        input_ids = guarded(lambda: webui().arranged(state, prompt, input_ids), input_ids)
    return prompt, input_ids, input_embeds


def output_modifier(string: str, state: dict[str, Any], is_chat: bool = False) -> str:
    """The reply as it is; what the model writes itself is remembered."""
    guarded(lambda: webui().answered(string, state, is_chat), None)
    return string


def _tab() -> None:
    panel.build(webui().desk, SECTIONS)


def guarded(call: Callable[[], Answer], otherwise: Answer) -> Answer:
    """The answer, or `otherwise` where it fails: what leaves a hook ends the webui's interface, or the reply."""
    try:
        return call()
    except Exception:
        log.exception("soft prompts failed; the webui goes on without them here")
        return otherwise
