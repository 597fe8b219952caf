"""`tidy(read("emma.json"))`: calls and how each is to be answered, with the number of the item that says so."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidFile
from . import reading

SHAPE = '[{"call": " Emma wears", "response": " a black suit"}]'
_END_MARKS = " .!?…:;,。！？、"  # noqa: RUF001
_BOOK = (
    "it is a lorebook, whose entries are texts and no calls: `soft-prompts import FILE` writes calls and responses "
    "from them to another file"
)
BY = "written_by"
"""The field by which a file says that a model wrote an item, and nobody has looked at it."""
_LISTED = 6
"""Numbers of items that a note names; the rest is counted."""


@dataclass(frozen=True)
class Pair:
    """Where `call` stands, `response` is to follow; the spaces that both begin with are part of them."""

    call: str
    response: str


@dataclass(frozen=True)
class Item:
    """A pair as a file has it. held_out: not to be trained on, but to be asked. by: the model that wrote it."""

    number: int
    pair: Pair
    held_out: bool = False
    by: str = ""


def read(path: str | os.PathLike[str]) -> list[Item]:
    """The pairs of a JSON or JSONL file; raises InvalidFile that says which item is wrong."""
    return reading.read(path, parse)


def parse(data: bytes) -> list[Item]:
    """The same of a file's bytes; raises InvalidFile with the bare fact."""
    try:
        values = reading.items(reading.decode(data))
    except InvalidFile as problem:
        raise InvalidFile(f"{problem}. Pairs are written like {SHAPE}") from None
    found: list[Item] = []
    for number, value in enumerate(values, 1):
        try:
            found += _items(number, value)
        except InvalidFile as problem:
            raise InvalidFile(f"item {number:,}: {problem}") from None
    return found


def key(text: str) -> str:
    """What is the same for a reader: case, spaces and marks at the end do not count."""
    plain = " ".join(text.casefold().split())
    return plain.rstrip(_END_MARKS) or plain


def tidy(items: Iterable[Item], label: str = "item") -> tuple[list[Item], tuple[str, ...]]:
    """The items without doubled ones, and notes for the writer on what was dropped or looks like a slip."""
    kept: dict[Pair, Item] = {}
    doubled, joined, spaced = [], [], []
    for item in items:
        if item.pair in kept:
            doubled.append(item)
            continue
        kept[item.pair] = item
        if _letter(item.pair.call[-1]) and _letter(item.pair.response[0]):
            joined.append(item)
        if item.pair.call[-1] in " \t":
            spaced.append(item)
    found = (
        note([each for each in kept.values() if each.by], f"written by a model; read them, and take out {BY!r}", label),
        note(doubled, "said before, and dropped", label),
        note(joined, "call and answer run into one word; begin the answer with a space", label),
        note(spaced, "the call ends with a space, which models seldom read; begin the answer with it", label),
    )
    return list(kept.values()), tuple(filter(None, found))


def note(items: list[Item], words: str, label: str = "item") -> str:
    """`items 3, 4 and 7 more: words`; empty without items."""
    if not items:
        return ""
    numbers = list(dict.fromkeys(f"{each.number:,}" for each in items))
    rest = f" and {len(numbers) - _LISTED:,} more" if len(numbers) > _LISTED else ""
    return f"{label}{'s' if len(numbers) > 1 else ''} {', '.join(numbers[:_LISTED])}{rest}: {words}"


def _items(number: int, value: Any) -> Iterator[Item]:
    if not isinstance(value, dict):
        raise InvalidFile(_other(value))
    held_out = value.get("held_out", False)
    if not isinstance(held_out, bool):
        raise InvalidFile(f'its "held_out" is {reading.found(held_out)}; write true or false')
    call = _call(value)
    by = value.get(BY)
    for response in _responses(value, call):
        yield Item(number, Pair(call, response), held_out, by if isinstance(by, str) else "")


def _call(value: dict[str, Any]) -> str:
    call = value.get("call")
    if "call" not in value:
        book = isinstance(value.get("entries"), list | dict)
        raise InvalidFile(_BOOK if book else f'it has no "call": {_other(value)}')
    if not isinstance(call, str) or not call.strip():
        raise InvalidFile(f'its "call" is {_what(call)}; write what the answer is to follow')
    return reading.whole(call)


def _responses(value: dict[str, Any], call: str) -> list[str]:
    given = [value[field] for field in ("response", "responses") if field in value]
    if not given:
        raise InvalidFile(f'its call {call!r} has no "response": {_other(value)}')
    answers = [each for part in given for each in (part if isinstance(part, list) else [part])]
    for answer in answers or [[]]:
        if not isinstance(answer, str) or not answer.strip():
            raise InvalidFile(f"the answer to its call {call!r} is {_what(answer)}; write it, or take the item out")
    return [reading.whole(each) for each in answers]


def _other(value: Any) -> str:
    return f"it is {reading.found(value)}, and no pair like {SHAPE[1:-1]}"


def _what(value: Any) -> str:
    empty = isinstance(value, str | list) and not (value.strip() if isinstance(value, str) else value)
    return "empty" if empty else reading.found(value)


def _letter(letter: str) -> bool:
    # Scripts that know upper and lower case put spaces between words; those without mostly do not.
    return bool(re.match(r"\w", letter)) and letter.upper() != letter.lower()
