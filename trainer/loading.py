"""`load(Choice("storyteller/"))`, `load(Choice("model.gguf"))`: a model and its tokenizer, as people ask for them.

Whatever goes wrong is one sentence: Transformers has many errors for one wrong letter.
"""

from __future__ import annotations

import argparse
import logging
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import InvalidFile, SoftPromptError, TrainingError
from .gguf import is_gguf, opened, settle

_HALF = ("float16", "bfloat16")


@dataclass(frozen=True)
class Choice:
    """Which model, and how. dtype: "auto", "float32", ...; bits: 4 or 8 of bitsandbytes; device: as torch says it."""

    model: str
    dtype: str | None = None
    device: str | None = None
    device_map: str | None = None
    bits: int | None = None
    trust_remote_code: bool = False

    @classmethod
    def of(cls, options: argparse.Namespace, name: str) -> Choice:
        """What was typed of how the model `name` is to be loaded."""
        if options.load_in_4bit and options.load_in_8bit:
            raise TrainingError("--load-in-4bit and --load-in-8bit: choose one of them")
        if options.device and options.device_map:
            raise TrainingError("--device and --device-map: choose one of them")
        bits = 4 if options.load_in_4bit else 8 if options.load_in_8bit else None
        return cls(name, options.dtype, options.device, options.device_map, bits, options.trust_remote_code)


def load(choice: Choice) -> tuple[Any, Any, list[str]]:
    """(model, tokenizer, what to know of how they were loaded); raises TrainingError or InvalidFile."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _look(choice.model)
    _hush()
    try:
        device = None if choice.device_map else _device(choice.device)
        gguf = opened(choice) if is_gguf(choice.model) else None
        where, file = (gguf.path.parent, {"gguf_file": gguf.path.name}) if gguf else (choice.model, {})
        tokenizer = AutoTokenizer.from_pretrained(where, trust_remote_code=choice.trust_remote_code, **file)
        model = AutoModelForCausalLM.from_pretrained(where, **_options(choice, device), **file).eval()
        if gguf:
            settle(model, tokenizer, gguf)
        model, notes = _suited(model, choice, device)
        return (model if device is None or choice.bits else model.to(device)), tokenizer, notes
    except torch.OutOfMemoryError:
        raise TrainingError(
            f"the model {choice.model} does not fit into the memory of {device or 'the devices'}: try "
            "--dtype bfloat16, --load-in-4bit, --device-map auto, or a smaller model"
        ) from None
    except SoftPromptError:
        raise
    except Exception as problem:  # a model may bring its own program, and so any error at all
        raise InvalidFile(f"the model {choice.model} cannot be loaded: {_why(choice.model, problem)}") from None


def _hush() -> None:
    """Mutates how Transformers and its hub log: errors alone, and no bar but that of a download, which takes long."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars  # type: ignore[attr-defined]
    from transformers.utils import logging as reports

    unwanted = are_progress_bars_disabled()
    reports.disable_progress_bar()
    if not unwanted:
        enable_progress_bars()
    for name in ("transformers", "huggingface_hub"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _look(name: str) -> None:
    """What is wrong with a name, as far as one sees it without Transformers; raises InvalidFile."""
    path = Path(name)
    if is_gguf(name):
        return
    if path.is_file():
        raise InvalidFile(f"{name} is a file: give the model's folder, the one with config.json in it")
    looks_local = path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or "\\" in name
    if not path.exists() and (looks_local or name.endswith("/")):
        raise InvalidFile(f"there is no folder {name}: check the name of the model's folder")
    if path.is_dir() and not (path / "config.json").is_file():
        raise InvalidFile(
            f"{name} holds no config.json, so it is no model of Transformers: give the model's own folder"
        )


def _device(wanted: str | None) -> Any:
    import torch

    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not wanted:
        from .crowd import Crowd

        return Crowd().device
    if not wanted:
        found = torch.accelerator.current_accelerator() if hasattr(torch, "accelerator") else None
        return (found if found and torch.accelerator.is_available() else None) or torch.device(_older())
    try:
        torch.zeros(1, device=wanted)
        return torch.device(wanted)
    except Exception as problem:  # each backend says it with an error of its own
        raise TrainingError(f"--device {wanted} cannot be used here: {_reason(problem)}") from None


def _older() -> str:
    """The device of a torch that does not say itself which accelerator there is."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def _options(choice: Choice, device: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"dtype": choice.dtype or "auto", "trust_remote_code": choice.trust_remote_code}
    if choice.device_map:
        options["device_map"] = choice.device_map
    if choice.bits:
        if find_spec("bitsandbytes") is None:
            raise TrainingError(f"--load-in-{choice.bits}bit needs bitsandbytes: pip install bitsandbytes")
        options["quantization_config"] = _quantised(choice.bits)
        options.setdefault("device_map", {"": device})
    return options


def _quantised(bits: int) -> Any:
    import torch
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    computes = torch.bfloat16 if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else torch.float16
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=computes)


def _suited(model: Any, choice: Choice, device: Any) -> tuple[Any, list[str]]:
    """A model of half precision in float32 on a processor, which is slow or wrong in the others, if memory allows."""
    import torch

    from .fitting import free

    kind = str(next(model.parameters()).dtype).removeprefix("torch.")
    places = {each.device.type for each in model.parameters()} if device is None else {device.type}
    chosen = choice.dtype not in (None, "auto") or choice.bits
    if chosen or places != {"cpu"} or kind not in _HALF:
        return model, []
    size = 4 * sum(each.numel() for each in model.parameters())
    if 2 * size > free(torch.device("cpu")):
        return model, [f"the model computes in {kind}; float32, which a processor likes better, would fill the memory"]
    return model.float(), []


def _why(name: str, problem: Exception) -> str:
    """Of files that are not found, the second sentence of Transformers says what can be done."""
    if not isinstance(problem, OSError):
        return _reason(problem)
    return _reason(problem, 2) + ("" if Path(name).exists() else f" Nor is there a folder {name} here.")


def _reason(problem: Exception, most: int = 1) -> str:
    """The first lines of an error that may be a page long."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    text = " ".join(lines[:most]) or type(problem).__name__
    return text if len(text) <= 400 else text[:397] + "..."
