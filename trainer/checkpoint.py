"""`Training(..., keeper=Keeper("soft_prompts/", "noir"))`: a training that is killed goes on where it was.

Beside `noir.safetensors`, the best prompt so far and usable at once, stands the folder `noir.training/` with one state
file and what the model wrote for the training. Every file is replaced whole, and one training at a time has the name.
On one computer with as many threads the resumed run gives the same prompt, bit for bit; what is different about the
computer is said.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..container import pack, unpack, write_atomically
from ..errors import InvalidFile, TrainingError
from ..prompt import SoftPrompt, check_name
from .claim import Claim
from .crowd import Crowd
from .identity import compare
from .initial import Initial
from .lesson import Written

VERSION = 1
_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp|prompt\.new")
_DIGEST = hashlib.sha256().digest_size


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
    origin: torch.Tensor
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
    def fresh(cls, initial: Initial) -> State:
        """Before the first step."""
        zero, vectors = torch.zeros_like(initial.vectors), initial.vectors
        return cls(vectors.clone(), zero.clone(), zero.clone(), vectors.clone(), initial.origin.clone())

    def take(self, vectors: torch.Tensor, moments: dict[str, torch.Tensor]) -> None:
        """The vectors after a step that changed them, and AdamW's moments."""
        self.vectors, self.first, self.second = vectors.detach(), moments["exp_avg"], moments["exp_avg_sq"]
        self.applied, self.in_a_row = self.applied + 1, 0


_TENSORS = ("vectors", "first", "second", "best", "origin")


class Keeper:
    """Writes `folder/NAME.safetensors` and `folder/NAME.training/`, and reads them when `resume` is set.

    overwrite: a prompt of that name which is there already is replaced by the first checkpoint. behind: whether the
    prompt's file is not yet the best of this training.
    """

    def __init__(self, folder: str | Path, name: str, *, resume: bool = False, overwrite: bool = False) -> None:
        check_name(name)
        self.name = name
        self.path = Path(folder) / f"{name}.safetensors"
        self.folder = Path(folder) / f"{name}.training"
        self.resume = resume
        self.behind = True
        self._overwrite = overwrite
        self._state = self.folder / "training.state"
        self._rows = self.folder / "written"
        self._claim = Claim(self.folder / "in-use", name)

    @contextmanager
    def alone(self, crowd: Crowd) -> Iterator[None]:
        """Around a training: no other one has this name meanwhile. Raises TrainingError where another one has it.

        Of several processes the first one alone writes, and so the first one alone claims.
        """
        crowd.agreed(self._claim.take)
        try:
            yield
        finally:
            self._claim.drop()

    def open(self, identity: dict[str, Any], machine: dict[str, Any]) -> tuple[State | None, list[str]]:
        """(the state to go on from, what is different about the machine); raises TrainingError or InvalidFile.

        identity: what must be the same for a training to go on. machine: what may differ, and changes the last bits.
        """
        self.behind = True
        found = self._read() if self.resume else None
        if found is None:
            self.check()
            self._take_away(self._state)
            self._sweep()
            return None, []
        state, facts = found
        compare(facts["identity"], identity, self._state)
        self._sweep()
        notes = [
            f"{key} was {facts['machine'].get(key)!r} and is {value!r} now: the result may differ in the last digits"
            for key, value in machine.items()
            if facts["machine"].get(key) != value
        ]
        return state, notes

    def check(self) -> None:
        """Raises TrainingError where a prompt that somebody has made would be replaced; ask before you load a model."""
        goes_on = self.resume and self._state.exists()
        if self.path.exists() and not (self._overwrite or goes_on):
            raise TrainingError(f"{self.path} exists already{self._ways()}, or replace it with --overwrite")

    def save(self, state: State, identity: dict[str, Any], machine: dict[str, Any], prompt: SoftPrompt | None) -> None:
        """State first, then the prompt where there is a better one; raises InvalidFile, and nothing is half-written."""
        facts = {key: value for key, value in vars(state).items() if key not in _TENSORS}
        text = json.dumps({"version": VERSION, "state": facts, "identity": identity, "machine": machine})
        tensors = {name: getattr(state, name).numpy() for name in _TENSORS}
        with self._claim:
            write_atomically(self._state, _framed(text, pack(tensors, {})))
            if prompt is not None:
                self._put(prompt)
                # What stands there now is this training's own, should it be begun once more.
                self.behind, self._overwrite = False, True

    def finish(self, prompt: SoftPrompt, files: dict[str, bytes]) -> None:
        """The prompt with its report; what was only needed to go on is taken away."""
        with self._claim:  # which takes the folder away where nothing is left in it
            self._put(prompt)
            for name, data in files.items():
                write_atomically(self.folder / name, data)
            self._take_away(self._state)
            shutil.rmtree(self._rows, ignore_errors=True)
            self._sweep()

    def written(self, identity: dict[str, Any]) -> Written:
        """Where rows that the model wrote are kept, for this training alone."""
        return _Kept(self._rows, json.dumps(identity, sort_keys=True))

    def _ways(self) -> str:
        if self.resume:
            new = f"with --from {self.name} to begin where it ended"
            return f", and there is no training of it to go on with: choose another name, {new}"
        return ": choose another name" + (", go on with --resume" if self._state.exists() else "")

    def _put(self, prompt: SoftPrompt) -> None:
        # Through our own folder: what a killed program leaves in the library could not be told from what others write.
        new = self.folder / "prompt.new"
        write_atomically(new, pack(*prompt.parts()))
        try:
            os.replace(new, self.path)
        except OSError as problem:
            raise InvalidFile(
                f"{self.path} cannot be written: {problem.strerror or problem}; nothing was changed"
            ) from problem

    def _read(self) -> tuple[State, dict[str, Any]] | None:
        try:
            data = self._state.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise InvalidFile(f"{self._state}: {problem.strerror or problem}; check the permissions") from None
        try:
            text, rest = _unframed(data)
            facts = json.loads(text)
            if facts["version"] != VERSION:
                raise InvalidFile(f"it is of version {facts['version']}, and this program reads {VERSION}")
            tensors, _ = unpack(rest)
            arrays: dict[str, Any] = {name: torch.from_numpy(np.array(tensors[name])) for name in _TENSORS}
            state = State(**arrays, **facts["state"])
            state.history = [(int(number), float(loss), seen) for number, loss, seen in state.history]
            return state, facts
        except (KeyError, TypeError, ValueError, InvalidFile) as problem:
            raise InvalidFile(
                f"{self._state} cannot be read ({problem}): take it away, and the training begins anew"
            ) from None

    def _sweep(self) -> None:
        # A program that was killed while it wrote leaves its temporary file behind.
        for folder in (self.folder, self._rows):
            if folder.is_dir():
                for name in os.listdir(folder):
                    if _TEMPORARY.fullmatch(name):
                        self._take_away(folder / name)

    def _take_away(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as problem:
            raise InvalidFile(f"{path} cannot be taken away: {problem.strerror or problem}") from None


class _Kept(Written):
    """One small JSON file for each batch of rows, named by the hash of all that they depend on."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._folder = folder
        self._identity = identity

    def load(self, key: str) -> list[list[int]] | None:
        try:
            found = json.loads(self._path(key).read_text("utf-8"))
            sound = found["sha256"] == _hash(json.dumps(found["rows"]))
            return [[int(each) for each in row] for row in found["rows"]] if sound else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def save(self, key: str, rows: Sequence[Sequence[int]]) -> None:
        kept = [list(row) for row in rows]
        write_atomically(self._path(key), json.dumps({"sha256": _hash(json.dumps(kept)), "rows": kept}).encode())

    def _path(self, key: str) -> Path:
        return self._folder / f"{_hash(f'{self._identity} {key}')[:24]}.json"


class Told(Written):
    """What the first process wrote, told to all: on another device a model writes a little differently."""

    def __init__(self, kept: Written, crowd: Crowd) -> None:
        self._kept = kept
        self._crowd = crowd

    def load(self, key: str) -> list[list[int]] | None:
        found = self._crowd.agreed(lambda: self._kept.load(key))
        if found is None and not self._crowd.first:
            return self._crowd.agreed(list)  # until the first process has written and saved them
        return found

    def save(self, key: str, rows: Sequence[Sequence[int]]) -> None:
        def saved() -> list[list[int]]:
            self._kept.save(key, rows)
            return [list(row) for row in rows]

        self._crowd.agreed(saved)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _framed(text: str, rest: bytes) -> bytes:
    """The digest of all that follows, the length of the text, the text, the rest."""
    first = text.encode()
    whole = len(first).to_bytes(8, "little") + first + rest
    return hashlib.sha256(whole).digest() + whole


def _unframed(data: bytes) -> tuple[str, bytes]:
    whole = data[_DIGEST:]
    if len(whole) < 8 or hashlib.sha256(whole).digest() != data[:_DIGEST]:
        raise InvalidFile("it is damaged or cut short")
    end = 8 + int.from_bytes(whole[:8], "little")
    return whole[8:end].decode(), whole[end:]
