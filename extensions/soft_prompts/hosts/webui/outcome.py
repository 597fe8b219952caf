"""`outcome(prompt, starts, place, pins)`: what became of each tag of a request, as a panel shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from ...errors import SoftPromptError
from ...slots import Slot
from ...tags import Tag, parse
from ..protocol import Use

Place = Callable[[Tag], Slot]


def outcome(prompt: str, starts: Sequence[int], place: Place, pinned: Sequence[Use] = ()) -> tuple[Use, ...]:
    """A Use for each tag of the prompt, the pinned ones first.

    starts: the first placeholder of each tag that reached the model, pins left out.
    """
    reached = Counter(starts)
    written = Counter(piece for piece in parse(prompt) if isinstance(piece, Tag))
    return (*pinned, *(_use(tag, times, reached, place) for tag, times in written.items()))


def elsewhere(text: str, place: Place, where: str) -> tuple[Use, ...]:
    """The Uses of tags in a text that is read beside the prompt, such as the negative prompt."""
    written = Counter(piece for piece in parse(text) if isinstance(piece, Tag))
    starts = [slot.ids.start for tag in written.elements() if (slot := _placed(tag, place)[0])]
    uses = (_use(tag, times, Counter(starts), place) for tag, times in written.items())
    return tuple(Use(f"{use.tag} in the {where}", use.tokens, use.times, False, use.problem) for use in uses)


def _use(tag: Tag, times: int, reached: Counter[int], place: Place) -> Use:
    written = tag.text or str(tag)
    slot, problem = _placed(tag, place)
    if slot is None:
        return Use(written, 0, times, problem=problem)
    kept = min(times, reached[slot.ids.start])
    reached[slot.ids.start] -= kept
    if kept < times:
        lost = "it was" if times == 1 else f"{times - kept} of {times} were"
        problem = f"{lost} cut off with the beginning of the text, which is longer than the context allows"
    return Use(written, kept * len(slot.ids), times, problem=problem)


def _placed(tag: Tag, place: Place) -> tuple[Slot | None, str]:
    try:
        return place(tag), ""
    except SoftPromptError as problem:
        return None, str(problem)
