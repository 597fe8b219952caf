"""`drafts(book)`: calls and responses from what a writer has said of people, places and things; to be edited.

Dialogue is taken as it stands. Prose becomes statements, each with several calls made of the entry's name and keys, of
which every statement holds one out. The same book always gives the same drafts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ..books import macros
from ..entries import Book, Entry, listed
from ..pairs import Pair
from .dialogue import turns
from .english import is_english, is_verb
from .phrasings import phrasings
from .sentences import LONGEST
from .statements import Statement, apart, statements

_ENDLESS = re.compile(rf"[^.!?…。！？؟۔\n]{{{LONGEST + 1}}}")  # noqa: RUF001
_SAMPLE = 20_000
"""Characters of a book by which its language is told."""
_FEW = 8
"""Words that tell no language."""


@dataclass(frozen=True)
class Draft:
    """A pair, and the entry that it was made of. by: what wrote it, where that was a model; such are to be reviewed."""

    pair: Pair
    entry: str
    held_out: bool = False
    by: str = ""


@dataclass(frozen=True)
class Drafts:
    """notes: what became no draft, and why."""

    drafts: tuple[Draft, ...]
    notes: tuple[str, ...]


def drafts(book: Book, user: str = macros.USER) -> Drafts:
    """Of all entries that are switched on."""
    return _Writer(book, user).write()


def lore(book: Book, user: str = macros.USER) -> tuple[str, ...]:
    """The texts as they would stand in the context, one for each entry."""
    said = (macros.plain(each.text, book.voice or each.name, user).strip() for each in book.used)
    return tuple(each for each in said if each)


def stories(book: Book, user: str = macros.USER) -> tuple[str, ...]:
    """What is written in somebody's manner; where nothing is, the entries themselves."""
    said = (macros.plain(each, book.voice, user).strip() for each in book.stories)
    return tuple(each for each in said if each) or lore(book, user)


def _as_attribute(field: str, text: str) -> str:
    """`brave, curt, loyal` under personality is what the character is."""
    is_list = field == "personality" and "\n" not in text and not any(is_verb(word, False) for word in text.split())
    return f"{field}: {text}" if is_list else text


class _Writer:
    """One book on its way to drafts."""

    def __init__(self, book: Book, user: str) -> None:
        self._book = book
        self._user = user
        self._english = self._whole = is_english("\n".join(lore(book, user))[:_SAMPLE])
        self._foreign = False
        self._starts: set[str] = set()
        self._known: set[Pair] = set()
        self._number = 0
        self._silent: list[str] = []
        self._unfilled: list[str] = []
        self._alone: list[str] = []
        self._endless: list[str] = []
        self._names_user = False

    def write(self) -> Drafts:
        found: list[Draft] = []
        for entry in self._book.used:
            made = list(self._of(entry))
            if not made:
                self._silent.append(entry.label)
            found += made
        return Drafts(tuple(found), (*self._book.notes, *self._notes()))

    def _of(self, entry: Entry) -> Iterator[Draft]:
        char = self._book.voice or entry.name
        self._names_user |= macros.names_user(entry.text)
        text = macros.plain(entry.text, char, self._user)
        if macros.is_dialogue(entry.text) or entry.field in ("mes_example", "example_dialogue", "sampleChat"):
            pairs, text, alone = turns(text, char, self._user)
            if alone:
                self._alone.append(entry.label)
            yield from (Draft(pair, entry.label) for pair in self._new(pairs))
        name = self._book.voice if entry.field and self._book.voice else entry.name
        self._english = self._is_english(text)
        text = _as_attribute(entry.field, text)
        if _ENDLESS.search(text):
            self._endless.append(entry.label)
        for statement in statements(replace(entry, text=text, name=name), self._english):
            if macros.left(statement.start + statement.rest + statement.before):
                self._unfilled.append(entry.label)
                continue
            yield from self._phrased(statement, entry.label)

    def _phrased(self, statement: Statement, name: str) -> Iterator[Draft]:
        """One of several phrasings is held out, never the plain one."""
        if statement.start in self._starts:
            statement = apart(statement)
        self._starts.add(statement.start)
        calls = phrasings(statement, self._english, self._number)
        spared = 1 + self._number % (len(calls) - 1)
        self._number += 1
        pairs = self._new([Pair(call, statement.rest) for call in calls])
        yield from (Draft(pair, name, pair.call == calls[spared]) for pair in pairs)

    def _is_english(self, text: str) -> bool:
        """By the entry itself, where it says so much that one can tell."""
        found = is_english(text) and (self._whole or len(text.split()) >= _FEW)
        self._foreign |= not found and bool(text.strip())
        return found

    def _new(self, pairs: list[Pair]) -> list[Pair]:
        found = [each for each in dict.fromkeys(pairs) if each not in self._known]
        self._known.update(found)
        return found

    def _notes(self) -> Iterator[str]:
        if self._silent:
            yield listed(self._silent, "no statement and no dialogue was found in the text")
        if self._unfilled:
            names = dict.fromkeys(self._unfilled)
            yield listed(
                names, "sentences with macros that only the tool fills in ({{random:...}} and such) are left out"
            )
        if self._alone:
            yield listed(
                dict.fromkeys(self._alone), "examples that begin with the answer have no call, and are left out"
            )
        if self._endless:
            yield listed(self._endless, f"sentences of more than {LONGEST:,} characters are left out")
        if self._names_user:
            yield f"{{{{user}}}} is written as {self._user!r}"
        if self._foreign:
            yield "questions are only made up in English: these calls are the beginnings of the sentences"
