"""`soft-prompts field-test MODEL`: does everything work on this model? One report, which a user can send.

The texts are made up by this project, so the report holds nobody's words; names of folders are taken out of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from ..container import write_atomically
from ..demo.lore import lore, question
from ..demo.stories import RARE, corpus
from ..errors import SoftPromptError
from ..hosts.hf import attach
from ..hosts.hf.view import kind_of, name_of, unwrap
from ..tags import suggest_name
from ..terminal import duration, size
from . import reporting
from .asking import check_folder, choice, screen_for
from .data import Corpus, Facts, Lore, Pair
from .loading import load
from .loop import Step, Training
from .memory import Peak
from .showing import Screen, Speed
from .stopping import Stop, Stopped
from .tasks import Distill, Finetune, Task, WorldInfo

STORIES = 300
SEED = 7
TIMED = 3
"""Steps after which the rest is planned."""

SHARE = 0.6
"""Of a training's minutes that its steps get; the rest is for what the model writes, looks and the report."""


@dataclass(frozen=True)
class Tried:
    """One training: its figures for the report, or why there are none."""

    name: str
    problem: str = ""
    figures: dict[str, Any] = dataclasses.field(default_factory=dict)
    report: str = ""


def field_test(options: argparse.Namespace) -> int:
    """The exit status: 0 where all of it works, 1 else; the report is written in either case."""
    screen = screen_for(False)
    check_folder(Path(options.output))
    with Stop() as stop:
        model, tokenizer, notes = load(choice(options))
        for note in notes:
            screen.note(note)
        law = _law(model, tokenizer)
        screen.begin(f"The law, that vectors act as the tokens they are made of: {law or 'holds'}", {})
        tried = []
        for name, task in {} if law else tasks().items():
            if not stop.asked:
                screen.begin(f"\n{name}, about {options.minutes:g} minutes", {})
                tried.append(_try(name, task, model, tokenizer, 60 * options.minutes, screen, stop))
                screen.note(tried[-1].problem or "done: " + tried[-1].figures["verdict"][0])
        page, record = _report(model, tokenizer, options, law, tried)
        paths = _write(Path(options.output), record["model"]["name"], _clean(page, options), _clean(record, options))
        screen.end(f"\n{page}\nWritten: {paths[0]} and {paths[1]}. Thank you for sending them.", {})
    return stop.status if stop.asked else 1 if law or any(each.problem for each in tried) else 0


def tasks() -> dict[str, Task]:
    """One of each kind, on texts that nobody has to find first."""
    world = lore(Random(SEED), people=5, facts=6)
    rng = Random(SEED)
    forms = ("statement", "question", "short", "dialogue", "question")
    pairs = [question(rng, fact, form) for fact in world.facts[:16] for form in forms]
    taught = [Pair(each.call, each.answer) for each in pairs]
    asked = tuple(Pair(each.call, each.answer) for each in world.questions)
    return {
        "finetune": Finetune(Corpus(corpus(RARE, STORIES, SEED))),
        "world info": WorldInfo(Facts(tuple(dict.fromkeys(taught))), lore=world.text),
        "distill": Distill(Lore(world.text, asked), rows=96),
    }


def _law(model: Any, tokenizer: Any) -> str:
    """Why this model cannot be served, or nothing."""
    try:
        with attach(model, tokenizer):
            return ""
    except SoftPromptError as problem:
        return str(problem)


def _try(name: str, task: Task, model: Any, tokenizer: Any, seconds: float, screen: Screen, stop: Stop) -> Tried:
    def watch(what: str, done: int, total: int) -> None:
        stop.check()
        screen.phase(what, done, total)

    try:
        with Peak(model) as peak:
            training = Training(model, tokenizer, task, watch=watch)
            figures, report = _measured(training, seconds, screen, stop)
    except Stopped:
        return Tried(name, "it was stopped")
    except (SoftPromptError, RuntimeError, ValueError, TypeError, LookupError, AttributeError) as problem:
        # What a report is for: a model that nobody has tried may fail in any way.
        return Tried(name, f"{type(problem).__name__}: {problem}")
    return Tried(name, "", {**figures, "memory": peak.bytes}, report)


def _measured(training: Training, seconds: float, screen: Screen, stop: Stop) -> tuple[dict[str, Any], str]:
    started, speed = time.monotonic(), Speed(1000)
    training.prepare()
    prepared = time.monotonic()
    _plan(training, seconds * SHARE)
    reached = time.monotonic()
    for step in training:
        speed.take(step)
        screen.step(step)
        if stop.asked or time.monotonic() - reached > seconds * SHARE:
            break
    stepped = time.monotonic()
    report = training.report()
    figures = {
        **reporting.record(report),
        "tokens": training.settings.tokens,
        "steps": training.done,
        "planned": training.settings.steps,
        "rows_at_once": training.rows,
        "shared_prefix": training.reader.shared,
        "tokens_per_second": round(speed.tokens, 1),
        "seconds": {
            "preparation": round(prepared - started, 1),
            "steps": round(stepped - reached, 1),
            "report": round(time.monotonic() - stepped, 1),
        },
    }
    return figures, reporting.told(report)


def _plan(training: Training, seconds: float) -> None:
    """As many steps as the time allows, so that the rate has come down when they end."""
    spent: list[Step] = []
    for step in training:
        spent.append(step)
        if len(spent) == TIMED:
            break
    # The first step gets to know the model.
    each = min(step.seconds for step in spent)
    steps = max(TIMED, min(training.settings.steps, int(seconds / max(each, 1e-6))))
    training.settings = dataclasses.replace(training.settings, steps=steps)


def _report(
    model: Any, tokenizer: Any, options: argparse.Namespace, law: str, tried: list[Tried]
) -> tuple[str, dict[str, Any]]:
    from .. import __version__

    base = unwrap(model)
    text = base.config.get_text_config()
    facts = {
        "name": name_of(base) or kind_of(base),
        "architecture": kind_of(base),
        "parameters": sum(each.numel() for each in base.parameters()),
        "vocabulary": int(text.vocab_size),
        "layers": int(getattr(text, "num_hidden_layers", 0)),
        "type": options.dtype or str(next(base.parameters()).dtype).removeprefix("torch."),
        "quantised": 4 if options.load_in_4bit else 8 if options.load_in_8bit else None,
        "tokenizer": type(tokenizer).__name__,
    }
    machine = {
        "device": _device(base),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "soft-prompts": __version__,
        **{name: _version(name) for name in ("torch", "transformers", "accelerate", "bitsandbytes")},
    }
    record = {"model": facts, "machine": machine, "law": law or "holds", "trainings": [asdict(each) for each in tried]}
    lines = [f"# Field test of {facts['name']}", ""]
    lines += [f"- {key}: {value}" for table in (facts, machine) for key, value in table.items() if value is not None]
    lines += ["", f"The law (vectors act as the tokens they are made of): {law or 'holds'}", ""]
    for each in tried:
        lines += [f"## {each.name}", "", *_lines(each), ""]
    return "\n".join(lines), record


def _lines(tried: Tried) -> list[str]:
    if tried.problem:
        return [f"Failed: {tried.problem}"]
    found = tried.figures
    seconds, memory = found["seconds"], found["memory"]
    return [
        f"- steps: {found['steps']} of {found['planned']}, {found['tokens_per_second']:,} tokens/s",
        f"- time: {', '.join(f'{what} {duration(each)}' for what, each in seconds.items())}",
        f"- memory beside the model: {'not known' if memory is None else size(memory)}",
        f"- rows at once: {found['rows_at_once']}; one reading of the prompt for all rows: {found['shared_prefix']}",
        "",
        "```",
        tried.report,
        "```",
    ]


def _device(base: Any) -> str:
    kinds = sorted({str(each.device) for each in base.parameters()})
    cards = [torch.cuda.get_device_name(each) for each in kinds if each.startswith("cuda")]
    return ", ".join([*kinds, *cards])


def _version(name: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _clean(value: Any, options: argparse.Namespace) -> Any:
    """Without where anything lies on this computer."""
    text = value if isinstance(value, str) else json.dumps(reporting.plain(value), ensure_ascii=False, indent=1)
    private = {str(Path(options.model).resolve()), os.getcwd(), str(Path.home())} - {"/", "."}
    if Path(options.model).exists() and Path(options.model).name != options.model:
        private.add(options.model)
    for each in sorted(private, key=len, reverse=True):
        for form in {each, json.dumps(each)[1:-1]}:
            text = re.sub(re.escape(form) + r"(?=[\\/\s\"':;,.)]|$)", "...", text)
    return text


def _write(folder: Path, model: str, page: str, record: str) -> tuple[Path, Path]:
    stem = "field-test-" + suggest_name(model).replace("/", "-").replace(" ", "-")
    paths = folder / f"{stem}.md", folder / f"{stem}.json"
    for path, text in zip(paths, (page, record), strict=True):
        write_atomically(path, (text + "\n").encode("utf-8", "replace"))
    return paths
