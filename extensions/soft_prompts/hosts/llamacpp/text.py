"""`Text(post, resolver, slots).encode("The sky, <<sp:noir>>")`: ids by a llama-server's own tokenizer, tags and all.

Ids of tags are placeholders, as on every host; wire.py turns them into what a server takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from ...resolve import Resolver, Unresolved
from ...slots import Slots
from ...splice import Seams, Spliced
from ...tags import has_tags

Post = Callable[[str, Mapping[str, Any]], Any]
"""`post("/tokenize", {"content": text})` gives the server's answer, parsed; raises OSError and SoftPromptError."""


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
        return self._resolver.splice(text, self.seams, add_special, self._unresolved)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, with tags where placeholders stand."""
        return "".join(run if isinstance(run, str) else self._text(run) for run in self._slots.runs(ids))

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._post("/detokenize", {"tokens": list(ids)})["content"]) if ids else ""
