"""`Text(post, resolver, slots).encode("The sky, <<sp:noir>>")`: ids by a llama-server's own tokenizer, tags and all.

Ids of tags are placeholders, as on every host; wire.py turns them into what a server takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ...errors import SoftPromptError, UnknownPlaceholder
from ...prompt import SoftPrompt, TaggedText
from ...resolve import Resolver
from ...slots import FIRST_ID, Slot, Slots
from ...splice import Seams, Spliced
from ...tags import Tag, has_tags, parse, without

Post = Callable[[str, Mapping[str, Any]], Any]
"""`post("/tokenize", {"content": text})` gives the server's answer, parsed; raises OSError and SoftPromptError."""

Unresolved = Callable[[Tag, SoftPromptError], None]


class Text:
    """unresolved: is told of a tag that cannot be used, and the text goes on without it; without it, that raises."""

    def __init__(self, post: Post, resolver: Resolver, slots: Slots, unresolved: Unresolved | None = None) -> None:
        self._post = post
        self._resolver = resolver
        self._slots = slots
        self._unresolved = unresolved

    @cached_property
    def seams(self) -> Seams:
        """How this server's tokenizer joins text and tags; asks the server the first time."""
        return Seams(self.plain)

    @cached_property
    def spaced(self) -> bool:
        """Whether this server's tokenizer puts a space before every text, as those of Llama 2 and Mistral do."""
        return self._text(self.plain("x", False)).startswith(" ")

    def plain(self, text: str, add_special: bool) -> list[int]:
        """The ids of a text in which no tags are looked for."""
        if not text and not add_special:
            return []
        found = self._post("/tokenize", {"content": text, "add_special": add_special})
        return [int(each) for each in found["tokens"]]

    def encode(self, text: str, add_special: bool = True) -> Spliced:
        """The ids of one text, with placeholders where tags stand; its own prompts (TaggedText) go first."""
        if not has_tags(text):
            return Spliced(self.plain(text, add_special), ())
        carried: Mapping[str, SoftPrompt] = text.prompts if isinstance(text, TaggedText) else {}
        pieces = parse(text)
        slots = {piece: self._place(piece, carried) for piece in pieces if isinstance(piece, Tag)}
        pieces = without(pieces, [tag for tag, slot in slots.items() if slot is None])
        return self.seams.splice(pieces, lambda tag: slots[tag].ids, add_special)  # type: ignore[union-attr]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, with tags where placeholders stand."""
        if not any(each >= FIRST_ID for each in ids):
            return self._text(ids)
        parts: list[str] = []
        run: list[int] = []
        last = None
        for each in ids:
            if each < FIRST_ID:
                run.append(each)
            elif last is None or each != last + 1 or self._begins(each):
                parts += [self._text(run), self._tag(each)]
                run = []
            last = each
        return "".join([*parts, self._text(run)])

    def _place(self, tag: Tag, carried: Mapping[str, SoftPrompt]) -> Slot | None:
        try:
            return self._resolver.place(tag, carried)
        except SoftPromptError as problem:
            if self._unresolved is None:
                raise
            self._unresolved(tag, problem)
            return None

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._post("/detokenize", {"tokens": list(ids)})["content"]) if ids else ""

    def _begins(self, placeholder: int) -> bool:
        try:
            return self._slots.slot(placeholder).ids.start == placeholder
        except UnknownPlaceholder:
            return False

    def _tag(self, placeholder: int) -> str:
        try:
            return str(self._slots.slot(placeholder).tag)
        except UnknownPlaceholder:
            return "<<sp:?>>"  # only reading is asked for, and a text with a gap is worth more than none
