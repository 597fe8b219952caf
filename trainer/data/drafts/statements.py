"""`statements(entry)`: what an entry says, each as the beginning of a sentence and what follows it.

A statement that is read alone must still say whom it is about. Where a pronoun at its beginning can mean only the
entry, the name takes its place; where that is not sure, the sentence before it is put in front, as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..entries import Entry
from . import english
from .attributes import said
from .layout import Piece, pieces
from .questions import question
from .sentences import LONGEST, clauses, halves, sentences, stripped
from .subject import Subject

_NAMES = ("name", "character", "char", "full name", "title")
_FAR = 14
"""Words of a sentence, within which its verb is looked for."""


@dataclass(frozen=True)
class Statement:
    """`start` is followed by `rest`, which begins with a space where the script has any.

    before: a sentence without which nobody knows what it is about. last: the sentence before this one, whatever it is.
    topic: what it is about. asked: a question that it answers; empty where none is known.
    """

    start: str
    rest: str
    topic: str
    asked: str = ""
    before: str = ""
    last: str = ""


def statements(entry: Entry, is_english: bool = True) -> list[Statement]:
    """Of a text without dialogue, in its order."""
    subject = _met(entry)
    found: list[Statement] = []
    for piece in pieces(entry.text):
        made = _of_attribute(piece, subject) if piece.key and is_english else None
        if made is not None:
            found.append(made)
        elif is_english:
            found += _of_prose(f"{piece.key}: {piece.text}" if _is_aside(piece) else piece.text, subject)
        else:
            found += _of_unknown(f"{piece.key}: {piece.text}" if piece.key else piece.text, subject)
    return [each for each in found if each.rest.strip()]


def apart(statement: Statement) -> Statement:
    """The same behind the sentence before it: for one that begins as another does."""
    if statement.before or not statement.last:
        return statement
    return replace(statement, before=statement.last)


def _is_aside(piece: Piece) -> bool:
    """Whether what looks like an attribute is a whole story under a heading, whose words are none of it."""
    return bool(piece.key) and len(sentences(piece.text)) < 2


def _of_attribute(piece: Piece, subject: Subject) -> Statement | None:
    """None for a story under the name of an attribute; without an answer where it only says the name once more."""
    texts = sentences(piece.text)
    tells = any(english.is_verb(word, False) for word in piece.text.split()[1:_FAR])
    if not texts or len(texts) > 1 or len(piece.text) > LONGEST or (tells and subject.named(piece.text)):
        return None
    if piece.key.lower() in _NAMES and subject.begins(piece.text):
        return Statement(subject.known, "", subject.known)
    start, rest, asked = said(subject.known, piece.key, stripped(piece.text))
    return Statement(start, rest, subject.known, asked)


def _of_prose(text: str, subject: Subject) -> Iterator[Statement]:
    last = ""
    for sentence in _short(text):
        whole = _named(sentence, subject)
        for number, clause in enumerate(clauses(whole)):
            made = _of_clause(clause if number == 0 else _joined(clause, whole, subject), subject, last)
            if made is not None:
                yield made
        subject.saw(whole)
        last = whole


def _short(text: str) -> Iterator[str]:
    return (each for each in sentences(text) if len(each) <= LONGEST)


def _named(sentence: str, subject: Subject) -> str:
    """A line of notes may begin with its verb: "Carries a revolver." is said of whatever the entry is about."""
    first = sentence.split()[0]
    if first[:1].isupper() and english.is_verb(first, False) and not sentence.endswith("?") and len(first) > 3:
        return f"{subject.known} {first[0].lower()}{sentence[1:]}"
    return subject.resolved(sentence)


def _met(entry: Entry) -> Subject:
    """With what its own text says of it later on: whether it is he, she or it."""
    first, second = Subject(entry), Subject(entry)
    for sentence in _short(entry.text):
        first.saw(first.resolved(sentence))
    second.pronoun = first.pronoun
    return second


def _joined(clause: str, whole: str, subject: Subject) -> str:
    """The second thing that a sentence says, with whoever says or does it in front."""
    words = clause.split()
    named = subject.begins(whole)
    if words[0].lower() in ("he", "she", "they", "it"):
        meant = named and subject.pronoun in ("", words[0].lower())
        return f"{named} {' '.join(words[1:])}" if meant else clause[0].upper() + clause[1:]
    if english.is_verb(words[0], False) or english.is_adverb(words[0]):
        return f"{named or _head(whole)} {clause}"
    return clause[0].upper() + clause[1:]


def _head(sentence: str) -> str:
    """All before the verb."""
    words = sentence.split()
    place = _verb(words, 1)
    return " ".join(words[:place]) if place else words[0]


def _of_clause(clause: str, subject: Subject, last: str) -> Statement | None:
    text = stripped(clause)
    words = text.split()
    if len(words) < 2:
        return None
    form = subject.begins(text)
    place = _first_verb(words, text, form)
    if place is None:
        start, rest = halves(text)
        return _anchored(Statement(start, rest, subject.known, last=last), subject)
    stop = _stop(words, place)
    start, rest = " ".join(words[:stop]), " " + " ".join(words[stop:])
    asked = (
        question(" ".join(words[:place]), words[place:stop], rest, subject.is_person(form))
        if form and stop > place
        else ""
    )
    return _anchored(Statement(start, rest, form or subject.known, asked, last=last), subject)


def _anchored(statement: Statement, subject: Subject) -> Statement:
    """With what is missing for it to be about something."""
    if subject.stands_in(statement.start):
        return statement
    before = statement.last if subject.stands_in(statement.last) else f"{subject.known}:"
    return replace(statement, before=before, asked="")


def _first_verb(words: list[str], text: str, form: str) -> int | None:
    """Where the verb of a sentence stands; right behind the name, whatever looks like one is one."""
    behind = len(form.split())
    if form and not text[len(form) :].startswith(("'", "’", ",")):  # noqa: RUF001
        place = behind
        while place < len(words) - 1 and english.is_adverb(words[place]):
            place += 1
        if place < len(words) and english.is_verb(words[place], True):
            return place
    return _verb(words, max(1, behind))


def _verb(words: list[str], start: int) -> int | None:
    """The first word that is one; behind an adverb, and of many, more words are."""
    for place in range(start, min(len(words), _FAR)):
        word, before = words[place].lower(), words[place - 1].lower()
        if english.is_verb(word, english.is_adverb(before)) or (word in english.PLURAL and before != "to"):
            return place
    return None


def _stop(words: list[str], place: int) -> int:
    """Behind the verb and what belongs to it; at least one word is left to follow."""
    stop = _skipped(words, place + 1)
    verb = words[place].lower()
    if (verb in english.MODAL and stop < len(words) - 1) or (
        verb in english.HAVE and stop < len(words) - 1 and _is_past(words[stop])
    ):
        stop = _skipped(words, stop + 1)
    if stop + 1 < len(words) - 1 and _is_tied(words, place, stop):
        stop += 2
    elif stop < len(words) - 1 and words[stop].lower() in english.PREPOSITIONS:
        stop += 1
    return stop if stop < len(words) else place if place else 1


def _is_tied(words: list[str], place: int, stop: int) -> bool:
    """ "is afraid of", "has been known for"."""
    being = words[place].lower() in english.BE or words[stop - 1].lower() in ("been", "be")
    return being and english.ties(words[stop]) and words[stop + 1].lower() in english.PREPOSITIONS


def _skipped(words: list[str], place: int) -> int:
    while place < len(words) - 1 and english.is_adverb(words[place]):
        place += 1
    return place


def _is_past(word: str) -> bool:
    return word.lower() == "been" or (english.ties(word) and len(word) > 3)


def _of_unknown(text: str, subject: Subject) -> Iterator[Statement]:
    """Of a language that nothing is known of: behind the name and one word more, or in the middle."""
    last = ""
    for sentence in _short(text):
        text = stripped(sentence)
        form = subject.begins(text)
        start, rest = _behind(text, form) if form else halves(text)
        if rest.strip():
            yield _anchored(Statement(start, rest, form or subject.known, last=last), subject)
        subject.saw(sentence)
        last = sentence


def _behind(text: str, form: str) -> tuple[str, str]:
    words = text[len(form) :].split()
    if not text[len(form) :].startswith(" ") or len(words) < 2:
        match = re.match(r"[はがのをは是的，、:：]+", text[len(form) :])  # noqa: RUF001
        cut = len(form) + (len(match[0]) if match else 0)
        return text[:cut], text[cut:]
    return f"{form} {words[0]}", " " + " ".join(words[1:])
