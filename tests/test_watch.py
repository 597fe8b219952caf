"""A watched library equals a fresh one a moment after every change, by events or by looking, and holds nobody up."""

from __future__ import annotations

import logging
import os
import random
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import Library, SoftPrompt
from soft_prompts import watch as module
from soft_prompts.entry import Entry
from soft_prompts.watch import Watch

PATIENCE = 30.0
"""Seconds, of a machine that is busy with other things; what is waited for comes in a tenth of one."""

links = pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")


def save(path: Path, value: float = 1.0) -> Path:
    SoftPrompt("x", np.full((2, 3), value)).save(path)
    return path


class Panel:
    """What a panel does: it takes the listing when it is told to, and never looks by itself."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self.told = threading.Condition()
        self.entries: tuple[Entry, ...] = ()

    def changed(self) -> None:
        with self.told:
            self.entries = self.library.entries()
            self.told.notify_all()

    @property
    def names(self) -> list[str]:
        return [entry.name for entry in self.entries if not entry.problem]

    def sees(self, *names: str) -> bool:
        with self.told:
            return self.told.wait_for(lambda: self.names == sorted(names), PATIENCE)

    def equals(self, folder: Path) -> bool:
        with self.told:
            return self.told.wait_for(lambda: self.entries == Library(folder).entries(), PATIENCE)


def until(true: Callable[[], object]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not true() and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(true())


@contextmanager
def watched(folder: Path, every: float = 0.05) -> Iterator[tuple[Watch, Panel]]:
    library = Library(folder)
    panel = Panel(library)
    before = set(threading.enumerate())
    with Watch(library, panel.changed, every) as watch:
        yield watch, panel
    assert set(threading.enumerate()) <= before, "threads are left"
    assert watch.kind == "polling"


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without watchdog."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "watchdog"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "watchdog", None)


@pytest.fixture(params=["watchdog", "polling"])
def way(request: pytest.FixtureRequest) -> str:
    """Either way of noticing a change: both keep every law below."""
    if request.param == "polling":
        request.getfixturevalue("blind")
    else:
        pytest.importorskip("watchdog")
    return str(request.param)


@dataclass
class Emitter:
    watch: str

    def is_alive(self) -> bool:
        return True


class Silent:
    """watchdog's observer on a drive that sends no events."""

    def __init__(self) -> None:
        self.emitters: list[Emitter] = []

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self) -> None: ...

    def schedule(self, handler: object, path: str, **_: object) -> str:
        self.emitters.append(Emitter(path))
        return path

    def unschedule(self, watch: str) -> None:
        self.emitters.remove(Emitter(watch))


def observer(monkeypatch: pytest.MonkeyPatch, **methods: Any) -> None:
    """Put in the place of watchdog's own observer."""
    observers = pytest.importorskip("watchdog.observers")
    monkeypatch.setattr(observers, "Observer", type("Observer", (Silent,), methods))


# ---- what changes is seen


def test_files_that_come_change_and_go(way: str, tmp_path: Path) -> None:
    path = save(tmp_path / "noir.safetensors")
    with watched(tmp_path) as (watch, panel):
        assert panel.sees("noir")
        assert until(lambda: watch.kind == way), watch.reason
        save(tmp_path / "sea.safetensors")
        assert panel.sees("noir", "sea")
        path.rename(tmp_path / "rain.safetensors")
        assert panel.sees("rain", "sea")
        before = panel.library.revision
        save(tmp_path / "sea.safetensors", 2)
        assert until(lambda: panel.library.revision != before)
        (tmp_path / "sea.safetensors").unlink()
        assert panel.sees("rain")
        assert watch.kind == way, watch.reason


def test_folders_that_come_move_and_go(way: str, tmp_path: Path) -> None:
    folder, outside = tmp_path / "library", tmp_path / "outside"
    save(outside / "deep" / "emma.safetensors")
    folder.mkdir()
    with watched(folder) as (_, panel):
        assert until(lambda: panel.library.revision)
        outside.rename(folder / "people")
        assert panel.sees("people/deep/emma")
        # Also in a folder that was moved in, of which no event told what it holds.
        save(folder / "people" / "deep" / "max.safetensors")
        assert panel.sees("people/deep/emma", "people/deep/max")
        (folder / "people").rename(folder / "figures")
        assert panel.sees("figures/deep/emma", "figures/deep/max")
        save(folder / "figures" / "deep" / "ada.safetensors")
        assert panel.sees("figures/deep/ada", "figures/deep/emma", "figures/deep/max")
        shutil.rmtree(folder / "figures")
        assert panel.sees()


def test_a_folder_that_comes_later_goes_and_comes_back(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "user_data" / "soft_prompts"
    with watched(folder) as (watch, panel):
        assert until(lambda: panel.library.revision)
        assert watch.kind == "polling"
        for value in range(3):
            save(folder / "noir.safetensors", value)
            assert panel.sees("noir")
            assert until(lambda: watch.kind == way), watch.reason
            save(folder / "sea.safetensors")
            assert panel.sees("noir", "sea")
            shutil.rmtree(folder.parent)
            assert panel.sees()


def test_a_folder_that_is_replaced(way: str, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    save(folder / "noir.safetensors")
    with watched(folder) as (_, panel):
        assert panel.sees("noir")
        save(tmp_path / "new" / "sea.safetensors")
        folder.rename(tmp_path / "old")
        (tmp_path / "new").rename(folder)
        assert panel.sees("sea")
        save(folder / "rain.safetensors")
        assert panel.sees("rain", "sea")


@links
def test_links_to_folders_elsewhere(way: str, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "library", tmp_path / "elsewhere"
    save(elsewhere / "sea.safetensors")
    folder.mkdir()
    (folder / "mine").symlink_to(elsewhere, target_is_directory=True)
    with watched(folder) as (watch, panel):
        assert panel.sees("mine/sea")
        assert until(lambda: watch.kind == way), watch.reason
        save(elsewhere / "deep" / "rain.safetensors")
        assert panel.sees("mine/deep/rain", "mine/sea")
        save(elsewhere / "deep" / "fog.safetensors")
        assert panel.sees("mine/deep/fog", "mine/deep/rain", "mine/sea")
        assert watch.kind == way, watch.reason
        (folder / "mine").unlink()
        assert panel.sees()


def test_a_file_that_is_being_copied_is_picked_up_when_it_is_whole(way: str, tmp_path: Path) -> None:
    data = save(tmp_path / "whole" / "noir.safetensors").read_bytes()
    folder = tmp_path / "library"
    folder.mkdir()
    with watched(folder) as (_, panel), (folder / "noir.safetensors").open("wb", buffering=0) as file:
        file.write(data[:-5])
        assert until(lambda: any("cut short" in entry.problem for entry in panel.entries))
        file.write(data[-5:])
        assert panel.sees("noir")


def test_three_hundred_changes_later_it_equals_a_fresh_library(way: str, tmp_path: Path) -> None:
    folder, dice = tmp_path / "library", random.Random(3)
    folder.mkdir()
    (tmp_path / "outside").mkdir()

    def places() -> list[Path]:
        return [folder, *(each for each in sorted(folder.rglob("*")) if each.is_dir())]

    def file() -> Path:
        return dice.choice(places()) / f"{dice.choice('abcdef')}{dice.choice(['', '', '@v'])}.{dice.choice(kinds)}"

    def change() -> None:
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        what = dice.randrange(9)
        if what < 3 or not files:
            save(file()) if dice.random() < 0.8 else file().write_bytes(bytes(dice.randrange(40)))
        elif what == 3:
            os.replace(save(tmp_path / "outside" / "new.safetensors", dice.random()), dice.choice(files))
        elif what == 4:
            os.replace(dice.choice(files), file())
        elif what == 5:
            dice.choice(files).unlink()
        elif what == 6:
            dice.choice(files).write_text("It rained." * dice.randrange(3))
        elif what == 7:
            (dice.choice(places()) / dice.choice("xyz")).mkdir(exist_ok=True)
        elif inner := places()[1:]:
            source = dice.choice(inner)
            shutil.move(source, tmp_path / "outside" / "moved")
            if dice.random() < 0.7:
                shutil.move(tmp_path / "outside" / "moved", dice.choice(places()) / dice.choice("uvw") / "moved")
            else:
                shutil.rmtree(tmp_path / "outside" / "moved")

    kinds = ["safetensors"]
    with watched(folder, every=0.1) as (_, panel):
        for step in range(300):
            change()
            if step % 60 == 59:
                assert panel.equals(folder), step


# ---- how it is noticed


def test_without_watchdog_it_says_so(blind: None, tmp_path: Path) -> None:
    with watched(tmp_path) as (watch, panel):
        assert until(lambda: panel.library.revision)
        assert (watch.kind, watch.reason) == ("polling", "watchdog is not installed: pip install watchdog")


def full(*_: object, **__: object) -> None:
    raise OSError(28, "inotify watch limit reached")


@pytest.mark.parametrize("method", ["start", "schedule"])
def test_where_watchdog_cannot_start_it_looks(method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer(monkeypatch, **{method: full})
    with watched(tmp_path) as (watch, panel):
        save(tmp_path / "noir.safetensors")
        assert panel.sees("noir")
        assert watch.kind == "polling"
        assert "inotify watch limit reached" in watch.reason


def test_a_drive_that_sends_no_events_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    observer(monkeypatch)
    monkeypatch.setattr(module, "LATE", 0.1)
    with watched(tmp_path) as (watch, panel):
        assert until(lambda: watch.kind == "watchdog")
        save(tmp_path / "noir.safetensors")
        assert panel.sees("noir")
        assert until(lambda: watch.kind == "polling")
        assert "no events" in watch.reason
        save(tmp_path / "sea.safetensors")
        assert panel.sees("noir", "sea")


def test_more_folders_than_get_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("watchdog")
    monkeypatch.setattr(module, "MOST_FOLDERS", 2)
    monkeypatch.setattr(module, "_RECURSIVE", False)
    for name in "abc":
        save(tmp_path / name / "noir.safetensors")
    with watched(tmp_path) as (watch, panel):
        assert panel.sees("a/noir", "b/noir", "c/noir")
        assert watch.reason == "4 folders are more than the 2 that get events"
        for name in "abc":
            save(tmp_path / name / "sea.safetensors")
        assert panel.sees(*(f"{name}/{each}" for name in "abc" for each in ("noir", "sea")))


def test_a_recursive_watch_covers_what_lies_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("library/deep/deeper", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    folders = [str(tmp_path / name) for name in ("library", "library/deep", "library/deep/deeper", "elsewhere", "gone")]
    monkeypatch.setattr(module, "_RECURSIVE", True)
    assert list(module._places(folders)) == [os.path.realpath(folders[0]), os.path.realpath(folders[3])]
    monkeypatch.setattr(module, "_RECURSIVE", False)
    assert list(module._places(folders)) == list(map(os.path.realpath, folders[:4]))


def test_our_own_reading_is_no_change(tmp_path: Path) -> None:
    pytest.importorskip("watchdog")
    save(tmp_path / "noir.safetensors")
    with watched(tmp_path, every=60) as (watch, panel):
        assert panel.sees("noir")
        assert until(lambda: watch.kind == "watchdog")
        # A change that is none wakes it once; what follows may be a look, and no event of that look itself.
        watch._event.clear()
        for _ in range(5):
            Library(tmp_path)["noir"]
            panel.library.refresh()
        assert not watch._event.wait(0.3)


# ---- it goes on, and it ends


def test_what_changed_does_may_fail(way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    library, seen = Library(tmp_path), threading.Semaphore(0)

    def changed() -> None:
        seen.release()
        raise ValueError("the panel is closed")

    with Watch(library, changed, 0.05):
        assert seen.acquire(timeout=PATIENCE)
        save(tmp_path / "noir.safetensors")
        assert seen.acquire(timeout=PATIENCE)
    assert "the panel is closed" in caplog.text


def test_a_file_where_the_folder_should_be(way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    folder = tmp_path / "library"
    folder.write_text("no folder")
    with watched(folder) as (watch, panel):
        time.sleep(0.2)
        assert watch.kind == "polling"
        folder.unlink()
        save(folder / "noir.safetensors")
        assert panel.sees("noir")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_start_and_close_any_number_of_times(way: str, tmp_path: Path) -> None:
    library = Library(tmp_path)
    before = set(threading.enumerate())
    watch = Watch(library, every=0.05)
    watch.close()
    for value in range(3):
        assert watch.start() is watch.start()
        save(tmp_path / f"noir{value}.safetensors")
        assert until(lambda: library.revision and len(library._listing.entries) == value + 1)  # noqa: B023
        watch.close()
        watch.close()
        assert set(threading.enumerate()) <= before


def test_closing_from_within_changed(way: str, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    closed = threading.Event()

    def changed() -> None:
        watch.close()
        closed.set()

    watch = Watch(Library(tmp_path), changed, 0.05)
    watch.start()
    assert closed.wait(PATIENCE)
    assert until(lambda: set(threading.enumerate()) <= before)
