"""`Lore.read("world.txt", questions="asked.json")`: a long text that a model is to know, and questions about it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from . import drafts, texts, writers
from . import pairs as files
from .corpus import Corpus
from .facts import digest
from .pairs import Pair


@dataclass(frozen=True)
class Lore:
    """`Lore(text)` or `Lore.read(path)`; questions are asked for the report and never trained on.

    notes: what the writer should know of the files.
    """

    text: str
    questions: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def read(
        cls,
        path: str | os.PathLike[str],
        *more: str | os.PathLike[str],
        questions: str | os.PathLike[str] | None = None,
    ) -> Lore:
        """The text of all that `Corpus.read` reads, without the lines of `***`; raises InvalidFile.

        `questions` is a file of calls and responses, like that of `Facts.read`. Of a lorebook or a character of another
        tool (`books/`) the text is what its entries say, and as questions what is drafted from them.
        """
        found, skipped = texts.read(path, *more, of=drafts.lore)
        text = "\n\n".join(Corpus("\n***\n".join(found)).stories)
        asked, drafted = writers.items(questions) if questions is not None else ([], ())
        items, notes = files.tidy(asked, "question")
        return cls(text, tuple(item.pair for item in items), (*skipped, *drafted, *notes))

    @property
    def digest(self) -> str:
        """Hexadecimal name of text and questions, by which a file says what it was trained on without holding it."""
        return digest([self.text, [[pair.call, pair.response] for pair in self.questions]])
