"""A host whose library is a folder on disk, with a model that answers at once: for tests of what is done to files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from soft_prompts import Library, SoftPrompt
from soft_prompts.fingerprint import Described, Fit
from soft_prompts.hosts.catalogue import Catalogue
from soft_prompts.hosts.protocol import EVERYWHERE, Health, Piece, Pin, Request, Room, Row, Scope, Verdict
from soft_prompts.shelf import Shelf

WIDTH = 4


class Judge:
    """Says of a file what its author wrote into it as `fit`."""

    def __init__(self) -> None:
        self.verdicts: dict[Any, Any] = {}

    def fit(self, prompt: Described) -> Fit:
        if prompt.width != WIDTH:
            return Fit("width", f"{prompt.width} wide, and this model has {WIDTH}.")
        return Fit("fits", "")

    def tokens(self, text: str) -> int:
        return len(text.split())


class Tries:
    """Writes the words of a sentence, one a moment; `left` is what it was asked for."""

    reason = ""
    pause = 0.0
    wait: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def write(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        self.asked.append((left, right))
        self.wait()
        for word in (" it", " rained", " <b>", "."):
            for column in (0, 1):
                time.sleep(self.pause)
                yield column, Piece(word if column == 0 else word.upper())


class DiskHost:
    """`DiskHost(tmp_path)`: a `Host`; `fail` is raised by the next thing that the model is asked for."""

    lends: Any = None

    def __init__(self, folder: Path) -> None:
        self.library = Library(folder)
        self.shelf = Shelf(self.library)
        self.tries = Tries()
        self.forbids = ""
        self.fail: Exception | None = None
        self.kept: dict[str, dict[str, float]] = {}
        self.switched = True
        self.like = ["rain", " neon", "<b>", "\n"]
        judge = Judge()
        self.catalogue = Catalogue(self.library, lambda: "soft_prompts", lambda: (1, judge))
        self.changes = 0

    folder = "soft_prompts"

    @property
    def revision(self) -> str:
        self.library.entries()
        return f"{self.library.revision}.{self.changes}.{self.forbids}"

    @property
    def on(self) -> bool:
        return self.switched

    def health(self, *values: Any) -> Health:
        return Health("ready", "Tags work.")

    def rows(self) -> Sequence[Row]:
        return self.catalogue.rows()

    def fits(self, found: Any) -> tuple[Verdict, str]:
        return self.verdict or self.catalogue.fits(found)

    verdict: tuple[Verdict, str] | None = None

    def others(self) -> Sequence[str]:
        return self.catalogue.others()

    def room(self, *values: Any) -> Room:
        return Room(4096, 512)

    def last_request(self) -> Request:
        return Request()

    def report(self) -> str:
        return "a report"

    def context(self) -> Sequence[Any]:
        return ()

    def scopes(self, *values: Any) -> Sequence[Scope]:
        return (EVERYWHERE, Scope("character:Emma", "for Emma"))

    def pins(self, scope: str) -> Sequence[Pin]:
        return [Pin(name, strength) for name, strength in self.kept.get(scope, {}).items()]

    def left_out(self, scope: str, name: str, *values: Any) -> str:
        return ""

    def pin(self, scope: str, name: str, strength: float = 1.0) -> None:
        self.kept.setdefault(scope, {})[name] = strength
        self.changes += 1

    def unpin(self, scope: str, name: str) -> None:
        self.kept.get(scope, {}).pop(name, None)
        self.changes += 1

    def switch(self, on: bool) -> None:
        self.switched = on
        self.changes += 1

    def make(self, name: str, text: str) -> Row:
        return self.catalogue.make(name, text)

    def bake(self, name: str) -> Row:
        self._asked()
        return self.catalogue.bake(
            name, lambda text: SoftPrompt(text.name, np.ones((2, WIDTH)), metadata={"base_model": "a/tiny"})
        )

    def resembles(self, name: str) -> Sequence[str]:
        self._asked()
        return self.like

    def on_warning(self, show: Callable[[str], None]) -> None:
        pass

    def _asked(self) -> None:
        failure, self.fail = self.fail, None
        if failure:
            raise failure


def stock(folder: Path) -> Path:
    """The files that the tests begin with."""
    said = {
        "description": "Rain and neon.", "author": "Ann", "method": "finetune", "base_model": "a/tiny",
        "base": "1.33", "held_out": "1.16", "sample_base": "The door was shut.", "sample": "The door hung in the rain.",
    }  # fmt: skip
    SoftPrompt("noir", np.ones((3, WIDTH)), metadata=said).save(folder / "noir.safetensors")
    SoftPrompt("emma", np.ones((2, WIDTH)) * 2).save(folder / "people" / "emma@llama-3-8b.safetensors")
    SoftPrompt("wide", np.ones((1, 9))).save(folder / "wide.safetensors")
    (folder / "sea.txt").write_text("Salt and rope.\n")
    (folder / "broken.safetensors").write_bytes(b"\x10\0")
    (folder / "noir.training").mkdir()
    (folder / "noir.training" / "report.txt").write_text("report")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """{file below it: bytes}, without what is hidden."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if not any(part[0] == "." for part in name.split("/"))}
