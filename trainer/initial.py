"""`Training(..., start=from_text("A cyberpunk novel."))`: what a prompt is before the first step.

A start is a function `(reader, words, tokens, seed) -> (tokens, width)` float32 on the CPU, where words are ids of the
text that is learnt. It matters little which one, as long as it has the size of the model's own embeddings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..errors import TrainingError
from ..prompt import SoftPrompt
from .reader import Reader

Start = Callable[[Reader, Sequence[int], int, int], torch.Tensor]


def from_words(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> torch.Tensor:
    """Tokens drawn from what is learnt: of the vocabulary, as often as the text has them."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(words), (tokens,), generator=generator)
    return reader.embed([words[int(each)] for each in drawn])


def from_text(text: str) -> Start:
    """The tokens of `text`, repeated or cut to the prompt's length."""

    def start(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> torch.Tensor:
        ids = reader.seams.inner(text)
        if not ids:
            raise TrainingError(f"the start {text!r} has no tokens: give a sentence")
        return reader.embed([ids[place % len(ids)] for place in range(tokens)])

    return start


def from_prompt(prompt: SoftPrompt) -> Start:
    """Go on with `prompt`; a longer one gets drawn words behind it, a shorter one keeps its first vectors."""

    def start(reader: Reader, words: Sequence[int], tokens: int, seed: int) -> torch.Tensor:
        drawn = from_words(reader, words, tokens, seed)
        if prompt.width != drawn.shape[1]:
            raise TrainingError(
                f"soft prompt '{prompt.name}' is {prompt.width} wide, but this model embeds tokens {drawn.shape[1]} "
                "wide: go on with the model it was made for, or start from a text"
            )
        kept = torch.tensor(prompt.vectors[:tokens])
        return torch.cat([kept, drawn[len(kept) :]])

    return start
