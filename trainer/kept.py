"""`Kept(folder)`: beside a prompt, in NAME.training, its recipe and its sources: for a crash, and for another model.

What has not begun yet lies in the hidden folder .training. A recipe may have come with somebody's library: nothing in
it is taken on trust, and nothing outside of its folder is read for it.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..container import write_atomically
from ..errors import InvalidFile, SoftPromptError, TrainingError
from ..folder import TRAINING
from ..prompt import check_name
from .board import LIVE, Board, Plan, Preview, State
from .claim import Claim
from .recipe import FILES, options_of, settings_in, words_of
from .understanding import Pair, by_names, check_kind, questions_of, split, title_of, understood

RECIPE, SOURCES = "run.json", "sources"
VERSION = 1
_LARGEST = 4 << 20
_STAGED = 6
"""Plans of this program that are not begun yet; the sources of older ones go."""
_OLD = 2 * 86_400
"""Seconds, after which what another program has left there is nobody's."""


@dataclass(frozen=True)
class Record:
    """A recipe as it was read. replace: whether a prompt of that name was to be replaced."""

    board: Board
    replace: bool


class Kept:
    """folder: of the library. Each method raises SoftPromptError, and has then changed nothing."""

    def __init__(self, folder: Path) -> None:
        self._folder = Path(os.path.abspath(folder))
        self._stage = self._folder / f".{TRAINING}"
        self._staged: list[Path] = []

    def home(self, name: str) -> Path:
        """NAME.training."""
        return self._folder / f"{name}.{TRAINING}"

    # ---- a plan

    def plan(
        self, kind: str, name: str, files: Sequence[Path], pairs: Sequence[Pair] | None, settings: Mapping[str, str]
    ) -> Plan:
        """Its sources are copied, so that the writer's own may go."""
        check_kind(kind)
        check_name(name)
        given = {key: value for key, value in settings.items() if value.strip()}
        files, asked, title = _sorted(kind, list(files), pairs)
        if not files and not (kind == "world-info" and asked):
            raise TrainingError("there is nothing to learn from yet: choose a file")
        with self._place() as place:
            copies = [_copy(each, place) for each in files]
            more = {key: _copy(Path(given[key]), place) for key in FILES if key in given}
            if asked:
                written = _written(asked, place)
                copies, more = ([written], more) if kind == "world-info" else (copies, {**more, "questions": written})
            by_names([*copies, *more.values()], lambda: understood(kind, copies))
            given.update({key: str(path) for key, path in more.items()})
            return Plan(name, kind, words_of(kind, name, copies, given), title)

    def settle(self, plan: Plan) -> Plan:
        """The same with its sources in NAME.training, where they stay."""
        options = options_of(plan.words)
        given = settings_in(options)
        there = self.home(plan.name) / SOURCES
        paths = [*map(Path, options.source), *(Path(given[key]) for key in FILES if key in given)]
        if missing := [each for each in paths if not each.exists()]:
            raise TrainingError(f"{missing[0].name} is no longer there: bring the files once more")
        place = paths[0].parent
        if place != there:
            _moved(place, there)
        given.update({key: str(there / Path(given[key]).name) for key in FILES if key in given})
        sources = [there / Path(each).name for each in options.source]
        return replace(plan, words=words_of(plan.kind, plan.name, sources, given))

    def again(self, name: str, new: str, further: bool = False) -> Plan:
        """A plan of its own, from what was kept of this one; further: that begins from what this one knows."""
        old = self.read(name)
        if old is None:
            raise TrainingError(
                f"what '{name}' was trained on is not kept here, as it is of trainings in this tab: bring the files"
            )
        options = options_of(old.board.plan.words)
        # The vectors of another model are no beginning; those of this prompt have their number, too.
        gone = ("from", "start", "tokens") if further else ("from",)
        given = {key: value for key, value in settings_in(options).items() if key not in gone}
        given |= {"from": name} if further else {}
        plan = self.plan(options.kind, new, [Path(each) for each in options.source], None, given)
        return replace(plan, title=old.board.plan.title or plan.title)

    # ---- a run

    def write(self, board: Board, overwrite: bool) -> None:
        """What is to be found again when this program has ended, however it did."""
        options = options_of(board.plan.words)
        given = settings_in(options)
        given.update({key: Path(given[key]).name for key in FILES if key in given})
        record = {
            "version": VERSION,
            "kind": board.plan.kind,
            "title": board.plan.title,
            "sources": [Path(each).name for each in options.source],
            "settings": given,
            "replace": overwrite,
            "board": {key: value for key, value in asdict(board).items() if key not in ("plan", "report", "pace")},
        }
        write_atomically(self.home(board.plan.name) / RECIPE, (json.dumps(record, indent=1) + "\n").encode())

    def read(self, name: str) -> Record | None:
        """What is kept of a run; None where nothing is, or nothing that can be believed."""
        home = self.home(name)
        try:
            with (home / RECIPE).open("rb") as file:
                found = json.loads(file.read(_LARGEST))
            if found["version"] != VERSION:
                return None
            plan = _plan(found, name, home / SOURCES)
            return Record(_board(found["board"], plan), bool(found["replace"]))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, SoftPromptError):
            return None

    def busy(self, name: str) -> str:
        """Who trains it now, this program or another one, in words; empty where nobody does."""
        try:
            with Claim(self.home(name) / "in-use", name):
                return ""
        except TrainingError as problem:
            return str(problem)

    def forget(self, name: str) -> None:
        """It is not found any more as something to go on with; its recipe stays."""
        if (record := self.read(name)) is not None:
            self.write(replace(record.board, state="done"), record.replace)

    def unfinished(self) -> list[Board]:
        """What a crash has interrupted, and what was stopped; the newest first."""
        self._sweep()
        found = [record.board for record in map(self.read, self._names()) if record is not None]
        found = [each for each in found if each.state in (*LIVE, "interrupted", "stopped", "failed")]
        found = [each for each in found if not (each.live and self.busy(each.plan.name))]
        stood = [replace(each, state="interrupted", left=None) if each.live else each for each in found]
        return sorted(stood, key=lambda each: -each.begun)

    def _names(self) -> Iterator[str]:
        for place, folders, files in os.walk(self._folder):
            folders[:] = [each for each in folders if not each.startswith(".")]
            if RECIPE in files and place.endswith(f".{TRAINING}"):
                folders.clear()
                yield Path(place).relative_to(self._folder).as_posix().removesuffix(f".{TRAINING}")

    # ---- what has not begun

    @contextlib.contextmanager
    def _place(self) -> Iterator[Path]:
        place = self._stage / secrets.token_hex(6)
        try:
            place.mkdir(parents=True)
            yield place
        except OSError as problem:
            _away(place)
            raise InvalidFile(
                f"the files cannot be kept with the training: {problem.strerror or problem}; nothing was changed"
            ) from None
        except BaseException:
            _away(place)
            raise
        self._staged.append(place)
        while len(self._staged) > _STAGED:
            _away(self._staged.pop(0))

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            for each in list(self._stage.iterdir()):
                if each not in self._staged and time.time() - each.stat().st_mtime > _OLD:
                    _away(each)


def _sorted(kind: str, files: list[Path], pairs: Sequence[Pair] | None) -> tuple[list[Path], Sequence[Pair], str]:
    """(files to copy, pairs to write, title)."""
    title = title_of(files)
    if kind == "world-info":
        if pairs is None and len(files) < 2:
            return files, (), title
        rows = understood(kind, files).pairs if pairs is None else _filled(pairs)
        return [], rows, title or "facts typed here"
    if kind == "distill":
        texts, asked = split(files)
        return texts, questions_of(asked) if pairs is None else _filled(pairs), title
    return files, (), title


def _filled(pairs: Sequence[Pair]) -> list[Pair]:
    """Rows without the empty ones; raises InvalidFile for half a row."""
    rows = [(number, each) for number, each in enumerate(pairs, 1) if each.call.strip() or each.response.strip()]
    for number, each in rows:
        if not (each.call.strip() and each.response.strip()):
            lacking = "response" if each.call.strip() else "call"
            raise InvalidFile(f"row {number} of the table has no {lacking}: fill it in, or take the row out")
    return [each for _, each in rows]


def _written(pairs: Sequence[Pair], place: Path) -> Path:
    """As JSON that a writer can edit."""
    items = [
        {"call": each.call, "response": each.response, **({"held_out": True} if each.held_out else {})}
        for each in pairs
    ]
    path = place / "pairs.json"
    path.write_text(json.dumps(items, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def _copy(source: Path, place: Path) -> Path:
    """Under its own name, or the next free one."""
    if not source.exists():
        raise InvalidFile(f"{source.name}: it is not there any more; choose it again")
    target, number = place / (source.name.lstrip(".-") or "text"), 1
    while target.exists():
        number += 1
        target = place / f"{source.stem}-{number}{source.suffix}"
    copy = shutil.copytree if source.is_dir() else shutil.copyfile
    copy(source, target)
    return target


def _moved(place: Path, there: Path) -> None:
    old = there.with_name(f"{SOURCES}.old")
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        _away(old)
        if there.exists():
            there.rename(old)
        try:
            place.rename(there)
        except OSError:
            if old.exists():
                old.rename(there)
            raise
        _away(old)
    except OSError as problem:
        raise InvalidFile(f"{there} cannot be written: {problem.strerror or problem}; nothing was changed") from None


def _away(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _plan(found: dict[str, Any], name: str, there: Path) -> Plan:
    """The plan of a recipe; raises SoftPromptError or ValueError where it is none."""
    check_kind(found["kind"])
    sources = [_inside(each, there) for each in found["sources"]]
    given = {str(key): str(value) for key, value in found["settings"].items()}
    given.update({key: str(_inside(given[key], there)) for key in FILES if key in given})
    return Plan(name, found["kind"], words_of(found["kind"], name, sources, given), str(found["title"]))


def _inside(name: Any, there: Path) -> Path:
    if not isinstance(name, str) or Path(name).name != name or name.startswith(("-", ".")) or "\\" in name:
        raise ValueError(f"{name!r} is no name of a source")
    return there / name


def _board(found: dict[str, Any], plan: Plan) -> Board:
    if found["state"] not in get_args(State):
        raise ValueError("no state")
    history = tuple(
        (int(number), float(loss), None if seen is None else float(seen)) for number, loss, seen in found["history"]
    )
    previews = tuple(
        Preview(int(each.pop("number")), **{key: str(text) for key, text in each.items()}) for each in found["previews"]
    )
    what, done, total = found["phase"]
    return Board(
        plan,
        found["state"],
        start=dict(found["start"]),
        phase=(str(what), int(done), int(total)),
        step=int(found["step"]),
        steps=int(found["steps"]),
        best=None if found["best"] is None else float(found["best"]),
        history=history,
        previews=previews,
        notes=tuple(map(str, found["notes"])),
        ended=str(found["ended"]),
        problem=str(found["problem"]),
        begun=float(found["begun"]),
    )
