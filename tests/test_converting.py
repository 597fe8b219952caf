"""`soft-prompts convert`: from any kind to any other, never over what is there, and with a word on what is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.cli import main
from soft_prompts.converting import convert
from soft_prompts.errors import InvalidFile

NOIR = SoftPrompt("noir", [[0.5, -1.25], [3.0, 0.0]], [[0.0, 0.0], [1.0, 1.0]], {"author": "Ann"})


def run(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    status = main(["convert", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("target", ["new.zip", "new.json", "new.npy", "new", "deep/new.safetensors"])
def test_there_and_back(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NOIR.save(tmp_path / "noir.safetensors")
    there, back = tmp_path / target, tmp_path / "back.safetensors"
    status, out, _ = run(capsys, tmp_path / "noir.safetensors", there)
    assert status == 0 and "2 tokens, 2 wide" in out
    assert ("what strength 0 means (origin)" in out) == (there.suffix != ".safetensors")
    assert run(capsys, there, back)[0] == 0
    found = soft_prompts.load(back)
    assert (found.vectors == NOIR.vectors).all()
    assert dict(found.metadata) == ({} if target.endswith("npy") else {"author": "Ann"})


def test_a_name_of_the_library_and_a_kind_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NOIR.save(tmp_path / "dark" / "noir.safetensors")
    words = ["dark/noir", tmp_path / "v1.2", "--to", "peft", "--folder", tmp_path, "--json"]
    status, out, _ = run(capsys, *words)
    facts = json.loads(out)
    assert status == 0 and (facts["kind"], facts["name"], facts["tokens"], facts["width"]) == (
        "peft",
        "dark/noir",
        2,
        2,
    )
    assert sorted(path.name for path in (tmp_path / "v1.2").iterdir()) == sorted(
        Path(each).name for each in facts["files"]
    )
    assert facts["left_behind"] == ["what strength 0 means (origin)"]


def test_into_a_folder_that_is_there(tmp_path: Path) -> None:
    kind, files = convert(NOIR, tmp_path, "kobold")
    assert (kind, files) == ("kobold", [tmp_path / "noir.zip"])
    # A library is no folder of PEFT's.
    for write in (convert, SoftPrompt.to_file):
        with pytest.raises(InvalidFile, match="is a folder with other things in it: name the file"):
            write(NOIR, tmp_path)  # type: ignore[operator]
    assert [each.name for each in tmp_path.iterdir()] == ["noir.zip"]
    NOIR.to_file(tmp_path / "new")
    (tmp_path / "new" / "README.md").write_text("Mine.")
    NOIR.to_file(tmp_path / "new")
    assert soft_prompts.load(tmp_path / "new").name == "new"


def test_nothing_is_written_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "noir.safetensors"
    NOIR.save(source)
    for target in (tmp_path / "new.zip", tmp_path / "new"):
        assert run(capsys, source, target)[0] == 0
        status, _, error = run(capsys, source, target)
        assert status == 1 and "already: choose another name, or say --force" in error
        assert run(capsys, source, target, "--force")[0] == 0
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "adapter_model.safetensors").write_bytes(b"mine")
    with pytest.raises(InvalidFile, match="already"):
        convert(NOIR, tmp_path / "part")
    assert [path.name for path in (tmp_path / "part").iterdir()] == ["adapter_model.safetensors"], "neither was written"


def test_what_cannot_be_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    NOIR.save(tmp_path / "noir.safetensors")
    (tmp_path / "note.txt").write_text("The sea is far.")
    for words, message in (
        ((tmp_path / "note.txt", "new.zip"), "is a text, which has vectors only on a model"),
        (
            (tmp_path / "noir.safetensors", tmp_path / "new.gguf"),
            "no kind that is written: .safetensors for a soft prompt",
        ),
        (("none.json", tmp_path / "new.zip", "--folder", tmp_path), "there is no file none.json in"),
    ):
        status, _, error = run(capsys, *words)
        assert status == 1 and message in error
