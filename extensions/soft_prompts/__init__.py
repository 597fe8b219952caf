"""`import soft_prompts`: soft prompts for language models - load them, tag texts with them, attach them to a model.

This package alone needs numpy only; `attach`, `from_pretrained` and `SoftPrompt.from_text` bring in torch and
transformers when they are first used, and `soft_prompts.trainer` makes new prompts.
"""

from __future__ import annotations

if __name__ != "soft_prompts":
    # The webui's own `extensions` package found this folder, without the checkout around it that makes it work.
    raise ImportError(
        f"soft prompts cannot start from {__path__[0]}: this is an inner folder of the project. Take it away and put "
        "the whole project, the folder with install.py in it, in its place; or type in the project's folder: "
        "python install.py webui FOLDER_OF_THE_WEBUI"
    )

from typing import TYPE_CHECKING, Any

from .errors import SoftPromptError
from .formats import load
from .library import Library
from .prompt import SoftPrompt, TaggedText, TextPrompt
from .tags import Tag, parse

if TYPE_CHECKING:
    from .hosts.hf import attach, from_pretrained

__version__ = "0.1.0"
__all__ = [
    "Library",
    "SoftPrompt",
    "SoftPromptError",
    "Tag",
    "TaggedText",
    "TextPrompt",
    "attach",
    "from_pretrained",
    "load",
    "parse",
]


def __getattr__(name: str) -> Any:
    if name in ("attach", "from_pretrained"):
        try:
            from .hosts import hf
        except ModuleNotFoundError as missing:
            raise SoftPromptError(
                f"soft_prompts.{name} needs {missing.name}: pip install 'soft-prompts[train]'"
            ) from missing
        return getattr(hf, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
