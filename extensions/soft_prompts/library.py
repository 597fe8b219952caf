"""`Library("soft_prompts/")["gibson"]`: a Mapping from names to prompts, over the files of one folder.

It never joins a name with a path: only what a walk through the folder found can be opened.
"""

from __future__ import annotations

import difflib
import logging
import os
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from .container import read_header
from .errors import InvalidFile, SoftPromptError, UnknownPrompt
from .formats import FOREIGN, READABLE, load_any, native, unreadable
from .prompt import Prompt
from .tags import name_problem, suggest_name

_log = logging.getLogger(__name__)

Signature = tuple[int, int, int]


@dataclass(frozen=True)
class Entry:
    """One file of a library, as its header alone tells: what a panel lists.

    problem: why it cannot be used; empty when it can. shadowed_by: the file that takes its name instead.
    tokens, width: 0 where they are not known (a text has them only on a model).
    """

    name: str
    path: Path
    variant: str = ""
    tokens: int = 0
    width: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""
    shadowed_by: str = ""
    signature: Signature = (0, 0, 0)

    @property
    def trained(self) -> bool:
        """False for a text, which any model can use as it is."""
        return self.path.suffix.lower() != ".txt"


class Library(Mapping[str, Prompt]):
    """`library["gibson"]`, `"gibson" in library`, `for name in library`; `library.entries()` lists every file.

    The folder need not exist yet. A lookup that misses, or whose file has changed, looks at the disk first, so new and
    replaced files count at once. Safe to use from several threads.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()
        self._entries: tuple[Entry, ...] | None = None
        self._folders: dict[Path, Signature] = {}
        self._loaded: dict[Path, tuple[Signature, Prompt]] = {}

    def __getitem__(self, name: str) -> Prompt:
        """The prompt `name`; raises UnknownPrompt with near names, or InvalidFile with the reason."""
        return self.variants(name)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(entry.name for entry in self.entries() if not entry.problem))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return any(entry.name == name and not entry.problem for entry in self._current(str(name)))

    def __repr__(self) -> str:
        return f"Library({str(self.folder)!r})"

    def variants(self, name: str) -> list[Prompt]:
        """Every prompt under `name`, the one to prefer first: trained before text, newer before older.

        A file that cannot be read is passed over while another can.
        """
        candidates = [entry for entry in self._current(name) if entry.name == name]
        problems = [InvalidFile(f"{entry.path}: {entry.problem}") for entry in candidates if entry.problem]
        prompts = []
        for entry in candidates:
            if not entry.problem:
                try:
                    prompts.append(self._load(entry))
                except InvalidFile as problem:
                    problems.append(problem)
        if not prompts:
            raise problems[0] if problems else self._unknown(name)
        return prompts

    def entries(self) -> tuple[Entry, ...]:
        """Every file of the folder, also the unreadable and the shadowed ones, by name, the preferred first."""
        with self._lock:
            return self._entries if self._entries is not None else self.refresh()

    def refresh(self) -> tuple[Entry, ...]:
        """Look at the disk again; headers only, and only of files that changed."""
        with self._lock:
            known = {entry.path: entry for entry in self._entries or ()}
            if self.folder.is_file():
                raise InvalidFile(f"{self.folder} is a file; a library is a folder: name the one that it lies in")
            # Before the walk: what changes during it is then looked at once more.
            self._folders = {self.folder: _signature(self.folder)}
            found = [_entry(self.folder, path, known.get(path)) for path in _files(self.folder, self._folders)]
            found.sort(key=lambda entry: (entry.name, bool(entry.problem), *_preference(entry)))
            self._entries = tuple(_with_shadows(found))
            self._loaded = {path: self._loaded[path] for path in (e.path for e in found) if path in self._loaded}
            return self._entries

    def near(self, name: str, count: int = 3) -> list[str]:
        """The names most like `name`, best first; "emma" is near "people/emma"."""
        names: dict[str, str] = {}
        for each in self:
            names.setdefault(each.casefold(), each)
            names.setdefault(each.rpartition("/")[2].casefold(), each)
        matches = difflib.get_close_matches(name.casefold(), names, n=2 * count, cutoff=0.6)
        return list(dict.fromkeys(names[match] for match in matches))[:count]

    def _current(self, name: str) -> tuple[Entry, ...]:
        entries = self.entries()
        mine = {entry.path: entry.signature for entry in entries if entry.name == name}
        if not mine or any(_signature(path) != known for path, known in [*mine.items(), *self._folders.items()]):
            return self.refresh()
        return entries

    def _load(self, entry: Entry) -> Prompt:
        with self._lock:
            signature, prompt = self._loaded.get(entry.path, (None, None))
            if prompt is None or signature != entry.signature:
                prompt = load_any(entry.path, entry.name)
                self._loaded[entry.path] = entry.signature, prompt
            return prompt

    def _unknown(self, name: str) -> UnknownPrompt:
        return unknown_prompt(name, str(self.folder), self.near(name), len(self))


def unknown_prompt(name: str, where: str, near: Iterable[str], count: int) -> UnknownPrompt:
    """The error for a name that nothing holds, with what the writer can do next."""
    if ".." in name.split("/") or name.startswith("/"):
        return UnknownPrompt(
            f"the name '{name}' points out of {where}: names stay within the library folder, without '..'"
        )
    guesses = " or ".join(f"'{each}'" for each in near)
    if guesses:
        return UnknownPrompt(f"no soft prompt '{name}' in {where}: did you mean {guesses}?")
    holds = f"it holds {count} other{'s' if count != 1 else ''}" if count else "it is empty"
    return UnknownPrompt(f"no soft prompt '{name}' in {where} ({holds}): put {name}.safetensors or {name}.txt there")


def _files(folder: Path, seen: dict[Path, Signature]) -> Iterator[Path]:
    """The files below `folder` that could be prompts; adds every folder it walks to `seen`."""
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_note):
        here = Path(place)
        seen[here] = _signature(here)
        # A writer may link a folder of prompts into the library; a link back to where it stands must come to an end.
        if here != folder and any(
            _same(here, above) for above in here.parents if above == folder or folder in above.parents
        ):
            folders.clear()
            continue
        mistaken = [name for name in folders if name.endswith(".safetensors")]
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in mistaken)
        for name in sorted([*files, *mistaken]):
            if not name.startswith(".") and name.lower().endswith((*READABLE, *FOREIGN)):
                yield here / name


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _note(problem: OSError) -> None:
    if isinstance(problem, FileNotFoundError):
        return  # a library may come later, and a folder may go while it is walked
    _log.warning("%s: %s; its soft prompts are not listed", problem.filename, problem.strerror)


def _entry(folder: Path, path: Path, known: Entry | None) -> Entry:
    signature = _signature(path)
    if known is not None and known.signature == signature:
        return known
    inner = unicodedata.normalize("NFC", path.relative_to(folder).with_suffix("").as_posix())
    parent, slash, stem = inner.rpartition("/")
    stem, _, variant = stem.partition("@")
    name = parent + slash + stem
    if problem := name_problem(name):
        return Entry(
            name, path, problem=f"{problem}; rename to '{suggest_name(name)}{path.suffix}'", signature=signature
        )
    try:
        tokens, width, metadata = _describe(path)
    except (SoftPromptError, OSError) as problem:
        return Entry(name, path, variant, problem=str(problem), signature=signature)
    return Entry(name, path, variant, tokens, width, metadata, signature=signature)


def _describe(path: Path) -> tuple[int, int, dict[str, str]]:
    if problem := unreadable(path):
        raise InvalidFile(problem)
    if path.suffix.lower() == ".txt":
        return 0, 0, {"method": "text"}
    if path.suffix.lower() != ".safetensors":
        kind = FOREIGN.get(path.suffix.lower(), "a file of another kind")
        raise InvalidFile(f"it is {kind}; this version reads {' and '.join(READABLE)}")
    tensors, metadata = read_header(path)
    return *native.describe(tensors, metadata), metadata


def _signature(path: Path) -> Signature:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _preference(entry: Entry) -> tuple[bool, int, str]:
    return (not entry.trained, -entry.signature[0], entry.path.as_posix())


def _with_shadows(entries: Iterable[Entry]) -> Iterator[Entry]:
    first: dict[tuple[str, str], str] = {}
    for entry in entries:
        if entry.problem:
            yield entry
            continue
        # Variants (emma@llama, emma@gemma) are for different models: the model decides, they do not shadow each other.
        taker = first.setdefault((entry.name, entry.variant), entry.path.name)
        yield entry if taker == entry.path.name else replace(entry, shadowed_by=taker)
