"""`understood("finetune", files)`: what a writer's files are, as a training of this kind reads them; torch-free.

What reads files is imported with the first of them: a webui that starts waits for the tab, which needs none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InvalidFile, TrainingError
from ..tags import suggest_name
from .options import name_of

if TYPE_CHECKING:
    from .data import Facts

KINDS = ("finetune", "world-info", "distill")
SHOWN, LENGTH = 3, 240
"""Excerpts, and characters of each."""
LITTLE = 2_000
"""Characters of a text, below which a style is hardly learnt."""

T = TypeVar("T")


@dataclass(frozen=True)
class Pair:
    """A row of the table that a writer edits."""

    call: str
    response: str
    held_out: bool = False


@dataclass(frozen=True)
class Understood:
    """What files were taken for. words: in one line, as "3 stories, 48,210 characters". excerpts: how they begin.

    pairs: of facts, for the table. notes: what was passed over, and why. name: a name for the prompt. title: the files.
    """

    kind: str
    words: str
    excerpts: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""
    title: str = ""


def understood(kind: str, files: Sequence[Path]) -> Understood:
    """Raises InvalidFile that names the file, as the writer knows it."""
    check_kind(kind)
    if not files:
        raise TrainingError("there is nothing to learn from yet: choose a file")
    read = {"finetune": _style, "world-info": _facts, "distill": _lore}[kind]
    return by_names(files, lambda: read(files))


def check_kind(kind: str) -> None:
    """Raises TrainingError."""
    if kind not in KINDS:
        raise TrainingError(f"there is no training {kind!r}: kinds are {', '.join(KINDS)}")


def by_names(files: Sequence[Path], read: Callable[[], T]) -> T:
    """What `read` gives; its errors name files as the writer does, who does not know where uploads lie."""
    try:
        return read()
    except InvalidFile as problem:
        text = str(problem)
        for each in sorted(files, key=lambda path: -len(str(path))):
            text = text.replace(str(each), each.name)
        raise InvalidFile(text) from None


def split(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """(texts, questions): of what is to be distilled, JSON of calls and responses is no text, but asked at the end."""
    asked = [each for each in files if _holds_pairs(each)]
    return [each for each in files if each not in asked], asked


def title_of(files: Sequence[Path]) -> str:
    """`emma.json and 2 more`."""
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{files[0].name}{more}" if files else ""


def rows_of(facts: Facts) -> tuple[Pair, ...]:
    """For the table: what is learnt, then what is only asked."""
    learnt = tuple(Pair(each.call, each.response) for each in facts.pairs)
    return learnt + tuple(Pair(each.call, each.response, True) for each in facts.held_out)


def questions_of(files: Sequence[Path]) -> tuple[Pair, ...]:
    """All pairs of the files, as they stand."""
    from .data import pairs

    items = [item for each in files for item in pairs.read(each)]
    return tuple(Pair(item.pair.call, item.pair.response, item.held_out) for item in items)


def _style(files: Sequence[Path]) -> Understood:
    from .data import Corpus

    corpus = Corpus.read(*files)
    stories, size = corpus.stories, len(corpus.text)
    notes = [*corpus.notes]
    if size < LITTLE:
        notes.append(f"this is little to learn a style from: {LITTLE:,} characters and more serve better")
    words = f"{_count(len(stories), 'story', 'stories')}, {size:,} characters"
    return Understood("finetune", words, _excerpts(stories), notes=tuple(notes), **_called(files))


def _facts(files: Sequence[Path]) -> Understood:
    from .data import Facts

    read = [Facts.read(each) for each in files]
    rows = tuple(dict.fromkeys(row for each in read for row in rows_of(each)))
    held = sum(each.held_out for each in rows)
    words = _count(len(rows), "fact", "facts") + (
        f", of which {held} are not learnt, but asked: some while it learns, most at its end" if held else ""
    )
    notes = tuple(dict.fromkeys(note for each in read for note in each.notes))
    shown = _excerpts([row.call + row.response for row in rows])
    return Understood("world-info", words, shown, rows, notes, **_called(files))


def _lore(files: Sequence[Path]) -> Understood:
    from .data import Lore

    texts, asked = split(files)
    if not texts:
        raise InvalidFile(
            f"{files[0].name}: it holds calls and responses, which are asked at the end; add the text too"
        )
    lore = Lore.read(*texts)
    rows = questions_of(asked)
    words = f"{_count(len(lore.text.split()), 'word', 'words')}, {len(lore.text):,} characters"
    words += f", and {_count(len(rows), 'question', 'questions')} about it" if rows else ""
    return Understood("distill", words, _excerpts([lore.text]), rows, lore.notes, **_called([*texts, *asked]))


def _called(files: Sequence[Path]) -> dict[str, Any]:
    return {"name": suggest_name(name_of([str(files[0])])), "title": title_of(files)}


def _holds_pairs(path: Path) -> bool:
    from .data import pairs
    from .data.texts import DATASETS

    if path.suffix.lower() not in DATASETS or not path.is_file():
        return False
    try:
        return bool(pairs.read(path))
    except InvalidFile:
        return False


def _excerpts(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(_short(" ".join(text.split())) for text in texts[:SHOWN])


def _short(text: str) -> str:
    return text if len(text) <= LENGTH else text[:LENGTH].rsplit(" ", 1)[0] + " ..."


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
