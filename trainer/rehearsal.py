"""`rehearse(training)`: what a training will take in time and memory, found by a few real steps that nothing keeps."""

from __future__ import annotations

import time
from dataclasses import replace
from statistics import median

from ..errors import TrainingError
from ..terminal import duration, size
from .crowd import Crowd
from .fitting import Estimate
from .loop import Step, Training
from .memory import Peak

STEPS = 5
"""That are made, if they are quick; two at least."""

ENOUGH = 15.0
"""Seconds, after which no more are made."""

_LOOKS_OF_A_REPORT = 5
"""A report reads the test part once for each of its lines."""


def rehearse(training: Training) -> Estimate:
    """The estimate with what was measured; where the model writes less here than for a training, that is reckoned with.

    Raises TrainingError where not even one step is possible.
    """
    found, settings, crowd = training.estimate(), training.settings, Crowd()
    with Peak(training.reader.base) as peak:
        started = time.monotonic()
        training.prepare()
        prepared = time.monotonic()
        steps: list[Step] = []
        for step in training:
            if not steps:
                looked = max(0.0, time.monotonic() - prepared - step.seconds)
            steps.append(step)
            if len(steps) == STEPS or (len(steps) > 1 and crowd.agreed(lambda: time.monotonic() - prepared > ENOUGH)):
                break
    if not steps:
        raise TrainingError("there was no step to measure")
    # The first one gets to know the model, and some look at the validation part, which is counted apart.
    each = median(step.seconds - looked * (step.validation is not None) for step in steps[1:] or steps)
    looks = 1 + settings.steps / settings.validate + _LOOKS_OF_A_REPORT
    written, seen = training.lesson.tried
    seconds = (prepared - started) / written + settings.steps * max(each, 0.0) + looks * looked / seen
    # As it has turned out, should memory hold less than was estimated.
    rows, recompute = training.rows, training.recompute
    return replace(found, rows=rows, recompute=recompute, seconds=seconds, measured=peak.bytes)


def told(training: Training, found: Estimate) -> str:
    """The same in words."""
    seconds = found.seconds or 0.0
    measured = f"; {size(found.measured)} in the steps that were tried" if found.measured is not None else ""
    batch = training.settings.batch
    return (
        f"Nothing was written. This training would take about\n"
        f"  time    {duration(seconds)} for {training.settings.steps} steps and the report, less if it ends early\n"
        f"  memory  {size(found.step)} beside the model{measured}; {size(found.free)} are free\n"
        f"  rows    {found.rows} of the {batch} of a step are read at once"
        + (", and what is inside the layers is computed twice" if found.recompute else "")
    )
