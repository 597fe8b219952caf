"""`trial(rows, likeliest, ends)`: two texts go on side by side, on a model that a llama-server runs.

A server tells of the likeliest tokens only, a hundred of them. A token that is not among those of the other column
counts as the last of them: its change is at least what is said, and may be more. Where soft prompts go as images, the
text beside them goes as letters, which the server may read as other tokens than those that were drawn.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import SoftPromptError, UnsupportedInput
from ..drawing import MOST, Dice
from ..protocol import Piece, Turn
from .model import GgufModel

_AT_ONCE = 4
"""Tokens of one column before the other's turn: a server that keeps one text only reads the whole of it anew then."""
_ENDS = ("eos", "eot", "eom")
"""What GGUF files call tokens that end a text."""
_ENDING = ("<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<EOT>", "<|return|>")
"""How such tokens are spelt that files do not name; llama.cpp knows them by these as well."""


@dataclass(frozen=True)
class Likely:
    """One token that may come next; spelt: its bytes, perhaps half a character; log: its log-probability."""

    token: int
    spelt: bytes
    log: float


Likeliest = Callable[[Sequence[int]], Sequence[Likely]]
"""`likeliest(ids)`: what may come behind these ids, placeholders among them; raises SoftPromptError."""


def trial(
    rows: Sequence[Sequence[int]],
    likeliest: Likeliest,
    ends: Collection[int],
    *,
    tokens: int = 60,
    seed: int = 0,
    temperature: float = 0.7,
    turn: Turn = nullcontext,
) -> Iterator[tuple[int, Piece]]:
    """(column 0 or 1, what it wrote next) until both have ended, or are `tokens` long; closing it ends it.

    rows: the ids of both texts; ends: the tokens that end a text.
    """
    dice = Dice(seed, temperature)
    columns = [_Column(row, other) for row, other in zip(rows, reversed(rows), strict=True)]
    for start in range(0, tokens, _AT_ONCE):
        for number, column in enumerate(columns):
            with turn():
                pieces = column.go_on(range(start, min(tokens, start + _AT_ONCE)), likeliest, dice, ends)
            yield from ((number, piece) for piece in pieces)
        if all(column.ended for column in columns):
            return


def question(ids: Sequence[int]) -> dict[str, Any]:
    """What to ask `/completion` for `answered`: one token, and what else it could have been, before any sampler."""
    chances = {"n_probs": MOST, "post_sampling_probs": False}
    return {"prompt": list(ids), "n_predict": 1, "cache_prompt": True, "stream": False, "samplers": [], **chances}


def answered(answer: Mapping[str, Any], banned: Collection[int] = ()) -> list[Likely]:
    """What may come next, by the server's answer; banned: rows that nothing may write."""
    try:
        told = answer["completion_probabilities"][0]["top_logprobs"]
        found = [Likely(int(each["id"]), bytes(each["bytes"]), float(each["logprob"])) for each in told]
    except (KeyError, IndexError, TypeError, ValueError):
        said = answer.get("error", "it tells of no probabilities")
        words = said.get("message", said) if isinstance(said, Mapping) else said
        raise SoftPromptError(f"llama-server does not go on with this text: {words}") from None
    return [each for each in found if each.token not in banned]


def ends_of(model: GgufModel) -> frozenset[int]:
    """The tokens that end a text, as the model's file names or spells them."""
    named = [model.values.get(f"tokenizer.ggml.{name}_token_id") for name in _ENDS]
    listed = model.values.get("tokenizer.ggml.eog_token_ids") or ()
    spelt = [each for each, text in enumerate(model.tokens) if text in _ENDING]
    return frozenset(int(each) for each in (*named, *listed, *spelt) if each is not None)


def check_length(rows: Sequence[Sequence[int]], tokens: int, context: int | None) -> None:
    """Raises UnsupportedInput for a text that is too long; context: tokens that the server has, where that is known."""
    longest = max(map(len, rows))
    if context and longest + tokens > context:
        raise UnsupportedInput(
            f"the text has {longest:,} tokens, and {tokens:,} more are asked for, but llama.cpp was started with a "
            f"context of {context:,}: shorten the text, ask for fewer, or load the model with more"
        )


class _Column:
    """What goes on behind `row`, and what the text `other` makes of it."""

    def __init__(self, row: Sequence[int], other: Sequence[int]) -> None:
        self.ended = False
        self._row, self._other = list(row), list(other)
        self._same = self._row == self._other
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._change = 0.0

    def go_on(self, places: range, likeliest: Likeliest, dice: Dice, ends: Collection[int]) -> list[Piece]:
        """The next few tokens: first all of its own, then what the other text says of each."""
        drawn = []
        for place in places if not self.ended else ():
            own = likeliest(self._row)
            likely = _drawn(own, dice, place)
            self.ended = likely.token in ends
            if self.ended:
                break
            self._row.append(likely.token)
            drawn.append(likely)
        return [Piece(text, change) for likely in drawn for text, change in self._pieces(likely, likeliest)]

    def _pieces(self, likely: Likely, likeliest: Likeliest) -> Iterator[tuple[str, float]]:
        """The piece that a token completes, if it does."""
        if not self._same:
            self._change += likely.log - _log(likeliest(self._other), likely.token)
            self._other.append(likely.token)
        if text := self._decoder.decode(likely.spelt):
            yield text, self._change
            self._change = 0.0


def _drawn(own: Sequence[Likely], dice: Dice, place: int) -> Likely:
    if not own:
        raise SoftPromptError("llama-server tells of no token that could come next: load the model again")
    ids, logs = np.array([each.token for each in own]), np.array([each.log for each in own], np.float32)
    token = dice.choose(place, ids, logs)
    return next(each for each in own if each.token == token)


def _log(found: Sequence[Likely], token: int) -> float:
    """Of a token, or of the last one that the server tells of, which is at least as likely."""
    return next((each.log for each in found if each.token == token), min((each.log for each in found), default=0.0))
