"""`plain("<<sp:noir>>It rained.")`: a text as a model reads it that takes no tags; `tags_of(text)`: what is lost."""

from __future__ import annotations

from typing import Any

from ..tags import Tag, has_tags, parse, without


def plain(text: Any) -> Any:
    """The text without its tags, escaped ones as literals; anything but a text comes back as it is."""
    if not isinstance(text, str) or not has_tags(text):
        return text
    pieces = parse(text)
    return "".join(map(str, without(pieces, [piece for piece in pieces if isinstance(piece, Tag)])))


def tags_of(text: Any) -> list[Tag]:
    """The tags of a text, each once, as they come; none in anything but a text."""
    if not isinstance(text, str) or not has_tags(text):
        return []
    return list(dict.fromkeys(piece for piece in parse(text) if isinstance(piece, Tag)))
