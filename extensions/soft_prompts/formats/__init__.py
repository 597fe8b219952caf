"""`load("gibson.safetensors")`: any soft prompt file that this version reads, told by its content.

One module per format: `read(data, name) -> prompt`, `write(prompt) -> bytes`. `docs/format.md` specifies the native
one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..errors import InvalidFile, SoftPromptError
from ..prompt import Prompt, SoftPrompt
from ..tags import name_problem, suggest_name
from . import kinds, native, text

LARGEST_FILE = 1 << 30
"""Bytes. Far above any soft prompt (16,384 tokens 8,192 wide are half of it), far below what would hurt a machine."""

READABLE = (".safetensors", ".txt")

FOREIGN = {
    ".json": "a JSON file (mkultra, prompt-tuner?)",
    ".zip": "a zip file (KoboldAI?)",
    ".mtjsp": "an mtj-softtuner file",
    ".mkusp": "a KoboldAI training state",
    ".npy": "a numpy file",
    ".pt": "a torch file",
    ".bin": "a torch file",
}
"""Endings under which soft prompts are known to exist, and what they are; readers for them come one by one."""


def load(path: str | Path) -> SoftPrompt:
    """`load("gibson.safetensors")`; the file's name becomes the prompt's.

    Raises InvalidFile (missing, unreadable, hostile, of another kind), always naming the file and the way on.
    """
    prompt = load_any(Path(path), _name_of(Path(path)))
    if not isinstance(prompt, SoftPrompt):
        raise InvalidFile(
            f"{path} is a text prompt, which has vectors only on a model: put it into a library folder, "
            "or use SoftPrompt.from_text(text, model, tokenizer, name=...)"
        )
    return prompt


def load_any(path: Path, name: str) -> Prompt:
    """The SoftPrompt or TextPrompt in the file at `path`, under the name `name`; raises InvalidFile."""
    try:
        return read(load_bytes(path), name, path.suffix.lower())
    except OSError as problem:
        raise InvalidFile(f"{path}: {problem.strerror or problem}; check the name and the permissions") from None
    except SoftPromptError as problem:
        raise InvalidFile(f"{path}: {problem}") from problem


def read(data: bytes, name: str, suffix: str = "") -> Prompt:
    """The prompt in `data`; `suffix` decides only where the content cannot, between text and everything else."""
    if native.matches(data):
        return native.read(data, name)
    if suffix == ".txt":
        return text.read(data, name)
    raise InvalidFile(_no_format(data, suffix))


def unreadable(path: Path, status: os.stat_result | None = None) -> str:
    """Why the file at `path` need not even be opened; empty when it may be. status: its stat, where that is known."""
    status = status or path.stat()
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder, not a file: rename it, or put prompts into it"
    if not stat.S_ISREG(status.st_mode):
        return "it is no ordinary file"
    if status.st_size == 0:
        return "it is empty: a copy or a download that failed?"
    if status.st_size > LARGEST_FILE:
        return f"it is {status.st_size:,} bytes large, more than any soft prompt ({LARGEST_FILE:,}); is it a model?"
    return ""


def load_bytes(path: Path) -> bytes:
    """All of the file, as it was at one moment; raises OSError, and InvalidFile for one that need not be read."""
    if problem := unreadable(path):
        raise InvalidFile(problem)
    # A file that is replaced stays whole for who has it open; one that is rewritten in its place may be half of each.
    for _ in range(3):
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = file.read()
            after = os.fstat(file.fileno())
        if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, len(data)):
            return data
    raise InvalidFile("it is being written just now: try again when that is done")


def _name_of(path: Path) -> str:
    name = path.stem.partition("@")[0]
    return suggest_name(name) if name_problem(name) else name


def _no_format(data: bytes, suffix: str) -> str:
    if suffix == ".safetensors" and (known := kinds.told(data)):
        return known
    if suffix == ".safetensors":
        # It claims to be native and does not begin like it: the container's own reader says best what is wrong.
        return _native_problem(data)
    kind = FOREIGN.get(suffix, "no file of a known kind")
    return f"it is {kind}; this version reads {' and '.join(READABLE)}"


def _native_problem(data: bytes) -> str:
    try:
        native.read(data, "unreadable")
    except SoftPromptError as problem:
        return str(problem)
    raise AssertionError("native.matches refuses what native.read takes")
