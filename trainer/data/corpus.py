"""`Corpus.read("neuromancer.txt").parts()`: a text in three parts - to train on, to choose by, to report on."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import InvalidFile

_BREAK = re.compile(r"^[ \t]*(?:\*{3,}|(?:\* ){2,}\*|⁂)[ \t]*$", re.MULTILINE)
_ENOUGH_STORIES = 30
LARGEST = 256 << 20
"""Bytes of text; more than any style needs."""


@dataclass(frozen=True)
class Parts:
    """train: what is learnt. validation: what the best step is chosen by. test: read once, for the report."""

    train: str
    validation: str
    test: str


@dataclass(frozen=True)
class Corpus:
    """`Corpus(text)` or `Corpus.read(path)`; a line of `***` or the asterism ends a story."""

    text: str

    @classmethod
    def read(cls, path: str | Path) -> Corpus:
        """The text of one UTF-8 file; raises InvalidFile."""
        path = Path(path)
        try:
            if path.exists() and not path.is_file():
                raise InvalidFile(f"{path} is no ordinary file; check the name and the permissions")
            if path.stat().st_size > LARGEST:
                raise InvalidFile(f"{path} is larger than the {LARGEST:,} bytes that are read: take a part of it")
            return cls(path.read_text("utf-8-sig"))
        except UnicodeDecodeError as problem:
            raise InvalidFile(f"{path} is not UTF-8 text (byte {problem.start}): save it as UTF-8") from None
        except OSError as problem:
            raise InvalidFile(f"{path}: {problem.strerror or problem}; check the name and the permissions") from None

    @property
    def stories(self) -> tuple[str, ...]:
        """The texts between the breaks, without blank ones."""
        return tuple(story.strip("\n") for story in _BREAK.split(self.text) if story.strip())

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
