"""`Shelf(library).rename("noir.safetensors", "dark/noir")`: what a writer does to the files of a library; undoable.

Files are named as they lie below the library's folder ("people/emma.safetensors"); nothing outside of it is touched,
and nothing is ever written over another file.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from .arrival import Arrival, Carriers, look
from .container import metadata_of, with_metadata
from .entry import LONGEST_VALUE, Entry
from .errors import InvalidFile, InvalidPrompt, SoftPromptError
from .folder import TRAINING, signature
from .formats import load_any, load_bytes, native, read
from .library import Library
from .moving import check_idle, copy_training, move, place, prune, told, training_of, write
from .prompt import SoftPrompt, check_name
from .tags import LONGEST_NAME
from .trash import Discarded, Trash, inside

DESCRIBED = ("description", "author", "licence", "tags")
"""What a writer may say of a prompt, as docs/format.md names it."""


class Shelf:
    """`Shelf(Library("soft_prompts/"))`; each method raises SoftPromptError, and has then changed nothing."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.carriers: set[Carriers] = set()
        """What knows of files that are no soft prompts and carry some, as character cards do."""
        self._trash = Trash(library.folder)

    def path(self, file: str) -> Path:
        """Where a file of the list lies, for a download; raises InvalidFile for any other file."""
        return self._entry(file).path

    def words(self, file: str) -> str:
        """What a text says; empty for what is trained, and for what cannot be read."""
        if not file.lower().endswith(".txt"):
            return ""
        try:
            return str(getattr(load_any(self._entry(file).path, "text"), "text", ""))
        except SoftPromptError:
            return ""

    def rename(self, file: str, name: str) -> str:
        """Under another name, which may have a folder ("dark/noir"); variant and ending stay. Gives the new file."""
        entry = self._entry(file)
        _, variant, ending = _parts(entry.path, file)
        target = self._free(name, variant, ending, but=entry)
        if target != entry.path:
            with told(file):
                move(entry.path, target)
            self._changed(entry.path.parent)
        return self._named(target)

    def describe(self, file: str, **said: str) -> None:
        """`describe(file, description="Rain.", author="")`: what is empty is taken out; the vectors stay the same."""
        path = self._entry(file).path
        if path.suffix.lower() != ".safetensors":
            raise InvalidFile(f"{file}: a text says what it is by its words, and has no place for more")
        check_idle(training_of(path))
        with told(file):
            before = signature(path)
            changed = _described(_bytes(path, file), said, file)
            if signature(path) != before:
                raise InvalidFile(f"{file} was replaced just now: look at it again, then describe it")
            write(Path(os.path.realpath(path)), changed)
        self._changed()

    def duplicate(self, file: str) -> str:
        """Once more, under the next free name; gives the new file."""
        entry = self._entry(file)
        with told(file):
            data = _bytes(entry.path, file)
            target = self._next(*_parts(entry.path, file), first="-2")
            check_idle(training_of(entry.path))
            place(target, data)
            try:
                copy_training(entry.path, target)
            except BaseException:
                target.unlink()
                raise
        self._changed()
        return self._named(target)

    def discard(self, file: str) -> Discarded:
        """Into the trash, from where `restore` puts it back."""
        entry = self._entry(file)
        name, variant, _ = _parts(entry.path, file)
        near = [self._named(each.path) for each in self._bearers(name, variant) if each != entry]
        gone = self._trash.put(file, entry.path, near)
        self._changed(entry.path.parent)
        return gone

    def restore(self, key: str) -> str:
        """What was discarded, where it lay; raises InvalidFile where its name is taken by now. Gives its file."""
        found = next((each for each in self._trash.held() if each.key == key), None)
        if found is None:
            raise InvalidFile("it is no longer in the trash: it was put back already, or taken out by hand")
        target = self._inside(self.library.folder / PurePosixPath(found.file), found.file)
        name, variant, _ = _parts(self._trash.place(found), found.file)
        since = [self._named(each.path) for each in self._bearers(name, variant)]
        if taken := [each for each in since if each not in found.beside]:
            raise InvalidFile(
                f"{taken[0]} has the name of {found.file} by now: rename that one, then put this one back"
            )
        self._trash.back(found, target)
        self._changed()
        return found.file

    def discarded(self) -> Sequence[Discarded]:
        """What `restore` can put back, the latest first."""
        return self._trash.held()

    def convert(self, file: str) -> str:
        """What another tool made, as a native file under the same name; it goes into the trash. Gives the new file."""
        entry = self._entry(file)
        prompt = load_any(entry.path, entry.name)
        if not isinstance(prompt, SoftPrompt) or entry.kind == "native":
            raise InvalidFile(f"{file}: there is nothing to convert, it is a native file or a text")
        name, variant, _ = _parts(entry.path, file)
        with told(file):
            target = self._free(name, variant, ".safetensors", but=entry)
            place(target, native.write(prompt))
            try:
                self._trash.put(file, entry.path, [self._named(target)])
            except BaseException:
                target.unlink()
                raise
        self._changed()
        return self._named(target)

    def look(self, path: str | Path, called: str = "", which: int = 0) -> Arrival:
        """What the file at `path` is, that somebody brings; called: its name there. Nothing is kept yet.

        which: of several soft prompts that it carries.
        """
        path, called = Path(path), called or Path(path).name
        found = look(path, called)
        carried = [each for carries in self.carriers for each in carries(path, called)] if found.problem else []
        if not carried:
            return found
        which = min(which, len(carried) - 1)
        return replace(carried[which], source=called, more=len(carried) - 1 - which)

    def free_name(self, found: Arrival) -> str:
        """The name that it has, or the next one that no file has."""
        return parts(self._named(self._next(found.name, _at(found.variant), found.ending, first="")))[0]

    def take(self, path: str | Path, called: str, name: str, which: int = 0) -> str:
        """The file at `path`, checked once more, into the library under `name`; gives its file."""
        found = self.look(path, called, which)
        if found.problem:
            raise InvalidFile(f"{called} cannot be kept: {found.problem}")
        return self._put(name, _at(found.variant), found.ending, found.data)

    def add(self, prompt: SoftPrompt, variant: str = "") -> str:
        """A prompt that was made here; gives its file. variant: of several with one name, for different models."""
        return self._put(prompt.name, _at(variant), ".safetensors", native.write(prompt))

    # ---- names and places

    def _put(self, name: str, variant: str, ending: str, data: bytes) -> str:
        target = self._free(name, variant, ending)
        with told(self._named(target)):
            place(target, data)
        self._changed()
        return self._named(target)

    def _entry(self, file: str) -> Entry:
        """Only what the listing holds is ever touched."""
        if not inside(file):
            raise InvalidFile(f"{file!r} is no file of the library: names stay within its folder, without '..'")
        wanted = self.library.folder / PurePosixPath(file)
        entry = next((each for each in self.library.entries() if each.path == wanted), None)
        if entry is None or not os.path.lexists(wanted):
            raise InvalidFile(f"{file} is no longer in the library: choose again in the list")
        self._inside(wanted, file)
        return entry

    def _inside(self, path: Path, file: str) -> Path:
        """The same; raises InvalidFile where links lead out of the library's folder."""
        top = os.path.realpath(self.library.folder)
        if os.path.commonpath([top, os.path.realpath(path)]) != top:
            raise InvalidFile(f"{file} lies outside of the library, which only links to it: change it where it lies")
        return path

    def _bearers(self, name: str, variant: str) -> list[Entry]:
        """The files of this name that can be used; variants ("@llama") are for different models and do not count."""
        wanted = name, unicodedata.normalize("NFC", variant[1:])
        same = (each for each in self.library.entries() if (each.name, each.variant) == wanted)
        return [each for each in same if not each.problem]

    def _free(self, name: str, variant: str, ending: str, but: Entry | None = None) -> Path:
        """Where a file of this name would lie; raises SoftPromptError where it cannot, or another one does."""
        check_name(name)
        if hidden := [each for each in name.split("/")[:-1] if each.endswith(f".{TRAINING}")]:
            raise InvalidPrompt(f"'{hidden[0]}' is a name for what trainings keep: call the folder something else")
        target = self._inside(self.library.folder / f"{name}{variant}{ending}", name)
        taken = [each for each in self._bearers(name, variant) if each != but]
        if taken or (os.path.lexists(target) and not (but and _same(but.path, target))):
            there = self._named(taken[0].path if taken else target)
            raise InvalidFile(f"there is {there} already: choose another name")
        return target

    def _next(self, name: str, variant: str, ending: str, first: str) -> Path:
        """The first free one of noir-2, noir-3, ...; first: what is tried before, "" for the name itself."""
        for end in (first, *(f"-{number}" for number in range(2, 10_000))):
            cut = f"{name[: LONGEST_NAME - len(end)].rstrip(' .')}{end}"
            target = self.library.folder / f"{cut}{variant}{ending}"
            if not self._bearers(cut, variant) and not os.path.lexists(target):
                return self._inside(target, cut)
        raise InvalidFile(f"there are too many files named like '{name}': choose another name")

    def _named(self, path: Path) -> str:
        return path.relative_to(self.library.folder).as_posix()

    def _changed(self, left: Path | None = None) -> None:
        if left:
            prune(left, self.library.folder)
        self.library.refresh()


def _at(variant: str) -> str:
    return f"@{variant}" if variant else ""


def _parts(path: Path, file: str) -> tuple[str, str, str]:
    return parts(file, path.is_dir())


def parts(file: str, folder: bool = False) -> tuple[str, str, str]:
    """`parts("people/emma@llama.safetensors")` gives `("people/emma", "@llama", ".safetensors")`."""
    path = PurePosixPath(file)
    stem, at, variant = (path.name if folder else path.stem).partition("@")
    return unicodedata.normalize("NFC", str(path.parent / stem)), at + variant, "" if folder else path.suffix


def _bytes(path: Path, file: str) -> bytes:
    if path.is_dir():
        raise InvalidFile(f"{file} is a folder that another tool made: turn it into a .safetensors file first")
    try:
        return load_bytes(path)
    except InvalidFile as problem:
        raise InvalidFile(f"{file}: {problem}") from None


def _described(data: bytes, said: dict[str, str], file: str) -> bytes:
    """The same file, saying this of itself; raises SoftPromptError where it is not one that can be read."""
    if unknown := sorted(set(said) - set(DESCRIBED)):
        raise InvalidPrompt(f"{', '.join(unknown)}: what can be said of a prompt is {', '.join(DESCRIBED)}")
    for key, value in said.items():
        if len(value) > LONGEST_VALUE:
            raise InvalidPrompt(f"the {key} has {len(value):,} characters, and {LONGEST_VALUE:,} are kept: shorten it")
        if value != value.encode("utf-8", "ignore").decode():
            raise InvalidPrompt(f"the {key} holds half a character: type it again")
    try:
        read(data, "described", ".safetensors")
        metadata = metadata_of(data)
        return with_metadata(
            data, {key: value for key, value in {**metadata, **said}.items() if value.strip() or key not in said}
        )
    except InvalidFile as problem:
        raise InvalidFile(f"{file}: {problem}") from None


def _same(one: Path, other: Path) -> bool:
    """Whether these two names are one file, on a drive that knows no capital letters."""
    return str(one).casefold() == str(other).casefold() and one.samefile(other)
