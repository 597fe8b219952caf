"""`found(value)`: which tensor of what `torch.save` wrote is a soft prompt: alone, PEFT's, or in a training state."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidFile
from .foreign import INVERSION
from .metadata import texts
from .numbers import Found
from .plain import chosen
from .stubs import Tensor

_STATE = "Training state of KoboldAI, whose tuner may have left the prompt as it was at the beginning."


def found(value: Any) -> Found:
    """The one in `value`, which torchfile.opened gives; raises InvalidFile that says what else the file is."""
    if isinstance(value, Tensor):
        return _of(value)
    if not isinstance(value, dict):
        raise InvalidFile(f"it holds a {type(value).__name__} and no tensor: it is no soft prompt")
    if isinstance(value.get("tensor"), Tensor) and {"step", "loss"} <= set(value):
        return _of(value["tensor"], {"description": _STATE, **progress(value["step"], value["loss"])}, "mkusp")
    if "string_to_param" in value:
        raise InvalidFile(INVERSION)
    inner = [each for each in value.values() if isinstance(each, dict)]
    if len(inner) == 1 and not any(isinstance(each, Tensor) for each in value.values()):
        value = inner[0]  # {"state_dict": {...}} is usual
    tensors = {str(name): each for name, each in value.items() if isinstance(each, Tensor)}
    return _of(tensors[chosen(list(tensors))])


def progress(step: Any, loss: Any) -> dict[str, str]:
    """How far a training was, as our metadata says it."""
    numbers = {"steps": step, "loss": loss}
    return texts({key: value for key, value in numbers.items() if type(value) in (int, float) and abs(value) < 1e15})


def _of(tensor: Tensor, metadata: dict[str, str] | None = None, kind: str = "torch") -> Found:
    return Found(tensor.table(), tensor.load, metadata or {}, kind)
