"""`sentences(text)`: prose in sentences, of whatever script; `clauses(sentence)`: what it says one after the other."""

from __future__ import annotations

import re

from . import english

_SHORT = english.words("mr mrs ms dr st prof sr jr vs etc e.g i.e lt col gen capt sgt ca approx vol fig")
_END = re.compile(r"(?<=[.!?…؟۔])[\"'”’»)\]*_]*\s+|(?<=[。！？])[」』”’）]*\s*")  # noqa: RUF001
_JOINS = re.compile(r",?\s+(?:and|but)\s+|\s*;\s+")
_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
LONGEST = 2_000
"""Characters of a sentence of which something can be made."""
_LAST = 24
"""Characters in which an abbreviation has room."""
_MARKS = " .。,;:،؛、"


def sentences(text: str) -> list[str]:
    """Each line of its own; a point behind a title or an initial ends nothing."""
    found: list[str] = []
    for line in (" ".join(line.split()) for line in text.split("\n")):
        start = 0
        for match in _END.finditer(line):
            if not _is_short(line[max(start, match.start() - _LAST) : match.start()]):
                found.append(line[start : match.end()].strip())
                start = match.end()
        found.append(line[start:].strip())
    return [each for each in found if re.search(r"\w", each)]


def clauses(sentence: str) -> list[str]:
    """ "She wears black and carries a gun" says two things; the second one begins with its verb or its pronoun."""
    if len(sentence) > LONGEST:
        return [sentence]
    parts: list[str] = []
    start = 0
    for match in _JOINS.finditer(sentence):
        fresh = match[0].lstrip().startswith((",", ";"))
        if _says_something(sentence[start : match.start()], bool(parts)) and _goes_on(sentence[match.end() :], fresh):
            parts.append(sentence[start : match.start()])
            start = match.end()
    return [*parts, sentence[start:]]


def stripped(text: str) -> str:
    """Without what ends a sentence; a question or a shout keeps its mark."""
    return text.strip().rstrip(_MARKS)


def halves(sentence: str) -> tuple[str, str]:
    """(call, what follows) of a sentence that nothing is known of: cut behind more than half of it."""
    if _is_wide(sentence):
        cut = max(1, len(sentence) * 3 // 5)
        comma = max(sentence.rfind(each, 0, len(sentence) - 2) for each in "、，は是")  # noqa: RUF001
        cut = comma + 1 if comma > 0 else cut
        return sentence[:cut], sentence[cut:]
    words = sentence.split()
    cut = max(1, len(words) * 3 // 5)
    for place in range(len(words) - 2, cut - 2, -1):
        if place >= 1 and words[place].lower() in english.PREPOSITIONS:
            cut = place + 1
            break
    return " ".join(words[:cut]), " " + " ".join(words[cut:]) if words[cut:] else ""


def _is_wide(text: str) -> bool:
    """Of a script that puts no spaces between words."""
    return len(_WIDE.findall(text)) * 3 > len(text)


def _is_short(text: str) -> bool:
    last = re.search(r"([^\s(\"“]+)\.[\"'”’)]*$", text)  # noqa: RUF001
    return bool(last) and (last[1].lower() in _SHORT or (len(last[1]) == 1 and last[1].isupper()))  # type: ignore[index]


def _says_something(text: str, later: bool) -> bool:
    """Whether it has a verb, and a word behind it."""
    words = text.split()
    first = 0 if later else 1
    return any(english.is_verb(word.strip(",;"), False) for word in words[first:-1]) or (
        len(words) > 2 and english.is_verb(words[1], True)
    )


def _goes_on(text: str, fresh: bool) -> bool:
    """fresh: behind a comma or more, where somebody else may do something."""
    words = text.split()
    if fresh and any(english.is_verb(word, False) for word in words[1:4]) and len(words) > 3:
        return True
    place = 1 if words and words[0].lower() in ("he", "she", "they", "it") else 0
    while place < len(words) and english.is_adverb(words[place]):
        place += 1
    return place + 1 < len(words) and english.is_verb(words[place], False)
