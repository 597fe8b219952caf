"""`task_of(options)`, `choice(options)`, `fitting(prompt, ...)`: what was typed, as what a training takes."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from .. import demo
from ..errors import InvalidFile, Misfit, SoftPromptError, TrainingError
from ..fingerprint import judge
from ..hosts.hf import text_prompt
from ..hosts.hf.view import ModelView, codec_of, unwrap
from ..prompt import Prompt, SoftPrompt, TextPrompt
from .data import Corpus, Facts, Lore, pairs
from .data.texts import DATASETS
from .loading import Choice, load
from .showing import Nobody, People, Programs, Screen
from .tasks import Distill, Finetune, Task, WorldInfo

OPENING = "The door opened and"
"""How samples begin where the task has nothing better; it is nobody's text, so a file may hold what follows it."""

STORYTELLER = "storyteller"
"""The name of the embedded model, should somebody type it."""

REHEARSED = 16
"""Rows that the model writes where nothing but time is measured."""

_SETTINGS = ("tokens", "steps", "seed", "rate", "batch", "block", "micro", "validate", "patience", "recompute")


def task_of(options: argparse.Namespace, method: str, rehearsed: bool = False) -> Task:
    """What is to be learnt, its files read already; raises InvalidFile. rehearsed: only to see how long it takes."""
    paths: list[str] = options.source if hasattr(options, "source") else options.data
    if method == "finetune":
        return Finetune(Corpus.read(*paths))
    if method == "world info":
        lore = "\n\n".join(Corpus.read(options.lore).stories) if options.lore else ""
        keep = getattr(options, "keep", None)
        if len(paths) > 1:
            raise TrainingError(f"facts are one file, and here are {len(paths)}: put the pairs together")
        facts = Facts.read(paths[0], options.held_out)
        return WorldInfo(facts, lore=lore) if keep is None else WorldInfo(facts, lore=lore, keep=keep)
    text = Lore.read(*paths, questions=options.questions)
    return Distill(text, rows=getattr(options, "rows", None), at_most=REHEARSED if rehearsed else None)


def opening_of(task: Task) -> str:
    """What a sample goes on from: something that the training is about."""
    if isinstance(task, WorldInfo) and isinstance(task.source, Facts):
        return task.source.parts().test[0].call
    if isinstance(task, Distill) and isinstance(task.source, Lore) and task.source.questions:
        return task.source.questions[0].call
    return OPENING


def given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that were typed; all others are the task's own."""
    typed = {name: getattr(options, name) for name in _SETTINGS}
    return {name: value for name, value in typed.items() if value is not None}


def choice(options: argparse.Namespace) -> Choice:
    """Which model, and how it is loaded; where none was named, the storyteller."""
    named = options.model and not (options.model == STORYTELLER and not Path(STORYTELLER).exists())
    try:
        return Choice.of(options, options.model if named else str(demo.path()))
    except FileNotFoundError as problem:
        raise InvalidFile(f"{problem}, or name another --model") from None


def opened(options: argparse.Namespace) -> tuple[Any, Any]:
    """The model that was asked for, and its tokenizer, for the commands that do not train."""
    model, tokenizer, _ = load(choice(options))
    return model, tokenizer


def fitting(prompt: Prompt, model: Any, tokenizer: Any) -> SoftPrompt:
    """The prompt as vectors for this model; raises Misfit where it was made for another one."""
    if isinstance(prompt, TextPrompt):
        return text_prompt(prompt.text, model, tokenizer, prompt.name)
    fit = judge(prompt, ModelView(unwrap(model), codec_of(tokenizer)))
    if not fit.usable:
        raise Misfit(fit.reason)
    return prompt


def screen_for(for_programs: bool) -> Screen:
    """Under `accelerate launch` only the first process speaks."""
    if not is_first():
        return Nobody()
    return Programs(sys.stdout) if for_programs else People(sys.stdout)


def is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def check_folder(folder: Path) -> None:
    """Before hours of work: can anything be written there? Raises InvalidFile."""
    known = folder
    while not known.exists() and known != known.parent:
        known = known.parent
    if not known.is_dir():
        raise InvalidFile(f"{folder} cannot be a folder: {known} is a file")
    if not os.access(known, os.W_OK):
        raise InvalidFile(f"nothing can be written to {folder}: check the permissions, or choose another --output")


def method_of(options: argparse.Namespace, prompt: Prompt) -> str:
    """What was typed; else facts are facts, and a text is read as the prompt was trained."""
    if options.method:
        return str(options.method)
    if options.held_out or options.lore:
        return "world info"
    first = Path(options.data[0])
    known = prompt.metadata.get("method", "") if isinstance(prompt, SoftPrompt) else ""
    if first.is_file() and _are_facts(first, known):
        return "world info"
    return "distill" if known == "distill" or options.questions else "finetune"


def block_of(prompt: SoftPrompt) -> dict[str, int]:
    """How long the rows were that it was trained on."""
    try:
        block = json.loads(prompt.metadata["settings"])["block"]
        return {"block": block} if isinstance(block, int) and block > 0 else {}
    except (KeyError, TypeError, ValueError):
        return {}


def _are_facts(path: Path, known: str) -> bool:
    """Pairs always are; a lorebook or a card is, unless it was a text to this prompt."""
    if path.suffix.lower() not in DATASETS and known != "world info":
        return False
    try:
        return bool(pairs.read(path) if known in ("finetune", "distill") else Facts.read(path).pairs)
    except SoftPromptError:
        return False
