"""`load("gibson.safetensors")`: any soft prompt file that this version reads, told by its content.

One module per format: `read(data, name) -> prompt` or `look(file) -> Found`, and `write(prompt) -> bytes` where it is
written. docs/format.md specifies the native one and names the others; docs/security.md says what none of them does.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from ..errors import InvalidFile, SoftPromptError
from ..prompt import Prompt, SoftPrompt, check_name
from ..tags import name_problem, suggest_name
from . import kinds, mkultra, native, opening, peft, text
from .writing import KINDS, WRITABLE, Kind, kind_of, lost, write_as

__all__ = [
    "FOREIGN",
    "KINDS",
    "LARGEST_FILE",
    "READABLE",
    "WRITABLE",
    "Kind",
    "adapter_files",
    "check_adapter",
    "from_bytes",
    "is_adapter",
    "kind_of",
    "load",
    "load_any",
    "load_bytes",
    "lost",
    "read",
    "unknown",
    "unreadable",
    "write_as",
]

LARGEST_FILE = 1 << 30
"""Bytes. Far above any soft prompt (16,384 tokens 8,192 wide are half of it), far below what would hurt a machine."""

LARGE = 1 << 24
"""Bytes above which a file of another tool is looked at before it is read."""

READABLE = (".safetensors", ".txt", ".json", ".zip", ".mtjsp", ".mkusp", ".npy", ".pt", ".bin")
"""Endings under which soft prompts are known to exist; which kind a file is of, its content tells."""

FOREIGN = {".module": "a NovelAI module", ".pth": "a torch file", ".npz": "a numpy archive"}
"""Endings of what is no soft prompt, and looks like one."""


def load(path: str | Path) -> SoftPrompt:
    """`load("gibson.safetensors")`, or a PEFT folder; the file's name becomes the prompt's.

    Raises InvalidFile (missing, unreadable, hostile, of another kind), always naming the file and the way on.
    """
    path = Path(path)
    if path.name in (peft.CONFIG, *peft.WEIGHTS) and is_adapter(path.parent):
        # What the vectors mean stands in the file beside them.
        path = path.parent
    prompt = load_any(path, _name_of(path))
    if not isinstance(prompt, SoftPrompt):
        raise InvalidFile(
            f"{path} is a text prompt, which has vectors only on a model: put it into a library folder, "
            "or use SoftPrompt.from_text(text, model, tokenizer, name=...)"
        )
    return prompt


def load_any(path: Path, name: str) -> Prompt:
    """The SoftPrompt or TextPrompt in the file or PEFT folder at `path`, under the name `name`; raises InvalidFile."""
    try:
        if is_adapter(path):
            config, weights = adapter_files(path)
            check_adapter(config, weights)
            return peft.read(load_bytes(config), load_bytes(weights), name)
        _look_first(path)
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
    found = opening.look(io.BytesIO(data))
    if found is None:
        raise InvalidFile(_no_format(data, suffix))
    return found.prompt(name)


def from_bytes(data: bytes, name: str = "") -> SoftPrompt:
    """The soft prompt in `data`, of any kind of file that has vectors; raises InvalidFile, which says the way on."""
    if name:
        check_name(name)
    try:
        if len(data) > LARGEST_FILE:
            raise InvalidFile(f"they are more than any soft prompt has ({LARGEST_FILE:,})")
        prompt = read(data, name)
    except SoftPromptError as problem:
        raise InvalidFile(f"these {len(data):,} bytes are no soft prompt: {problem}") from problem
    assert isinstance(prompt, SoftPrompt), "a text is told by its suffix alone"
    return prompt


def is_adapter(path: str | Path) -> bool:
    """Whether a PEFT folder stands at `path`, of whatever kind."""
    return os.path.isfile(os.path.join(path, peft.CONFIG))


def adapter_files(path: str | Path) -> tuple[Path, Path]:
    """(configuration, weights) of the PEFT folder at `path`; the weights need not be there."""
    weights = [Path(path) / each for each in peft.WEIGHTS]
    return Path(path) / peft.CONFIG, next((each for each in weights if each.exists()), weights[0])


def check_adapter(config: Path, weights: Path) -> None:
    """Raises InvalidFile where the two files of a PEFT folder need not be opened, and OSError."""
    if problem := unreadable(config):
        raise InvalidFile(f"of its {config.name}: {problem}")
    if not weights.exists():
        # Its configuration may say that there is no hope in looking for them.
        with config.open("rb") as file:
            peft.configured(file.read(peft.LARGEST_CONFIG + 1))
        raise InvalidFile(f"there is no {weights.name} in this PEFT folder: copy all of it")
    if problem := unreadable(weights):
        raise InvalidFile(f"of its {weights.name}: {problem}")


def unreadable(path: Path, status: os.stat_result | None = None) -> str:
    """Why the file at `path` need not even be opened; empty when it may be. status: its stat, where that is known."""
    status = status or path.stat()
    if stat.S_ISDIR(status.st_mode):
        return "it is a folder, not a file: rename it, or put prompts into it"
    if not stat.S_ISREG(status.st_mode):
        return "it is no ordinary file"
    if status.st_size == 0:
        return "it is empty: a copy or a download that failed?"
    largest = mkultra.LARGEST if path.suffix.lower() == ".json" else LARGEST_FILE
    if status.st_size > largest:
        return f"it is {status.st_size:,} bytes large, more than any soft prompt ({largest:,}); is it a model?"
    return ""


def load_bytes(path: Path) -> bytes:
    """All of the file, as it was at one moment; raises OSError, and InvalidFile before it is read in vain."""
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
    name = (path.name if path.is_dir() else path.stem).partition("@")[0]
    return suggest_name(name) if name_problem(name) else name


def _look_first(path: Path) -> None:
    """Raises InvalidFile for a large file of another tool that its beginning refuses, before all of it is read."""
    if not LARGE < path.stat().st_size <= LARGEST_FILE or unreadable(path):
        return
    with path.open("rb") as file:
        if opening.told(file.read(kinds.ENOUGH))[0] in ("zip", "npy", "torch"):
            opening.look(file)


def unknown(start: bytes, suffix: str) -> str:
    """What to say of a file that begins like nothing that is read; suffix: how its name ends."""
    if known := kinds.told(start):
        return known
    label = next(
        (kind.label for kind in KINDS.values() if kind.ending and kind.ending == suffix), "file of a known kind"
    )
    what = FOREIGN.get(suffix, f"no {label}")
    return f"it is {what}; this version reads {', '.join(READABLE)} and PEFT folders"


def _no_format(data: bytes, suffix: str) -> str:
    # What claims to be native and does not begin like it: the container's own reader says best what is wrong.
    return _native_problem(data) if suffix == ".safetensors" and not kinds.told(data) else unknown(data, suffix)


def _native_problem(data: bytes) -> str:
    try:
        native.read(data, "unreadable")
    except SoftPromptError as problem:
        return str(problem)
    raise AssertionError("native.matches refuses what native.read takes")
