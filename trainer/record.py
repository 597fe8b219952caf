"""`identity(...)`, `machine(...)`, `prompt(...)`: what a training writes down of itself, for its state and its file."""

from __future__ import annotations

import datetime
import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import torch

from ..prompt import SoftPrompt
from .checkpoint import State
from .crowd import Crowd
from .initial import Initial
from .lesson import Lesson
from .reader import Reader
from .settings import Settings

_FITTED = ("micro", "recompute")
"""Settings that say how memory is used, and not what is computed."""


def identity(settings: Settings, lesson: Lesson, initial: Initial, model: dict[str, str]) -> dict[str, Any]:
    """What must be the same for a training to go on; model: base_model and fingerprint."""
    fixed = {key: value for key, value in asdict(settings).items() if key not in _FITTED}
    return {"method": lesson.method, "data": lesson.digest, "start": initial.name, "settings": fixed, **model}


def machine(reader: Reader, crowd: Crowd) -> dict[str, Any]:
    """What changes the last digits."""
    return {
        "torch": torch.__version__,
        "transformers": version("transformers"),
        "type": str(next(reader.base.parameters()).dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "device": reader.device.type,
        "processes": crowd.count,
    }


def prompt(name: str, state: State, settings: Settings, lesson: Lesson, more: dict[str, str]) -> SoftPrompt:
    """The best prompt so far with its history; more: scores, and the model it is for."""
    history = {
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "method": lesson.method,
        "settings": json.dumps(asdict(settings)),
        "steps": str(state.done),
        "data": lesson.digest,
    }
    return SoftPrompt(name, state.best.numpy(), state.origin.numpy(), {**history, **more})
