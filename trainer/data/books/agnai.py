"""Agnai's memory books, `{"kind": "memory", "entries": [{"name", "entry", "keywords", "enabled"}]}`, and characters."""

from __future__ import annotations

from typing import Any

from ..entries import Book, Place
from . import fields


def matches(value: dict[str, Any]) -> bool:
    if value.get("kind") == "memory":
        return isinstance(value.get("entries"), list)
    return value.get("kind") == "character" and isinstance(value.get("persona"), dict)


def read(value: dict[str, Any]) -> Book:
    """Every entry; of a character also what it is."""
    found = fields.Gathering()
    name = fields.name(value, "name")
    if value["kind"] == "memory":
        _take(found, value, ())
        return Book("Agnai memory book", name, "", found.entries, (), found.skipped)
    attributes = value["persona"].get("attributes")
    for key, said in (attributes if isinstance(attributes, dict) else {}).items():
        _take_attribute(found, key, said, name)
    for field in ("scenario", "sampleChat"):
        if fields.text(value, field):
            found.take(value, (field,), names=(name,), keys=fields.keys([name]), field=field)
    if isinstance(value.get("characterBook"), dict):
        _take(found, value["characterBook"], ("characterBook",))
    greeting = fields.whole(fields.text(value, "greeting"))
    stories = (greeting,) if greeting else ()
    return Book("Agnai character", name, name, found.entries, stories, found.skipped)


def _take_attribute(found: fields.Gathering, key: str, said: Any, name: str) -> None:
    """`"hair": ["long", "blonde"]` is said as a line of attributes; free prose is in the one called text."""
    words = [each for each in said if isinstance(each, str) and each.strip()] if isinstance(said, list) else []
    text = "\n".join(words) if key == "text" else f"{key}: {', '.join(words)}"
    if words:
        place: Place = ("persona", "attributes", key)
        found.take({key: text}, place, names=(name,), keys=fields.keys([name]), field="persona")


def _take(found: fields.Gathering, book: dict[str, Any], place: Place) -> None:
    entries = book.get("entries")
    for number, raw in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(raw, dict):
            found.skip(str(number + 1), "it is no object with an 'entry'")
            continue
        found.take(
            raw,
            (*place, "entries", number, "entry"),
            names=(raw.get("name"),),
            keys=fields.keys(raw.get("keywords")),
            enabled=not fields.switched_off(raw.get("enabled")),
            order=raw.get("weight"),
        )
