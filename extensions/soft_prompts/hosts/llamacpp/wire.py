"""`Wire(slots, text).payload(asked, sidecar)`: a request with placeholders, as a server with the sidecar takes it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import groupby
from typing import Any

from ...slots import FIRST_ID, Slot, Slots
from .mmproj import images
from .sidecar import Sidecar
from .text import Text

STUMBLED = "Chunk not found"
"""What llama-server says where texts part between two images side by side, of which it kept the first (b9000 and later:
server_tokens::keep_first). It says so again and again, until it is asked to read everything anew."""

_LONGEST = 16
"""Tokens of a word."""


def anew(asked: Mapping[str, Any], said: str) -> dict[str, Any] | None:
    """The request to send again where a server stumbled; None where that was not the reason, or is no help."""
    if STUMBLED not in said or asked.get("cache_prompt") is False:
        return None
    return {**asked, "cache_prompt": False}


class Wire:
    """words: the token ids of a slot's key where these say the same, see `Resolver.words`."""

    def __init__(self, slots: Slots, text: Text, words: Callable[[Hashable], Sequence[int]]) -> None:
        self._slots = slots
        self._text = text
        self._words = words

    def needed(self, ids: Sequence[int]) -> list[Slot]:
        """What ids need of a sidecar, each once: a text is its own words. Raises UnknownPlaceholder."""
        found = {slot.key: slot for slot in (self._slots.slot(each) for each in ids if each >= FIRST_ID)}
        return [slot for key, slot in found.items() if not self._words(key)]

    def payload(self, asked: Mapping[str, Any], sidecar: Sidecar | None, media: str = "") -> dict[str, Any]:
        """The same request; ids of spare rows are banned from what it writes, with or without a tag in it."""
        payload = dict(asked)
        prompt = payload.get("prompt")
        if isinstance(prompt, list) and any(isinstance(each, int) and each >= FIRST_ID for each in prompt):
            payload["prompt"] = prompt = [self._spelt(each) for each in prompt]
            if sidecar is not None and any(each >= FIRST_ID for each in prompt):
                made = self._rows(prompt, sidecar) if sidecar.way == "lora" else self._images(prompt, sidecar, media)
                payload["prompt"] = made
        if sidecar is not None and sidecar.banned:
            payload["logit_bias"] = [*(payload.get("logit_bias") or []), *([each, False] for each in sidecar.banned)]
        return payload

    def _spelt(self, each: int) -> int:
        """A placeholder of a text as the word that it stands for."""
        if each < FIRST_ID:
            return each
        slot = self._slots.slot(each)
        words = self._words(slot.key)
        return words[each - slot.ids.start] if words else each

    def _rows(self, ids: Sequence[int], sidecar: Sidecar) -> list[int]:
        return [self._place(each, sidecar) if each >= FIRST_ID else each for each in ids]

    def _images(self, ids: Sequence[int], sidecar: Sidecar, media: str) -> dict[str, Any]:
        head = self._text.seams.head
        if list(ids[: len(head)]) == head:
            ids = ids[len(head) :]  # the server puts it before such a prompt by itself
        ids = self._with_text_behind(ids)
        words: list[str] = []
        pictures: list[str] = []
        for soft, group in groupby(ids, lambda each: each >= FIRST_ID):
            run = list(group)
            if not soft:
                words.append(self._beside(run))
                continue
            made = images([self._place(each, sidecar) for each in run], sidecar.side, sidecar.patch)
            pictures += made
            words.append(media * len(made))
        return {"prompt_string": "".join(words), "multimodal_data": pictures}

    def _beside(self, ids: Sequence[int]) -> str:
        """The text that a server reads as these ids where it stands at the beginning or beside an image.

        Some tokenizers put a space before each such text: it takes the place of one that is there, and where there is
        none ("<<sp:noir>>, and"), nothing keeps it out.
        """
        text = self._text.decode(ids)
        # Never nothing: an image must not be the last of a prompt.
        return (text.removeprefix(" ") or text) if self._text.spaced else text

    def _with_text_behind(self, ids: Sequence[int]) -> list[int]:
        """llama.cpp ends at once where an image is the last of a prompt (b9000 and later: server-context.cpp asserts
        a text): the word before the tag goes behind it, or a line break where there is none."""
        if not ids or ids[-1] < FIRST_ID:
            return list(ids)
        stop = max((place + 1 for place, each in enumerate(ids) if each < FIRST_ID), default=0)
        if not stop:
            return [*ids, *self._text.seams.inner("\n")]
        start = self._last_word(ids[:stop])
        return [*ids[:start], *ids[stop:], *ids[start:stop]]

    def _last_word(self, ids: Sequence[int]) -> int:
        """Where the word begins that ids end with; where its last token does, if that is not found."""
        for start in range(len(ids) - 1, max(-1, len(ids) - 1 - _LONGEST), -1):
            if ids[start] >= FIRST_ID:
                break
            if self._text.decode([ids[start]])[:1].isspace():
                return start
        return len(ids) - 1

    def _place(self, placeholder: int, sidecar: Sidecar) -> int:
        slot = self._slots.slot(placeholder)
        return sidecar.places[slot.key][placeholder - slot.ids.start]
