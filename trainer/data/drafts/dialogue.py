"""`turns(text, "Emma", "User")`: what a character answers in the examples of its card, as it stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from ..books.macros import blocks
from ..pairs import Pair


def turns(text: str, char: str, user: str) -> tuple[list[Pair], str, int]:
    """(pairs, the prose before the first line of speech, lines that nothing stands before)."""
    speaker = _pattern(char, user)
    pairs: list[Pair] = []
    prose, alone = "", 0
    for block in blocks(text):
        lines = list(_lines(block, speaker))
        if not lines:
            prose += f"{block}\n\n"
            continue
        prose += block[: lines[0][2]].strip() + "\n\n"
        alone += lines[0][0] == char
        for (who, said, _), (next_who, answer, _) in pairwise(lines):
            if next_who == char and said and answer:
                pairs.append(Pair(f"\n{who}: {said}\n{char}:", f" {answer}"))
    return pairs, prose.strip(), alone


def _pattern(char: str, user: str) -> re.Pattern[str]:
    names = sorted({re.escape(each) for each in (char, user) if each}, key=len, reverse=True)
    return re.compile(rf"^[ \t]*({'|'.join(names)})[ \t]*:[ \t]*", re.MULTILINE)


def _lines(block: str, speaker: re.Pattern[str]) -> Iterator[tuple[str, str, int]]:
    """(who, what is said until somebody else speaks, where it begins)."""
    found = list(speaker.finditer(block))
    ends = [*(each.start() for each in found), len(block)][1:]
    for match, stop in zip(found, ends, strict=True):
        yield match[1], block[match.end() : stop].strip(), match.start()
