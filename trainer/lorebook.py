"""`soft-prompts lorebook oakham.json`: a lorebook whose entries are tags; its tool goes on triggering them.

Each entry is distilled by itself, which is the training of `soft-prompts train distill`. What was ended goes on with
the same line: an entry whose prompt is there, and was made of the same text for this model, is not made again.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..container import write_atomically
from ..errors import InvalidFile, TrainingError
from ..fingerprint import judge
from ..formats import load
from ..hosts.hf.view import ModelView, codec_of, unwrap
from ..tags import suggest_name, tag_for
from ..terminal import table
from . import options as training
from .asking import choice, is_first, screen_for
from .data import Lore, reading
from .data.books import book_of, macros, rewriting
from .data.books.envelope import Envelope, opened
from .data.drafts import drafts
from .data.drafts.file import written
from .data.entries import Book, Entry
from .job import Job, typed
from .lent import Lent
from .loading import load as load_model
from .reader import Reader
from .showing import Screen

LEAST = 16
"""Tokens of the shortest prompt."""
GAIN = 2
"""An entry with fewer times the tokens of its prompt stays as it is."""
_PASSED = ("tokens", "steps", "seed", "rate", "batch", "block", "micro", "rows")


@dataclass(frozen=True)
class Line:
    """What became of an entry. before, after: tokens of context. recall: share of its questions, where it has some.

    why: it is left as it is, or "made before".
    """

    entry: str
    before: int
    after: int
    tag: str = ""
    recall: float | None = None
    bare: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Piece:
    """A text to be distilled under a name, and the entries in whose place its tag goes."""

    name: str
    text: str
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        return self.entries[0].name if len(self.entries) == 1 else f"all {len(self.entries)} entries"


def lorebook(options: argparse.Namespace) -> int:
    """The exit status; the copy is written when every entry is done."""
    envelope, book = reading.read(options.book, _book)
    pieces = list(_pieces(options, book))
    target = _target(options, envelope)
    model, tokenizer, notes = load_model(choice(options))
    maker = _Maker(options, book, model, tokenizer)
    for note in [*notes, *_warnings(book, pieces)]:
        maker.screen.note(note)
    lines: list[Line] = []
    for number, piece in enumerate(pieces, 1):
        maker.screen.note(f"entry {number} of {len(pieces)}: {piece.label}")
        lines.append(maker.line(piece))
        if maker.status:
            return maker.status
    if is_first():
        write_atomically(target, _rewritten(envelope, book, pieces, lines))
    facts = {"written": str(target), "entries": [asdict(line) for line in lines]}
    maker.screen.end(told(lines, target), facts)
    return 0


def told(lines: Sequence[Line], target: Path) -> str:
    """The table, and what it comes to."""
    rows = [("entry", "tokens", "then", "recall", "without", "")]
    for each in lines:
        shares = _share(each.recall), _share(each.bare)
        rows.append((each.entry[:32], str(each.before), str(each.after), *shares, each.why or each.tag))
    before, after = sum(line.before for line in lines), sum(line.after for line in lines)
    return (
        f"{table(rows)}\n\nAll of it cost {before:,} tokens, and costs {after:,} now. Recall is the share of questions "
        "on an entry that the model answers word for word.\n"
        f"Written: {target}: the same book, with tags as its texts. It works wherever these soft prompts are in the "
        "library."
    )


def names(options: argparse.Namespace, book: Book, entries: Sequence[Entry]) -> Iterator[str]:
    """One for each entry, told apart, and free of the keys of other entries: a tag is a text, and would call them."""
    first = suggest_name(options.name or book.name or Path(options.book).stem)
    keys = {key.casefold(): each for each in entries for key in each.keys if len(key) > 2}
    if any(key in first.casefold() for key in keys):
        first = "book"
    known: set[str] = set()
    for number, each in enumerate(entries, 1):
        own = suggest_name(each.name).replace("/", " ")
        others = [key for key, owner in keys.items() if owner is not each and key in own.casefold()]
        name = f"{first}/{number if others else own}"
        name = f"{name} {number}" if name.casefold() in known else name
        known.add(name.casefold())
        yield name


class _Maker:
    """Trains one piece after the other on one model."""

    def __init__(self, options: argparse.Namespace, book: Book, model: Any, tokenizer: Any) -> None:
        self.screen = screen_for(options.json)
        self.status = 0
        self._options = options
        self._book = book
        self._lent = Lent(model, tokenizer, nullcontext)
        self._reader = Reader(model, tokenizer)
        self._view = ModelView(unwrap(model), codec_of(tokenizer))

    def line(self, piece: Piece) -> Line:
        """The prompt of a piece: made, found, or not worth it."""
        before = len(self._reader.seams.inner(piece.text))
        after = self._options.tokens or max(LEAST, before // 10)
        if before < GAIN * after:
            why = f"left as it is: {before} tokens are few, and a prompt has {after}"
            return Line(piece.label, before, before, why=why)
        path = Path(self._options.folder) / f"{piece.name}.safetensors"
        tag = str(tag_for(piece.name))
        if (metadata := self._made(path, piece)) is not None:
            recall = float(metadata["recall"]) if "recall" in metadata else None
            return Line(piece.label, before, int(metadata["tokens"]), tag, recall, why=f"{tag} (made before)")
        facts = self._train(piece, path, after)
        bare = facts.get("lines", [{}])[0].get("recall")
        return Line(piece.label, before, after, tag, facts.get("recall"), bare)

    def _made(self, path: Path, piece: Piece) -> dict[str, str] | None:
        """The metadata of a prompt that is there, of this very text and for this model; else None."""
        if not path.exists() or (path.with_suffix(".training") / "training.state").exists():
            return None
        prompt = load(path)
        same = prompt.metadata.get("data") == self._lore(piece).digest and judge(prompt, self._view).usable
        fits = not self._options.tokens or len(prompt) == self._options.tokens
        return {**prompt.metadata, "tokens": str(len(prompt))} if same and fits else None

    def _lore(self, piece: Piece) -> Lore:
        """As the training reads it from the files that it is given."""
        with tempfile.TemporaryDirectory() as folder:
            text, questions = self._files(piece, Path(folder))
            return Lore.read(text, questions=questions)

    def _files(self, piece: Piece, folder: Path) -> tuple[Path, Path | None]:
        text, questions = folder / "entry.txt", folder / "questions.json"
        text.write_text(piece.text, "utf-8", newline="\n")
        made = drafts(replace(self._book, entries=piece.entries), self._options.user).drafts
        asked = [each for each in made if each.held_out] or list(made)
        if asked:
            questions.write_bytes(written([replace(each, held_out=False) for each in asked]))
        return text, questions if asked else None

    def _train(self, piece: Piece, path: Path, tokens: int) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            text, questions = self._files(piece, Path(folder))
            words = [str(text), "--name", piece.name, "--output", self._options.folder, "--tokens", str(tokens)]
            words += ["--preview-every", "0", *(["--questions", str(questions)] if questions else [])]
            for name in _PASSED:
                value = getattr(self._options, name, None)
                words += [f"--{name}", str(value)] if value is not None and name != "tokens" else []
            begun = (path.with_suffix(".training") / "training.state").exists()
            words += ["--overwrite"] if self._options.overwrite else ["--resume"] if begun else []
            page = _Page(self.screen)
            self.status = Job(
                _options(words), page, lent=self._lent, again=typed("soft-prompts", *self._options.words)
            ).run()
            return page.facts


class _Page:
    """A screen on which the report of one entry is a line; all of it is in the report's own files."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self.facts: dict[str, Any] = {}
        self.begin, self.phase, self.step = screen.begin, screen.phase, screen.step
        self.preview, self.note = screen.preview, screen.note

    def end(self, words: str, facts: dict[str, Any]) -> None:
        self.facts = facts
        if "held_out" not in facts:  # it was ended, and says how to go on
            self._screen.end(words, facts)
            return
        share = facts.get("recall")
        said = f", recall {share:.0%}" if share is not None else ""
        self._screen.note(
            f"{facts['name']}: {facts['base']:.3f} nats apart without, {facts['held_out']:.3f} with{said}"
        )


def _book(data: bytes) -> tuple[Envelope, Book]:
    envelope = opened(data)
    book = book_of(envelope.value) if envelope else None
    if envelope is None or book is None:
        raise InvalidFile("it is no lorebook: give World Info, a lorebook, or a card that has one")
    if not rewriting.entries_of(book):
        raise InvalidFile(f"it is a {book.kind} without a lorebook in it whose entries are switched on")
    return envelope, book


def _pieces(options: argparse.Namespace, book: Book) -> Iterator[Piece]:
    entries = rewriting.entries_of(book)
    if not options.all_in_one:
        for each, name in zip(entries, names(options, book, entries), strict=True):
            yield Piece(name, _text(each, book, options.user), (each,))
        return
    if not rewriting.can_switch(book):
        raise TrainingError(f"--all-in-one switches entries off, and how is not known of a {book.kind}: leave it out")
    (name, *_) = names(options, book, entries)
    ordered = sorted(entries, key=lambda each: each.order)
    text = "\n\n".join(_text(each, book, options.user) for each in ordered)
    yield Piece(f"{name.split('/')[0]}/all", text, entries)


def _text(entry: Entry, book: Book, user: str) -> str:
    return macros.plain(entry.text, book.voice or entry.name, user).strip()


def _warnings(book: Book, pieces: Sequence[Piece]) -> Iterator[str]:
    """What a book with tags does not do that it did before."""
    entries = rewriting.entries_of(book)
    if any(macros.names_user(each.text) for each in entries):
        yield "{{user}} in a text is a name in its soft prompt, and does not change with who plays (--user)"
    calling = [each.name for each in entries if _calls(each, entries)]
    if calling and len(pieces) > 1:
        some = ", ".join(repr(name) for name in calling[:3]) + (", ..." if len(calling) > 3 else "")
        yield f"a tag has none of its text's words, so that {some} no longer bring in other entries by recursion"


def _calls(entry: Entry, entries: Sequence[Entry]) -> bool:
    text = entry.text.casefold()
    return any(key.casefold() in text for each in entries if each is not entry for key in each.keys if len(key) > 2)


def _rewritten(envelope: Envelope, book: Book, pieces: Sequence[Piece], lines: Sequence[Line]) -> bytes:
    texts: dict[Any, tuple[str, str]] = {}
    switches: dict[Any, dict[str, Any]] = {}
    for piece, line in zip(pieces, lines, strict=True):
        if not line.tag:
            continue
        first, *others = piece.entries
        texts[first.place] = first.text, line.tag
        if others:
            switches |= {first.base: rewriting.always(book), **{each.base: rewriting.off(book) for each in others}}
    return rewriting.rewritten(envelope, texts, switches)


def _target(options: argparse.Namespace, envelope: Envelope) -> Path:
    source = Path(options.book)
    target = Path(options.output or f"{source.stem} with tags{source.suffix or envelope.ending}")
    if target.exists() and (not options.overwrite or target.samefile(source)):
        raise InvalidFile(f"{target} exists already: give --output another name, or --overwrite")
    return target


def _options(words: Sequence[str]) -> argparse.Namespace:
    """As `soft-prompts train distill` reads its words."""
    parser = training.Parser()
    training.add_train(parser.add_subparsers(), lambda options: None)
    options = parser.parse_args(["train", "distill", *words])
    options.words = ["train", "distill", *words]
    return options


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
