"""`look(config, weights)`, `write(prompt)`: PEFT's folder of `adapter_config.json` and `adapter_model.safetensors`."""

from __future__ import annotations

import io
from typing import Any, BinaryIO

from ..container import pack
from ..errors import InvalidFile
from ..prompt import SoftPrompt
from . import plain, states, torchfile
from .archive import Archive
from .foreign import of_adapter
from .jsons import decoded, encoded, table
from .metadata import texts
from .numbers import Found

CONFIG = "adapter_config.json"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
"""The first of them that is there is what PEFT takes, too."""

LARGEST_CONFIG = 1 << 16


def look(config: bytes, weights: BinaryIO) -> Found:
    """What the two files of a folder say; raises InvalidFile where it is another kind of adapter."""
    said = configured(config)
    found = _weights(weights)
    for key, size in zip(("num_virtual_tokens", "token_dim"), found.shape, strict=True):
        if said.get(key) not in (None, size):
            raise InvalidFile(
                f"its {CONFIG} says {str(said[key])[:20]} for {key}, its vectors are {size}: made by a faulty tool"
            )
    return Found(found.shape, found.load, {**_base(said.get("base_model_name_or_path")), **found.metadata})


def configured(config: bytes) -> dict[str, Any]:
    """The configuration of prompt tuning; raises InvalidFile for every other kind, and for two prompts in one."""
    said = table(decoded(config, LARGEST_CONFIG))
    if reason := of_adapter(said):
        raise InvalidFile(reason)
    if said.get("num_transformer_submodules") not in (None, 1):
        raise InvalidFile("it has a prompt for the encoder and one for the decoder of a model: only one can be used")
    return said


def write(prompt: SoftPrompt) -> dict[str, bytes]:
    """{file name: bytes} of the folder; all that is said of the prompt goes into the header of the vectors."""
    said = {key: value for key, value in prompt.metadata.items() if key != "format"}
    weights = pack({plain.PEFT: prompt.vectors}, {**said, "name": prompt.name, "format": "pt"})
    return {CONFIG: encoded(_config(prompt)), WEIGHTS[0]: weights}


def _config(prompt: SoftPrompt) -> dict[str, Any]:
    return {
        "base_model_name_or_path": prompt.metadata.get("base_model"),
        "inference_mode": True,
        "num_transformer_submodules": 1,
        "num_virtual_tokens": len(prompt),
        "peft_type": "PROMPT_TUNING",
        "prompt_tuning_init": "RANDOM",
        "task_type": "CAUSAL_LM",
        "token_dim": prompt.width,
    }


def _base(model: Any) -> dict[str, str]:
    """The model as we note it: an id stays, and of a path the last part."""
    if not isinstance(model, str):
        return {}
    path = model.replace("\\", "/").rstrip("/")
    local = path.startswith(("/", ".", "~")) or path[1:2] == ":" or path.count("/") > 1
    return texts({"base_model": path.rpartition("/")[2] if local else path})


def _weights(file: BinaryIO) -> Found:
    start = file.read(len(torchfile.MAGIC))
    file.seek(0)
    if start.startswith(b"PK"):
        return states.found(torchfile.opened_zip(Archive(file)))
    return states.found(torchfile.opened(file)) if start == torchfile.MAGIC else plain.look(file)


def read(config: bytes, weights: bytes, name: str) -> SoftPrompt:
    """The soft prompt of the folder's two files."""
    return look(config, io.BytesIO(weights)).prompt(name)
