"""KoboldAI's stories: `worldinfo` with keys in one text, United's `worldinfo_v2` with titles, memory and the story."""

from __future__ import annotations

from typing import Any

from ..entries import Book
from . import fields


def matches(value: dict[str, Any]) -> bool:
    if isinstance(value.get("worldinfo"), list) or isinstance(value.get("worldinfo_v2"), dict):
        return True
    return isinstance(value.get("actions"), list | dict) and isinstance(value.get("prompt"), str)


def read(value: dict[str, Any]) -> Book:
    """World info and memory; the story itself is for a style."""
    found = fields.Gathering()
    if fields.text(value, "memory"):
        found.take(value, ("memory",), names=("memory",), keys=(), field="memory", order=-1)
    newer = value.get("worldinfo_v2")
    if isinstance(newer, dict) and isinstance(newer.get("entries"), dict) and newer["entries"]:
        for which, raw in newer["entries"].items():
            _take(found, raw, ("worldinfo_v2", "entries", which, "content"))
    else:
        older = value.get("worldinfo")
        for number, raw in enumerate(older if isinstance(older, list) else []):
            if not _is_blank_line(raw):
                _take(found, raw, ("worldinfo", number, "content"))
    return Book("KoboldAI story", fields.name(value, "title"), "", found.entries, _stories(value), found.skipped)


def _take(found: fields.Gathering, raw: Any, place: tuple[str | int, ...]) -> None:
    if not isinstance(raw, dict):
        found.skip(str(place[-2]), "it is no object with a 'content'")
        return
    found.take(
        raw,
        place,
        names=(raw.get("title"), raw.get("comment")),
        keys=fields.keys(raw.get("key")),
        enabled=raw.get("widisabled") is not True,
    )


def _is_blank_line(raw: Any) -> bool:
    """KoboldAI ends every folder of its list with an entry that nobody has written yet."""
    return isinstance(raw, dict) and raw.get("init") is False and not fields.text(raw, "content")


def _stories(value: dict[str, Any]) -> tuple[str, ...]:
    """Prompt and actions are one text; United has each action as an object, by its number."""
    actions = value.get("actions")
    if isinstance(actions, dict):
        actions = list(actions.get("actions", actions).values()) if isinstance(actions.get("actions", {}), dict) else []
    listed = actions if isinstance(actions, list) else []
    said = [each.get("Selected Text") if isinstance(each, dict) else each for each in listed]
    story = fields.text(value, "prompt") + "".join(each for each in said if isinstance(each, str))
    return (fields.whole(story),) if story.strip() else ()
