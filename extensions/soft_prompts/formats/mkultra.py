"""`look(file)`, `write(prompt)`: the `.json` of mkultra and of prompt-tuner, alone or as a text in other JSON.

Its tensor is a pickle of torch in base64, which only the closed reader ever sees.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from ..errors import InvalidFile
from ..prompt import SoftPrompt
from .foreign import of_json
from .jsons import decoded, table
from .metadata import created, epoch, number, texts
from .numbers import Found
from .stubs import Tensor
from .torchfile import MAGIC, bare

LARGEST = 1 << 26
"""Bytes of JSON: 1,500 tokens 8,192 wide. A list has to read all of it."""

_NUMBERS = {"steps": "step", "loss": "loss"}


def look(file: BinaryIO) -> Found:
    """What the file says; all of it is read, since the shape stands at the end."""
    total = file.seek(0, 2)
    file.seek(0)
    # A file is not asked for more than it has: Python would make room for all that was asked.
    return found(decoded(file.read(min(total, LARGEST + 1)), LARGEST))


def found(value: Any) -> Found:
    """The one soft prompt in what JSON says; raises InvalidFile that says what else it is."""
    prompts = list(_within(value, 2))
    if len(prompts) > 1:
        raise InvalidFile(f"it holds {len(prompts)} soft prompts: save each of them as a file of its own")
    if not prompts:
        raise InvalidFile(of_json(value) or "it is JSON without a soft prompt in it")
    try:
        tensor = bare(base64.b64decode(prompts[0]["tensor"], validate=True))
    except ValueError:
        raise InvalidFile("its tensor is no base64: copy or download it again") from None
    if not isinstance(tensor, Tensor):
        raise InvalidFile("its pickle holds something else than a tensor: made by a faulty tool")
    return Found(tensor.table(), tensor.load, _said(table(prompts[0].get("metadata") or {})))


def write(prompt: SoftPrompt) -> bytes:
    """What mkultra's `SoftPrompt.from_file` reads: a tensor (1, tokens, width) and all that is said of the prompt."""
    metadata: dict[str, Any] = {"name": prompt.name, **prompt.metadata}
    # What is missing of its own keys mkultra makes up when it reads the file.
    if (when := epoch(metadata.get("created", ""))) is not None:
        metadata["epoch"] = when
        del metadata["created"]
    for ours, theirs in _NUMBERS.items():
        if ours in metadata:
            metadata[theirs] = number(metadata.pop(ours))
    tensor = base64.b64encode(_pickle(prompt)).decode()
    return json.dumps({"metadata": metadata, "tensor": tensor}).encode()


def _within(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """The soft prompts in a JSON value, also in texts that are JSON themselves, down to that depth of texts."""
    if isinstance(value, dict) and isinstance(value.get("tensor"), str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _within(each, depth)
    elif depth and isinstance(value, str) and value.lstrip()[:1] in ("{", "[") and '"tensor' in value.replace("\\", ""):
        yield from _within(decoded(value.encode("utf-8", "replace"), LARGEST), depth - 1)


def _said(metadata: dict[str, Any]) -> dict[str, str]:
    said = {key: value for key, value in metadata.items() if key != "epoch"}
    if when := created(metadata.get("epoch")):
        said["created"] = when
    if "step" in said:
        said["steps"] = said.pop("step")
    return texts(said)


# ---- the pickle that torch would write, put together by hand


def _pickle(prompt: SoftPrompt) -> bytes:
    tokens, width = prompt.vectors.shape
    storage = _named("torch.storage", "_load_from_bytes") + _storage(prompt) + b"\x85R"
    sizes = b"".join(map(_int, (1, tokens, width))) + b"\x87"
    strides = b"".join(map(_int, (tokens * width, width, 1))) + b"\x87"
    hooks = _named("collections", "OrderedDict") + b")R"
    arguments = b"(" + storage + _int(0) + sizes + strides + b"\x89" + hooks + b"t"
    return b"\x80\x04" + _named("torch._utils", "_rebuild_tensor_v2") + arguments + b"R."


def _storage(prompt: SoftPrompt) -> bytes:
    """An instruction with the bytes of torch's older container in it, which holds the numbers."""
    count = prompt.vectors.size
    machine = b"}(" + _text("protocol_version") + b"M\xe9\x03" + _text("little_endian") + b"\x88" + b"u."
    number = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text("0") + _text("cpu") + _int(count) + b"NtQ."
    head = MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02" + machine + b"\x80\x02" + number + b"\x80\x02](" + _text("0")
    data = head + b"e." + count.to_bytes(8, "little") + prompt.vectors.astype("<f4").tobytes()
    return b"B" + len(data).to_bytes(4, "little") + data


def _named(module: str, name: str) -> bytes:
    return b"".join(b"\x8c" + bytes([len(each)]) + each.encode() for each in (module, name)) + b"\x93"


def _text(text: str) -> bytes:
    return b"X" + len(text).to_bytes(4, "little") + text.encode()


def _int(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)
