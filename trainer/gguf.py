"""`opened(Choice("model.gguf"))`: the file of a llama.cpp model, as one that Transformers can train on.

Transformers takes the weights out of a GGUF file, dequantised: they are the same numbers that llama.cpp computes with,
and need the memory of a model that was never quantised.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import TrainingError
from ..hosts.llamacpp.model import GgufModel

if TYPE_CHECKING:
    from .loading import Choice

_HALVES = ("float16", "bfloat16")
_SHARE = 0.9
"""Of the free memory that the weights may fill: the training needs some, too."""


def is_gguf(name: str) -> bool:
    """Whether a model's name is that of a GGUF file."""
    return Path(name).suffix.lower() == ".gguf"


def opened(choice: Choice) -> GgufModel:
    """The file, once it is known to have room; raises InvalidFile, UnsupportedModel or TrainingError."""
    model = GgufModel.open(choice.model)
    if model.parts > 1:
        raise TrainingError(
            f"{model.path.name} is one of {model.parts} parts, and Transformers reads GGUF models of one file only: "
            "join them (llama.cpp's llama-gguf-split --merge), or give the folder of the model that it was made from"
        )
    if choice.bits:
        raise TrainingError("--load-in-4bit and --load-in-8bit are for models of Transformers: a GGUF is read as it is")
    if choice.device_map is None and not _is_elsewhere(choice):
        _check_room(model, choice)
    return model


def settle(model: Any, tokenizer: Any, file: GgufModel) -> None:
    """Mutates both: the model's name, and whether a BOS stands before a text, as llama.cpp does it with this file."""
    model.config._name_or_path = file.path.stem
    sentencepiece = file.values.get("tokenizer.ggml.model") == "llama"
    wanted = bool(file.values.get("tokenizer.ggml.add_bos_token", sentencepiece))
    if hasattr(tokenizer, "add_bos_token") and tokenizer.bos_token_id is not None:
        tokenizer.add_bos_token = wanted


def _is_elsewhere(choice: Choice) -> bool:
    """Whether the weights go to another memory than the processor's; they come through that one, too, but in parts."""
    import torch

    if choice.device:
        return torch.device(choice.device).type != "cpu"
    return bool(hasattr(torch, "accelerator") and torch.accelerator.is_available())


def _check_room(model: GgufModel, choice: Choice) -> None:
    import torch

    from .fitting import free

    count = model.weights
    kind = choice.dtype if choice.dtype in _HALVES else "float32"
    needed, there = count * (2 if kind in _HALVES else 4), free(torch.device("cpu"))
    if needed > _SHARE * there:
        raise TrainingError(
            f"{model.path.name} has {count / 1e9:.1f} billion weights, which are {needed / 1e9:.0f} GB in {kind}, and "
            f"{there / 1e9:.0f} GB are free: "
            + ("close other programs" if kind in _HALVES else "--dtype bfloat16 needs half of it; close other programs")
            + ", or take a smaller model"
        )
