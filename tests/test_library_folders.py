"""PEFT folders in a library: each is one prompt; and which of several tools' files is taken."""

from __future__ import annotations

import os
import time
from pathlib import Path, PurePath

import numpy as np

import soft_prompts
from soft_prompts import Library, SoftPrompt, formats


def adapter(folder: Path, fill: float = 1.0) -> Path:
    for name, data in formats.write_as("peft", SoftPrompt("x", np.full((2, 4), fill))).items():
        path = folder / PurePath(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def test_a_peft_folder_is_one_prompt_named_after_it(tmp_path: Path) -> None:
    library = Library(tmp_path)
    adapter(tmp_path / "people" / "emma")
    adapter(tmp_path / "people" / "emma" / "checkpoint-2")
    adapter(tmp_path / "people" / "emma@llama")
    adapter(tmp_path / "v1.2 of noir")
    assert sorted((entry.name, entry.variant, entry.path.name) for entry in library.entries()) == [
        ("people/emma", "", "emma"),
        ("people/emma", "llama", "emma@llama"),
        ("v1.2 of noir", "", "v1.2 of noir"),
    ]
    assert {entry.kind for entry in library.entries()} == {"peft"}
    assert len(library.variants("people/emma")) == 2 and "people/emma/checkpoint-2" not in library
    assert isinstance(Library(tmp_path)["people/emma"], SoftPrompt), "also before anything was listed"
    (tmp_path / "people" / "emma" / "adapter_config.json").unlink()
    assert "people/emma/adapter_model" in library, "what is no PEFT folder is a folder"


def test_a_peft_folder_whose_file_was_written_anew_is_read_again(tmp_path: Path) -> None:
    library = Library(tmp_path)
    folder = adapter(tmp_path / "noir")
    long_ago = time.time() - 1000
    for path in (*folder.iterdir(), folder):
        os.utime(path, (long_ago, long_ago))
    before = library["noir"]
    assert library["noir"] is before
    weights = folder / "adapter_model.safetensors"
    changed = formats.write_as("peft", SoftPrompt("x", np.full((2, 4), 3.0)))["x/adapter_model.safetensors"]
    with weights.open("r+b") as file:  # in its place: the folder does not notice
        file.write(changed)
    assert library["noir"] != before
    assert library.refresh()[0].problem == ""


def test_the_library_itself_is_no_peft_folder(tmp_path: Path) -> None:
    adapter(tmp_path)
    assert [(entry.name, bool(entry.problem)) for entry in Library(tmp_path).entries()] == [
        ("adapter_config", True),
        ("adapter_model", False),
    ]


def test_native_goes_before_what_is_newer(tmp_path: Path) -> None:
    native = tmp_path / "noir.safetensors"
    SoftPrompt("noir", np.ones((2, 4))).save(native)
    os.utime(native, (1, 1))
    (tmp_path / "noir.npy").write_bytes(formats.write_as("npy", SoftPrompt("x", np.full((2, 4), 3.0)))["x.npy"])
    adapter(tmp_path / "noir")
    library = Library(tmp_path)
    first, *others = library.entries()
    assert (first.kind, first.shadowed_by) == ("native", "")
    assert {(entry.kind, entry.shadowed_by) for entry in others} == {("npy", native.name), ("peft", native.name)}
    assert library["noir"] == soft_prompts.load(native)
