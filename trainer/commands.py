"""What `soft-prompts train` and `soft-prompts eval` do, once their words are read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import reporting
from .asking import block_of, choice, fitting, is_first, method_of, screen_for, task_of
from .initial import from_prompt
from .job import Job
from .loading import load
from .loop import Training
from .options import find
from .stopping import Stop


def train(options: argparse.Namespace) -> int:
    """`soft-prompts train ...`: the exit status."""
    return Job(options, screen_for(options.json), Stop(says=is_first())).run()


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


def _named(paths: list[str]) -> str:
    return Path(paths[0]).resolve().name + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
