"""Character Cards V1, V2 and V3, and the lorebooks that stand in them or alone.

V1 is six texts; V2 and V3 have the same in `data`, and beside them a `character_book` of entries.
"""

from __future__ import annotations

from typing import Any

from ..entries import Book, Place
from . import fields
from .macros import blocks

SPEC = "chara_card_v"
OWN = ("description", "personality", "scenario", "mes_example")
"""Fields of the card that say something of the character, in the order in which they stand in a context."""
_TOLD = (*OWN, "first_mes")
_ORDERS = ("system_prompt", "post_history_instructions")


def matches(value: dict[str, Any]) -> bool:
    if str(value.get("spec", "")).startswith(SPEC):
        return isinstance(value.get("data"), dict)
    one_of_six = isinstance(value.get("name"), str) and sum(isinstance(value.get(each), str) for each in _TOLD) >= 2
    return one_of_six or is_book(value)


def is_book(value: dict[str, Any]) -> bool:
    """A lorebook of a card that stands alone, with a `spec` around it or without."""
    entries = _book(value)[0].get("entries")
    return isinstance(entries, list) and any(isinstance(each, dict) and "content" in each for each in entries)


def read(value: dict[str, Any]) -> Book:
    """What the card says of its character, and its lorebook."""
    found = fields.Gathering()
    if is_book(value) and not str(value.get("spec", "")).startswith(SPEC):
        inner, place = _book(value)
        take_book(found, inner, place)
        return Book("lorebook of a Character Card", fields.name(inner, "name"), "", found.entries, (), found.skipped)
    wrapped = str(value.get("spec", "")).startswith(SPEC)
    card, place = (value["data"], ("data",)) if wrapped else (value, ())
    name = fields.name(card, "name", "nickname")
    _take_own(found, card, place, name)
    if isinstance(card.get("character_book"), dict):
        take_book(found, card["character_book"], (*place, "character_book"))
    version = str(value["spec"]).removeprefix(SPEC)[:1] if wrapped else "1"
    kind = f"Character Card V{version if version.isascii() and version.isdigit() else '?'}"
    return Book(kind, name, name, found.entries, _stories(card), (*found.skipped, *_left_out(card)))


def take_book(found: fields.Gathering, book: dict[str, Any], place: Place) -> None:
    """The entries of a lorebook as cards have it, in a list or, as some tools write it, in an object."""
    entries = book.get("entries")
    listed = entries.items() if isinstance(entries, dict) else enumerate(entries if isinstance(entries, list) else [])
    for which, raw in listed:
        if not isinstance(raw, dict):
            found.skip(str(which + 1 if isinstance(which, int) else which), "it is no object with a 'content'")
            continue
        found.take(
            raw,
            (*place, "entries", which, "content"),
            names=(raw.get("name"), raw.get("comment")),
            keys=fields.keys(raw.get("keys"), raw.get("key")),
            enabled=not fields.switched_off(raw.get("enabled")),
            order=raw.get("insertion_order"),
        )


def _book(value: dict[str, Any]) -> tuple[dict[str, Any], Place]:
    """(a lorebook that stands alone, where it stands)."""
    wrapped = value.get("spec") == "lorebook_v3" and isinstance(value.get("data"), dict)
    return (value["data"], ("data",)) if wrapped else (value, ())


def _take_own(found: fields.Gathering, card: dict[str, Any], place: Place, name: str) -> None:
    known = fields.keys([name], card.get("nickname"))
    for field in OWN:
        if field in card and card[field] not in ("", None):
            # Before all lorebooks, whose orders are what their writers chose.
            order = -(1 << 40) if field != "mes_example" else 1 << 40
            found.take(card, (*place, field), names=(name,), keys=known, order=order, field=field)


def _stories(card: dict[str, Any]) -> tuple[str, ...]:
    more = card.get("alternate_greetings")
    greetings = [fields.text(card, "first_mes"), *(more if isinstance(more, list) else [])]
    said = [each for each in greetings if isinstance(each, str)] + blocks(fields.text(card, "mes_example"))
    return tuple(fields.whole(each) for each in said if each.strip())


def _left_out(card: dict[str, Any]) -> tuple[str, ...]:
    orders = [each for each in _ORDERS if fields.text(card, each)]
    notes = [f"{' and '.join(orders)}: orders to the model, and nothing to know"] if orders else []
    if fields.text(card, "first_mes"):
        notes.append("greetings: nothing stands before them that could call them; `train finetune` learns their manner")
    return tuple(notes)
