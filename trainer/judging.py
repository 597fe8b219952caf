"""`judge(state, validation, settings)`, `skip(...)`: is it better than before, and is there any use in going on?"""

from __future__ import annotations

from ..errors import TrainingError
from .checkpoint import State
from .settings import Settings

OTHER_TYPE = "load the model in another type (bfloat16, float32)"

_HOPELESS = 10
"""Steps in a row without a finite loss, after which a training ends."""

_LOST = 2.0
"""Nats per token above the beginning, at which a run has diverged."""


def judge(state: State, validation: float, settings: Settings) -> None:
    """Keep the best; end where nothing gets better any more, or everything has got much worse."""
    if validation < state.lowest:
        state.lowest, state.best_step, state.waited = validation, state.done, 0
        state.best = state.vectors.clone()
        return
    state.waited += 1
    if not validation < state.begun + _LOST:
        why = f"validation went from {state.begun:.2f} to {validation:.2f} nats"
        state.ended = _diverged(state, settings, why)
    elif state.waited >= settings.patience:
        state.ended = f"nothing got better since step {state.best_step}, and that is kept"


def skip(state: State, number: int, settings: Settings) -> None:
    """A step without a finite loss; raises TrainingError where there never was another one."""
    state.skipped, state.in_a_row = state.skipped + 1, state.in_a_row + 1
    if state.in_a_row >= _HOPELESS:
        if not state.applied:
            raise TrainingError(f"none of the first {number} steps had a finite loss: {OTHER_TYPE}")
        state.ended = _diverged(state, settings, f"{_HOPELESS} steps in a row had no finite loss")


def _diverged(state: State, settings: Settings, why: str) -> str:
    return (
        f"the training diverged: {why}. The best prompt is kept, of step {state.best_step}; "
        f"try a rate below {settings.rate}"
    )
