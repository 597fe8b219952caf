"""`texts({"step": 3})` gives `{"step": "3"}`: what other tools say of a prompt, as the texts that ours are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..errors import InvalidFile
from ..tags import name_problem, suggest_name

OWN = frozenset({"format", "format_version", "tokens", "width"})
"""What each format says in its own way, and no prompt keeps from another one."""

MOST = 256
"""Keys. Ours has about twenty."""


def texts(said: Mapping[str, Any]) -> dict[str, str]:
    """Lists of texts become one text with commas, numbers and tables JSON; what is empty, or ours to say, goes."""
    if len(said) > MOST:
        raise InvalidFile(f"it says {len(said):,} things of itself, and {MOST} are read: made by a faulty tool")
    kept = {key: _text(value) for key, value in said.items() if key not in OWN and value not in (None, "", [])}
    return {_whole(key): _whole(value) for key, value in kept.items()}


def own_name(said: Mapping[str, str]) -> str:
    """The name that a file gives itself, or the nearest one that a tag can have; "unnamed" where it gives none."""
    name = said.get("name", "")
    return (suggest_name(name) if name_problem(name) else name) if name else "unnamed"


def created(epoch: object) -> str:
    """ISO 8601 of seconds since 1970; empty where they are none."""
    if not isinstance(epoch, int | float) or isinstance(epoch, bool) or not 0 <= epoch < 1 << 35:
        return ""
    return datetime.fromtimestamp(epoch, timezone.utc).isoformat()


def epoch(text: str) -> float | None:
    """The seconds since 1970 of ISO 8601; None where it is none."""
    try:
        when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    except (ValueError, OverflowError):
        return None


def number(text: str) -> int | float | str:
    """3 of "3", as tools want numbers that we keep as texts; the text itself where it is none."""
    for kind in (int, float):
        try:
            value: int | float = kind(text)
        except ValueError:
            continue
        if str(value) == text:
            return value
    return text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _whole(text: str) -> str:
    # JSON can spell half a character, which can be neither shown nor written.
    return text.encode("utf-8", "ignore").decode()
