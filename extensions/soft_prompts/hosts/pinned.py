"""`placed(pins, place, limit)`: what is pinned, as the ids that stand before a text, within half of its room."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import InvalidPrompt, SoftPromptError
from ..slots import Slot
from ..tags import Tag, tag_for
from .budget import affordable
from .protocol import Pin, Use


def placed(pins: Iterable[Pin], place: Callable[[Tag], Slot], limit: int | None) -> tuple[list[int], tuple[Use, ...]]:
    """(placeholder ids, what became of each pin) for a prompt of at most `limit` tokens; None: of any length."""
    ids: list[int] = []
    uses: list[Use] = []
    for pin in pins:
        tag = tag_for(pin.name, pin.strength)
        try:
            found = place(tag).ids
            if limit is not None and not affordable(len(ids) + len(found), limit):
                raise InvalidPrompt(_too_much(len(found), limit))
            ids += found
            uses.append(Use(str(tag), len(found), pinned=True))
        except SoftPromptError as problem:
            uses.append(Use(str(tag), pinned=True, problem=str(problem)))
    return ids, tuple(uses)


def _too_much(tokens: int, limit: int) -> str:
    return (
        f"it needs {tokens:,} tokens, and all that is pinned together may take half of the {limit:,} that a prompt may "
        "have beside the reply; a shorter one helps, or fewer pins, or a longer context"
    )
