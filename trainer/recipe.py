"""`words_of("finetune", "noir", sources, settings)`, `options_of(words)`: a plan in the words of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..errors import TrainingError
from .options import Parser, add_train

FILES = ("held-out", "lore", "questions")
"""Settings that are files, and are kept with the sources."""
SETTINGS = (
    "tokens", "steps", "preview-every", "opening", "start", "from", "seed", "rate", "batch", "block", "micro",
    "validate", "patience", "recompute", "keep", "rows", "dtype", *FILES,
)  # fmt: skip
"""What a plan may say; which model, where, and whose program is run with it, is for nobody's file to say."""
EVERY = "50"
"""Steps between two previews, where nothing is said."""


def words_of(kind: str, name: str, sources: Sequence[Path], settings: Mapping[str, str]) -> tuple[str, ...]:
    """As `soft-prompts train` takes them; raises TrainingError where a setting is none, or has a value that is none."""
    given = {"preview-every": EVERY, **{key: value.strip() for key, value in settings.items() if value.strip()}}
    if unknown := [key for key in given if key not in SETTINGS]:
        raise TrainingError(f"there is no setting {unknown[0]!r}: settings are {', '.join(SETTINGS)}")
    words = [kind, *map(str, sources), f"--name={name}"]
    for key, value in given.items():
        words.append(_flag(value) if key == "recompute" else f"--{key}={value}")
    options_of(words)
    return tuple(words)


def options_of(words: Sequence[str], *more: str) -> argparse.Namespace:
    """What these words mean; raises TrainingError."""
    whole = _Quiet(prog="soft-prompts")
    add_train(whole.add_subparsers(), lambda options: None)
    typed = ["train", *words, *more]
    options = whole.parse_args(typed)
    options.words = typed
    return options


def settings_in(options: argparse.Namespace) -> dict[str, str]:
    """What was said of a plan's settings, as text."""
    found: dict[str, Any] = {
        key: getattr(options, "go_on" if key == "from" else key.replace("-", "_"), None) for key in SETTINGS
    }
    return {key: str(value) for key, value in found.items() if value is not None}


def _flag(value: str) -> str:
    return "--no-recompute" if value.lower() in ("false", "no", "off", "0") else "--recompute"


class _Quiet(Parser):
    """Whose errors are for a page."""

    def error(self, message: str) -> NoReturn:
        raise TrainingError(message.removeprefix("argument ").replace("--", "", 1))
