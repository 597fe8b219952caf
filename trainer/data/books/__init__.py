"""`find(data)`: the Book in a file of one of the tools that writers use, told by its content; one module a tool."""

from __future__ import annotations

from typing import Any

from ....errors import InvalidFile
from .. import reading
from ..entries import Book
from . import agnai, cards, koboldai, novelai, prose, risu, sillytavern, webui, yaml
from .envelope import opened

_TOOLS = (novelai, koboldai, agnai, risu, cards, sillytavern, webui)
"""In this order: what says its kind goes before what only looks like it."""

YAML = (".yaml", ".yml")


def find(data: bytes, ending: str = "") -> Book | None:
    """None for what is none; ending: of the file's name, by which YAML is told. Raises InvalidFile, the bare fact."""
    if ending.lower() in YAML:
        value: Any = yaml.texts(reading.decode(data))
        if not webui.matches(value):
            raise InvalidFile("it is YAML, but no character of the webui: those have a name, a greeting and a context")
        return webui.read(value)
    envelope = opened(data)
    return None if envelope is None else book_of(envelope.value)


def book_of(value: Any) -> Book | None:
    """The same of JSON; raises InvalidFile where it is a book without a single entry."""
    if not isinstance(value, dict):
        return None
    tool: Any = next((each for each in _TOOLS if each.matches(value)), None)
    if tool is None:
        return None
    book: Book = tool.read(value)
    if not book.entries and not book.stories:
        why = f" ({'; '.join(book.skipped)})" if book.skipped else ": it has no entries"
        raise InvalidFile(f"it is a {book.kind}, and nothing in it can be used{why}")
    return book


def of_prose(text: str) -> Book | None:
    """A plain text with headings, under which it is said of what is written there; None without any."""
    return prose.read(text)
