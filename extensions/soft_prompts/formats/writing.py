"""`write_as("kobold", prompt)` gives `{"noir.zip": bytes}`: a prompt as other tools want it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import InvalidFile
from ..prompt import SoftPrompt
from . import kobold, mkultra, native, npy, peft


@dataclass(frozen=True)
class Kind:
    """A kind of file in which soft prompts are known. ending: empty for a folder; loses: what it has no place for.

    write: the bytes of each file, by the names behind the prompt's own; None where it is only read.
    """

    label: str
    ending: str
    write: Callable[[SoftPrompt], Mapping[str, bytes]] | None = None
    loses: tuple[str, ...] = ()


def _file(ending: str, write: Callable[[SoftPrompt], bytes]) -> Callable[[SoftPrompt], Mapping[str, bytes]]:
    return lambda prompt: {ending: write(prompt)}


def _folder(prompt: SoftPrompt) -> Mapping[str, bytes]:
    return {f"/{name}": data for name, data in peft.write(prompt).items()}


KINDS = {
    "native": Kind("soft prompt", ".safetensors", _file(".safetensors", native.write)),
    "kobold": Kind("KoboldAI zip", ".zip", _file(".zip", kobold.write), ("origin",)),
    "peft": Kind("PEFT folder", "", _folder, ("origin",)),
    "mkultra": Kind("mkultra JSON", ".json", _file(".json", mkultra.write), ("origin",)),
    "npy": Kind("numpy file", ".npy", _file(".npy", npy.write), ("origin", "metadata")),
    "mtjsp": Kind("mtj-softtuner state", ".mtjsp"),
    "mkusp": Kind("KoboldAI training state", ".mkusp"),
    "torch": Kind("torch file", ".pt"),
    "safetensors": Kind("safetensors of another tool", ".safetensors"),
    "text": Kind("text", ".txt"),
}
"""All that are read; those with `write` are written, too."""

WRITABLE = {key: kind for key, kind in KINDS.items() if kind.write}


def write_as(kind: str, prompt: SoftPrompt) -> dict[str, bytes]:
    """{relative name: bytes} of `prompt` as a kind in WRITABLE; names begin with the last part of the prompt's.

    Raises InvalidFile for another kind, and where the prompt does not go into it.
    """
    write = KINDS[kind].write if kind in KINDS else None
    if write is None:
        raise InvalidFile(f"soft prompts are not written as {kind!r}: choose one of {', '.join(WRITABLE)}")
    stem = prompt.name.rpartition("/")[2]
    return {stem + ending: data for ending, data in write(prompt).items()}


def kind_of(name: str) -> str:
    """Which kind a file of this name is to be: by its ending, a folder where it has none; "" for no kind of ours."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2].lower()
    if name.endswith(("/", "\\")) or "." not in last:
        return "peft"
    return next((key for key, kind in WRITABLE.items() if kind.ending and last.endswith(kind.ending)), "")


def lost(kind: str, prompt: SoftPrompt) -> list[str]:
    """What this prompt has that a kind has no place for, in words."""
    here = {"origin": prompt.origin is not None, "metadata": bool(prompt.metadata)}
    words = {"origin": "what strength 0 means (origin)", "metadata": "what it says of itself (metadata)"}
    return [words[each] for each in KINDS[kind].loses if here[each]]
