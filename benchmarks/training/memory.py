"""Memory: what one step needs beyond the resting process, each way in a process of its own. Linux only."""

from __future__ import annotations

import ctypes
import gc
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..common.tables import Section
from . import ours
from .counting import loss
from .rivals import TOKENS, peft_steps
from .subjects import Subject, random_llama

VOCABULARY, ROWS, BLOCK = 128_000, 8, 256
STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def memory(command: Path) -> Section:
    """Extra peak of a step of 8 rows of 256 tokens; `command` is the file that runs `probe`."""
    section = Section("Memory")
    if not REFS.exists():
        section.say("Not measured: this system does not tell a process's peak (Linux does).")
        return section
    found = {name: _probed(command, name) for name in PROBES}
    rows = [(WORDS[name], f"{each / 2**20:,.0f} MB", f"{each / found['ours']:.1f}") for name, each in found.items()]
    section.table(("a step", "extra peak", "times ours"), rows)
    for name in ("plain", "peft"):
        section.most(f"share of the extra peak of {WORDS[name]}", found["ours"] / found[name], 1 / 8)
    section.say(
        f"{random_llama(VOCABULARY).name}, float32; {ROWS} rows of [BOS][{TOKENS} vectors][{BLOCK} tokens]. The "
        "peak of a second step over what the process holds between two steps."
    )
    return section


def probe(name: str) -> None:
    """Print the extra peak of a step, in bytes; one thread."""
    torch.set_num_threads(1)
    print(json.dumps(PROBES[name](random_llama(VOCABULARY))))


def _probed(command: Path, name: str) -> int:
    line = [sys.executable, "-I", str(command), "--probe", name]
    return int(json.loads(subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]))


def _ours(subject: Subject) -> int:
    steps = ours.stepping(subject, 3, ROWS, BLOCK)
    next(steps)
    return _extra(lambda: next(steps))


def _plain(subject: Subject) -> int:
    rows = subject.blocks(BLOCK).train[:ROWS]
    vectors = torch.zeros(TOKENS, subject.model.config.hidden_size).normal_(std=0.02).requires_grad_(True)
    optimizer = torch.optim.AdamW([vectors])

    def step() -> None:
        loss(subject, vectors, rows).backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    return _extra(step)


def _peft(subject: Subject) -> int:
    found = []

    def after(number: int, model: Any) -> None:
        if number == 1:
            _rest()
            found.append(_status("VmRSS"))
        elif number == 2:
            found.append(_status("VmHWM"))

    peft_steps(subject, subject.blocks(BLOCK).train, 2, ROWS, after)
    return found[1] - found[0]


PROBES: dict[str, Callable[[Subject], int]] = {"plain": _plain, "peft": _peft, "ours": _ours}
WORDS = {"plain": "plain cross-entropy", "peft": "Trainer + PEFT", "ours": "ours"}


def _extra(step: Callable[[], Any]) -> int:
    _rest()
    resting = _status("VmRSS")
    step()
    return _status("VmHWM") - resting


def _rest() -> None:
    """Give back what is free, and let the peak begin anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    REFS.write_text("5")


def _status(name: str) -> int:
    """Bytes, of one line of the process's status."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found, name
    return int(found[1]) * 1024
