"""`gathering.take(raw, place, ...)`: entries of JSON in which all may be missing, unknown or of a wrong type."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..entries import Entry, Place, listed
from ..reading import found

_OFF = (False, 0, "false", "False", "0")
_LONGEST_NAME = 200


def text(raw: Mapping[str, Any], *names: str) -> str:
    """The first of these fields that says something; empty where none does."""
    return next((raw[each] for each in names if isinstance(raw.get(each), str) and raw[each].strip()), "")


def name(raw: Mapping[str, Any], *names: str) -> str:
    """The same as a name, which is a line without spaces around it."""
    return _line(text(raw, *names))


def keys(*values: Any) -> tuple[str, ...]:
    """Keys of lists, and of texts with commas between them; each once, what is no text left out."""
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    single = [one for value in flat if isinstance(value, str) for one in _apart(whole(value))]
    return tuple(dict.fromkeys(one.strip() for one in single if one.strip()))


def number(value: Any) -> int:
    """A whole number; 0 for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    # Only of floats can it be asked: a whole number of hundreds of digits is none.
    if isinstance(value, float) and not math.isfinite(value):
        return 0
    return int(max(-(1 << 40), min(1 << 40, value)))


def switched_off(value: Any) -> bool:
    """Whether a field says no; one that is not there does not."""
    return any(value == each and type(value) is type(each) for each in _OFF)


def whole(value: str) -> str:
    """Without halves of characters, which JSON may bring and no tokenizer takes, and with line ends of one kind."""
    return value.encode("utf-8", "ignore").decode().replace("\r\n", "\n").replace("\r", "\n")


class Gathering:
    """Entries, and what was skipped by its reason."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._skipped: dict[str, list[str]] = {}

    @property
    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries)

    @property
    def skipped(self) -> tuple[str, ...]:
        return tuple(listed(names, why) for why, names in self._skipped.items())

    def take(
        self,
        raw: Mapping[str, Any],
        place: Place,
        *,
        names: Iterable[Any],
        keys: tuple[str, ...],
        enabled: bool = True,
        order: Any = 0,
        voice: str = "",
        field: str = "",
    ) -> None:
        """The entry whose text is the last step of `place`; names: what may be its name, the best first."""
        name = self._name(names, keys, place)
        value = raw.get(str(place[-1]))
        if not isinstance(value, str):
            self.skip(name, f"its {place[-1]!r} is {found(value)}" if place[-1] in raw else f"it has no {place[-1]!r}")
        elif not whole(value).strip():
            self.skip(name, "it is empty")
        else:
            self._entries.append(Entry(name, keys, whole(value), enabled, number(order), place, field))

    def skip(self, name: str, why: str) -> None:
        """Say why something is not among the entries."""
        self._skipped.setdefault(why, []).append(name)

    def _name(self, names: Iterable[Any], keys: tuple[str, ...], place: Place) -> str:
        which = next((str(each + 1 if isinstance(each, int) else each) for each in place[-2:-1]), "1")
        said = (_line(each) for each in (*names, *keys[:1], which) if isinstance(each, str))
        return next(filter(None, said), "?")[:_LONGEST_NAME]


def _line(value: str) -> str:
    return " ".join(whole(value).split())


def _apart(value: str) -> list[str]:
    """A regular expression is one key, whatever commas it has."""
    return [value] if value.strip().startswith("/") else value.split(",")
