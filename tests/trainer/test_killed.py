"""A training that is killed at any moment goes on where it was, bit for bit."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import soft_prompts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="nothing there kills a program as SIGKILL does"),
]
DRIVER = Path(__file__).with_name("driver.py")


def drive(asked: dict[str, Any], before: Callable[[], None] | None = None) -> dict[str, Any] | None:
    """What the program says, or None where it was killed."""
    command = [sys.executable, "-I", str(DRIVER), json.dumps(asked)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, preexec_fn=before)
    if ended.returncode == -signal.SIGKILL:
        return None
    assert ended.stdout.strip(), ended.stderr
    told: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return told


def kills(task: str, seconds: float) -> list[str]:
    """seconds: of a processor that the whole run took; no machine, fast or busy, is done before the last moment."""
    generator = random.Random(4)
    first = ["teacher 2", "write 3"] if task == "distill" else ["write 1", "replace 1"]
    timed = [f"after {generator.uniform(0.01, 0.1) * seconds:.3f}" for _ in range(10 if task == "finetune" else 3)]
    return [*first, *timed, "fsync 3", "replace 4", "write 5", "replace 2"]


@pytest.mark.parametrize("task", ["finetune", "distill"])
def test_killed_again_and_again(task: str, tmp_path: Path) -> None:
    settings = {"steps": 150} if task == "finetune" else {"steps": 100, "patience": 100}
    whole = drive({"task": task, "settings": settings, "folder": str(tmp_path / "whole")})
    assert whole is not None and whole["steps"] == settings["steps"]
    folder, killed = tmp_path / "killed", 0
    for kill in kills(task, whole["seconds"]):
        told = drive({"task": task, "settings": settings, "folder": str(folder), "resume": True, "kill": kill})
        if told is not None:
            break
        killed += 1
        # Whatever the moment, what stands in the library is a whole prompt.
        for path in folder.glob("*.safetensors"):
            assert len(soft_prompts.load(path)) == 4
    else:
        told = drive({"task": task, "settings": settings, "folder": str(folder), "resume": True})
    # One of the last moments may come after the last step, in the report: then no step is left to go on with.
    assert killed >= (10 if task == "finetune" else 6)
    assert told is not None and told["steps"] < settings["steps"]
    assert told["digest"] == whole["digest"]
    assert told["test"] == whole["test"]
    one, other = (soft_prompts.load(each / "noir.safetensors") for each in (folder, tmp_path / "whole"))
    assert one == other
    assert [each.name for each in folder.iterdir()] == ["noir.safetensors"]


def test_files_that_may_not_grow(tmp_path: Path) -> None:
    """A quota or a full disk: the training says so, and what was there is whole."""
    whole = drive({"folder": str(tmp_path), "settings": {"steps": 8}})
    assert whole is not None
    before = (tmp_path / "noir.safetensors").read_bytes()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    told = drive({"folder": str(tmp_path), "resume": True}, limit)
    assert told is not None and "exists already" in told["error"]
    other = tmp_path / "other"
    told = drive({"folder": str(other)}, limit)
    assert told is not None and "cannot be written: File too large; nothing was changed" in told["error"]
    assert (tmp_path / "noir.safetensors").read_bytes() == before
    assert not [each for each in other.rglob("*") if each.is_file()]
