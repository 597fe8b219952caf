"""Risu's lorebooks: `{"type": "risu", "data": [{"key": "a,b", "content", "comment", "insertorder", "mode"}]}`."""

from __future__ import annotations

from typing import Any

from ..entries import Book
from . import fields


def matches(value: dict[str, Any]) -> bool:
    return value.get("type") == "risu" and isinstance(value.get("data"), list)


def read(value: dict[str, Any]) -> Book:
    """Every entry; folders are none."""
    found = fields.Gathering()
    for number, raw in enumerate(value["data"]):
        if not isinstance(raw, dict):
            found.skip(str(number + 1), "it is no object with a 'content'")
            continue
        if raw.get("mode") == "folder":
            continue
        found.take(
            raw,
            ("data", number, "content"),
            names=(raw.get("comment"),),
            keys=fields.keys(raw.get("key")),
            enabled=not fields.switched_off(raw.get("enabled")),
            order=raw.get("insertorder"),
        )
    return Book("Risu lorebook", "", "", found.entries, (), found.skipped)
