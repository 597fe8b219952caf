"""`tried("cards, PNG", 2_000)`: how many files a reader took, refused, broke at, or stood still at.

What is taken is used for all that books are used for: drafts, texts, soft prompts that ride along, and the way back.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import books, pairs, reading, texts
from soft_prompts.trainer.data.books import assets, cards, rewriting
from soft_prompts.trainer.data.books.envelope import Envelope, opened
from soft_prompts.trainer.data.drafts import drafts, lore, stories
from soft_prompts.trainer.data.entries import Book

from ..attacks.trying import Tried, within
from . import fuzz

NEW = "<<sp:x>>"


def tried(reader: str, count: int, seed: int = 0) -> Tried:
    """So many files, each with every allocation counted."""
    found = Tried(reader)
    made = fuzz.inputs(reader, seed)
    for _ in range(count):
        data = next(made)
        within(found, len(data), partial(used, data, fuzz.ENDINGS[reader]))
    return found


def used(data: bytes, ending: str) -> object:
    """A Book, pairs or texts, after all was done with them that is ever done; raises InvalidFile for other files."""
    book = books.find(data, ending)
    if book is None and ending == ".md":
        return _drafted(books.of_prose(reading.decode(data)) or Book("a plain text"))
    if book is None:
        return _dataset(data)
    envelope = None if ending == ".yaml" else opened(data)
    if envelope is not None:
        for each in assets.carried(envelope):
            assert bool(each.problem) or isinstance(each.data, bytes)
        _goes_back(envelope, book)
    return _drafted(book)


def _dataset(data: bytes) -> list[Any]:
    try:
        items = pairs.parse(data)
    except InvalidFile:
        return [each.encode() for each in texts.parse_dataset(data)]
    return [(each.pair.call.encode(), each.pair.response.encode()) for each in items]


def _drafted(book: Book) -> Book:
    """Whatever stood in the file, no tokenizer refuses what is learnt of it, and no printer what is said of it."""
    for each in book.entries:
        assert each.name.strip() and each.text.strip(), "an entry says something of something"
    for draft in drafts(book).drafts:
        assert draft.pair.call.strip() and draft.pair.response.strip()
        _print(draft.pair.call, draft.pair.response, draft.entry)
    entries = [word for each in book.entries for word in (each.name, each.text, *each.keys)]
    _print(book.name, book.voice, *book.notes, *entries, *lore(book), *stories(book))
    return book


def _print(*said: str) -> None:
    for each in said:
        each.encode()


def _goes_back(envelope: Envelope, book: Book) -> None:
    """Tags in place of the texts are read where these stood; a card that is written may be refused as too large."""
    entries = rewriting.entries_of(book)
    switches = {each.base: rewriting.always(book) for each in entries[1:] if rewriting.can_switch(book)}
    switches |= {each.base: rewriting.off(book) for each in entries[2:] if rewriting.can_switch(book)}
    try:
        data = rewriting.rewritten(envelope, {each.place: (each.text, NEW) for each in entries}, switches)
    except InvalidFile:
        return
    again = opened(data)
    assert again is not None and list(again.values) == list(envelope.values)
    said = {each.place: each.text for each in books.book_of(again.value).entries}  # type: ignore[union-attr]
    assert said == {each.place: NEW if each in entries else each.text for each in book.entries}
    # Every fourth, since it takes as long as all before.
    if not len(envelope.data) % 4 and cards.matches(envelope.value) and not cards.is_book(envelope.value):
        _carries(envelope)


def _carries(envelope: Envelope) -> None:
    try:
        new = opened(assets.with_prompt(envelope, "fuzz", b"vectors"))
    except InvalidFile:
        return
    assert new is not None and assets.Asset("fuzz", b"vectors") in assets.carried(new)
