"""`--extensions soft_prompts`: the contract with text-generation-webui, on one page.

The webui reaches it through the `script.py` at the top of the checkout. What it finds here by name it calls: `setup`
once, when the extension is loaded. `params` is what it reads, with its settings.yaml in front (`soft_prompts-...`).
"""

from __future__ import annotations

import logging
from pathlib import Path

if __name__ != "soft_prompts.script":
    raise ImportError(
        f"soft prompts cannot start from {Path(__file__).resolve().parent}: this inner folder is part of a checkout. "
        "Take it away and put the whole checkout, the folder with install.py in it, in its place. "
        "Type: git clone CHECKOUT user_data/extensions/soft_prompts"
    )

__all__ = ["params", "setup"]

# The webui's own logger: it silences the root, and with it every other one.
log = logging.getLogger("textgen")

params = {"display_name": "Soft prompts", "is_tab": True}


def setup() -> None:
    """Says what this version does for the webui: nothing yet."""
    log.warning(
        "this version of soft prompts serves Python and the command line only: tags in the webui come with a later one"
    )
