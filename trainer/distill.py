"""`DistillLesson(reader, lore)`: to think as if a long text stood in the context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from ..errors import TrainingError
from .batch import Row, Rows, order
from .data import Lore, Pair
from .evaluate import Answer, Line, Reading, answers, nats_of, recall_of
from .lesson import SHORTEST, Lesson, Watch, Written, answered, ids_of, row_of
from .objectives import Objective, Term, divergence, guided, teach
from .reader import Reader
from .settings import Settings
from .writing import write

AT_ONCE = 32_768
"""Tokens of context, text and rows together, for which the teacher keeps keys and values while it writes or reads."""


FEWEST, MOST = 1536, 3072
"""Rows to learn from. Too few are learnt by heart, and what the model would write besides is not: from 1,024 to 2,048
steps on 1,536 rows those came 6 % nearer to the teacher, and others not 2 %.
"""

BATCH = 8
TIMES = 8
"""How often each row is read, in all. With so many rows, more steps of fewer go further than fewer of more."""

GUIDED, GUIDES = 0.5, 0.6
"""How much what the layers think half-way counts at first, and the share of the steps over which that goes to nothing.
Measured on two lores: 9 % less divergence at the end, for a tenth more time.
"""


def rows_for(tokens: int) -> int:
    """How many rows the model writes of a text of so many tokens, where nobody says."""
    return min(MOST, max(FEWEST, 10 * tokens))


def parts_of(rows: int) -> tuple[int, int, int]:
    """Rows to learn from, to choose by and to report on, where `rows` are wanted to learn from."""
    return rows, min(96, max(9, rows // 8)), min(96, max(15, rows // 8))


class DistillLesson(Lesson):
    """Rows that the model wrote with a long text before it, and what it thought there, which is to be thought again.

    rows: to learn from, or as many as the text's length asks for. at_most: that are written all the same, for a trial.
    """

    method = "distill"

    def __init__(self, reader: Reader, lore: Lore, rows: int | None = None, at_most: int | None = None) -> None:
        super().__init__(reader)
        self.digest = lore.digest
        self.notes = lore.notes
        self.words = reader.seams.inner(lore.text)
        if len(self.words) < SHORTEST:
            raise TrainingError(
                f"the text has {len(self.words)} tokens: that is short enough to stand in the context as it is"
            )
        self._lore = reader.embed(self.words)
        wanted = rows or rows_for(len(self.words))
        self._count = min(wanted, at_most or wanted)
        self._steps = max(1000, TIMES * wanted // BATCH)
        parts, whole = parts_of(self._count), parts_of(wanted)
        self.tried = (sum(parts) / sum(whole), parts[1] / whole[1])
        self._breaks = [[], reader.seams.inner("\n\n"), reader.seams.inner("\n")]
        self._asked = lore.questions
        first = bool(reader.head)
        asked = [row_of(ids_of(reader, Pair("\n\n" + pair.call, pair.response))) for pair in lore.questions]
        self._questions = Rows(asked, first) if asked else None

    @property
    def objective(self) -> Objective:
        return divergence

    @property
    def defaults(self) -> dict[str, Any]:
        return {
            "tokens": max(16, len(self.words) // 10),
            "steps": self._steps,
            "batch": BATCH,
            "block": 112,
            "validate": 100,
        }

    def fit(self, settings: Settings) -> int:
        longest = self.reader.longest
        row = settings.block + max(map(len, self._breaks))
        if longest and len(self.reader.head) + len(self.words) + row > longest:
            room = longest - len(self.reader.head) - row
            raise TrainingError(
                f"the text has {len(self.words)} tokens, and the model, which must read it once, takes {room} of it: "
                "cut it into parts, and make a prompt of each"
            )
        return row

    def prepare(self, settings: Settings, watch: Watch, written: Written) -> None:
        watch = partial(watch, "the model writes with the text before it")
        self._train, self.validation = self._taught(settings, (0, 1), watch, written)

    def prepare_test(self, settings: Settings, watch: Watch, written: Written) -> None:
        (self.test,) = self._taught(settings, (2,), partial(watch, "the model writes for the report"), written)

    def _taught(
        self, settings: Settings, parts: Sequence[int], watch: Callable[[int, int], None], written: Written
    ) -> list[Rows]:
        """The rows of these parts, with what the model thinks of them behind the text."""
        sizes = [parts_of(self._count)[part] for part in parts]

        def told(before: int, count: int) -> None:
            watch(before + count, sum(sizes))

        told(0, 0)
        made: list[Rows] = []
        for number, part in enumerate(parts):
            rows = self._write(settings, part, sizes[number], partial(told, sum(sizes[:number])), written)
            made.append(Rows(rows, bool(self.reader.head)))
            teach(self.reader, self._lore, made[-1], self._at_once(settings), inside=part == 0)
        return made

    def _at_once(self, settings: Settings) -> int:
        """Rows that stand behind the text together: it is read once for all of them."""
        return max(4, min(64, AT_ONCE // (len(self.words) + settings.block)))

    def _write(
        self, settings: Settings, part: int, size: int, told: Callable[[int], None], written: Written
    ) -> list[Row]:
        """`size` rows, of which each third begins in another way, as many at once as have the memory of `AT_ONCE`."""
        rows: list[Row] = []
        done = 0
        most = self._at_once(settings)
        for kind, start in enumerate(self._breaks):
            left = [*range(kind, size, len(self._breaks))]
            for place in range(0, len(left), most):
                count = len(left[place : place + most])
                key = f"{part}-{kind}-{place}-{count}"
                found = written.load(key)
                if found is None:
                    seed = ((settings.seed * 3 + part) * 3 + kind) * 10_007 + place
                    found = write(self.reader, self._lore, [start] * count, settings.block, seed)
                    written.save(key, found)
                # The model may end the text at once. That end is no token of ours, so such a row says nothing.
                rows += [Row.whole([*start, *ids], len(start)) for ids in found if ids]
                done += count
                told(done)
        return rows or [Row.whole(self.words[: settings.block])]

    def terms(self, number: int, settings: Settings) -> list[Term]:
        share = GUIDED * max(0.0, 1 - number / (GUIDES * settings.steps))
        rows = self._train.batch(order(len(self._train), settings.batch, settings.seed, number))
        return [Term(guided(share) if share else divergence, rows)]

    def readings(self, vectors: torch.Tensor) -> list[Reading]:
        return [
            Reading("nothing", None),
            Reading("the whole text", self._lore),
            Reading("the text, cut to the prompt's length", self._lore[: len(vectors)]),
            Reading("soft prompt", vectors),
        ]

    def line(self, reading: Reading, micro: int) -> Line:
        line = super().line(reading, micro)
        if self._questions is None:
            return line
        measured = answers(self.reader, reading.vectors, self._questions, micro)
        return Line(line.name, line.tokens, line.nats, answers=nats_of(measured), recall=recall_of(measured))

    def answers(self, tokenizer: Any, vectors: torch.Tensor, micro: int) -> tuple[Answer, ...]:
        if self._questions is None:
            return ()
        return answered(self.reader, tokenizer, vectors, self._questions, self._asked, micro)
