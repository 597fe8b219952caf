"""`invented(model, tokenizer, book, drafts)`: what the model itself asks about entries, to be reviewed.

A small thing: the model reads an entry, one of its drafts as an example, and goes on. What is no question with a
statement for an answer is thrown away; whether the rest is true, nobody knows before it was read.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from ..hosts.hf.view import name_of
from .asking import choice
from .data.books import macros
from .data.drafts import Draft
from .data.drafts.statements import statements
from .data.entries import Book, Entry
from .data.pairs import Pair, key
from .loading import load
from .reader import Reader
from .writing import write

EACH = 4
"""Questions that are asked for about an entry."""
LENGTH = 56
"""Tokens of a question with its answer."""
HEAT = 0.7
_FORM = re.compile(r"\s*([^\n]{8,160}\?)\s*\nAnswer:\s*([^\n]{3,240})")
_ROOM = 3_000
"""Characters of an entry that are read."""


def more(options: argparse.Namespace, books: Sequence[tuple[Book, Sequence[Draft]]]) -> list[Draft]:
    """What the model that was asked for writes about all of them."""
    model, tokenizer, _ = load(choice(options))
    return [draft for book, made in books for draft in invented(model, tokenizer, book, made, options.user)]


def invented(model: Any, tokenizer: Any, book: Book, made: Sequence[Draft], user: str) -> Iterator[Draft]:
    """Pairs that are none of `made`, each with the model's name."""
    reader = Reader(model, tokenizer)
    by = f"{name_of(reader.base) or 'a model'}, not yet reviewed"
    known = {key(each.pair.call) for each in made}
    for entry in book.used:
        example = next((each for each in made if each.entry == entry.label and "?\n" in each.pair.call), None)
        if example is None:
            continue
        for pair in _written(reader, tokenizer, entry, book.voice or entry.name, user, example.pair):
            if key(pair.call) not in known:
                known.add(key(pair.call))
                yield Draft(pair, entry.label, by=by)


def _written(reader: Reader, tokenizer: Any, entry: Entry, char: str, user: str, example: Pair) -> Iterator[Pair]:
    text = macros.plain(entry.text, char, user)[:_ROOM].strip()
    question, _, start = example.call.strip().partition("\n")
    shown = f"{text}\n\nQuestion: {question.strip()}\nAnswer: {start}{example.response}.\n\nQuestion:"
    ids = reader.seams.inner(shown)
    if reader.longest and len(reader.head) + len(ids) + LENGTH > reader.longest:
        return
    for row in write(reader, None, [ids] * EACH, LENGTH, seed=len(ids), temperature=HEAT):
        match = _FORM.match(tokenizer.decode(row))
        if match:
            yield from _pair(match[1].strip('" '), match[2], entry)


def _pair(question: str, answer: str, entry: Entry) -> Iterator[Pair]:
    """The first statement of the answer, cut as statements of the entry are."""
    for said in statements(replace(entry, text=answer.strip()))[:1]:
        if said.rest.strip():
            yield Pair(f"\n{question}\n{said.start}", said.rest)
