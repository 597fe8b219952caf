"""text-generation-webui's characters: `name`, `greeting` and `context`, in YAML, or in JSON as it had them first."""

from __future__ import annotations

from typing import Any

from ..entries import Book
from . import fields

_NAMES = ("name", "char_name")
_ABOUT = ("context", "char_persona", "world_scenario", "example_dialogue")
_GREETINGS = ("greeting", "char_greeting")


def matches(value: dict[str, Any]) -> bool:
    named = any(isinstance(value.get(each), str) for each in _NAMES)
    return named and any(isinstance(value.get(each), str) for each in (*_ABOUT, *_GREETINGS))


def read(value: dict[str, Any]) -> Book:
    """What is said of the character."""
    found = fields.Gathering()
    name = fields.name(value, *_NAMES)
    for field in _ABOUT:
        if value.get(field) not in ("", None):
            found.take(value, (field,), names=(name,), keys=fields.keys([name]), field=field)
    greeting = fields.whole(fields.text(value, *_GREETINGS))
    return Book("webui character", name, name, found.entries, (greeting,) if greeting else (), found.skipped)
