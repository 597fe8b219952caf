"""`soft-prompts import emma.png oakham.json`: what writers' files hold, and calls and responses of it to be edited.

Torch-free, unless a model is asked to write more (`--ask`).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arrival import look
from ..container import write_atomically
from ..errors import InvalidFile, SoftPromptError
from ..library import Library
from ..shelf import Shelf
from ..tags import suggest_name
from ..terminal import table
from .carrying import Carried, carried, told
from .data import writers
from .data.drafts import Draft, Drafts, drafts
from .data.drafts.file import written
from .data.entries import Book
from .words import ENDING

NEEDS = "pip install 'soft-prompts[train]', or in a checkout: python install.py train ..."
_SHOWN = 8
_LISTED = 40


@dataclass(frozen=True)
class Found:
    """One file: the book in it with its drafts, or soft prompts, or both."""

    path: Path
    book: Book | None
    made: Drafts
    prompts: tuple[Carried, ...]


def import_files(options: argparse.Namespace) -> int:
    """Everything is read before anything is written; raises SoftPromptError."""
    found = [_read(Path(name), options.user) for name in options.files]
    target = Path(options.output or suggest_name(Path(options.files[0]).stem) + ENDING)
    made = [draft for each in found for draft in each.made.drafts]
    if made and target.exists() and not options.overwrite:
        raise InvalidFile(f"{target} exists already: give --output another name, or --overwrite")
    for each in found:
        print(json.dumps(_record(each), ensure_ascii=False) if options.json else _shown(each))
    if options.ask and made:
        made += _asked(options, found)
    kept = [_kept(each, options.folder) for each in found]
    if made:
        write_atomically(target, written(made))
    print(_result(options, target, made, [name for names in kept for name in names]))
    return 0


def _asked(options: argparse.Namespace, found: Sequence[Found]) -> list[Draft]:
    """What the model writes besides; raises SoftPromptError, also where there is nothing to run a model with."""
    try:
        from .inventing import more
    except ModuleNotFoundError as missing:
        raise SoftPromptError(f"--ask runs a model, and {missing.name} is not here: {NEEDS}") from None
    return more(options, [(each.book, each.made.drafts) for each in found if each.book])


def _read(path: Path, user: str) -> Found:
    prompts = carried(path)
    try:
        book = writers.book(path)
    except InvalidFile:
        if not prompts:
            raise
        book = None
    if book is None and not prompts:
        prompts = _alone(path)
    return Found(path, book, drafts(book, user) if book else Drafts((), ()), tuple(prompts))


def _alone(path: Path) -> list[Carried]:
    """A soft prompt's own file."""
    arrival = look(path, path.name)
    if arrival.problem or not arrival.tokens:
        raise InvalidFile(
            f"{path}: it is no lorebook, character or story of a tool that is known here, and no soft prompt. Texts "
            "and datasets need no import: soft-prompts train --help"
        )
    return [Carried(arrival.name, arrival, str(path))]


def _kept(found: Found, folder: str) -> list[str]:
    """The files that soft prompts went to."""
    shelf = Shelf(Library(folder))
    return [each.keep(shelf) for each in found.prompts if not each.arrival.problem]


def _shown(found: Found) -> str:
    lines = [] if found.book is None else _of_book(found, found.book)
    lines += [told(each) for each in found.prompts]
    return "\n".join(lines) + "\n"


def _of_book(found: Found, book: Book) -> list[str]:
    count = Counter(each.entry for each in found.made.drafts)
    rows = [("entry", "keys", "words", "drafts")]
    for entry in book.used[:_LISTED]:
        keys = ", ".join(entry.keys)
        shown = keys if len(keys) <= 40 else f"{keys[:37]}..."
        rows.append((entry.label[:40], shown, str(len(entry.text.split())), str(count[entry.label])))
    more = len(book.used) - _LISTED
    lines = [f"{found.path}: {book.kind}{f' {book.name!r}' if book.name else ''}", "", table(rows)]
    lines += [f"... and {more:,} more entries"] if more > 0 else []
    lines += ["", *(f"Note: {each}." for each in found.made.notes)]
    return [*lines, "", *_examples(found.made.drafts)]


def _examples(made: Sequence[Draft]) -> list[str]:
    step = max(1, len(made) // _SHOWN)
    shown = list(made)[::step][:_SHOWN]
    return [table([(_line(each.pair.call), _line(each.pair.response)) for each in shown])] if shown else []


def _line(text: str) -> str:
    flat = text.replace("\n", " / ").strip(" /")
    return flat if len(flat) <= 70 else f"{flat[:67]}..."


def _record(found: Found) -> dict[str, Any]:
    book = found.book
    entries = [
        {"name": each.name, "keys": each.keys, "field": each.field, "enabled": each.enabled, "text": each.text}
        for each in (book.entries if book else ())
    ]
    facts = {"kind": book.kind, "name": book.name, "entries": entries} if book else {}
    return {
        "file": str(found.path),
        **facts,
        "notes": found.made.notes,
        "prompts": [each.record() for each in found.prompts],
    }


def _result(options: argparse.Namespace, target: Path, made: Sequence[Draft], kept: Sequence[str]) -> str:
    held, by = sum(each.held_out for each in made), sum(bool(each.by) for each in made)
    if options.json:
        facts = {"written": str(target) if made else None, "pairs": len(made), "held_out": held}
        return json.dumps({**facts, "by_a_model": by, "library": kept}, ensure_ascii=False)
    lines = [f"Into the library {options.folder}: {name}" for name in kept]
    if made:
        lines.append(
            f"Written: {target} ({len(made):,} calls and responses, of which {held:,} are asked and not learnt)"
        )
        if by:
            lines.append(f"{by:,} of them were written by the model, and are marked: read them before you train.")
        lines.append(f"Edit it as you like, then: soft-prompts train world-info {target}")
    return "\n".join(lines) or "There was nothing to write."
