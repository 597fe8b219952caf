"""The commands: readable for people, JSON for programs, one line and status 1 for an error."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt, demo
from soft_prompts.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    facts = {"author": "Ann", "base_model": "storyteller", "fingerprint": "long" * 99}
    SoftPrompt("x", np.ones((3, 4)), metadata=facts).save(tmp_path / "noir.safetensors")
    (tmp_path / "note.txt").write_text("The sea is far.")
    (tmp_path / "note.safetensors").mkdir()
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    status = main([str(each) for each in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "list", "--folder", folder)
    assert status == 0
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "name tokens width made for remark",
        "cut it is cut short, to 2 bytes: copy or download it again",
        "noir 3 4 storyteller",
        "note any model",
        "note it is a folder, not a file: rename it, or put prompts into it",
    ]
    _, out, _ = run(capsys, "list", "--folder", folder, "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert [(each["name"], each["tokens"], bool(each["problem"])) for each in records] == [
        ("cut", 0, True),
        ("noir", 3, False),
        ("note", 0, False),
        ("note", 0, True),
    ]
    _, out, _ = run(capsys, "list", "--folder", folder / "none")
    assert "holds no soft prompts yet" in out


def test_show(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("noir", folder / "noir.safetensors"):
        status, out, _ = run(capsys, "show", name, "--folder", folder, "--json")
        facts = json.loads(out)
        assert status == 0
        assert (facts["name"], facts["tokens"], facts["author"]) == ("noir", "3", "Ann")
        assert "fingerprint" not in facts
    assert "The sea is far." in run(capsys, "show", "note", "--folder", folder)[1]
    assert "The sea is far." in run(capsys, "show", folder / "note.txt")[1]


def test_errors_are_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("show", "nor"), "no soft prompt 'nor' in .*did you mean 'noir'"),
        (("show", folder / "cut.safetensors"), "cut short"),
        (("show", "cut"), "cut short"),
        (("try", "noir", "x", "--model", folder / "none"), "there is no folder .*none"),
        (("try", "nor"), "did you mean 'noir'"),
        (("try", "nobody", "--model", folder / "none"), "no soft prompt 'nobody'"),
        (("try", "books/noir.safetensors"), "did you mean 'noir'"),
        (("try", "noir"), "4 wide, but this model embeds tokens"),
        (("try", "note", "--strength", "9"), "between -4 and 4"),
        (("try", "note", "--strength", "nan"), "between -4 and 4"),
        (("try", "noir:0.5"), "a name and a strength: here they are said apart, noir --strength 0.5"),
        (("show", "none.zip"), "there is no file none.zip in .*, and no soft prompt 'none'"),
        (("try", "noir?"), "cannot name a soft prompt.*`soft-prompts list` shows"),
    ):
        status, out, err = run(capsys, *arguments, "--folder", folder)
        assert (status, out) == (1, "")
        assert err.startswith("soft-prompts: ")
        assert re.search(message, err)
        assert "Traceback" not in err


def test_a_word_that_nobody_knows_is_told_of_by_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        ("train finetune x --stpes 5", "finetune: error: unrecognized arguments: --stpes 5; did you mean --steps?"),
        ("train finetune x --quite-else", "unrecognized arguments: --quite-else"),
        ("train world-info x --rows 4", "train world-info: error: unrecognized arguments: --rows 4"),
        ("try noir Once upon a time", "try: error: unrecognized arguments: upon a time; put quotes around"),
        ("trian finetune x", "soft-prompts: error: argument COMMAND: invalid choice: 'trian'"),
        ("train", "soft-prompts train --help lists all"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        err = capsys.readouterr().err
        assert ended.value.code == 2
        assert message in err and "--help lists all that it takes\n" in err


def test_try_shows_both(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("try", "note", "The door opened", "--folder", folder, "--tokens", "12", "--model", demo.path())
    status, out, _ = run(capsys, *arguments)
    assert status == 0
    assert "without" in out
    assert "with <<sp:note>>" in out
    assert out.count("The door opened") == 2
    assert run(capsys, *arguments)[1] == out
    assert run(capsys, *arguments, "--seed", "7")[1] != out


def test_nothing_but_numpy_is_needed_to_list(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    for name in ("torch", "transformers"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run(capsys, "list", "--folder", folder)[0] == 0
    assert run(capsys, "show", "noir", "--folder", folder)[0] == 0
