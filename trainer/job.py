"""`Job(options, screen).run()`: one training, from what was typed to the report; a command line and a browser share it.

A training is the same generator of Steps everywhere; here it is shown, ended, and reported on.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import subprocess
from contextlib import nullcontext
from typing import Any

import torch

from ..errors import InvalidFile, TrainingError
from ..hosts.hf.view import kind_of
from ..hosts.hf.view import name_of as name_of_model
from ..prompt import SoftPrompt, TextPrompt
from ..tags import suggest_name
from ..terminal import size
from . import reporting
from .asking import OPENING, check_folder, choice, fitting, given, opening_of, task_of
from .checkpoint import Keeper
from .crowd import Crowd
from .initial import Start, from_prompt, from_text, from_words
from .lent import Lent, Withdrawn
from .loading import load
from .loop import Training
from .options import FOLDER, METHODS, find, model_words, name_of
from .rehearsal import rehearse, told
from .results import SAMPLE, described, files, where
from .showing import Screen
from .stopping import Stop, Stopped

ENDING = ".safetensors"
PREVIEW = 100


class Job:
    """One training. lent: instead of a model that is loaded for it. again: how to go on, in words; as it was typed."""

    def __init__(
        self,
        options: argparse.Namespace,
        screen: Screen,
        stop: Stop | None = None,
        *,
        lent: Lent | None = None,
        again: str = "",
    ) -> None:
        self._options = options
        self._screen = screen
        self._stop = stop or Stop()
        self._lent = lent
        self._again = again or again_of(options)
        self._crowd = Crowd()
        self._name = named(options)

    def run(self) -> int:
        """The exit status; raises SoftPromptError. What was learnt until an end is kept, and where it stands."""
        options = self._options
        self._keeper = Keeper(options.output, self._name, resume=options.resume, overwrite=options.overwrite)
        if options.dry_run:
            return self._run()
        # Other processes may stand on other computers, where nothing is written.
        self._crowd.agreed(lambda: check_folder(self._keeper.path.parent))
        # From here to the report, and not only for the steps: nobody waits for a model to be told of another training.
        with self._keeper.alone(self._crowd):
            self._crowd.agreed(self._keeper.check)
            return self._run()

    def _run(self) -> int:
        options = self._options
        task = task_of(options, METHODS[options.kind], rehearsed=options.dry_run)
        start, settings = self._start()
        model, tokenizer, notes = self._model()
        if isinstance(start, SoftPrompt):
            start = from_prompt(fitting(start, model, tokenizer))
        settings |= given(options)
        if not options.dry_run:
            settings["keeper"] = self._keeper
        settings["lock"] = self._lent.lock if self._lent else nullcontext
        # Only from here on is there anything to keep when it is to end.
        with nullcontext() if options.dry_run else self._stop:
            try:
                training = Training(model, tokenizer, task, start=start, watch=self._watch, **settings)
                self._begin(training, notes)
                if options.dry_run:
                    return self._rehearse(training)
                return self._train(training, opening_of(task))
            except Stopped:
                return self._stopped(None)
            except _Ended as ended:
                return self._stopped(ended.training)

    def _train(self, training: Training, opening: str) -> int:
        try:
            self._steps(training, opening)
            return self._finish(training)
        except Withdrawn:
            if training.done:
                training.checkpoint()
            raise

    def _model(self) -> tuple[Any, Any, list[str]]:
        if self._lent is not None:
            return self._lent.model, self._lent.tokenizer, []
        return load(choice(self._options))

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
            self._rest(training)
            if training.first and every and (step.number % every == 0 or step.number == step.steps):
                without = without or training.write(opening, SAMPLE, prompted=False)
                self._screen.preview(step.number, opening, without, training.write(opening, SAMPLE))
        self._more_notes(training)
        if training.ended:
            self._screen.note(training.ended)

    def _rest(self, training: Training) -> None:
        """Between two steps the model is others'; whoever is told to end meanwhile has a training to keep."""
        if not self._asked() and self._lent is not None:
            self._lent.rest()
        if self._asked():
            raise _Ended(training)

    def _finish(self, training: Training) -> int:
        if not training.first:
            return 0  # not even to wait: a report may take longer than processes wait for one another
        try:
            report = training.report()
            opening = self._options.opening or (OPENING if training.lesson.method == "finetune" else "")
            prompt = described(training, report, self._name, opening)
        except Stopped:
            raise _Ended(training) from None
        beside, notes = files(training, report, prompt)
        try:
            self._keeper.finish(prompt, beside)
        except InvalidFile as problem:
            raise InvalidFile(f"{problem}. Make room, and go on with: {self._again}") from None
        if not training.state.best_step:
            notes.append("no step was better than the beginning, so that is kept; more text or another --rate may help")
        for note in notes:
            self._screen.note(note)
        path = self._keeper.path
        words = [reporting.told(report, f", in {self._keeper.folder / 'report.md'}"), "", self._written(prompt)]
        facts = {"name": prompt.name, "path": str(path), "report": str(self._keeper.folder / "report.json")}
        self._screen.end("\n".join(words), {**reporting.record(report), **facts, "ended": training.ended})
        return 0

    def _rehearse(self, training: Training) -> int:
        found = rehearse(training)
        facts = {"estimate": dataclasses.asdict(found), "steps": training.settings.steps, "dry_run": True}
        self._screen.end(told(training, found), facts)
        return 0

    def _stopped(self, training: Training | None) -> int:
        """The words for who ended it; what was learnt so far is in the library."""
        if training is None or not training.done:
            words = f"Stopped before a step was made. Begin again with:\n  {self._again}"
            self._screen.end(words, {"ended": "stopped", "steps": 0, "again": self._again})
            return self._stop.status
        training.checkpoint()
        state, path = training.state, self._keeper.path
        best = (
            f"The best so far, of step {state.best_step} ({state.lowest:.3f} nats a token on unseen text), can be used:"
        )
        if not state.best_step:
            best = "No look at unseen text has found anything better than what it began with, and that stands in"
        words = f"Stopped after step {state.done} of {training.settings.steps}. {best} {path}\n"
        words += f"Go on with:\n  {self._again}"
        facts = {"ended": "stopped", "steps": state.done, "best_step": state.best_step}
        facts |= {"validation": state.lowest, "path": str(path)}
        self._screen.end(words, {**facts, "again": self._again})
        return self._stop.status

    def _asked(self) -> bool:
        """Whether any process was told to end: all must do so at the same step."""
        return bool(self._crowd.sum(torch.tensor(float(bool(self._stop.asked)))) > 0)

    def _watch(self, what: str, done: int, total: int) -> None:
        self._stop.check()
        self._screen.phase(what, done, total)
        if self._lent is not None:
            self._lent.rest()
            self._stop.check()

    def _more_notes(self, training: Training) -> None:
        for note in training.notes[self._told :]:
            self._screen.note(note)
        self._told = len(training.notes)

    def _every(self) -> int:
        given = self._options.preview_every
        return PREVIEW if given is None and not self._options.json else given or 0

    def _written(self, prompt: SoftPrompt) -> str:
        path, folder = self._keeper.path, self._options.output
        there = [] if folder == FOLDER else ["--folder", folder]
        attempt = typed("soft-prompts", "try", prompt.name, *there, *model_words(self._options))
        return (
            f"Written: {path} ({size(path.stat().st_size)}), and its report and curve in {self._keeper.folder}\n"
            f"Type {prompt} where you write, or try it here: {attempt}"
        )


class _Ended(Exception):
    """An end was asked for, and here is the training as far as it has come."""

    def __init__(self, training: Training) -> None:
        self.training = training


def named(options: argparse.Namespace) -> str:
    """What was typed, or the file's; raises TrainingError where somebody typed the name of a file."""
    if options.name is None:
        return suggest_name(name_of(options.source))
    if options.name.endswith(ENDING):
        name = options.name.removesuffix(ENDING)
        raise TrainingError(f"a name has no ending, as tags have none: {typed('--name', name)}")
    return str(options.name)


def again_of(options: argparse.Namespace) -> str:
    """What to type to go on."""
    words = [each for each in options.words if each not in ("--resume", "--overwrite")]
    return typed("soft-prompts", *words, "--resume")


def typed(*words: str) -> str:
    """A line as the shell of this computer takes it."""
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
