"""`Catalogue(library, "user_data/soft_prompts", serving).rows()`: a library as panels list it, for whatever model.

All hosts share it: a host says which model is there, and what its folder is called before the writer.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Protocol

from ..container import write_atomically
from ..entry import Entry
from ..errors import InvalidFile, InvalidPrompt, SoftPromptError
from ..fingerprint import Described, Fit
from ..formats import load_any, text
from ..library import Library
from ..prompt import SoftPrompt, TextPrompt
from ..shelf import Shelf
from ..tags import Tag, name_problem, parse, suggest_name
from .protocol import Row, Verdict
from .settings import NAME


class Judges(Protocol):
    """A loaded model, as far as a list asks it."""

    verdicts: dict[Any, Any]
    """What the list says of its files, for as long as this model is loaded."""

    def fit(self, prompt: Described) -> Fit:
        """Whether the prompt was made for this model; a file's header is enough to tell."""

    def tokens(self, text: str) -> int:
        """What a text prompt costs on this model."""


class Catalogue:
    """Safe to use from several threads. shown: the folder, as the writer knows it.

    serving: (what changes with the model, the model or None), as they are now.
    """

    def __init__(
        self, library: Library, shown: Callable[[], str], serving: Callable[[], tuple[Hashable, Judges | None]]
    ) -> None:
        self._library = library
        self._shown = shown
        self._serving = serving
        self._rows: tuple[Hashable, list[Row]] = (None, [])
        self._lock = threading.Lock()

    def words(self, problem: SoftPromptError | str) -> str:
        """The message, in which the folder is called as the writer knows it; where it lies is nobody's business."""
        return str(problem).replace(str(self._library.folder), self._shown())

    def rows(self) -> Sequence[Row]:
        """Every file, by name, and whether it fits the loaded model."""
        with self._lock:
            # First, since it may find what nobody has told of yet.
            entries = self._library.entries()
            which, served = self._serving()
            listing = self._library.revision, which
            if self._rows[0] != listing:
                self._rows = listing, [self._row(entry, served) for entry in entries]
            return self._rows[1]

    def others(self) -> Sequence[str]:
        """Names of files in the folder that are no soft prompts."""
        # What was set aside of the settings is ours.
        return [each for each in self._library.others() if not each.startswith(NAME)]

    def fits(self, found: Described) -> tuple[Verdict, str]:
        """(verdict, reason) for what is not in the library yet, trained and not a text."""
        served = self._serving()[1]
        if served is None:
            return "no model", "no model is loaded that could be asked"
        fit = served.fit(found)
        return fit.verdict, fit.reason

    def make(self, name: str, sentence: str) -> Row:
        """A text prompt, which any model can use as it is; raises SoftPromptError for a name or a text that is none."""
        prompt = TextPrompt(_meant(name), sentence.strip())
        path = self._library.folder / f"{prompt.name}.txt"
        if prompt.name in self._library or path.exists():
            raise InvalidFile(
                f"there is a soft prompt '{prompt.name}' already: choose another name, or delete its file "
                f"in {self._shown()}"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.write(prompt))
        self._library.refresh()
        return next(row for row in self.rows() if row.name == prompt.name)

    def bake(self, name: str, baked: Callable[[TextPrompt], SoftPrompt]) -> Row:
        """Of a text in the library, what `baked` makes of it, as a file beside it for the model of that alone."""
        words = next((each for each in self._library.variants(name) if isinstance(each, TextPrompt)), None)
        if words is None:
            raise InvalidFile(f"'{name}' is no text: what is trained stays as it is")
        prompt = baked(words)
        # A file of its own for each model: on others the text goes on to count.
        file = Shelf(self._library).add(prompt, _plain(prompt.metadata.get("base_model", "")))
        return next(row for row in self.rows() if row.file == file)

    def _row(self, entry: Entry, served: Judges | None) -> Row:
        tokens, verdict, reason = self._judge(entry, served)
        file = entry.path.relative_to(self._library.folder).as_posix()
        said = entry.metadata
        return Row(
            entry.name,
            file,
            tokens,
            verdict,
            reason,
            said.get("description", ""),
            author=said.get("author", ""),
            method=said.get("method", ""),
            model=said.get("base_model", ""),
            score=score(said),
            changed=sum(entry.signature[:1]) / 1e9,
        )

    def _judge(self, entry: Entry, served: Judges | None) -> tuple[int, Verdict, str]:
        if entry.problem:
            return entry.tokens, "unreadable", self.words(entry.problem)
        if entry.shadowed_by:
            return entry.tokens, "shadowed", f"{entry.shadowed_by} is used under this name"
        if served is None:
            return entry.tokens, "no model", "no model is loaded that could be asked"
        key = entry.path, entry.signature
        if key not in served.verdicts:
            served.verdicts[key] = self._asked(served, entry)
        found: tuple[int, Verdict, str] = served.verdicts[key]
        return found

    def _asked(self, served: Judges, entry: Entry) -> tuple[int, Verdict, str]:
        if entry.trained:
            fit = served.fit(entry)
            return entry.tokens, fit.verdict, fit.reason
        try:
            prompt = load_any(entry.path, entry.name)
            words = "a text: its own words on any model, untrained"
            return served.tokens(getattr(prompt, "text", "")), "text", words
        except SoftPromptError as problem:
            # The list says which file it is: only the bare fact behind its path is new.
            return entry.tokens, "unreadable", self.words(str(problem.__cause__ or problem))


def score(metadata: Mapping[str, str]) -> str:
    """What the prompt makes of text that its training never saw, "1.33 -> 1.16"; empty where the file says nothing."""
    try:
        before, after = (float(metadata[key]) for key in ("base", "held_out"))
    except (KeyError, ValueError):
        return ""
    return f"{before:.2f} -> {after:.2f}" if 0 <= before < 100 and 0 <= after < 100 else ""


def _plain(model: str) -> str:
    """What a file's name may say of the model that it is for."""
    return suggest_name(model.replace("\\", "/").rpartition("/")[2] or "this-model")


def _meant(name: str) -> str:
    """The name in what was typed: a pasted tag, or a file's name, is as good as the name itself."""
    name = name.strip().removesuffix(".txt")
    name = next((piece.name for piece in parse(name) if isinstance(piece, Tag)), name)
    # Two spaces are read as one.
    name = re.sub(" +", " ", name)
    if name_problem(name) and not any(map(str.isalnum, name)):
        raise InvalidPrompt(f"“{name}” cannot name a soft prompt: a name has letters or digits, as “noir” has")
    return name
