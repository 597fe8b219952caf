"""NovelAI's lorebooks and scenarios: `{"lorebookVersion": n, "entries": [{"text", "displayName", "keys", "enabled"}]}`.

A scenario has the lorebook under `lorebook`, memory and author's note in `context`, and how the story begins in
`prompt`. The version is never asked for: it grows, and these fields stay.
"""

from __future__ import annotations

from typing import Any

from ..entries import Book
from . import fields

_CONTEXT = ("memory", "author's note")


def matches(value: dict[str, Any]) -> bool:
    if "lorebookVersion" in value:
        return isinstance(value.get("entries"), list)
    inner = value.get("lorebook")
    return isinstance(inner, dict) and ("scenarioVersion" in value or "lorebookVersion" in inner)


def read(value: dict[str, Any]) -> Book:
    """Every entry, and of a scenario its memory as well."""
    found = fields.Gathering()
    if "lorebookVersion" in value:
        _take(found, value, ())
        return Book("NovelAI lorebook", "", "", found.entries, (), found.skipped)
    context = value.get("context")
    for number, raw in enumerate(context if isinstance(context, list) else []):
        if isinstance(raw, dict) and fields.text(raw, "text"):
            name = _CONTEXT[number] if number < len(_CONTEXT) else f"context {number + 1}"
            found.take(raw, ("context", number, "text"), names=(name,), keys=(), field=name)
    _take(found, value["lorebook"], ("lorebook",))
    prompt = fields.whole(fields.text(value, "prompt"))
    name = fields.name(value, "title")
    return Book("NovelAI scenario", name, "", found.entries, (prompt,) if prompt else (), found.skipped)


def _take(found: fields.Gathering, book: dict[str, Any], place: tuple[str, ...]) -> None:
    entries = book.get("entries")
    for number, raw in enumerate(entries if isinstance(entries, list) else []):
        if not isinstance(raw, dict):
            found.skip(str(number + 1), "it is no object with a 'text'")
            continue
        found.take(
            raw,
            (*place, "entries", number, "text"),
            names=(raw.get("displayName"),),
            keys=fields.keys(raw.get("keys")),
            enabled=not fields.switched_off(raw.get("enabled")),
        )
