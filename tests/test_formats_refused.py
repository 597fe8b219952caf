"""Files of a kind that is known and of no use are refused with that reason, in a list and when they are opened."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import InvalidFile

from .attacks import build
from .golden import make as golden

T = golden.TENSOR


def zipped(**members: str | bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name.replace("__", "/").replace("_DOT_", "."), data)
    return file.getvalue()


def tensors(**held: Any) -> bytes:
    return safetensors.torch.save({name: each.clone() for name, each in held.items()})


def lora() -> dict[str, Any]:
    return {f"base_model.model.h.{layer}.attn.lora_{part}.weight": T.clone() for layer in range(2) for part in "AB"}


INVERSION = {
    "string_to_token": {"*": 265},
    "string_to_param": {"*": T},
    "name": "cat",
    "step": 9,
    "sd_checkpoint": None,
}
PARAMETERS = {**INVERSION, "string_to_param": torch.nn.ParameterDict({"cat": torch.nn.Parameter(T)})}
MODULE = {"moduleVersion": 1, "name": "noir", "data": "AAAA", "mode": "vanilla", "model": "j-6b-v3"}
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "inversion.pt": (lambda: golden.saved(INVERSION), "textual inversion"),
    "inversion-older.pt": (lambda: golden.saved(PARAMETERS, False), "textual inversion"),
    "inversion.bin": (lambda: golden.saved({"<cat-toy>": T[0]}), "textual inversion"),
    "inversion.safetensors": (lambda: tensors(emb_params=T), "textual inversion"),
    "inversion-large.safetensors": (lambda: tensors(clip_l=T, clip_g=T), "textual inversion"),
    "novel.module": (lambda: json.dumps(MODULE).encode(), "NovelAI module"),
    "novel.json": (lambda: json.dumps(MODULE).encode(), "NovelAI module"),
    "lora.safetensors": (lambda: safetensors.torch.save(lora()), "it is a LoRA"),
    "lora.bin": (lambda: golden.saved(lora()), "it is a LoRA"),
    "model.bin": (lambda: golden.saved(golden.small_model().state_dict()), r"whole model.*\(17 tensors\)"),
    "model.safetensors": (lambda: tensors(**{f"h.{n}.weight": T for n in range(9)}), r"whole model.*\(9 tensors\)"),
    "program.pt": (lambda: script(), "program for torch"),
    "two.pt": (lambda: golden.saved({"a": T, "b": T}), "it holds a, b: a soft prompt is one tensor"),
    "two.json": (lambda: json.dumps([golden.mkultra(T, {})] * 2).encode(), "it holds 2 soft prompts"),
    "none.pt": (lambda: golden.saved({"step": 3}), "it holds no tensor at all"),
    "list.pt": (lambda: golden.saved([T]), "it holds a list and no tensor"),
    "integers.pt": (lambda: golden.saved(T.long()), "numbers are of type I64"),
    "integers.npy": (lambda: golden.npy(np.ones((2, 3), np.int64)), "numbers are of type '<i8'"),
    "row.npy": (lambda: golden.npy(np.ones(3)), r"shape \(3,\), not \(tokens, width\)"),
    "card.json": (lambda: json.dumps({"spec": "chara_card_v2", "data": {}}).encode(), "character card"),
    "card.zip": (lambda: zipped(card_DOT_json="{}"), "character card"),
    "book.json": (lambda: json.dumps({"entries": {"0": {"key": []}}}).encode(), "lorebook"),
    "facts.json": (lambda: json.dumps([{"call": " a", "response": " b"}]).encode(), "calls and responses"),
    "my_config.json": (lambda: b'{"peft_type": "PROMPT_TUNING"}', "how a PEFT adapter was made"),
    "lora_config.json": (lambda: b'{"peft_type": "LORA"}', "it is a LoRA"),
    "settings.json": (lambda: b'{"on": true}', "JSON without a soft prompt"),
    "pictures.zip": (lambda: zipped(a_DOT_png=b"x"), "a zip file without a soft prompt"),
    "arrays.npz": (lambda: zipped(a_DOT_npy=b"x"), "a zip file without a soft prompt"),
    "bare.bin": (lambda: b"\x80\x04N.", "it is a pickle of Python"),
}


def script() -> bytes:
    """A program that torch saved. Its maker is deprecated, so the members are written by hand."""
    return zipped(program__data_DOT_pkl=b"\x80\x02N.", program__code__it_DOT_py="pass")


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_of_no_use_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    path = tmp_path / name
    path.write_bytes(make())
    with pytest.raises(InvalidFile, match=message) as caught:
        soft_prompts.load(path)
    assert str(caught.value).startswith(str(path))
    (entry,) = Library(tmp_path).entries()
    assert f"{path}: {entry.problem}" == str(caught.value), "a list says the same"


ADAPTERS = {
    "prefix": ({"peft_type": "PREFIX_TUNING"}, "it is prefix tuning"),
    "p-tuning": ({"peft_type": "P_TUNING"}, "it is P-tuning"),
    "lora": ({"peft_type": "LORA"}, "it is a LoRA"),
    "other": ({"peft_type": "IA3"}, "of the kind 'IA3', and only PROMPT_TUNING"),
    "nothing": ({}, "of the kind 'None'"),
    "two": ({"peft_type": "PROMPT_TUNING", "num_transformer_submodules": 2}, "only one can be used"),
    "count": ({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4}, "says 4 for num_virtual_tokens"),
    "width": ({"peft_type": "PROMPT_TUNING", "token_dim": 8}, "says 8 for token_dim, its vectors are 4"),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_other_adapters_are_refused_with_their_reason(kind: str, tmp_path: Path) -> None:
    config, message = ADAPTERS[kind]
    folder = tmp_path / "keeper"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(tensors(prompt_embeddings=T))
    for path in (folder, folder / "adapter_model.safetensors", folder / "adapter_config.json"):
        with pytest.raises(InvalidFile, match=message):
            soft_prompts.load(path)
    (entry,) = Library(tmp_path).entries()
    assert (entry.name, entry.path) == ("keeper", folder) and message.split("'")[0] in entry.problem


def test_a_large_model_is_refused_before_it_is_read(tmp_path: Path) -> None:
    count = 200_000_000
    body = build.program(b"}(" + b"".join(build.text(each) + _large(count) for each in "ab") + b"u")
    path = tmp_path / "model.bin"
    with path.open("wb") as file:
        file.write(build.torch_older(body, count.to_bytes(8, "little")))
        file.truncate(file.tell() + 4 * count)  # which takes no room on a disk
    tracemalloc.start()
    with pytest.raises(InvalidFile, match="it holds a, b: a soft prompt is one tensor"):
        soft_prompts.load(path)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 16 << 20


def _large(count: int) -> bytes:
    return build.tensor((count // 4, 4), held=build.storage(count))


def test_a_folder_without_its_vectors_is_told_to_be_copied_whole(tmp_path: Path) -> None:
    folder = tmp_path / "keeper"
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}')
    assert "no adapter_model.safetensors in this PEFT folder" in Library(tmp_path).entries()[0].problem
    with pytest.raises(InvalidFile, match="keeper: there is no adapter_model.safetensors"):
        soft_prompts.load(folder / "adapter_config.json")
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    assert "it is a LoRA" in Library(tmp_path).entries()[0].problem
    (folder / "adapter_model.bin").write_bytes(b"")
    (folder / "adapter_config.json").write_text('{"peft_type": "PROMPT_TUNING"}')
    assert "of its adapter_model.bin: it is empty" in Library(tmp_path).entries()[0].problem


def test_a_single_file_of_peft_is_read_alone(tmp_path: Path) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(tensors(prompt_embeddings=T))
    assert (soft_prompts.load(tmp_path / "adapter_model.safetensors").vectors == golden.VECTORS).all()


def test_content_goes_before_the_name(tmp_path: Path) -> None:
    made = {"a.pt": golden.kobold, "b.safetensors": golden.npy, "c.json": golden.kobold, "d.zip": golden.npy}
    for name, make in made.items():
        (tmp_path / name).write_bytes(make(golden.VECTORS))
    (tmp_path / "e.npy").write_bytes(golden.mkultra(T, {}).encode())
    SoftPrompt("f", golden.VECTORS).save(tmp_path / "f.safetensors")
    (tmp_path / "f.safetensors").rename(tmp_path / "f.bin")
    library = Library(tmp_path)
    assert list(library) == list("abcdef")
    assert [entry.kind for entry in library.entries()] == ["kobold", "npy", "kobold", "npy", "mkultra", "native"]
    assert all((library[name].vectors == golden.VECTORS).all() for name in library)  # type: ignore[union-attr]
