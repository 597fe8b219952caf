"""`carried(envelope)`, `with_prompt(envelope, "noir", data)`: soft prompts that ride inside a Character Card V3.

They are assets of the type `x_soft_prompt`, which other tools keep and pass over: as a data URI, or in a packed card
(charx) as a file of its own. Nothing is ever fetched from an address, and no path is followed.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import Any

from ....errors import InvalidFile
from . import bounds, cards, charx, fields
from .envelope import Envelope

TYPE = "x_soft_prompt"
ENDING = "safetensors"
LARGEST = 64 << 20
"""Bytes of a prompt in a card; one of 1,024 tokens, 8,192 wide, is half of it."""
_TOO_MANY = "with it, the soft prompts in the card are larger than its file allows"
_DATA, _INSIDE = "data:application/octet-stream;base64,", ("embeded://", "embedded://")
_ICON = {"type": "icon", "uri": "ccdefault:", "name": "main", "ext": "png"}
_OF_SIX = ("name", "description", "personality", "scenario", "first_mes", "mes_example")


@dataclass(frozen=True)
class Asset:
    """A soft prompt in a card: its name there, and the bytes of its file. problem: why there are none."""

    name: str
    data: bytes = b""
    problem: str = ""


def carried(envelope: Envelope) -> list[Asset]:
    """Every soft prompt that the card says it has; bytes only of so many as fit into its file."""
    packed = charx.Packed(envelope.data) if envelope.ending == ".charx" else None
    # Trained vectors hardly pack; and what a card names a thousand times is there once.
    left, known, found = bounds.FREE + 2 * len(envelope.data), dict[str, Asset](), list[Asset]()
    for each in filter(_is_ours, _assets(envelope.value)):
        name, uri = (fields.whole(fields.text(each, field)) for field in ("name", "uri"))
        if uri not in known:
            known[uri] = _taken(packed, uri, left)
            left = 0 if known[uri].problem == _TOO_MANY else left - len(known[uri].data)
        found.append(replace(known[uri], name=name))
    return found


def with_prompt(envelope: Envelope, name: str, data: bytes) -> bytes:
    """The card's file with this prompt in it, in place of one of that name; a card of an older kind becomes a V3."""
    if len(data) > LARGEST:
        raise InvalidFile(f"'{name}' is {len(data):,} bytes large, and a card takes {LARGEST:,}")
    if not cards.matches(envelope.value) or cards.is_book(envelope.value):
        raise InvalidFile("it is no Character Card, and only such carry soft prompts")
    packed = envelope.ending == ".charx"
    path = f"assets/{TYPE}/other/{name.replace('/', '_')}.{ENDING}"
    uri = f"{_INSIDE[0]}{path}" if packed else _DATA + base64.b64encode(data).decode()
    value = _with(_newest(envelope.value), {"type": TYPE, "uri": uri, "name": name, "ext": ENDING})
    if envelope.ending == ".png":
        return envelope.with_values({"ccv3": value})
    return envelope.with_values(dict.fromkeys(envelope.values, value), {path: data} if packed else None)


def _assets(value: Any) -> list[Any]:
    data = value.get("data") if isinstance(value, dict) else None
    found = data.get("assets") if isinstance(data, dict) else None
    return found if isinstance(found, list) else []


def _is_ours(asset: Any) -> bool:
    return isinstance(asset, dict) and asset.get("type") == TYPE


def _taken(packed: charx.Packed | None, uri: str, left: int) -> Asset:
    """Without its name, by which a card may have it several times."""
    if left <= 0:
        return Asset("", problem=_TOO_MANY)
    try:
        data = _bytes(packed, uri)
    except InvalidFile as problem:
        return Asset("", problem=str(problem))
    return Asset("", data) if len(data) <= left else Asset("", problem=_TOO_MANY)


def _bytes(packed: charx.Packed | None, uri: str) -> bytes:
    if uri[:5].lower() == "data:":
        head, comma, text = uri.partition(",")
        if not comma or not head.lower().endswith(";base64") or len(text) > 2 * LARGEST:
            raise InvalidFile("it is not written as base64, or is too large")
        try:
            return base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidFile("its base64 is damaged") from None
    inside = next((uri[len(each) :] for each in _INSIDE if uri.startswith(each)), "")
    if inside and packed is not None:
        return packed.read(inside)
    raise InvalidFile(f"it lies elsewhere ({uri[:60]!r}), and nothing is fetched from there")


def _newest(value: dict[str, Any]) -> dict[str, Any]:
    """As a V3, with all that it must have then."""
    wrapped = str(value.get("spec", "")).startswith(cards.SPEC)
    data = dict(value["data"]) if wrapped else {each: value.get(each, "") for each in _OF_SIX}
    usual = {"tags": [], "creator": "", "character_version": "", "extensions": {}, "system_prompt": ""}
    usual |= {
        "post_history_instructions": "",
        "alternate_greetings": [],
        "creator_notes": "",
        "group_only_greetings": [],
    }
    return {**(value if wrapped else {}), "spec": f"{cards.SPEC}3", "spec_version": "3.0", "data": {**usual, **data}}


def _with(value: dict[str, Any], asset: dict[str, str]) -> dict[str, Any]:
    """A card without a list of assets has one all the same: its own picture."""
    listed = value["data"].get("assets")
    known = listed if isinstance(listed, list) else [_ICON]
    others = [each for each in known if not (_is_ours(each) and each.get("name") == asset["name"])]
    return {**value, "data": {**value["data"], "assets": [*others, asset]}}
