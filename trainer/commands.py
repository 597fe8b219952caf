"""What `soft-prompts train` and `soft-prompts eval` do, once their words are read.

A training on the command line is the same generator of Steps as everywhere; here it is shown, ended, and reported on.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from ..errors import InvalidFile, TrainingError
from ..hosts.hf.view import kind_of
from ..hosts.hf.view import name_of as name_of_model
from ..prompt import SoftPrompt, TextPrompt
from ..tags import suggest_name
from ..terminal import duration, size
from . import curve, reporting
from .asking import (
    OPENING,
    block_of,
    check_folder,
    choice,
    fitting,
    given,
    is_first,
    method_of,
    opening_of,
    screen_for,
    task_of,
)
from .checkpoint import Keeper
from .crowd import Crowd
from .distill import parts_of
from .evaluate import Report
from .initial import Start, from_prompt, from_text, from_words
from .loading import load
from .loop import Training
from .options import FOLDER, METHODS, find, model_words, name_of
from .rehearsal import rehearse, told
from .stopping import Stop, Stopped
from .tasks import Distill, Task

ENDING = ".safetensors"
PREVIEW = 100
SAMPLE = 40
"""Tokens of a sample."""


def train(options: argparse.Namespace) -> int:
    """`soft-prompts train ...`: the exit status."""
    return _Run(options).all()


def evaluate(options: argparse.Namespace) -> int:
    """`soft-prompts eval NAME --data FILE`: the report of a training, for a prompt that is there already."""
    screen = screen_for(options.json)
    prompt = find(options.name, options.folder)
    task = task_of(options, method_of(options, prompt))
    model, tokenizer, notes = load(choice(options))
    prompt = fitting(prompt, model, tokenizer)
    settings: dict[str, Any] = {"tokens": len(prompt), **block_of(prompt)}
    training = Training(model, tokenizer, task, start=from_prompt(prompt), watch=screen.phase, **settings)
    for note in [*notes, *training.notes]:
        screen.note(note)
    report = training.report()
    screen.end(f"{prompt.name} on {_named(options.data)}\n\n{reporting.told(report)}", reporting.record(report))
    return 0


class _Run:
    """One training, from the words to the report."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._stop = Stop(says=is_first())
        self._crowd = Crowd()
        self._screen = screen_for(options.json)
        self._name = _name(options)

    def all(self) -> int:
        options = self._options
        self._keeper = Keeper(options.output, self._name, resume=options.resume, overwrite=options.overwrite)
        if options.dry_run:
            return self._all()
        # Other processes may stand on other computers, where nothing is written.
        self._crowd.agreed(lambda: check_folder(self._keeper.path.parent))
        # From here to the report, and not only for the steps: nobody waits for a model to be told of another training.
        with self._keeper.alone(self._crowd):
            self._crowd.agreed(self._keeper.check)
            return self._all()

    def _all(self) -> int:
        options = self._options
        task = task_of(options, METHODS[options.kind], rehearsed=options.dry_run)
        start, tokens = self._start()
        model, tokenizer, notes = load(choice(options))
        if isinstance(start, SoftPrompt):
            start = from_prompt(fitting(start, model, tokenizer))
        keeper = None if options.dry_run else self._keeper
        settings = {**tokens, **given(options)}
        # Only from here on is there anything to keep when it is to end.
        with nullcontext() if options.dry_run else self._stop:
            try:
                training = Training(model, tokenizer, task, start=start, keeper=keeper, watch=self._watch, **settings)
                self._begin(training, notes)
                if options.dry_run:
                    return self._rehearse(training, task)
                self._steps(training, opening_of(task))
                return self._finish(training)
            except Stopped:
                return self._stopped(None)
            except _Ended as ended:
                return self._stopped(ended.training)

    def _start(self) -> tuple[Start | SoftPrompt, dict[str, Any]]:
        """What the prompt is at first, and how long that makes it."""
        options = self._options
        if options.start is not None and options.go_on is not None:
            raise TrainingError("--start and --from: choose one of them")
        if options.go_on is not None:
            prompt = find(options.go_on, options.output)
            if isinstance(prompt, TextPrompt):
                return from_text(prompt.text), {}
            return prompt, {"tokens": len(prompt)}
        return (from_words if options.start is None else from_text(options.start)), {}

    def _begin(self, training: Training, notes: list[str]) -> None:
        settings, found = training.settings, training.estimate()
        model = name_of_model(training.reader.base) or kind_of(training.reader.base)
        words = (
            f"{training.lesson.method}: {settings.tokens} tokens for {model} on {where(training)}, up to "
            f"{settings.steps} steps of {settings.batch} rows, {found.rows} at once"
        )
        facts = {"method": training.lesson.method, "model": model, "processes": self._crowd.count}
        facts |= {"estimate": dataclasses.asdict(found)}
        self._screen.begin(words, {"name": self._name, **facts, "settings": dataclasses.asdict(settings)})
        for note in [*notes, *training.notes]:
            self._screen.note(note)
        self._told = len(training.notes)

    def _steps(self, training: Training, opening: str) -> None:
        opening, every = self._options.opening or opening, self._every()
        without = ""
        for step in training:
            self._more_notes(training)
            self._screen.step(step)
            if self._asked():
                raise _Ended(training)
            if training.first and every and (step.number % every == 0 or step.number == step.steps):
                without = without or training.write(opening, SAMPLE, prompted=False)
                self._screen.preview(step.number, opening, without, training.write(opening, SAMPLE))
        self._more_notes(training)
        if training.ended:
            self._screen.note(training.ended)

    def _finish(self, training: Training) -> int:
        if not training.first:
            return 0  # not even to wait: a report may take longer than processes wait for one another
        try:
            report = training.report()
            prompt = self._described(training, report)
        except Stopped:
            raise _Ended(training) from None
        files, notes = self._files(training, report, prompt)
        try:
            self._keeper.finish(prompt, files)
        except InvalidFile as problem:
            raise InvalidFile(f"{problem}. Make room, and go on with: {self._again()}") from None
        if not training.state.best_step:
            notes.append("no step was better than the beginning, so that is kept; more text or another --rate may help")
        for note in notes:
            self._screen.note(note)
        path = self._keeper.path
        words = [reporting.told(report, f", in {self._keeper.folder / 'report.md'}"), "", self._written(prompt)]
        facts = {"name": prompt.name, "path": str(path), "report": str(self._keeper.folder / "report.json")}
        self._screen.end("\n".join(words), {**reporting.record(report), **facts, "ended": training.ended})
        return 0

    def _described(self, training: Training, report: Report) -> SoftPrompt:
        """The prompt with what its report says, and a sample, in its metadata."""
        prompt = training.prompt(self._name, report.held_out)
        more = {"unrelated": f"{report.unrelated:.4f}"}
        if (recall := report.lines[-1].recall) is not None:
            more["recall"] = f"{recall:.3f}"
        # What the training learnt from must not stand in the file: only an opening that is nobody's, or the writer's.
        if opening := self._options.opening or (OPENING if training.lesson.method == "finetune" else ""):
            more["sample_base"] = opening + training.write(opening, SAMPLE, prompted=False)
            more["sample"] = opening + training.write(opening, SAMPLE, best=True)
        more = {key: value.encode("utf-8", "ignore").decode() for key, value in more.items()}
        return dataclasses.replace(prompt, metadata={**prompt.metadata, **more})

    def _files(self, training: Training, report: Report, prompt: SoftPrompt) -> tuple[dict[str, bytes], list[str]]:
        """What is kept beside the prompt, and notes on what could not be made."""
        state, notes, pictures = training.state, [], []
        files = {"curve.csv": curve.table(state.history)}
        try:
            title = f"{prompt.name}: {training.lesson.method}, {len(prompt)} tokens for {prompt.metadata['base_model']}"
            files["curve.png"] = curve.picture(state.history, title, state.begun)
            pictures = ["curve.png"]
        except TrainingError as problem:
            notes.append(str(problem))
        facts = _facts(training, prompt)
        files["report.md"] = reporting.page(report, facts, pictures).encode("utf-8", "replace")
        record = {**reporting.record(report), "facts": facts, "settings": dataclasses.asdict(training.settings)}
        files["report.json"] = (json.dumps(reporting.plain(record), indent=1) + "\n").encode()
        return files, notes

    def _rehearse(self, training: Training, task: Task) -> int:
        share = 1.0
        if isinstance(task, Distill):
            share = sum(parts_of(task.rows)) / sum(parts_of(self._options.rows or Distill.rows))
        found = rehearse(training, share)
        self._screen.end(told(training, found), {"estimate": dataclasses.asdict(found), "dry_run": True})
        return 0

    def _stopped(self, training: Training | None) -> int:
        """The words for who ended it; what was learnt so far is in the library."""
        if training is None or not training.done:
            words = f"Stopped before a step was made. Begin again with:\n  {self._again()}"
            self._screen.end(words, {"ended": "stopped", "steps": 0, "again": self._again()})
            return self._stop.status
        training.checkpoint()
        state, path = training.state, self._keeper.path
        best = (
            f"The best so far, of step {state.best_step} ({state.lowest:.3f} nats a token on unseen text), can be used:"
        )
        if not state.best_step:
            best = "No look at unseen text has found anything better than what it began with, and that stands in"
        words = f"Stopped after step {state.done} of {training.settings.steps}. {best} {path}\n"
        words += f"Go on with:\n  {self._again()}"
        facts = {"ended": "stopped", "steps": state.done, "best_step": state.best_step}
        facts |= {"validation": state.lowest, "path": str(path)}
        self._screen.end(words, {**facts, "again": self._again()})
        return self._stop.status

    def _asked(self) -> bool:
        """Whether any process was told to end: all must do so at the same step."""
        return bool(self._crowd.sum(torch.tensor(float(bool(self._stop.asked)))) > 0)

    def _watch(self, what: str, done: int, total: int) -> None:
        self._stop.check()
        self._screen.phase(what, done, total)

    def _more_notes(self, training: Training) -> None:
        for note in training.notes[self._told :]:
            self._screen.note(note)
        self._told = len(training.notes)

    def _every(self) -> int:
        given = self._options.preview_every
        return PREVIEW if given is None and not self._options.json else given or 0

    def _again(self) -> str:
        words = [each for each in self._options.words if each not in ("--resume", "--overwrite")]
        return _typed("soft-prompts", *words, "--resume")

    def _written(self, prompt: SoftPrompt) -> str:
        path, folder = self._keeper.path, self._options.output
        there = [] if folder == FOLDER else ["--folder", folder]
        attempt = _typed("soft-prompts", "try", prompt.name, *there, *model_words(self._options))
        return (
            f"Written: {path} ({size(path.stat().st_size)}), and its report and curve in {self._keeper.folder}\n"
            f"Type {prompt} where you write, or try it here: {attempt}"
        )


class _Ended(Exception):
    """An end was asked for, and here is the training as far as it has come."""

    def __init__(self, training: Training) -> None:
        self.training = training


def where(training: Training) -> str:
    """`cuda (NVIDIA H100), bfloat16`: what the model computes on, and in."""
    device = training.reader.device
    card = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    kind = str(next(training.reader.base.parameters()).dtype).removeprefix("torch.")
    return f"{device.type}{card} in {kind}"


def _facts(training: Training, prompt: SoftPrompt) -> dict[str, str]:
    """What a report begins with; nothing of it says where anything lies on this computer."""
    from .. import __version__

    state = training.state
    return {
        "name": prompt.name,
        "method": training.lesson.method,
        "model": prompt.metadata["base_model"],
        "tokens": str(len(prompt)),
        "steps": f"{state.done}, of which step {state.best_step} was kept",
        "skipped steps": str(state.skipped),
        "time": f"{duration(state.seconds)} for the steps",
        "computed on": where(training),
        "seed": str(training.settings.seed),
        "with": f"soft-prompts {__version__}, torch {torch.__version__}, Python {platform.python_version()}",
    }


def _name(options: argparse.Namespace) -> str:
    """What was typed, or the file's; raises TrainingError where somebody typed the name of a file."""
    if options.name is None:
        return suggest_name(name_of(options.source))
    if options.name.endswith(ENDING):
        name = options.name.removesuffix(ENDING)
        raise TrainingError(f"a name has no ending, as tags have none: {_typed('--name', name)}")
    return str(options.name)


def _typed(*words: str) -> str:
    """A line as the shell of this computer takes it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def _named(paths: list[str]) -> str:
    return Path(paths[0]).resolve().name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
