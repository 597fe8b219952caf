"""SillyTavern's World Info: `{"entries": {"0": {"key": [...], "content": ..., "disable": false, "order": 100}}}`.

The entries are an object keyed by their uid. `originalData`, which an imported book carries, is the same once more.
"""

from __future__ import annotations

from typing import Any

from ..entries import Book
from . import fields


def matches(value: dict[str, Any]) -> bool:
    return isinstance(value.get("entries"), dict) and "lorebookVersion" not in value


def read(value: dict[str, Any]) -> Book:
    """Every entry of the book."""
    found = fields.Gathering()
    for uid, raw in value["entries"].items():
        if not isinstance(raw, dict):
            found.skip(uid, "it is no object with a 'content'")
            continue
        found.take(
            raw,
            ("entries", uid, "content"),
            names=(raw.get("comment"), raw.get("name")),
            keys=fields.keys(raw.get("key"), raw.get("keys")),
            enabled=raw.get("disable") is not True and not fields.switched_off(raw.get("enabled")),
            order=raw.get("order"),
        )
    name = fields.name(value, "name")
    return Book("SillyTavern World Info", name, "", found.entries, (), found.skipped)
