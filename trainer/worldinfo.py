"""`WorldInfoLesson(reader, facts)`: what is to be said where something is asked."""

from __future__ import annotations

from typing import Any

import torch

from .batch import Row, Rows, order
from .data import Facts
from .evaluate import Answer, Line, Reading, answers, nats_of, recall_of
from .lesson import LEARNT, Lesson, Watch, Written, answered, ids_of, row_of
from .objectives import Term, cross_entropy, divergence, teach
from .reader import Reader
from .settings import Settings
from .writing import unrelated

BEFORE = 25
"""Tokens of unrelated text that may stand before a call."""

_BY_HEART = ("each fact has one call, so none could be held out: the recall is of calls that were trained on",)


class WorldInfoLesson(Lesson):
    """Calls and responses, of which the responses count; unrelated text before calls, and a cost for changing it."""

    method = "world info"

    def __init__(self, reader: Reader, facts: Facts, lore: str, keep: float) -> None:
        super().__init__(reader)
        parts = facts.parts()
        self.digest = facts.digest
        self.notes = (*facts.notes, *(_BY_HEART if parts.learnt else ()))
        self._keep = keep
        self._lore = reader.seams.inner(lore or facts.text)
        self._pairs = [[ids_of(reader, pair) for pair in part] for part in (parts.train, parts.validation, parts.test)]
        self._asked = parts.test
        self.words = [each for call, answer in self._pairs[0] for each in (*call, *answer)]
        self._loose: list[tuple[int, ...]] = [()]

    @property
    def defaults(self) -> dict[str, Any]:
        return {"tokens": 24, "steps": 400, "rate": 0.2, "batch": min(64, len(self._pairs[0]))}

    def fit(self, settings: Settings) -> int:
        first = bool(self.reader.head)
        self.validation, self.test = (Rows(list(map(row_of, part)), first) for part in self._pairs[1:])
        longest = max(len(call) + len(answer) for part in self._pairs for call, answer in part)
        return longest + BEFORE

    def prepare(self, settings: Settings, watch: Watch, written: Written) -> None:
        watch("the model writes unrelated text", 0, 1)
        rows = written.load("unrelated")
        if rows is None:
            rows = [list(row.ids) for row in unrelated(self.reader, 64, settings.seed + LEARNT).rows]
            written.save("unrelated", rows)
        self._generic = Rows([Row.whole(ids) for ids in rows], first=bool(self.reader.head))
        self._loose = [row.ids for row in self._generic.rows]
        teach(self.reader, None, self._generic, 8)
        watch("the model writes unrelated text", 1, 1)

    def terms(self, number: int, settings: Settings) -> list[Term]:
        pairs = self._pairs[0]
        generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + number)
        rows = [
            row_of(pairs[each], self._before(generator))
            for each in order(len(pairs), settings.batch, settings.seed, number)
        ]
        terms = [Term(cross_entropy, Rows(rows, bool(self.reader.head)).all)]
        if self._keep:
            generic = self._generic.batch(order(len(self._generic), 4, settings.seed, number))
            terms.append(Term(divergence, generic, self._keep))
        return terms

    def readings(self, vectors: torch.Tensor) -> list[Reading]:
        lore = self._lore[: self._room(self.test.longest)]
        whole = "the facts as text" if len(lore) == len(self._lore) else "the facts as text, as far as they fit"
        return [
            Reading("nothing", None),
            Reading(whole, self.reader.embed(lore)),
            Reading("the facts, cut to the prompt's length", self.reader.embed(lore[: len(vectors)])),
            Reading("soft prompt", vectors),
        ]

    def line(self, reading: Reading, micro: int) -> Line:
        measured = answers(self.reader, reading.vectors, self.test, micro)
        tokens = 0 if reading.vectors is None else len(reading.vectors)
        return Line(reading.name, tokens, nats_of(measured), answers=nats_of(measured), recall=recall_of(measured))

    def answers(self, tokenizer: Any, vectors: torch.Tensor, micro: int) -> tuple[Answer, ...]:
        return answered(self.reader, tokenizer, vectors, self.test, self._asked, micro)

    def _before(self, generator: torch.Generator) -> tuple[int, ...]:
        """0 to 25 tokens of unrelated text, from anywhere in it."""
        which, where, length = (int(each) for each in torch.randint(1 << 30, (3,), generator=generator))
        text = self._loose[which % len(self._loose)]
        length %= min(BEFORE, len(text)) + 1
        where %= len(text) - length + 1
        return text[where : where + length]
