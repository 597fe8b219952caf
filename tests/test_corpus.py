"""A text is read once and split into three parts, by whole stories where it has many."""

from __future__ import annotations

from pathlib import Path

import pytest

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import Corpus


def test_a_single_text_is_split_by_characters() -> None:
    text = "".join(chr(97 + each % 26) for each in range(1000))
    parts = Corpus(text).parts()
    assert parts.train + parts.validation + parts.test == text
    assert (len(parts.train), len(parts.validation)) == (800, 100)


@pytest.mark.parametrize("mark", ["***", "*****", "  ⁂", "* * *"])
def test_many_stories_are_split_by_stories(mark: str) -> None:
    stories = [f"Story {number}.\nIt ends." for number in range(40)]
    corpus = Corpus(f"\n{mark}\n".join(stories))
    assert corpus.stories == tuple(stories)
    parts = corpus.parts()
    assert parts.train.split("\n\n") == stories[:32]
    assert parts.validation.split("\n\n") == stories[32:36]
    assert parts.test.split("\n\n") == stories[36:]


def test_stars_inside_a_line_break_nothing() -> None:
    assert len(Corpus("It was *** cold.\n**\nAnd dark.").stories) == 1


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfThe sea\r\n")
    assert Corpus.read(path).text == "The sea\n"
    assert Corpus.read(path).digest == Corpus("The sea\n").digest
    path.write_bytes("café".encode("latin-1"))
    with pytest.raises(InvalidFile, match=r"a\.txt is not UTF-8 text \(byte 3\)"):
        Corpus.read(path)
    for bad in (tmp_path, tmp_path / "none.txt"):
        with pytest.raises(InvalidFile, match="check the name and the permissions"):
            Corpus.read(bad)
