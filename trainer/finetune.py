"""`FinetuneLesson(reader, corpus)`: how a text is written."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import TrainingError
from .batch import Rows, blocks, order
from .data import Corpus
from .evaluate import Line, Reading, bits_per_byte
from .lesson import EXAMPLE, SHORTEST, Lesson
from .objectives import Term, cross_entropy
from .reader import Reader
from .settings import Settings


class FinetuneLesson(Lesson):
    """Blocks of a text, of which every token counts."""

    method = "finetune"

    def __init__(self, reader: Reader, corpus: Corpus) -> None:
        super().__init__(reader)
        parts = corpus.parts()
        self.digest = corpus.digest
        self.notes = corpus.notes
        self._parts = [reader.seams.inner(part) for part in (parts.train, parts.validation, parts.test)]
        self._bytes = len(parts.test.encode("utf-8", "surrogatepass"))
        self.words = self._parts[0]

    @property
    def defaults(self) -> dict[str, Any]:
        return {}

    def fit(self, settings: Settings) -> int:
        length = min(settings.block, *map(len, self._parts))
        if settings.block < SHORTEST:
            raise TrainingError(f"block={settings.block}: a row of text has {SHORTEST} tokens at least, and 256 serve")
        if length < SHORTEST:
            raise TrainingError(
                f"the text is too short: {sum(map(len, self._parts))} tokens, of which a tenth must be {SHORTEST} or "
                "more; give at least a page"
            )
        first = bool(self.reader.head)
        self._train, self.validation, self.test = (Rows(blocks(ids, length), first) for ids in self._parts)
        return length

    def terms(self, number: int, settings: Settings) -> list[Term]:
        return [Term(cross_entropy, self._train.batch(order(len(self._train), settings.batch, settings.seed, number)))]

    def readings(self, vectors: torch.Tensor) -> list[Reading]:
        room = self._room(self.test.longest)
        found = [Reading("nothing", None)]
        if example := self.words[: min(EXAMPLE, room)]:
            found.append(Reading("example text", self.reader.embed(example)))
        if len(example) < len(self.words) <= room:
            found.append(Reading("the whole text", self.reader.embed(self.words)))
        found.append(Reading("the text, cut to the prompt's length", self.reader.embed(self.words[: len(vectors)])))
        return [*found, Reading("soft prompt", vectors)]

    def line(self, reading: Reading, micro: int) -> Line:
        line = super().line(reading, micro)
        size = self._bytes * len(self.test) * self.test.longest / len(self._parts[2])
        bits = bits_per_byte(line.nats, self.test.all.count, round(size))
        return Line(line.name, line.tokens, line.nats, bits=bits)
