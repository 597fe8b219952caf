"""`Corpus.read("neuromancer.txt").parts()`: a text in three parts - to train on, to choose by, to report on."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field

from . import texts

_ENOUGH_STORIES = 30


@dataclass(frozen=True)
class Parts:
    """train: what is learnt. validation: what the best step is chosen by. test: read once, for the report."""

    train: str
    validation: str
    test: str


@dataclass(frozen=True)
class Corpus:
    """`Corpus(text)` or `Corpus.read(path)`; a line of `***` or the asterism ends a story.

    notes: what the writer should know of the files, such as entries that were left out.
    """

    text: str
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str], *more: str | os.PathLike[str]) -> Corpus:
        """The text of a file, a folder or a dataset, or of several; raises InvalidFile.

        Plain text (`.txt`, `.md`) stands as it is. In a folder all such files and datasets are read, in their order;
        hidden ones, links and reports of trainings are passed over. Datasets are `.json` or `.jsonl` as the webui
        trains with; see `datasets.py`. Each file and each item of a dataset is a story of its own.
        Of a character or a story of another tool (`books/`), what is written in their manner is read.
        """
        found, notes = texts.read(path, *more)
        return cls("\n***\n".join(found), notes)

    @property
    def stories(self) -> tuple[str, ...]:
        """The texts between the breaks, without blank ones."""
        return tuple(story.strip("\n") for story in texts.BREAK.split(self.text) if story.strip())

    @property
    def digest(self) -> str:
        """Hexadecimal name of the text, by which a file says what it was trained on without holding it."""
        return hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest()

    def parts(self) -> Parts:
        """80 % to train, then 10 %, then 10 %: by whole stories where there are many, else by characters."""
        stories = self.stories
        if len(stories) >= _ENOUGH_STORIES:
            cuts = len(stories) * 8 // 10, len(stories) * 9 // 10
            groups = stories[: cuts[0]], stories[cuts[0] : cuts[1]], stories[cuts[1] :]
            return Parts(*("\n\n".join(group) for group in groups))
        text = "\n\n".join(stories)
        cuts = len(text) * 8 // 10, len(text) * 9 // 10
        return Parts(text[: cuts[0]], text[cuts[0] : cuts[1]], text[cuts[1] :])
