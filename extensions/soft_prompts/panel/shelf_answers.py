"""`Keeping(panel).rename(asked)`: what is answered when files are changed, brought or asked about; no gradio."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..arrival import Arrival
from ..errors import SoftPromptError
from ..hosts.protocol import Row
from ..tags import tag_for
from . import markup, shelf_markup
from .allowed import is_text
from .answers import Asked, Changes, Panel
from .pocket import Pocket
from .saying import line, silence

MOST_OFFERS, MOST_BACK = 32, 64
"""Uploads that wait for an answer, and changes that can be taken back, of all pages together."""
LINE = 24
"""Tokens of a line that is shown."""
NOTHING: Changes = {"offer": {"value": ""}, "offered": {"value": ""}, "keep_as": {"value": ""}}


class Keeping:
    """The files behind the list. Uploads and ways back stay here: a page that named a place could name any other."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        self.host = panel.host
        self._offers: Pocket[tuple[str, str, int, int]] = Pocket(MOST_OFFERS)
        self._back: Pocket[Callable[[Asked], Changes]] = Pocket(MOST_BACK)
        self._parcels = ""
        self._deleting = threading.Lock()

    def poll(self, asked: Asked) -> Changes:
        """Everything, where anything has changed, the trash as well."""
        changes = self.panel.poll(asked)
        return {**changes, **self._trash()} if changes else {}

    # ---- the chosen file

    def rename(self, asked: Asked) -> Changes:
        """Under another name, and pinned under that one as it was under the old one."""
        self.panel.check_free()
        row, name = self.panel.row(asked), asked.title.strip()
        if name == row.name:
            raise SoftPromptError("That is its name already: type another one, then press “Rename”.")
        file = self.host.shelf.rename(row.file, name)
        self._pins_follow(asked, row.name, name)

        def back(asked: Asked) -> Changes:
            old = self.host.shelf.rename(file, row.name)
            self._pins_follow(asked, name, row.name)
            return self._show(asked, old, f"It is {row.tag} again.")

        return self._show(asked, file, f"It is {tag_for(name)} now. Texts that say {row.tag} no longer find it.", back)

    def take_back(self, asked: Asked) -> Changes:
        """The name or the words that the file had before."""
        self.panel.check_free()
        back = self._back.get(asked.back)
        if back is None:
            raise SoftPromptError("This was taken back already, or is too long ago.")
        changes = back(asked)
        self._back.pop(asked.back)
        return changes

    def _pins_follow(self, asked: Asked, old: str, new: str) -> None:
        if any(row.name == old and row.usable for row in self.host.rows()):
            return  # another file has the name, and the pins
        for scope in self.host.scopes(*asked.values):
            for pin in [pin for pin in self.host.pins(scope.key) if pin.name == old]:
                self.host.pin(scope.key, new, pin.strength)
                self.host.unpin(scope.key, old)

    def describe(self, asked: Asked) -> Changes:
        """What the file says of itself."""
        self.panel.check_free()
        row = self.panel.row(asked)
        self.host.shelf.describe(row.file, description=asked.description.strip(), author=asked.author.strip())

        def back(asked: Asked) -> Changes:
            self.host.shelf.describe(row.file, description=row.description, author=row.author)
            return self._show(asked, row.file, "The file says again what it said before.")

        return self._show(asked, row.file, "The file says so now. Its vectors are as they were.", back)

    def duplicate(self, asked: Asked) -> Changes:
        """Once more, under the next free name."""
        self.panel.check_free()
        file = self.host.shelf.duplicate(self.panel.row(asked).file)
        return self._show(asked, file, "This is the copy.")

    def convert(self, asked: Asked) -> Changes:
        """A text as its vectors on the loaded model, beside it; another tool's file as one of ours."""
        self.panel.check_free()
        row = self.panel.row(asked)
        if is_text(row):
            file = self.host.bake(row.name).file
            return self._show(asked, file, "This file holds the text's vectors, for the loaded model alone.")
        file = self.host.shelf.convert(row.file)
        return self._show(asked, file, f"This file can be described, too. {row.file} lies in the trash.")

    def discard(self, asked: Asked) -> Changes:
        """Into the trash; the way back stands beside what is said of it."""
        self.panel.check_free()
        with self._deleting:
            row = self.panel.chosen(asked)
            if row is None:
                return {"seen": {"value": ""}}  # a second click, which must not take the way back away
            gone = self.host.shelf.discard(row.file)
        none: Changes = {"key": {"value": ""}, "fresh": {"value": ""}}
        changes = self.panel.choose(replace(asked, key="", fresh=""))
        binned = line(f"{row.file} lies in the trash.")
        return {**changes, **silence(), **none, **self._trash(), "undo": {"value": gone.key}, "binned": binned}

    def undo(self, asked: Asked) -> Changes:
        """What was just deleted, where it lay."""
        return self._restored(asked, asked.undo)

    def put_back(self, asked: Asked) -> Changes:
        """Something out of the trash, where it lay."""
        return {**self._restored(asked, asked.bin), "bin": {"value": ""}} if asked.bin else {}

    def _restored(self, asked: Asked, key: str) -> Changes:
        self.panel.check_free()
        return self._show(asked, self.host.shelf.restore(key), "It is back where it was.")

    def download(self, asked: Asked) -> Changes:
        """A copy where the page may fetch it from: a library may lie where gradio gives nothing out."""
        path = self.host.shelf.path(self.panel.row(asked).file)
        try:
            copied = shutil.copy(path, tempfile.mkdtemp(dir=self._parcel_folder()))
        except OSError as problem:
            raise SoftPromptError(f"{path.name} cannot be copied for you: {problem.strerror or problem}") from None
        return {**silence(), "parcel": {"value": str(copied)}}

    def _parcel_folder(self) -> str:
        if not self._parcels:
            self._parcels = tempfile.mkdtemp(prefix="soft-prompts-")
            atexit.register(shutil.rmtree, self._parcels, ignore_errors=True)
        return self._parcels

    # ---- what is brought

    def offer(self, asked: Asked, path: str | None, called: str) -> Changes:
        """An upload, shown before it is kept."""
        self.panel.check_free()
        if not path:
            return {}
        return {**silence(), **self._offer(str(path), called or Path(path).name)}

    def _offer(self, path: str, called: str, which: int = 0) -> Changes:
        found = self.host.shelf.look(path, called, which)
        key = self._offers.put((path, called, which, found.more))
        return {**self._offered(found), "offer": {"value": key}}

    def _next(self, offered: tuple[str, str, int, int]) -> Changes:
        """A file may carry several: the next one is offered when one of them is answered."""
        path, called, which, more = offered
        return self._offer(path, called, which + 1) if more else NOTHING

    def _offered(self, found: Arrival) -> Changes:
        free = "" if found.problem else self.host.shelf.free_name(found)
        fit = self.host.fits(found) if found.tokens and not found.problem else None
        return {
            "offered": {"value": shelf_markup.offer(found, found.name if free != found.name else "", fit)},
            "keep_as": {"value": free},
            "keep": {"interactive": not found.problem},
            "refuse": {"value": "Close" if found.problem else "No"},
        }

    def keep(self, asked: Asked) -> Changes:
        """The upload that is shown, under the name that stands there."""
        self.panel.check_free()
        offered = self._offers.get(asked.offer)
        if offered is None:
            raise SoftPromptError("This upload is no longer here: add the file once more.")
        path, called, which, _ = offered
        file = self.host.shelf.take(path, called, asked.keep_as.strip(), which)
        self._offers.pop(asked.offer)
        return {**self._show(asked, file, "It is in the library."), **self._next(offered)}

    def refuse(self, asked: Asked) -> Changes:
        """It is not kept."""
        offered = self._offers.pop(asked.offer)
        return {**silence(), **(self._next(offered) if offered else NOTHING)}

    # ---- what the model is asked

    def resembles(self, asked: Asked) -> Changes:
        """The nearest word of each vector."""
        near = self.host.resembles(self.panel.row(asked).name)
        return {"like": {"value": shelf_markup.vectors(near)}}

    def lines(self, asked: Asked) -> Iterator[Changes]:
        """One beginning gone on with twice, as it is written."""
        row, tries = self.panel.row(asked), self.host.tries
        if tries.reason:
            raise SoftPromptError(tries.reason)
        tag = str(tag_for(row.name, 1.0 if asked.strength is None else float(asked.strength)))
        texts = ["", ""]
        pieces = tries.write(f"{tag}{asked.opening}", asked.opening, tokens=LINE)
        for column, piece in pieces:
            texts[column] += piece.text
            yield {"lines": {"value": shelf_markup.lines(asked.opening, tag, *texts)}}

    # ---- what all of them say

    def _show(self, asked: Asked, file: str, words: str, back: Callable[[Asked], Changes] | None = None) -> Changes:
        """The file is the chosen one, and this is said of it. back: what takes the change back."""
        row = next((each for each in self.host.rows() if each.file == file), None)
        key = markup.key(row or Row("", file, 0, "unreadable"))
        way = {"back": {"value": self._back.put(back)}} if back else {}
        return {**self.panel.show(asked, key), **self._trash(), **way, "filed": line(words, back=back is not None)}

    def _trash(self) -> Changes:
        return {"trash": {"value": shelf_markup.trash(self.host.shelf.discarded())}}
