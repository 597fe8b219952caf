"""`python driver.py '{"folder": "...", "kill": "replace 3"}'`: a training in a program of its own, which may be killed.

Prints one line of JSON when it ends. kill: "after SECONDS" of processor time, which pass by the work and not by what
else the machine does, or "write|fsync|replace|teacher NUMBER", the call of that number, in the middle of it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import torch

from soft_prompts.errors import SoftPromptError
from soft_prompts.trainer import Corpus, Distill, Finetune, Keeper, Lore, Training, distill, loop

HERE = Path(__file__).resolve().parent


def families() -> Any:
    spec = importlib.util.spec_from_file_location("families", HERE.parent / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at(moment: float) -> None:
    while time.process_time() < moment:
        time.sleep(0.002)
    die()


def arm(kill: str) -> None:
    """Set the trap; it springs by itself."""
    if not kill:
        return
    what, number = kill.split()
    if what == "after":
        threading.Thread(target=die_at, args=[time.process_time() + float(number)], daemon=True).start()
        return
    left = [int(number)]

    def trapped(original: Any, half: Any = None) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if half is not None:
                    half(*args)
                die()
            return original(*args, **options)

        return call

    if what == "teacher":
        distill.write = trapped(distill.write)
    elif what == "write":
        # Half of the data stands in the temporary file.
        from soft_prompts import container
        from soft_prompts.trainer import checkpoint

        def half(path: Path, data: bytes) -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f".{'ab' * 8}.tmp").write_bytes(data[: len(data) // 2])

        checkpoint.write_atomically = trapped(container.write_atomically, half)
    else:
        setattr(os, what, trapped(getattr(os, what)))


def main(asked: dict[str, Any]) -> dict[str, Any]:
    made = families()
    torch.set_num_threads(1)
    loop.SAVED = asked.get("saved", -1.0)  # after every step
    story = made.TEXT
    task = Distill(Lore(story[:300]), rows=24) if asked.get("task") == "distill" else Finetune(Corpus(story * 6))
    settings = {"tokens": 4, "steps": 40, "batch": 4, "block": 32, "validate": 4, **asked.get("settings", {})}
    keeper = Keeper(asked["folder"], "noir", resume=asked.get("resume", False)) if "folder" in asked else None
    model = made.make_model(asked.get("family", "llama"))
    training = Training(model, made.make_tokenizer("bytes"), task, keeper=keeper, **settings)
    arm(asked.get("kill", ""))
    losses, began = [], time.process_time()
    for step in training:
        losses.append(step.loss)
    seconds = time.process_time() - began
    held_out = training.held_out()
    training.keep(training.prompt("noir"), {})
    state = training.state
    whole = json.dumps([state.history, state.best_step, state.lowest, state.waited]).encode()
    whole += b"".join(each.numpy().tobytes() for each in (state.vectors, state.best, state.first, state.second))
    return {
        "rank": training._engine.crowd.rank,
        "digest": hashlib.sha256(whole).hexdigest(),
        "steps": len(losses),
        "seconds": seconds,
        "losses": losses,
        "first": state.history[0][1],
        "test": held_out.prompt,
        "base": held_out.base,
        "notes": training.notes,
        "first_gradient": gradient(training),
    }


def gradient(training: Training) -> list[float]:
    """Of the first step, before it is clipped."""
    vectors = training.state.origin.clone().requires_grad_(True)
    with training._working():
        found = training._engine.gradient(vectors, training.lesson.terms(1, training.settings))[1]
    return [float(each) for each in found.flatten()]


if __name__ == "__main__":
    try:
        print(json.dumps(main(json.loads(sys.argv[1]))), flush=True)
    except SoftPromptError as problem:
        print(json.dumps({"error": str(problem)}), flush=True)
        sys.exit(3)
