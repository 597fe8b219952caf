"""A complete host in memory: a few files of every verdict, some of them hostile, and everything a panel may ask."""

from __future__ import annotations

import asyncio
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any

from soft_prompts.errors import InvalidPrompt
from soft_prompts.hosts.protocol import EVERYWHERE, Health, Piece, Pin, Request, Room, Row, Scope, Use, Verdict
from soft_prompts.library import Library
from soft_prompts.shelf import Shelf
from soft_prompts.tags import name_problem, suggest_name

EVIL = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>${window.pwned=1}{{value}}\'"`&\u202eevil'
"""Markup, templates of gradio 6, quotes, and a character that turns the text around."""

ROWS = (
    Row("noir", "noir.safetensors", 20, "fits", "", "Rain, neon, and nobody tells the truth. Trained on 1940s pulp."),
    Row("people/emma", "people/emma@llama-3-8b.safetensors", 12, "fits", "", "Emma Vance, lighthouse keeper."),
    Row("gibson", "gibson.safetensors", 32, "relative", "Made for a sibling of this model (likeness 0.91).",
        "Early cyberpunk."),
    Row("fable", "fable.safetensors", 8, "unknown", "The file does not say for which model it was made.", "A fable."),
    Row("slow-burn", "slow-burn.txt", 14, "text", "", "Take your time; let the silence between two people speak."),
    Row("mistral-sea", "mistral-sea.safetensors", 24, "stranger",
        "Made for mistralai/Mistral-7B-v0.3, as wide as this model, but another. Load it, or retrain this.",
        "Salt and rope."),
    Row("tiny", "tiny.safetensors", 20, "width", "64 wide, and this model has 4,096.", "For a toy model."),
    Row("broken", "broken.safetensors", 0, "unreadable", "The file ends in the middle of its header."),
    Row("emma", "people/emma.safetensors", 12, "shadowed", "people/emma@llama-3-8b.safetensors is used."),
    Row(EVIL, f"{EVIL}.safetensors", 0, "unreadable", f"Its name cannot be a tag: rename it. {EVIL}", EVIL),
    Row("half\udcff", "half\udcff.txt", 3, "no model", "", f"No model yet. {EVIL}"),
)  # fmt: skip


class MemoryTries:
    """`MemoryTries()`: writes what each column is told to write; `lock` is held by whoever else uses the model."""

    def __init__(self) -> None:
        self.reason = ""
        self.asked: list[tuple[str, str, int, int, float]] = []
        self.closed = 0
        self.pause = 0.0
        self.lock = threading.Lock()
        self.fail: Exception | None = None
        rain = (" It", 0.1), (" rained", 1.3), (" on", 0.5), (" the", 0.0), (" neon", 3.0), (".\n", -0.2), (EVIL, 0.6)
        sun = (" The", -0.3), (" sun", -1.4), (" was", 0.1), (" out", -2.6), (".", 0.0), (" Gulls", -0.9), (" cry", 7.5)
        self.texts: list[list[Piece]] = [[Piece(*each) for each in text] for text in (rain, sun)]

    def write(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        self.asked.append((left, right, tokens, seed, temperature))
        if self.fail:
            raise self.fail
        try:
            for both in zip(*self.texts, strict=True):
                for number, piece in enumerate(both):
                    with self.lock:
                        time.sleep(self.pause)
                    yield number, piece
        finally:
            self.closed += 1


class MemoryHost:
    """`MemoryHost(rows)`: a `Host` whose library is a list; `fail` is raised by the next thing that it shall do."""

    def __init__(self, rows: Sequence[Row] = ROWS) -> None:
        self.files = {row.file: row for row in rows}
        self.changes = 0
        self.kept: dict[str, dict[str, float]] = {}
        self.switched = True
        self.state = Health("ready", "Soft prompts work on storyteller (Transformers, 4,096 wide).", (
            "text-generation-webui 4.2, a version that was tested", "self-test of the model: passed in 0.2 s",
        ))  # fmt: skip
        self.last = Request()
        self.shows: list[Callable[[str], None]] = []
        self.fail: Exception | None = None
        self.asked: list[str] = []
        self.space = Room(4096, 512)
        self.unfit: dict[str, str] = {}
        self.strays: list[str] = []
        self.tries = MemoryTries()
        self.places: tuple[Scope, ...] = (
            EVERYWHERE, Scope("character:Emma", "for Emma"), Scope("chat:20261125-08-09", "in this chat"),
        )  # fmt: skip

    @property
    def folder(self) -> str:
        return "user_data/soft_prompts"

    @property
    def revision(self) -> str:
        return str(self.changes)

    @property
    def on(self) -> bool:
        return self.switched

    def health(self, *values: Any) -> Health:
        return self.state if self.switched else Health("off", "Soft prompts are switched off: tags are left out.")

    def rows(self) -> Sequence[Row]:
        self.asked.append("rows")
        return sorted(self.files.values(), key=by_name)

    def fits(self, found: Any) -> tuple[Verdict, str]:
        return self.verdict

    verdict: tuple[Verdict, str] = ("fits", "made for this model")

    def others(self) -> Sequence[str]:
        return self.strays

    def room(self, *values: Any) -> Room:
        return self.space

    def last_request(self) -> Request:
        return self.last

    def report(self) -> str:
        self._act()
        return f"soft prompts, {len(self.files)} files\n{self.health().line}"

    def context(self) -> Sequence[Any]:
        return ()

    def scopes(self, *values: Any) -> Sequence[Scope]:
        return self.places

    def pins(self, scope: str) -> Sequence[Pin]:
        return [Pin(name, strength) for name, strength in self.kept.get(scope, {}).items()]

    def left_out(self, scope: str, name: str, *values: Any) -> str:
        return self.unfit.get(name, "")

    def pin(self, scope: str, name: str, strength: float = 1.0) -> None:
        self._act()
        self.kept.setdefault(scope, {})[name] = strength

    def unpin(self, scope: str, name: str) -> None:
        self._act()
        self.kept.get(scope, {}).pop(name, None)

    def switch(self, on: bool) -> None:
        self._act()
        self.switched = on

    def make(self, name: str, text: str) -> Row:
        self._act()
        if problem := name_problem(name):
            raise InvalidPrompt(f"{name!r} cannot name a soft prompt: {problem}. Try {suggest_name(name)!r}.")
        return self.put(Row(name, f"{name}.txt", len(text.split()), "text", "", text))

    def on_warning(self, show: Callable[[str], None]) -> None:
        self.shows.append(show)

    forbids = ""
    shelf: Any = Shelf(Library("no/such/folder"))
    lends: Any = None

    def bake(self, name: str) -> Row:
        self._act()
        return self.put(Row(name, f"{name}@memory.safetensors", 3, "fits", method="text", model="memory"))

    def resembles(self, name: str) -> Sequence[str]:
        return ()

    # ---- what happens around a panel

    def put(self, row: Row) -> Row:
        """A file arrives."""
        self.files[row.file] = row
        self.changes += 1
        return row

    def take(self, file: str) -> None:
        """A file goes."""
        del self.files[file]
        self.changes += 1

    def request(self, *uses: Use, tokens: int) -> None:
        """A model answers."""
        self.last = Request(tokens, uses, time.time())
        self.changes += 1

    def _act(self) -> None:
        self.changes += 1
        failure, self.fail = self.fail, None
        if failure:
            raise failure


def by_name(row: Row) -> tuple[str, str]:
    return row.name, row.file


@contextmanager
def gradio_without_warnings(importing: Callable[[], Any]) -> Iterator[Any]:
    """gradio from `importing()`, whose carelessness would fail tests in which warnings are errors.

    For its locks it makes event loops that it never closes, and Python warns of each when it is collected.
    """
    loops: list[asyncio.AbstractEventLoop] = []
    make = asyncio.new_event_loop

    def made() -> asyncio.AbstractEventLoop:
        loops.append(make())
        return loops[-1]

    asyncio.set_event_loop(made())
    asyncio.new_event_loop = made
    try:
        with warnings.catch_warnings():
            # What its imports say of its own dependencies is not ours.
            warnings.simplefilter("ignore")
            _mend_hub()
            gradio = importing()
        yield gradio
    finally:
        asyncio.new_event_loop = make
        asyncio.set_event_loop(None)
        for loop in loops:
            if not loop.is_running():
                loop.close()


def _mend_hub() -> None:
    """gradio 4.37.2, as its wheel on PyPI is, wants one name that huggingface_hub has no longer, for its logins.

    text-generation-webui has a build of its own of that version, which is mended in the same place.
    """
    if _version("gradio").startswith("4."):
        import huggingface_hub

        if not hasattr(huggingface_hub, "HfFolder"):
            huggingface_hub.HfFolder = type("HfFolder", (), {"get_token": staticmethod(lambda: None)})


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
