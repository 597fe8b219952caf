"""`outcome(prompt, starts, place, pins)`: what became of each tag of a request, as a panel shows it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from ..errors import SoftPromptError
from ..slots import Slot
from ..tags import Tag, parse, replace, suggest_name
from .protocol import Room, Use

_NEARLY = re.compile(r"<<\s*sp\s*:[^<>:\n]{1,80}(?::[^<>:\n]{1,12})?>>", re.IGNORECASE)
Place = Callable[[Tag], Slot]
ANY = Room()


def outcome(
    prompt: str, reached: Sequence[Slot], place: Place, pinned: Sequence[Use] = (), room: Room = ANY
) -> tuple[Use, ...]:
    """A Use for each tag of the prompt, the pinned ones first; reached: what the model was given, pins left out."""
    written = Counter(piece for piece in parse(prompt) if isinstance(piece, Tag))
    left = list(reached)
    return (*pinned, *(_use(tag, times, left, place, room) for tag, times in written.items()))


def elsewhere(text: str, place: Place, where: str) -> tuple[Use, ...]:
    """The Uses of tags in a text that is read beside the prompt, such as the negative prompt."""
    written = Counter(piece for piece in parse(text) if isinstance(piece, Tag))
    reached = [slot for tag in written.elements() if (slot := _placed(tag, place)[0])]
    uses = (_use(tag, times, reached, place) for tag, times in written.items())
    return tuple(Use(f"{use.tag} in the {where}", use.tokens, use.times, False, use.problem) for use in uses)


def cut(lost: Sequence[Tag], place: Place, room: Room) -> tuple[Use, ...]:
    """The Uses of tags that never came into the prompt, because the message in which they stand was cut."""
    uses = []
    for tag, times in Counter(lost).items():
        slot, problem = _placed(tag, place)
        problem = problem or room.lacks(len(slot.ids) if slot else 0)
        problem = problem or "it was cut off with the end of the message, which is longer than the context allows"
        uses.append(Use(tag.text or str(tag), 0, times, problem=problem))
    return tuple(uses)


def lookalikes(prompt: str) -> tuple[Use, ...]:
    """A Use for each text that was meant as a tag and is none by the grammar, with the tag that it could be."""
    # A line break in the place of each tag, also of an escaped one: nothing goes on across it.
    found = Counter(match[0] for match in _NEARLY.finditer(replace(prompt, lambda tag: "\n")))
    return tuple(
        Use(text, 0, times, problem=f"it was read as text; a tag is written {_meant(text)}")
        for text, times in found.items()
    )


def _meant(text: str) -> str:
    inner = re.sub(r"^<<\s*sp\s*:|>>$", "", text, flags=re.IGNORECASE)
    name, _, strength = inner.partition(":")
    strength = strength.strip().replace(",", ".")
    return f"<<sp:{suggest_name(name.strip())}{':' + strength if re.fullmatch(r'-?[0-9.]+', strength) else ''}>>"


def _use(tag: Tag, times: int, left: list[Slot], place: Place, room: Room = ANY) -> Use:
    """Takes what it finds out of `left`, because two names may have one content, and so one slot."""
    written = tag.text or str(tag)
    slot, problem = _placed(tag, place)
    # By the tag as well: the file may have been replaced since the text was read.
    kept = [each for each in left if each is slot or each.tag == tag][:times]
    for each in kept:
        left.remove(each)
    cost = sum(len(each.ids) for each in kept)
    if slot is None and not kept:
        return Use(written, 0, times, problem=problem)
    if slot is not None and not kept and (problem := room.lacks(len(slot.ids))):
        return Use(written, 0, times, problem=problem)
    if len(kept) < times:
        lost = "it was" if times == 1 else f"{times - len(kept)} of {times} were"
        return Use(
            written,
            cost,
            times,
            problem=f"{lost} cut off with the beginning of the text, which is longer than the context allows",
        )
    return Use(written, cost, times)


def _placed(tag: Tag, place: Place) -> tuple[Slot | None, str]:
    try:
        return place(tag), ""
    except SoftPromptError as problem:
        # Whoever reads this has read the tag.
        return None, str(problem).removeprefix(f"{tag.text or tag}: ")
