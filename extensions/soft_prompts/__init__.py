"""`import soft_prompts`: soft prompts for language models - load them, tag texts with them, attach them to a model.

This package alone needs numpy only; `attach`, `from_pretrained` and `SoftPrompt.from_text` bring in torch and
transformers when they are first used, and `soft_prompts.trainer` makes new prompts.
"""

from __future__ import annotations

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
        from .hosts import hf

        return getattr(hf, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
