"""`trial(attached, "<<sp:noir>>The sky", "The sky")`: two texts go on side by side, on a model of Transformers.

Each column's words also go behind the other column's text: so each word says by how much its own text made it likelier.
Both continuations of one text are one batch of two rows of equal length, which needs no padding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UnsupportedInput
from ...slots import FIRST_ID
from ...tags import Tag, parse
from ..drawing import Dice
from ..protocol import Piece, Turn
from .attach import Attachment
from .view import device_of, evaluating, text_embedding, unwrap

_CACHES = ("past_key_values", "cache_params")
"""What models call what they keep of the tokens before."""
_LONGEST = 4
"""Bytes of a character, and so the most tokens of one."""
_BEFORE = 16
"""Tokens before a text with which it is decoded: some tokenizers drop the space in front of what they begin with."""
_NEVER = -1e4
"""The log-probability of what a model does not write at all."""


def trial(
    attached: Attachment,
    left: str,
    right: str,
    *,
    tokens: int = 60,
    seed: int = 0,
    temperature: float = 0.7,
    turn: Turn = nullcontext,
) -> Iterator[tuple[int, Piece]]:
    """(column 0 or 1, what it wrote next) until both have ended, or are `tokens` long; closing it ends it.

    Raises what `attached.place` does for a tag, also where the attachment leaves such tags out, and UnsupportedInput
    for a text beyond the model's context. The random numbers of the rest of the program stay as they are.
    """
    rows = [_ids(attached, text) for text in (left, right)]
    for row in rows:
        _check_length(unwrap(attached.model), len(row), tokens)
    return _written(attached, rows, tokens, Dice(seed, temperature), turn)


def onwards(
    attached: Attachment,
    ids: Sequence[int],
    *,
    tokens: int = 60,
    seed: int = 0,
    temperature: float = 0.7,
    turn: Turn = nullcontext,
) -> Iterator[str]:
    """What the model writes behind these ids, piece by piece: one column, and so half of the work."""
    rows = [_begun(attached, ids)]
    _check_length(unwrap(attached.model), len(rows[0]), tokens)
    return (piece.text for _, piece in _written(attached, rows, tokens, Dice(seed, temperature), turn))


def _written(
    attached: Attachment, rows: Sequence[list[int]], tokens: int, dice: Dice, turn: Turn
) -> Iterator[tuple[int, Piece]]:
    base = unwrap(attached.model)
    columns = [_Column(attached, row) for row in rows]
    # Of two equal texts there is one, so that no rounding tells them apart.
    contexts = [_Context(base, row, len(rows)) for row in (rows if rows[0] != rows[-1] else rows[:1])]
    ends, every = _ends(attached), np.arange(0)
    with attached.slots.hold({each for row in rows for each in row if each >= FIRST_ID}):
        for place in range(tokens):
            with turn(), torch.no_grad(), evaluating(base):
                logs = [context.logs([column.last for column in columns]) for context in contexts]
            every = every if len(every) else np.arange(logs[0].shape[1])
            for number, column in enumerate(columns):
                if not column.ended:
                    own, other = (logs[each % len(logs)][number] for each in (number, 1 - number))
                    token = dice.choose(place, every, own)
                    yield from ((number, piece) for piece in column.add(token, float(own[token] - other[token]), ends))
            if all(column.ended for column in columns):
                return
        yield from ((number, piece) for number, column in enumerate(columns) for piece in column.rest())


class _Context:
    """One text with each continuation behind it: `count` rows, and what the model keeps of them between two steps."""

    def __init__(self, base: Any, row: list[int], count: int) -> None:
        self._base = base
        self._rows = [list(row) for _ in range(count)]
        self._cache: dict[str, Any] = {}
        self._begun = False
        known = inspect.signature(base.forward).parameters
        # Else a long text has scores of its whole vocabulary at each of its places.
        self._options: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}

    def logs(self, fed: Sequence[int]) -> NDArray[np.float32]:
        """(rows, vocabulary): log-probabilities of what comes next in each row, behind what was drawn last."""
        if self._begun:
            for row, token in zip(self._rows, fed, strict=True):
                row.append(token)
        shown = [row[-1:] for row in self._rows] if self._cache else self._rows
        ids = torch.tensor(shown, device=device_of(text_embedding(self._base)))
        output = self._base(input_ids=ids, use_cache=True, **self._cache, **self._options)
        self._begun = True
        # A model that keeps nothing reads the whole text at each step.
        kept = {name: getattr(output, name, None) for name in _CACHES}
        self._cache = {name: cache for name, cache in kept.items() if cache is not None}
        logs = torch.log_softmax(output.logits[:, -1].float(), -1).cpu().numpy()
        return np.asarray(np.nan_to_num(logs, nan=_NEVER, neginf=_NEVER), np.float32)


class _Column:
    """What one column has written: tokens that are whole characters become pieces, and others wait for the rest."""

    def __init__(self, attached: Attachment, row: Sequence[int]) -> None:
        self.last = 0
        self.ended = False
        self._decode = attached.tokenizer.decode
        self._before = [each for each in row if each < FIRST_ID][-_BEFORE:]
        self._waiting: list[int] = []
        self._change = 0.0

    def add(self, token: int, change: float, ends: frozenset[int]) -> Iterator[Piece]:
        """The piece that a token completes, if it does."""
        self.last = token
        if token in ends:
            self.ended = True
            yield from self.rest()
            return
        self._waiting.append(token)
        self._change += change
        text = self._text()
        if text and (not text.endswith("\ufffd") or len(self._waiting) >= _LONGEST):
            yield Piece(text, self._change)
            self._before = [*self._before, *self._waiting][-_BEFORE:]
            self._waiting, self._change = [], 0.0

    def rest(self) -> Iterator[Piece]:
        """What still waits, less the half of a character."""
        text = self._text().rstrip("\ufffd") if self._waiting else ""
        self._waiting = []
        if text:
            yield Piece(text, self._change)

    def _text(self) -> str:
        before, whole = (self._read(ids) for ids in (self._before, [*self._before, *self._waiting]))
        return whole[len(before) :]

    def _read(self, ids: list[int]) -> str:
        return str(self._decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))


def _ids(attached: Attachment, text: str) -> list[int]:
    """The ids of one text; of an empty one, the token that texts begin with."""
    carried = getattr(text, "prompts", {})
    for tag in parse(text):
        if isinstance(tag, Tag) and tag.name not in carried:
            attached.place(tag)
    return _begun(attached, attached.tokenizer(text)["input_ids"])


def _begun(attached: Attachment, ids: Sequence[int]) -> list[int]:
    """The ids; where there are none, the token that texts begin with."""
    first = (attached.tokenizer.bos_token_id, attached.tokenizer.eos_token_id)
    begun = list(ids) or [each for each in first if each is not None][:1]
    if not begun:
        raise UnsupportedInput("there is nothing to begin with: write a first word")
    return begun


def _ends(attached: Attachment) -> frozenset[int]:
    """The tokens that end a text."""
    config = getattr(unwrap(attached.model), "generation_config", None)
    found = getattr(config, "eos_token_id", None)
    ends = [*(found if isinstance(found, (list, tuple)) else [found]), attached.tokenizer.eos_token_id]
    return frozenset(int(each) for each in ends if each is not None)


def _check_length(base: Any, length: int, tokens: int) -> None:
    limit = getattr(base.config.get_text_config(), "max_position_embeddings", None)
    if limit and length + tokens > limit:
        raise UnsupportedInput(
            f"the text has {length:,} tokens, and {tokens:,} more are asked for, but this model reads {limit:,} at the "
            "most: shorten the text, or ask for fewer"
        )
