"""`Library("soft_prompts/")["gibson"]`: a Mapping from names to prompts, over the files of one folder.

It never joins a name with a path: only what a look into the folder found can be opened. Two things are kept apart. A
lookup asks the disk about its own name alone, by a few stats, and waits for nobody. The listing of everything is made
beside it and swapped in whole.
"""

from __future__ import annotations

import difflib
import math
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath
from typing import NamedTuple

from .entry import Entry, describe, refused, shadowed
from .errors import InvalidFile, UnknownPrompt
from .folder import Folders, Signature, examined, settled
from .formats import READABLE, load_any
from .prompt import Prompt

__all__ = ["Entry", "Library", "unknown_prompt"]

AGAIN = 1.0
"""Seconds after which a miss reads its folder again, for drives that keep no time of a folder's last change (FAT)."""

TRIES = 3


class _Seen(NamedTuple):
    entry: Entry
    certain: bool  # the file cannot have changed without changing the entry's signature


class _Loaded(NamedTuple):
    signature: Signature
    certain: bool
    prompt: Prompt


@dataclass(frozen=True, eq=False)
class _Listing:
    """What one walk found; revision counts the walks that found something else than the one before."""

    entries: tuple[Entry, ...] = ()
    revision: int = 0
    guesses: dict[tuple[str, int], list[str]] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[str, None]:
        return dict.fromkeys(entry.name for entry in self.entries if not entry.problem)

    @cached_property
    def folded(self) -> dict[str, str]:
        """{what a slip of the pen is compared with: name}; "emma" is near "people/emma"."""
        table: dict[str, str] = {}
        for each in self.names:
            table.setdefault(each.casefold(), each)
            table.setdefault(each.rpartition("/")[2].casefold(), each)
        return table

    def near(self, name: str, count: int) -> list[str]:
        for ending in READABLE:
            # A file's name is a frequent slip, and nothing else is meant.
            if (meant := self.folded.get(name.casefold().removesuffix(ending))) is not None:
                return [meant]
        # A chat says the same misspelt tag with every message.
        known = self.guesses.get((name, count))
        if known is None:
            if len(self.guesses) >= 1000:
                self.guesses.clear()
            matches = difflib.get_close_matches(name.casefold(), self.folded, n=2 * count, cutoff=0.6)
            known = self.guesses[name, count] = list(dict.fromkeys(self.folded[match] for match in matches))[:count]
        return known or self._without_folder(name)

    def _without_folder(self, name: str) -> list[str]:
        """What `soft_prompts/noir.safetensors` means, as a command line completes it."""
        path = PurePath(name)
        meant = self.folded.get((path.stem if path.suffix in READABLE else path.name).casefold())
        return [] if meant is None else [meant]


class Library(Mapping[str, Prompt]):
    """`library["gibson"]`, `"gibson" in library`, `for name in library`; `library.entries()` lists every file.

    The folder need not exist yet. ignore: names of files at its top that are no prompts, as ("settings.json",). New
    and replaced files count at once. Safe to use from several threads; a lookup never waits for another thread's walk.
    """

    def __init__(self, folder: str | os.PathLike[str], ignore: Iterable[str] = ()) -> None:
        self.folder = Path(folder)
        self._folders = Folders(str(self.folder), frozenset([ignore] if isinstance(ignore, str) else ignore))
        self._walking = threading.Lock()
        self._begun = self._done = 0  # walks, counted from 1
        self._listing = _Listing()
        self._seen: dict[str, _Seen] = {}
        self._loaded: dict[str, _Loaded] = {}

    def __getitem__(self, name: str) -> Prompt:
        """The prompt `name`; raises UnknownPrompt with near names, or InvalidFile with the reason."""
        return self.variants(name)[0]

    def __iter__(self) -> Iterator[str]:
        self.entries()
        return iter(self._listing.names)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(not entry.problem for entry in self._find(name))

    def __repr__(self) -> str:
        return f"Library({str(self.folder)!r})"

    @property
    def revision(self) -> int:
        """A number that changes whenever the listing does; 0 before the first one. Asks nothing of the disk."""
        return self._listing.revision

    def variants(self, name: str) -> list[Prompt]:
        """Every prompt under `name`, the one to prefer first: trained before text, newer before older.

        A file that cannot be read is passed over while another can.
        """
        prompts: list[Prompt] = []
        problems: list[InvalidFile] = []
        for _ in range(TRIES):
            candidates = self._find(name)
            problems = [InvalidFile(f"{entry.path}: {entry.problem}") for entry in candidates if entry.problem]
            for entry in candidates:
                if not entry.problem:
                    try:
                        prompts.append(self._load(entry))
                    except InvalidFile as problem:
                        problems.append(problem)
            # A file may go between the look and the reading: then another may bear its name, or none.
            if prompts or all(os.path.lexists(entry.path) for entry in candidates):
                break
        if not prompts:
            raise problems[0] if problems else self._unknown(name)
        return prompts

    def entries(self) -> tuple[Entry, ...]:
        """Every file of the folder, also the unreadable and the shadowed ones, by name, the preferred first."""
        return self.refresh() if self.stale() else self._listing.entries

    def stale(self) -> bool:
        """Whether a file came, went or was replaced since the last listing; one stat for each folder.

        A file that was rewritten in its place shows to `refresh` and to a lookup of its name only.
        """
        return not self._done or self._folders.stale()

    def folders(self) -> list[str]:
        """Where the files of the last listing lie: the library's folder, those in it, and those it links to."""
        return self._folders.paths()

    def others(self) -> list[str]:
        """The files of the last listing's folders that are no soft prompts, by their endings; hidden ones left out."""
        return self._folders.others()

    def refresh(self) -> tuple[Entry, ...]:
        """Look at the disk again; headers only, and only of files that changed. Lookups go on meanwhile.

        What happened before the call is in the answer. Callers that wait for each other share one walk.
        """
        asked = self._begun
        with self._walking:
            if self._done <= asked:  # else a walk that began after our call has ended while we waited
                self._walk()
            return self._listing.entries

    def near(self, name: str, count: int = 3) -> list[str]:
        """The names most like `name`, best first; "emma" is near "people/emma"."""
        return list(self._latest().near(name, count))

    def _latest(self) -> _Listing:
        """The listing, brought up to date unless another thread is just doing that."""
        if not self._done:
            self.refresh()
        elif self.stale() and self._walking.acquire(blocking=False):
            try:
                self._walk()
            finally:
                self._walking.release()
        return self._listing

    def _walk(self) -> None:
        self._begun = number = self._begun + 1
        if self.folder.is_file():
            raise InvalidFile(f"{self.folder} is a file; a library is a folder: name the one that it lies in")
        seen: dict[str, _Seen] = {}
        for place, prefix, folder in self._folders.walk():
            if folder.adapter and (found := self._look(place, prefix[:-1].partition("@")[0])):
                seen[place] = found
            for stem, names in folder.files.items():
                for path in [os.path.join(place, each) for each in names]:
                    if found := self._look(path, prefix + stem):
                        seen[path] = found
        entries = tuple(shadowed(sorted((each.entry for each in seen.values()), key=lambda entry: entry.order)))
        before, self._seen = self._listing, seen
        for path in set(self._loaded) - set(seen):
            self._loaded.pop(path, None)
        if not self._done or entries != before.entries:
            self._listing = _Listing(entries, before.revision + 1)
        self._done = number

    def _find(self, name: str) -> list[Entry]:
        """The entries under `name` as the disk is now, the preferred first."""
        for within in (math.inf, AGAIN):
            if paths := self._folders.candidates(name, within):
                found = [seen.entry for path in paths if (seen := self._look(path, name))]
                return sorted(found, key=lambda entry: entry.order)
        return []

    def _look(self, path: str, name: str) -> _Seen | None:
        """The entry of the file at `path`, made anew where it is not certain; None where the file is gone."""
        known = self._seen.get(path)
        try:
            status, signature = examined(path)
            if known and known.certain and known.entry.signature == signature:
                return known
            certain = settled(signature)  # asked before the file is read
            seen = _Seen(describe(Path(path), name, status, signature), certain)
        except OSError as problem:
            if not os.path.lexists(path):
                return None
            seen = _Seen(refused(Path(path), name, problem), False)
        if known and known.entry == seen.entry:
            seen = _Seen(known.entry, seen.certain)
        self._seen[path] = seen
        return seen

    def _load(self, entry: Entry) -> Prompt:
        path = str(entry.path)
        kept = self._loaded.get(path)
        if kept and kept.certain and kept.signature == entry.signature:
            return kept.prompt
        certain = settled(entry.signature)  # asked before the file is read
        prompt = load_any(entry.path, entry.name)
        if kept and _same(kept.prompt, prompt):
            prompt = kept.prompt  # so that whoever holds it sees that nothing has changed
        if _signature(path) == entry.signature:  # else another file stands there by now; this one was read whole
            self._loaded[path] = _Loaded(entry.signature, certain, prompt)
        return prompt

    def _unknown(self, name: str) -> UnknownPrompt:
        listing = self._latest()
        gone = "" if self.folder.is_dir() else f"there is no such folder in {Path.cwd()}"
        return unknown_prompt(name, str(self.folder), listing.near(name, 3), len(listing.names), gone)


def _signature(path: str) -> Signature:
    try:
        return examined(path)[1]
    except OSError:
        return ()


def _same(one: Prompt, other: Prompt) -> bool:
    return one == other and getattr(one, "metadata", None) == getattr(other, "metadata", None)


def unknown_prompt(name: str, where: str, near: Iterable[str], count: int, gone: str = "") -> UnknownPrompt:
    """The error for a name that nothing holds, with what the writer can do next. gone: where there is no folder."""
    if ".." in name.split("/") or name.startswith("/"):
        return UnknownPrompt(
            f"the name '{name}' points out of {where}: names stay within the library folder, without '..'"
        )
    guesses = " or ".join(f"'{each}'" for each in near)
    if guesses:
        return UnknownPrompt(f"no soft prompt '{name}' in {where}: did you mean {guesses}?")
    holds = gone or (f"it holds {count} other{'s' if count != 1 else ''}" if count else "it is empty")
    stem = next((name.removesuffix(ending) for ending in READABLE if name.endswith(ending)), name)
    return UnknownPrompt(f"no soft prompt '{name}' in {where} ({holds}): put {stem}.safetensors or {stem}.txt there")
