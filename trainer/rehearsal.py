"""`rehearse(training)`: what a training will take in time and memory, found by two real steps that nothing keeps."""

from __future__ import annotations

import time
from dataclasses import replace

from ..errors import TrainingError
from .fitting import Estimate
from .loop import Step, Training
from .memory import Peak

_LOOKS_OF_A_REPORT = 5
"""A report reads the test part once for each of its lines."""


def rehearse(training: Training, share: float = 1.0) -> Estimate:
    """The estimate with what was measured; share: of what the model writes for the training, how much it writes here.

    Raises TrainingError where not even one step is possible.
    """
    found, settings = training.estimate(), training.settings
    with Peak(training.reader.base) as peak:
        started = time.monotonic()
        training.prepare()
        prepared = time.monotonic()
        steps: list[Step] = []
        for step in training:
            if not steps:
                looked = max(0.0, time.monotonic() - prepared - step.seconds)
            steps.append(step)
            if len(steps) == 2:
                break
    if not steps:
        raise TrainingError("there was no step to measure")
    each = steps[-1].seconds - (looked if steps[-1].validation is not None else 0.0)
    looks = 1 + settings.steps / settings.validate + _LOOKS_OF_A_REPORT
    seconds = (prepared - started) / share + settings.steps * max(each, 0.0) + looks * looked
    # As it has turned out, should memory hold less than was estimated.
    rows, recompute = training.rows, training.recompute
    return replace(found, rows=rows, recompute=recompute, seconds=seconds, measured=peak.bytes)
