"""`--extensions soft_prompts`: what text-generation-webui executes when this checkout is the extension folder.

It makes the checkout importable and takes the hooks from `soft_prompts.script`; nothing is decided here. The webui runs
this file once more on "Apply and restart", and may reach it by a link: state lives in the package, paths are resolved.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

CHECKOUT = Path(__file__).resolve().parent


class Finder:
    """Finds `soft_prompts` and `soft_prompts.trainer` in one checkout, and no other name.

    A folder on `sys.path` would also offer `trainer` and `extensions`, which belong to others.
    """

    def __init__(self, checkout: Path) -> None:
        self.folders = {
            "soft_prompts": checkout / "extensions" / "soft_prompts",
            "soft_prompts.trainer": checkout / "trainer",
        }

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        folder = self.folders.get(name)
        if folder is None:
            return None
        return importlib.util.spec_from_file_location(
            name, str(folder / "__init__.py"), submodule_search_locations=[str(folder)]
        )


def importable(checkout: Path) -> None:
    """Puts this checkout first, even before an installed copy: the user put it here. What is loaded stays."""
    imported = sys.modules.get("soft_prompts")
    if imported is None:
        ours = Finder(checkout)
        if not any(getattr(finder, "folders", None) == ours.folders for finder in sys.meta_path):
            # First, because Python's own finder takes a folder `soft_prompts/` of prompts for a package.
            sys.meta_path.insert(0, ours)
    elif Path(imported.__file__ or "").resolve().parent != checkout / "extensions" / "soft_prompts":
        # The webui's own logger: it silences the root, and with it every other one.
        logging.getLogger("textgen").warning(
            "soft_prompts is loaded already, from %s; the checkout in %s is not used", imported.__file__, checkout
        )


importable(CHECKOUT)
try:
    from soft_prompts.script import *  # noqa: F403
except ModuleNotFoundError as missing:
    # A ModuleNotFoundError that leaves an extension ends the whole webui; an ImportError only leaves the extension out.
    raise ImportError(
        f"soft prompts cannot start: Python has no module {missing.name!r}. "
        f'Type: "{sys.executable}" -m pip install -r "{CHECKOUT / "requirements.txt"}"'
    ) from missing
