"""`--extensions soft_prompts`: the contract with text-generation-webui, on one page.

The webui reaches it through the `script.py` at the top of the checkout. What it finds here by name it calls: `setup`
when the extension is loaded, `ui` when the interface is built, the others for each text. `params` is what it reads,
with its settings.yaml in front (`soft_prompts-...`). Each is one line into `hosts.webui`, where the state lives: the
webui executes the script anew at every "Apply flags/extensions and restart".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

if __name__ != "soft_prompts.script":
    raise ImportError(
        f"soft prompts cannot start from {Path(__file__).resolve().parent}: this inner folder is part of a checkout. "
        "Take it away and put the whole checkout, the folder with install.py in it, in its place. "
        "Type: git clone CHECKOUT user_data/extensions/soft_prompts"
    )

from .hosts.webui.host import webui

__all__ = ["custom_css", "custom_js", "custom_tokenized_length", "params", "setup", "tokenizer_modifier", "ui"]

params = {"display_name": "Soft prompts", "is_tab": True}


def setup() -> None:
    """Follow the webui's models and the folder of soft prompts."""
    webui().start(params)


def ui() -> None:
    """The extension's tab."""
    from . import panel

    panel.build(webui().desk)


def custom_css() -> str:
    """The tab's look."""
    from . import panel

    return str(panel.css())


def custom_js() -> str:
    """What inserts a tag where the writer's cursor is."""
    from . import panel

    return str(panel.js())


def custom_tokenized_length(prompt: str) -> int | None:
    """The tokens of a prompt with what is pinned before it."""
    return webui().tokenized_length(prompt)


def tokenizer_modifier(state: dict[str, Any], prompt: str, input_ids: Any, input_embeds: Any) -> tuple[str, Any, Any]:
    """The ids that the model reads: with pins, and with no tag cut in two."""
    return prompt, input_ids if input_embeds is not None else webui().arranged(state, prompt, input_ids), input_embeds
