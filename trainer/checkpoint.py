"""`Training(..., keeper=Keeper("soft_prompts/", "noir"))`: a training that is killed goes on where it was.

Beside `noir.safetensors`, the best prompt so far and usable at once, stands the folder `noir.training/` with one state
file and what the model wrote for the training. Every file is replaced whole. On one computer with as many threads the
resumed run gives the same prompt, bit for bit; what is different about the computer is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..container import pack, unpack, write_atomically
from ..errors import InvalidFile, TrainingError
from ..prompt import SoftPrompt, check_name
from .lesson import Written

VERSION = 1
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


@dataclass
class State:
    """All that a training is between two steps. Tensors are (tokens, width) float32 on the CPU.

    first and second: AdamW's moments. applied: steps that changed something; done: all of them. history: (step, loss,
    validation or None). waited: looks at the validation part without anything better.
    """

    vectors: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    best: torch.Tensor
    initial: torch.Tensor
    lowest: float = float("inf")
    begun: float = float("inf")
    best_step: int = 0
    done: int = 0
    applied: int = 0
    skipped: int = 0
    in_a_row: int = 0
    waited: int = 0
    rows: int = 0
    recompute: bool = False
    seconds: float = 0.0
    ended: str = ""
    history: list[tuple[int, float, float | None]] = field(default_factory=list)

    @classmethod
    def fresh(cls, initial: torch.Tensor) -> State:
        """Before the first step."""
        zero = torch.zeros_like(initial)
        return cls(initial.clone(), zero.clone(), zero.clone(), initial.clone(), initial.clone())

    def take(self, vectors: torch.Tensor, moments: dict[str, torch.Tensor]) -> None:
        """The vectors after a step that changed them, and AdamW's moments."""
        self.vectors, self.first, self.second = vectors.detach(), moments["exp_avg"], moments["exp_avg_sq"]
        self.applied, self.in_a_row = self.applied + 1, 0


_TENSORS = ("vectors", "first", "second", "best", "initial")


class Keeper:
    """Writes `folder/NAME.safetensors` and `folder/NAME.training/`, and reads them when `resume` is set.

    overwrite: a prompt of that name which is there already is replaced by the first checkpoint.
    """

    def __init__(self, folder: str | Path, name: str, *, resume: bool = False, overwrite: bool = False) -> None:
        check_name(name)
        self.name = name
        self.path = Path(folder) / f"{name}.safetensors"
        self.folder = Path(folder) / f"{name}.training"
        self.resume = resume
        self._overwrite = overwrite
        self._state = self.folder / "training.state"

    def open(self, identity: dict[str, Any], machine: dict[str, Any]) -> tuple[State | None, list[str]]:
        """(the state to go on from, what is different about the machine); raises TrainingError or InvalidFile.

        identity: what must be the same for a training to go on. machine: what may differ, and changes the last bits.
        """
        found = self._read() if self.resume else None
        if found is None:
            # Never over a prompt that somebody has made.
            if self.path.exists() and not (self._overwrite or self.resume):
                raise TrainingError(
                    f"{self.path} exists already: choose another name, go on with --resume, or replace it with "
                    "--overwrite"
                )
            self._clean()
            return None, []
        state, facts = found
        _compare(facts["identity"], identity, self._state)
        notes = [
            f"{key} was {facts['machine'].get(key)!r} and is {value!r} now: the result may differ in the last digits"
            for key, value in machine.items()
            if facts["machine"].get(key) != value
        ]
        return state, notes

    def save(self, state: State, identity: dict[str, Any], machine: dict[str, Any], prompt: SoftPrompt | None) -> None:
        """State first, then the prompt where there is a better one; raises InvalidFile, and nothing is half-written."""
        facts = {key: value for key, value in vars(state).items() if key not in _TENSORS}
        text = json.dumps({"version": VERSION, "state": facts, "identity": identity, "machine": machine})
        tensors = {name: getattr(state, name).numpy() for name in _TENSORS}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomically(self._state, _framed(text, pack(tensors, {})))
        if prompt is not None:
            prompt.save(self.path)

    def finish(self, prompt: SoftPrompt, files: dict[str, bytes]) -> None:
        """The prompt with its report; what was only needed to go on is taken away."""
        prompt.save(self.path)
        for name, data in files.items():
            write_atomically(self.folder / name, data)
        self._state.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "written", ignore_errors=True)
        self._sweep()

    def written(self, identity: dict[str, Any]) -> Written:
        """Where rows that the model wrote are kept, for this training alone."""
        return _Kept(self.folder / "written", json.dumps(identity, sort_keys=True))

    def _read(self) -> tuple[State, dict[str, Any]] | None:
        try:
            data = self._state.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise InvalidFile(f"{self._state}: {problem.strerror or problem}; check the permissions") from None
        try:
            text, rest = _unframed(data)
            facts = json.loads(text)
            tensors, _ = unpack(rest)
            if facts["version"] != VERSION:
                raise InvalidFile(f"it is of version {facts['version']}, and this program reads {VERSION}")
            arrays: dict[str, Any] = {name: torch.from_numpy(np.array(tensors[name])) for name in _TENSORS}
            state = State(**arrays, **facts["state"])
            state.history = [(int(number), float(loss), seen) for number, loss, seen in state.history]
            return state, facts
        except (KeyError, TypeError, ValueError, InvalidFile) as problem:
            raise InvalidFile(
                f"{self._state} cannot be read ({problem}): take it away, and the training begins anew"
            ) from None

    def _clean(self) -> None:
        self._state.unlink(missing_ok=True)
        self._sweep()

    def _sweep(self) -> None:
        # A program that was killed while it wrote leaves its temporary file behind.
        if self.folder.is_dir():
            for name in os.listdir(self.folder):
                if _TEMPORARY.fullmatch(name):
                    (self.folder / name).unlink(missing_ok=True)


class _Kept(Written):
    """One small JSON file for each batch of rows, named by the hash of all that they depend on."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def load(self, key: str) -> list[list[int]] | None:
        try:
            rows = json.loads(self._path(key).read_text("utf-8"))
            return [[int(each) for each in row] for row in rows]
        except (OSError, ValueError, TypeError):
            return None

    def save(self, key: str, rows: Sequence[Sequence[int]]) -> None:
        write_atomically(self._path(key), json.dumps([list(row) for row in rows]).encode())

    def _path(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(f'{self._identity} {key}'.encode()).hexdigest()[:24]}.json"


def _compare(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    flat = [_flat(before), _flat(now)]
    changed = [key for key in {**flat[0], **flat[1]} if flat[0].get(key) != flat[1].get(key)]
    if changed:
        told = ", ".join(f"{key} was {flat[0].get(key)!r} and is {flat[1].get(key)!r}" for key in changed)
        raise TrainingError(
            f"{path} is of another training ({told}): give the same again, or begin anew without --resume"
        )


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    plain = json.loads(json.dumps(table))
    settings = plain.pop("settings", {})
    return {**plain, **settings}


def _framed(text: str, rest: bytes) -> bytes:
    first = text.encode()
    return len(first).to_bytes(8, "little") + first + rest


def _unframed(data: bytes) -> tuple[str, bytes]:
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 + size:
        raise InvalidFile("it is cut short")
    return data[8 : 8 + size].decode(), data[8 + size :]
