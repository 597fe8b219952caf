"""Two processes train what one trains: the same first gradient, the same losses, one file."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import soft_prompts
from soft_prompts.trainer.claim import Claim

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="gloo is Unix's")]
DRIVER = Path(__file__).with_name("driver.py")


def together(processes: int, asked: dict[str, Any] | list[dict[str, Any]], wanted: bool = True) -> list[dict[str, Any]]:
    """What each process says, by rank; asked may differ between them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(processes):
        crowd = {"WORLD_SIZE": processes, "RANK": rank, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": processes}
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
        known = {name: str(value) for name, value in {**crowd, **place}.items()} if processes > 1 else {}
        mine = asked[rank] if isinstance(asked, list) else asked
        command = [sys.executable, "-I", str(DRIVER), json.dumps(mine)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env={**os.environ, **known}, stdout=pipe, stderr=pipe, text=True))
    told = []
    try:
        for each in started:
            out, problems = each.communicate(timeout=240)
            assert out.strip() or not wanted, problems
            told.append(json.loads(out.splitlines()[-1]) if out.strip() else {"killed": each.returncode})
    finally:
        for each in started:
            each.kill()
            each.wait()
    return told


def agree(one: dict[str, Any], others: list[dict[str, Any]]) -> dict[str, float]:
    """The measured differences, within what is promised."""
    import torch

    assert len({each["digest"] for each in others}) == 1
    assert [each["rank"] for each in others] == list(range(len(others)))
    told = others[0]
    gradient, other = (torch.tensor(each["first_gradient"]) for each in (one, told))
    found = {
        "gradient": float((gradient - other).norm() / gradient.norm()),
        "losses": max(abs(a - b) for a, b in zip(one["losses"][:20], told["losses"][:20], strict=True)),
        "test": abs(one["test"] - told["test"]),
    }
    assert found["gradient"] <= 1e-5 and found["losses"] <= 1e-4 and found["test"] <= 0.005, found
    return found


CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "odd rows, in parts": (2, {"settings": {"batch": 7, "micro": 2}}),
    "fewer rows than processes": (3, {"settings": {"batch": 1, "steps": 20}}),
    "a teacher": (2, {"task": "distill"}),
}


@pytest.mark.parametrize("case", CASES)
def test_more_processes(case: str, tmp_path: Path) -> None:
    processes, asked = CASES[case]
    (alone,) = together(1, asked)
    found = agree(alone, together(processes, {**asked, "folder": str(tmp_path)}))
    print(case, found)
    assert [each.name for each in tmp_path.iterdir()] == ["noir.safetensors"]
    assert soft_prompts.load(tmp_path / "noir.safetensors").metadata["steps"] == str(len(alone["losses"]))


@pytest.mark.parametrize("task", ["finetune", "distill"])
def test_going_on_together(task: str, tmp_path: Path) -> None:
    """The first process is killed; those that went with it are ended, as a launcher does, and all go on."""
    asked = {"task": task, "folder": str(tmp_path / "whole")}
    whole = together(2, asked)
    asked = {"task": task, "folder": str(tmp_path / "killed"), "resume": True}
    ended = together(2, [{**asked, "kill": "replace 9"}, {**asked, "kill": "after 60"}], wanted=False)
    assert "killed" in ended[0]
    again = together(2, asked)
    # The distillation is killed while the teacher writes.
    assert again[0]["steps"] == again[1]["steps"] and (again[0]["steps"] < 40) is (task == "finetune")
    assert {each["digest"] for each in again} == {whole[0]["digest"]}
    assert any("going on from step" in note for note in again[1]["notes"]) is (task == "finetune")


def test_only_the_first_process_needs_the_files(tmp_path: Path) -> None:
    """On another computer there is no checkpoint, and what the first one refuses, all refuse."""
    here, there = tmp_path / "here", tmp_path / "there"
    asked = {"settings": {"steps": 12}, "saved": 1e9}
    together(
        2,
        [{**asked, "folder": str(here), "kill": "replace 5"}, {**asked, "folder": str(there), "kill": "after 9"}],
        False,
    )
    again = together(2, [{**asked, "folder": str(place), "resume": True} for place in (here, there)])
    assert len({each["digest"] for each in again}) == 1
    assert again[0]["steps"] == again[1]["steps"] < 12
    assert not there.exists()
    refused = together(2, [{**asked, "folder": str(place)} for place in (here, there)])
    assert all("noir.safetensors exists already" in each["error"] for each in refused)


def test_a_name_that_is_being_trained_is_refused_by_all(tmp_path: Path) -> None:
    asked = {"settings": {"steps": 4}, "folder": str(tmp_path)}
    with Claim(tmp_path / "noir.training" / "in-use", "noir"):
        refused = together(2, asked)
    assert all("noir is being trained already" in each["error"] for each in refused)
    assert [each["steps"] for each in together(2, asked)] == [4, 4]
