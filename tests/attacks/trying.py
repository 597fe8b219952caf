"""`tried("numpy", 2_000)`: how many inputs a reader took, refused, broke at, or stood still at."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from soft_prompts import SoftPrompt, SoftPromptError
from soft_prompts.formats import WRITABLE, read, write_as
from soft_prompts.formats.peft import read as read_adapter
from soft_prompts.prompt import Prompt

from . import fuzz
from .measure import FREE, SECONDS, TIMES

T = TypeVar("T")


@dataclass
class Tried:
    """faults: crashes, hangs and overruns, each with the input's number. seconds, memory: the most of one input."""

    reader: str
    inputs: int = 0
    taken: int = 0
    refused: int = 0
    seconds: float = 0.0
    memory: int = 0
    faults: list[str] = field(default_factory=list)


def tried(reader: str, count: int, seed: int = 0) -> Tried:
    """So many inputs, each with every allocation counted."""
    found = Tried(reader)
    made = fuzz.inputs(reader, seed)
    for _ in range(count):
        _try(next(made), found)
    return found


def again(prompt: SoftPrompt, number: int) -> object:
    """What was taken, written as some other kind and read again."""
    files = write_as(tuple(WRITABLE)[number % len(WRITABLE)], prompt)
    if len(files) > 1:
        return read_adapter(*files.values(), "x")
    return read(*files.values(), "x", ".bin")


def _try(data: bytes, found: Tried) -> None:
    number = found.inputs
    prompt = within(found, len(data), lambda: read(data, "x", ".bin"))
    if prompt is not None and not _lasts(prompt, number):
        found.faults.append(f"{number}: it is another one when it was written and read again")


def within(found: Tried, size: int, use: Callable[[], T]) -> T | None:
    """What is made of one input of so many bytes; None where it is refused, for which only errors of ours will do."""
    number, found.inputs = found.inputs, found.inputs + 1
    made, began = None, time.process_time()
    tracemalloc.start()
    try:
        made = use()
        found.taken += 1
    except SoftPromptError:
        found.refused += 1
    except Exception as problem:
        found.faults.append(f"{number}: {type(problem).__name__}: {problem}"[:300])
    seconds, memory = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    if seconds >= SECONDS:
        # It is the counting that takes several times as long.
        seconds = _alone(use)
    found.seconds, found.memory = max(found.seconds, seconds), max(found.memory, memory)
    if seconds >= SECONDS or memory >= FREE + TIMES * size:
        found.faults.append(f"{number}: {seconds:.2f} s, {memory:,} bytes for {size:,}")
    return made


def _alone(use: Callable[[], object]) -> float:
    """Seconds of the same without counting."""
    began = time.process_time()
    with suppress(Exception):
        use()
    return time.process_time() - began


def _lasts(prompt: Prompt, number: int) -> bool:
    """Whether what was taken is the same after it was written as some other kind and read again."""
    assert isinstance(prompt, SoftPrompt)
    files = write_as(tuple(WRITABLE)[number % len(WRITABLE)], prompt)
    again = read_adapter(*files.values(), "x") if len(files) > 1 else read(*files.values(), "x", ".bin")
    return again == prompt
