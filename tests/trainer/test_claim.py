"""Two trainings of one name: the second is told who has it, and nothing of the first is touched."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import soft_prompts
from soft_prompts.errors import InvalidFile, TrainingError
from soft_prompts.trainer import Corpus, Finetune, Keeper, Training, claim
from soft_prompts.trainer.claim import Claim

OTHER = """
import sys
from pathlib import Path
from soft_prompts.trainer.claim import Claim

with Claim(Path(sys.argv[1]), "noir"):
    print("taken", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def begin(model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any], tmp_path: Path) -> Callable[..., Training]:
    def get(name: str = "noir", **options: Any) -> Training:
        return Training(model, tokenizer, Finetune(text), keeper=Keeper(tmp_path, name, **options), **small)

    return get


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that has the name "noir", until its standard input ends."""
    command = [sys.executable, "-I", "-c", OTHER, str(tmp_path / "noir.training" / "in-use")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None and program.stdout.readline() == "taken\n"
        yield program
        program.kill()


def files(folder: Path) -> dict[str, bytes]:
    """All but who is at work."""
    found = [each for each in folder.rglob("*") if each.is_file() and each.name != "in-use"]
    return {str(each.relative_to(folder)): each.read_bytes() for each in found}


def test_the_second_training_of_a_name_is_refused(begin: Callable[..., Training], tmp_path: Path) -> None:
    first = iter(begin())
    for _ in range(4):
        next(first)
    before = files(tmp_path)
    assert set(before) == {"noir.safetensors", "noir.training/training.state"}
    for options in ({}, {"resume": True}, {"overwrite": True}):
        with pytest.raises(TrainingError, match="noir is being trained already, by this program itself .*in-use"):
            next(iter(begin(**options)))
    assert files(tmp_path) == before
    next(iter(begin("other")))
    assert [step.number for step in first] == list(range(5, 13))
    assert not (tmp_path / "noir.training" / "in-use").exists()


def test_a_training_that_was_left_can_be_gone_on_with(begin: Callable[..., Training]) -> None:
    training = begin()
    for step in training:
        if step.number == 4:
            break
    assert [step.number for step in begin(resume=True)] == list(range(5, 13))


@pytest.mark.parametrize("write", ["checkpoint", "keep"])
def test_what_was_left_does_not_write_over_another_one(write: str, begin: Callable[..., Training]) -> None:
    left = begin()
    for step in left:
        if step.number == 4:
            break
    steps = iter(begin(resume=True))
    next(steps)
    with pytest.raises(TrainingError, match="is being trained already"):
        left.checkpoint() if write == "checkpoint" else left.keep(left.prompt("noir"), {})
    assert [step.number for step in steps] == list(range(6, 13))


def test_another_program_is_named_until_it_is_killed(
    begin: Callable[..., Training], other: subprocess.Popen[str], tmp_path: Path
) -> None:
    told = rf"by process {other.pid} on .*, since \d{{4}}-.* \(.*in-use\): wait until that ends, end it, or choose"
    with pytest.raises(TrainingError, match=told):
        next(iter(begin()))
    other.kill()
    other.wait()
    assert (tmp_path / "noir.training" / "in-use").is_file(), "this is what a killed program leaves"
    training = begin()
    for _ in training:
        pass
    training.keep(training.prompt("noir"), {})
    assert [each.name for each in tmp_path.iterdir()] == ["noir.safetensors"]


def test_nothing_is_left_of_a_training_that_did_not_begin(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path / "new", "people/emma")
    with keeper._claim, keeper._claim:
        assert (tmp_path / "new" / "people" / "emma.training" / "in-use").is_file()
    assert list(tmp_path.iterdir()) == []
    keeper._claim.drop()
    (tmp_path / "new").mkdir()
    with keeper._claim:
        pass
    assert [each.name for each in tmp_path.rglob("*")] == ["new"], "a folder that was there stays"


def test_only_one_has_it_at_any_moment(tmp_path: Path) -> None:
    """Files and folders come and go while others open them."""
    inside, most, entered = [0], [0], [0]
    until = time.monotonic() + 1.5

    def worker() -> None:
        mine = Claim(tmp_path / "noir.training" / "in-use", "noir")
        while time.monotonic() < until:
            try:
                with mine:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0)
                    inside[0] -= 1
                    entered[0] += 1
            except TrainingError:
                time.sleep(0)

    workers = [threading.Thread(target=worker) for _ in range(4)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert most == [1] and entered[0] > 20
    assert list(tmp_path.iterdir()) == []


def test_a_drive_without_locks_keeps_nobody_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(file: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(claim, "_lock", unknown)
    one, other = (Claim(tmp_path / "noir.training" / "in-use", "noir") for _ in range(2))
    with one, other:
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="files are known there by other means")
def test_a_drive_on_which_no_file_looks_like_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda one, other: False)
    with Claim(tmp_path / "in-use", "noir"), pytest.raises(TrainingError):
        Claim(tmp_path / "in-use", "noir").take()


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(InvalidFile, match="in-use cannot be written: No space left on device; nothing was changed"):
        Keeper(tmp_path / "new", "noir")._claim.take()
    assert list(tmp_path.iterdir()) == []


def test_the_library_sees_nothing_of_it(begin: Callable[..., Training], tmp_path: Path) -> None:
    steps = iter(begin())
    for _ in range(4):
        next(steps)
    assert (tmp_path / "noir.training" / "in-use").is_file()
    assert list(soft_prompts.Library(tmp_path)) == ["noir"]


def test_who_has_it_may_be_unknown(tmp_path: Path) -> None:
    path = tmp_path / "in-use"
    with Claim(path, "noir"):
        path.write_bytes(b"\0\xff\n  ")
        with pytest.raises(TrainingError, match=re.escape(f"by \0\ufffd ({path})")):
            Claim(path, "noir").take()
        path.write_bytes(b"")
        with pytest.raises(TrainingError, match=re.escape(f"by another program ({path})")):
            Claim(path, "noir").take()
