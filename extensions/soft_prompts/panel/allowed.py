"""`allowed(host, row)`: which buttons can be pressed now, as changes of components; no gradio."""

from __future__ import annotations

from typing import Any

from ..hosts.protocol import Host, Row
from . import shelf_markup

Changes = dict[str, dict[str, Any]]
"""Name of a component -> its new properties."""
PLACES = ("forbidden", "forbidden_file", "forbidden_make")
"""Components that say why files stay as they are."""


def allowed(host: Host, row: Row | None) -> Changes:
    """row: the chosen one, if any."""
    free = not host.forbids
    there = row is not None and bool(row.file)
    ending = row.file.lower().rpartition(".")[2] if row else ""
    whole = there and row is not None and row.verdict != "unreadable"
    can = {
        "upload": free,
        "make": free,
        "download": there,
        "rename": free and there,
        "duplicate": free and whole,
        "discard": free and there,
        "describe": free and whole and ending == "safetensors",
        "convert": free and whole and ending != "safetensors",
    }
    into = "Make vectors of this text" if row is None or is_text(row) else "Turn it into a .safetensors file"
    reason = {"value": shelf_markup.forbidden(host.forbids)}
    pressed: Changes = {name: {"interactive": so} for name, so in can.items()}
    return {**pressed, "convert": {**pressed["convert"], "value": into}, **dict.fromkeys(PLACES, reason)}


def is_text(row: Row) -> bool:
    """Whether its file is a text, which has vectors on a model only."""
    return row.file.lower().endswith(".txt")
