"""`described(training, ...)`, `files(training, ...)`: what is written of a training that has ended."""

from __future__ import annotations

import dataclasses
import json
import platform

import torch

from ..errors import TrainingError
from ..prompt import SoftPrompt
from ..terminal import duration
from . import curve, reporting
from .evaluate import Report
from .loop import Training

SAMPLE = 40
"""Tokens of a sample."""


def described(training: Training, report: Report, name: str, opening: str) -> SoftPrompt:
    """The best prompt with what its report says, and a sample behind the opening, in its metadata; "" for none.

    What the training learnt from must not stand in the file: only an opening that is nobody's, or the writer's.
    """
    prompt = training.prompt(name, report.held_out)
    more = {"unrelated": f"{report.unrelated:.4f}"}
    if (recall := report.lines[-1].recall) is not None:
        more["recall"] = f"{recall:.3f}"
    if opening:
        more["sample_base"] = opening + training.write(opening, SAMPLE, prompted=False)
        more["sample"] = opening + training.write(opening, SAMPLE, best=True)
    more = {key: value.encode("utf-8", "ignore").decode() for key, value in more.items()}
    return dataclasses.replace(prompt, metadata={**prompt.metadata, **more})


def files(training: Training, report: Report, prompt: SoftPrompt) -> tuple[dict[str, bytes], list[str]]:
    """What is kept beside the prompt, and notes on what could not be made."""
    state, notes, pictures = training.state, [], []
    found = {"curve.csv": curve.table(state.history)}
    try:
        title = f"{prompt.name}: {training.lesson.method}, {len(prompt)} tokens for {prompt.metadata['base_model']}"
        found["curve.png"] = curve.picture(state.history, title, state.begun)
        pictures = ["curve.png"]
    except TrainingError as problem:
        notes.append(str(problem))
    facts = _facts(training, prompt)
    found["report.md"] = reporting.page(report, facts, pictures).encode("utf-8", "replace")
    record = {**reporting.record(report), "facts": facts, "settings": dataclasses.asdict(training.settings)}
    found["report.json"] = (json.dumps(reporting.plain(record), indent=1) + "\n").encode()
    return found, notes


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
