"""`Settings(folder / "settings.json")`: what a writer has pinned and switched, kept beside the soft prompts.

One small JSON file, written whole or not at all. A file that cannot be understood changes nothing, and is kept under
another name before anything is written over it.
"""

from __future__ import annotations

import json
import logging
import shutil
import threading
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..container import write_atomically
from ..errors import InvalidTag
from ..tags import LARGEST_STRENGTH, name_problem
from .protocol import EVERYWHERE, Pin

NAME = "settings.json"
_LARGEST = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Choices:
    """on: the master switch. strict: the API refuses requests with tags that mean nothing. pins: scope -> what stands
    at the beginning of its prompts, in that order. originals: a GGUF file's name -> what is learnt on instead."""

    on: bool = True
    strict: bool = False
    pins: dict[str, tuple[Pin, ...]] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)


class Settings:
    """Reads its file again when another program has changed it. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problem = ""
        """Why the file could not be read, for a panel to show; empty when all is well."""
        self.revision = 0
        self._lock = threading.RLock()
        self._choices = Choices()
        self._seen: tuple[int, int] | None = None

    @property
    def choices(self) -> Choices:
        """What is chosen now; what cannot be read counts as it was before."""
        with self._lock:
            if (found := _signature(self.path)) != self._seen:
                self._seen = found
                self._choices = self._read() if found else Choices()
                self.revision += 1
            return self._choices

    def pins(self, scopes: list[str]) -> list[Pin]:
        """The pins of these scopes, in this order; a name that is pinned twice counts where it is pinned closest."""
        chosen: dict[str, Pin] = {}
        for scope in scopes:
            for pin in self.choices.pins.get(scope, ()):
                chosen.pop(pin.name, None)
                chosen[pin.name] = pin
        return list(chosen.values())

    def pin(self, scope: str, pin: Pin) -> None:
        """Pin it, or change its strength; raises InvalidTag for a strength that no tag can have."""
        if not abs(pin.strength) <= LARGEST_STRENGTH:
            raise InvalidTag(f"'{pin.name}' at {pin.strength}: a strength lies between -4 and 4")
        with self._lock:
            there = {each.name: each for each in self.choices.pins.get(scope, ())}
            self._keep(scope, {**there, pin.name: replace(pin, strength=round(pin.strength, 2))})

    def unpin(self, scope: str, name: str) -> None:
        """Take a pin away; nothing happens where there is none."""
        with self._lock:
            there = {each.name: each for each in self.choices.pins.get(scope, ())}
            if there.pop(name, None) is not None:
                self._keep(scope, there)

    def switch(self, on: bool) -> None:
        """Turn all soft prompts on or off."""
        with self._lock:
            self._write(replace(self.choices, on=on))

    def learn_on(self, file: str, original: str) -> None:
        """What a training for this GGUF file learns on: a folder or a name that Transformers knows; empty: itself."""
        with self._lock:
            others = {name: held for name, held in self.choices.originals.items() if name != file}
            self._write(replace(self.choices, originals={**others, file: original} if original else others))

    def _keep(self, scope: str, pins: dict[str, Pin]) -> None:
        kept = {key: value for key, value in self.choices.pins.items() if key != scope}
        self._write(replace(self.choices, pins={**kept, scope: tuple(pins.values())} if pins else kept))

    def _write(self, choices: Choices) -> None:
        pins = {scope: [asdict(pin) for pin in pins] for scope, pins in choices.pins.items()}
        fields = {
            "version": 1, "on": choices.on, "strict": choices.strict, "pins": pins, "originals": choices.originals,
        }  # fmt: skip
        with self._lock:
            if self.problem:
                _set_aside(self.path)
            write_atomically(self.path, json.dumps(fields, ensure_ascii=False, indent=2).encode())
            self._choices, self._seen, self.problem = choices, _signature(self.path), ""
            self.revision += 1

    def _read(self) -> Choices:
        """The file is only looked at: an editor may be about to write the rest of it."""
        try:
            if self.path.stat().st_size > _LARGEST:
                raise ValueError(f"it is larger than {_LARGEST:,} bytes")
            choices = _understood(json.loads(self.path.read_text("utf-8")))
            self.problem = ""
            return choices
        except OSError as problem:
            self._seen = None  # a lock or a shortage of the moment: look again
            _log.warning("%s cannot be read now: %s", self.path.name, problem.strerror)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as problem:
            self.problem = (
                f"{self.path.name} cannot be understood ({problem}): mend it, or change a setting to begin anew"
            )
            _log.warning("%s", self.problem)
        return self._choices


def _set_aside(path: Path) -> None:
    """Keep what is about to be overwritten without having been understood, under a name that is free."""
    for number in range(1, 100):
        aside = path.with_name(f"{NAME}.unreadable{number}")
        if not aside.exists():
            shutil.copyfile(path, aside)
            return


def _understood(fields: dict[str, Any]) -> Choices:
    if fields.get("version", 1) != 1:
        raise ValueError(f"it is of version {fields['version']!r}, this version of soft prompts reads 1")
    pins = {
        str(scope): tuple(Pin(pin["name"], float(pin.get("strength", 1))) for pin in pins if not _odd(pin))
        for scope, pins in fields.get("pins", {}).items()
    }
    originals = {str(file): original for file, original in fields.get("originals", {}).items() if _is_model(original)}
    return Choices(fields.get("on", True) is True, fields.get("strict", False) is True, pins, originals)


def _is_model(original: Any) -> bool:
    """What begins with a dash would be an option of the command that it is given to."""
    return isinstance(original, str) and bool(original) and not original.startswith("-")


def _odd(pin: dict[str, Any]) -> bool:
    """A pin that no tag could write, put there by hand: it is passed over, and the others count."""
    strength = float(pin.get("strength", 1))
    return bool(name_problem(str(pin["name"]))) or not abs(strength) <= LARGEST_STRENGTH


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def scopes_of(character: str, chat: str) -> list[str]:
    """The keys of all scopes that count in a prompt, the widest first."""
    keys = [EVERYWHERE.key]
    if character:
        keys.append(f"character:{character}")
    if chat:
        keys.append(f"chat:{chat}")
    return keys
