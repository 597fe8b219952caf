"""`Served(model, tokenizer, library)`: a model of the webui's Transformers loader, attached, with the webui's own ways.

Beyond `attach` it puts pinned prompts into prompts, repairs what the webui cuts off, and shows pins to the two views
that read the model without a hook.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ...fingerprint import Described, Fit
from ...library import Library
from ...prompt import SoftPrompt, TextPrompt
from ...slots import FIRST_ID, Slot
from ...tags import Tag, tag_for
from ..budget import arrange, bos_of, rearranged, spans_of
from ..hf import Attachment, attach, text_prompt
from ..hf.generation import with_neutral
from ..hf.neighbours import nearest
from ..hf.trial import trial
from ..hf.view import called, unwrap
from ..protocol import Piece, Turn
from ..wrapped import Wrapped

Ids = torch.Tensor


class Served:
    """Mutates model and tokenizer, until `close()`; raises UnsupportedModel, and leaves them as they were.

    read: what becomes of a text before its tags are looked for.
    """

    def __init__(self, model: Any, tokenizer: Any, library: Library, read: Callable[[str], str] = str) -> None:
        self.tokenizer = tokenizer
        self.base = unwrap(model)
        self.kind = called(self.base)
        self.verdicts: dict[Any, Any] = {}
        """What a list says of its files, for as long as this model is loaded."""
        # A tag that means nothing is left out here; what is said about it is said once a request, not at each count.
        self._attached: Attachment = attach(model, tokenizer, library, unresolved=lambda tag, problem: None)
        self.tested = self._attached.remark or "passed its self-test"
        self.reading = self._attached.reading
        self._wrapped = [
            Wrapped(self.base, "generate", _within).install(),
            Wrapped(
                tokenizer, "encode", lambda call, text, *args, **options: call(_read(read, text), *args, **options)
            ),
        ]
        self._wrapped[-1].install()

    def serves(self, model: Any, tokenizer: Any) -> bool:
        """Whether this pair is the one attached; a LoRA around the same model is."""
        return tokenizer is self.tokenizer and unwrap(model) is self.base

    def close(self) -> None:
        """Undo everything. Let running generations end before."""
        while self._wrapped:
            self._wrapped.pop().restore()
        self._attached.close()

    def place(self, tag: Tag) -> Slot:
        """The ids and vectors of a tag; raises SoftPromptError with the reason why there are none."""
        return self._attached.place(tag)

    def fit(self, prompt: Described) -> Fit:
        """Whether the prompt was made for this model; a file's header is enough to tell."""
        return self._attached.fit(prompt)

    def tokens(self, text: str) -> int:
        """What a text prompt costs on this model."""
        return len(self._attached.view.inner_ids(text))

    def resembles(self, name: str) -> list[str]:
        """For each vector of a prompt the token it is nearest to, as one reads it; raises SoftPromptError."""
        return nearest(self.base, self.tokenizer, self.place(tag_for(name)).vectors)

    def baked(self, prompt: TextPrompt) -> SoftPrompt:
        """The vectors that a text has on this model, made for it; raises SoftPromptError."""
        return text_prompt(prompt.text, self.base, self.tokenizer, prompt.name)

    def arranged(self, ids: Ids, whole: Callable[[], Ids], pins: Sequence[int], limit: int) -> Ids:
        """(1, length): what the webui has encoded and cut, arranged anew within its `limit`.

        whole: the same prompt before the cut, asked for only where there may have been one.
        """
        row: list[int] = ids[0].tolist()
        fitted = rearranged(row, lambda: whole()[0].tolist(), pins, limit, self._attached.slots.slot, self._head)
        return ids if fitted == row else ids.new_tensor([fitted])

    def reached(self, ids: Ids) -> list[Slot]:
        """The slot of each whole tag in the ids, in their order."""
        row: list[int] = ids[0].tolist()
        slot = self._attached.slots.slot
        return [slot(row[start]) for start, _ in spans_of(row, slot)[0]]

    def with_pins(self, ids: Ids, pins: Sequence[int]) -> Ids:
        """(1, length + pins): the ids of a prompt with pins behind its BOS."""
        row: list[int] = ids[0].tolist()
        return ids.new_tensor([arrange(row, self._head(row), pinned=pins)])

    def _head(self, row: Sequence[int]) -> int:
        """How many ids stand before the text: BOS, or whatever else this tokenizer begins with."""
        head = self._attached.head
        begins = len(head) if head and list(row[: len(head)]) == head else 0
        return max(begins, bos_of(row, self.tokenizer.bos_token_id))

    def entries(
        self, call: Callable[..., list[dict[str, Any]]], prompt: str, count: int, ids: Ids, pins: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The webui's log probabilities of a prompt's tokens: placeholders have none, and pins are heard, not shown."""
        mask = ids[0] >= FIRST_ID
        if not pins and not mask.any():
            return call(prompt, count, input_ids=ids)
        with self.reading(self.with_pins(ids, pins), hidden=len(pins)):
            found = call(prompt, count, input_ids=with_neutral(ids, 0))
        begins = {slot.ids.start for slot in self.reached(ids)}
        for place in mask.nonzero().flatten().tolist():
            placeholder = int(ids[0, place])
            text = str(self._attached.slots.slot(placeholder).tag) if placeholder in begins else ""
            found[place] = {"token": text, "null_logprob": True}
        return found

    def trial(
        self, left: str, right: str, *, tokens: int, seed: int, temperature: float, turn: Turn
    ) -> Iterator[tuple[int, Piece]]:
        """Both columns, see `hosts.hf.trial`; raises SoftPromptError."""
        options: dict[str, Any] = {"tokens": tokens, "seed": seed, "temperature": temperature}
        return trial(self._attached, left, right, turn=turn, **options)

    def next_logits(
        self,
        host: Any,
        call: Callable[..., Any],
        prompt: str,
        state: Any,
        sampled: Any,
        *args: Any,
        **options: Any,
    ) -> Any:
        """The webui's `_get_next_logits`, which without samplers reads the model past every hook."""
        if sampled:
            return call(prompt, state, sampled, *args, **options)
        ids = self.tokenizer.encode(prompt, return_tensors="pt")
        pins = host.logits_pins(prompt, ids)
        if not pins:
            return call(prompt, state, sampled, *args, **options)
        with self.reading(self.with_pins(ids, pins), hidden=len(pins)):
            return call(prompt, state, sampled, *args, **options)

    @staticmethod
    def allow(ids: Ids, new_tokens: int) -> Ids:
        """The same ids, behind which `generate` writes `new_tokens` at most: the webui counted without our part."""
        ids.soft_prompts_new_tokens = new_tokens  # type: ignore[attr-defined]
        return ids


def _read(read: Callable[[str], str], text: Any) -> Any:
    return read(text) if isinstance(text, str) else text


def _within(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    allowed = getattr(kwargs.get("inputs"), "soft_prompts_new_tokens", None)
    return call(*args, **kwargs) if allowed is None else call(*args, **{**kwargs, "max_new_tokens": allowed})
