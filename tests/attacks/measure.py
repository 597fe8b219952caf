"""`measured(name, data, folder)`: how a hostile file fares: listed, then opened; in seconds and bytes of memory."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import soft_prompts
from soft_prompts import Library, SoftPromptError

from . import hostile

SECONDS = 1.0
FREE, TIMES = 64 << 20, 4
"""The stated bound: 64 MiB, and four times the file's size, for its bytes, its numbers and the copy that is kept."""

Trial = tuple[str, str, bytes]
"""(reader, what is tried, the file)."""


@dataclass(frozen=True)
class Outcome:
    """reason: why it was refused; empty where it was taken for a soft prompt. seconds: of processor time, for both.

    memory: at its highest, in bytes.
    """

    reader: str
    name: str
    size: int
    reason: str
    seconds: float
    memory: int

    @property
    def within(self) -> bool:
        """Whether it kept to what is promised."""
        return bool(self.reason) and self.seconds < SECONDS and self.memory < FREE + TIMES * self.size


def trials(readers: Sequence[str] = ()) -> Iterator[Trial]:
    """Every hostile file, and every cut one, made when it is wanted."""
    for reader, attacks in hostile.ATTACKS.items():
        if not readers or reader in readers:
            yield from ((reader, name, make()) for name, make in attacks.items())
    if not readers or "cut" in readers:
        for name in hostile.CUT:
            whole = hostile.build.golden(name)
            yield from (("cut", f"{name} at {place}", whole[:place]) for place in range(0, len(whole), 64))


def measured(trial: Trial, folder: Path) -> Outcome:
    """`folder` holds nothing else, and nothing afterwards."""
    reader, name, data = trial
    path = folder / "trial.bin"
    path.write_bytes(data)
    try:
        began = time.process_time()
        reason = _opened(path)
        seconds = time.process_time() - began
        # Another time with every allocation counted, which takes several times as long.
        tracemalloc.start()
        _opened(path)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    finally:
        path.unlink()
    return Outcome(reader, name, len(data), reason, seconds, memory)


def _opened(path: Path) -> str:
    entries = Library(path.parent).entries()
    assert len(entries) == 1, "the list shows every file"
    try:
        soft_prompts.load(path)
    except SoftPromptError as problem:
        return str(problem)
    return ""
