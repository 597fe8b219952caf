"""`Training(..., start=from_text("A cyberpunk novel."))`: what a prompt is before the first step.

A start is a function `(reader, words, tokens, seed) -> Initial`, where words are ids of the text that is learnt. It
matters little which one, as long as it has the size of the model's own embeddings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..errors import TrainingError
from ..prompt import SoftPrompt
from .reader import Reader


@dataclass(frozen=True)
class Initial:
    """vectors: (tokens, width) float32 on the CPU. origin: the same shape, what strength 0 means.

    name: by which a training that goes on knows that it began in the same way.
    """

    vectors: torch.Tensor
    origin: torch.Tensor
    name: str


Start = Callable[[Reader, Sequence[int], int, int], Initial]


def from_words(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> Initial:
    """Tokens drawn from what is learnt: of the vocabulary, as often as the text has them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(words), (tokens,), generator=generator)
    found = reader.embed([words[int(each)] for each in drawn])
    return Initial(found, found, "words")


def from_text(text: str) -> Start:
    """The tokens of `text`, repeated or cut to the prompt's length."""

    def start(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> Initial:
        ids = reader.seams.inner(text)
        if not ids:
            raise TrainingError(f"the start {text!r} has no tokens: give a sentence")
        found = reader.embed([ids[place % len(ids)] for place in range(tokens)])
        return Initial(found, found, f"text {hashlib.sha256(text.encode()).hexdigest()[:16]}")

    return start


def from_prompt(prompt: SoftPrompt) -> Start:
    """Go on with `prompt`; a longer one gets drawn words behind it, a shorter one keeps its first vectors."""

    def start(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> Initial:
        drawn = from_words(reader, words, tokens, seed).vectors
        if prompt.width != drawn.shape[1]:
            raise TrainingError(
                f"soft prompt '{prompt.name}' is {prompt.width} wide, but this model embeds tokens {drawn.shape[1]} "
                "wide: go on with the model it was made for, or start from a text"
            )
        # What strength 0 meant before, it means afterwards, too.
        before = [prompt.vectors, prompt.vectors if prompt.origin is None else prompt.origin]
        kept = [torch.tensor(each[:tokens]) for each in before]
        vectors, origin = (torch.cat([each, drawn[len(each) :]]) for each in kept)
        return Initial(vectors, origin, f"prompt {prompt.digest[:16]}")

    return start
