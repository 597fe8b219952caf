"""`Resolver(view, slots, library).place(tag, carried)`: from a tag to the placeholder ids of the vectors it means.

Here every reason why a tag cannot be used becomes an error with a name; hosts decide whether to raise or to warn.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .errors import AmbiguousPrompt, InvalidTag, Misfit, SoftPromptError, UnknownPrompt
from .fingerprint import Described, Embedding, Fit, Judge
from .library import Library
from .prompt import Prompt, SoftPrompt, TaggedText, TextPrompt, by_name
from .slots import Slot, Slots
from .splice import Seams, Spliced
from .tags import LARGEST_STRENGTH, Tag, parse, without

_log = logging.getLogger(__name__)

Unresolved = Callable[[Tag, SoftPromptError], None]
"""`unresolved(tag, problem)` is told of a tag that cannot be used; the text then goes on without it."""


class View(Embedding, Protocol):
    """What a host shows of the loaded model and its tokenizer."""

    def inner_ids(self, text: str) -> list[int]:
        """The ids `text` has where it stands after other text, without specials."""


class Resolver:
    """prompts: given by the program; library: a folder; allow_strangers: take prompts made for other models.

    hint: what to do about a name that nothing holds, for people who write programs.
    """

    def __init__(
        self,
        view: View,
        slots: Slots,
        library: Library | None = None,
        prompts: Iterable[Prompt] = (),
        allow_strangers: bool = False,
        hint: str = "",
    ) -> None:
        self._view = view
        self._slots = slots
        self._library = library
        self._prompts = by_name(prompts)
        self._allow_strangers = allow_strangers
        self._hint = f" {hint}" if hint else ""
        self._judge = Judge(view)
        self._warned: set[str] = set()
        self._texts: dict[str, SoftPrompt] = {}
        self._words: dict[Hashable, list[int]] = {}

    def place(self, tag: Tag, carried: Mapping[str, SoftPrompt] | None = None) -> Slot:
        """The slot that `tag` means: from the text itself, then from the given prompts, then from the library.

        Raises UnknownPrompt, AmbiguousPrompt, InvalidTag, InvalidFile or Misfit.
        """
        if abs(tag.strength) > LARGEST_STRENGTH:
            raise InvalidTag(f"{tag.text or tag}: a strength lies between -4 and 4, 1 being the prompt as it is")
        prompt = self._choose(self._candidates(tag.name, carried or {}))
        if isinstance(prompt, TextPrompt):
            prompt = self._embedded(prompt)
        key = _key(prompt, tag)
        return self._slots.find(key, tag) or self._slots.place(self._vectors(prompt, tag), tag, key)

    def splice(
        self, text: str, seams: Seams, add_special_tokens: bool = True, unresolved: Unresolved | None = None
    ) -> Spliced:
        """The ids of one text, with placeholders where tags stand; its own prompts (TaggedText) go before all others.

        unresolved: is told of a tag that cannot be used, and the text goes on without it; without it, that raises.
        """
        carried: Mapping[str, SoftPrompt] = text.prompts if isinstance(text, TaggedText) else {}
        pieces = parse(text)
        slots: dict[Tag, Slot] = {}
        for tag in [piece for piece in pieces if isinstance(piece, Tag)]:
            try:
                slots[tag] = self.place(tag, carried)
            except SoftPromptError as problem:
                if unresolved is None:
                    raise
                unresolved(tag, problem)
        pieces = without(pieces, [piece for piece in pieces if isinstance(piece, Tag) and piece not in slots])
        return seams.splice(pieces, lambda tag: slots[tag].ids, add_special_tokens)

    def fitting(self, tags: Iterable[Tag]) -> Iterator[Slot]:
        """The slots of those that can be used here, texts left out: they are their own words, see `words`."""
        for tag in tags:
            with contextlib.suppress(SoftPromptError):
                if not self.is_text(tag):
                    yield self.place(tag)

    def is_text(self, tag: Tag) -> bool:
        """Whether `tag` means a text as it is, whose words say the same as its vectors; raises as `place` does."""
        return tag.hundredths == 100 and isinstance(self._choose(self._candidates(tag.name, {})), TextPrompt)

    def fit(self, prompt: Described) -> Fit:
        """Whether `prompt`, or the one whose header this is, was made for this model."""
        return self._judge(prompt)

    def _candidates(self, name: str, carried: Mapping[str, SoftPrompt]) -> Sequence[Prompt]:
        if name in carried:
            return [carried[name]]
        given = self._prompts.get(name)
        if given is None:
            return self._from_library(name)
        if self._library is not None and name in self._library and given not in self._library.variants(name):
            raise AmbiguousPrompt(
                f"'{name}' is given in prompts=[...] and stands in {self._library.folder} with another content: "
                "rename one of them"
            )
        return [given]

    def _from_library(self, name: str) -> Sequence[Prompt]:
        if self._library is None:
            raise UnknownPrompt(f"no soft prompt '{name}': this model has no library attached.{self._hint}")
        try:
            return self._library.variants(name)
        except UnknownPrompt as problem:
            if self._library.near(name):
                raise  # a slip of the pen, and the message says so
            raise UnknownPrompt(f"{problem}.{self._hint}" if self._hint else str(problem)) from None

    def _choose(self, candidates: Sequence[Prompt]) -> Prompt:
        refusals = []
        strangers = False
        for candidate in candidates:
            if isinstance(candidate, TextPrompt):
                return candidate
            fit = self._judge(candidate)
            if fit.usable and fit.verdict != "fits" and candidate.digest not in self._warned:
                self._warned.add(candidate.digest)
                _log.warning("%s", fit.reason)
            if fit.usable or (fit.verdict == "stranger" and self._allow_strangers):
                return candidate
            strangers = strangers or fit.verdict == "stranger"
            refusals.append(fit.reason)
        way = ". To take it all the same: attach(..., allow_strangers=True)" if strangers and self._hint else ""
        raise Misfit("; ".join(refusals) + way)

    def words(self, key: Hashable) -> Sequence[int]:
        """The token ids that say what the vectors of a slot's key say: those of a text as it is; else none."""
        return self._words.get(key, ())

    def _embedded(self, prompt: TextPrompt) -> SoftPrompt:
        if prompt.digest not in self._texts:
            ids = self._view.inner_ids(prompt.text)
            found = self._texts[prompt.digest] = SoftPrompt(prompt.name, self._view.embed(ids))
            self._words[_key(found, Tag(prompt.name))] = ids
        return self._texts[prompt.digest]

    def _vectors(self, prompt: SoftPrompt, tag: Tag) -> NDArray[np.float32]:
        if tag.hundredths == 100:
            return prompt.vectors
        origin: NDArray[np.float32] = self._mean if prompt.origin is None else prompt.origin
        vectors: NDArray[np.float32] = origin + np.float32(tag.hundredths / 100) * (prompt.vectors - origin)
        return vectors

    @cached_property
    def _mean(self) -> NDArray[np.float32]:
        """(width,): the mean of the model's token embeddings, read in blocks because a vocabulary may be large."""
        total = np.zeros(self._view.width, np.float64)
        for start in range(0, self._view.rows, 8192):
            total += self._view.embed(range(start, min(start + 8192, self._view.rows))).sum(axis=0, dtype=np.float64)
        return (total / self._view.rows).astype(np.float32)


def _key(prompt: SoftPrompt, tag: Tag) -> Hashable:
    """Of the vectors that a tag means: content and strength."""
    return prompt.digest, tag.hundredths
