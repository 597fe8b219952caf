"""Quality: ours with its defaults, against Trainer + PEFT at the best of several rates."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import torch

from ..common.tables import Section
from .counting import nats
from .ours import by_ours
from .rivals import TOKENS, Trained, by_peft
from .subjects import Blocks, Subject

RATES = (3e-2, 1e-1, 3e-1, 1.0, 3.0)
"""The Trainer's own is 5e-5. Where the best of these is the first or the last one, the section says so."""

KNOWN = 3.222
"""What stories260k needs on the test part of alice.txt, by `../shared/facts/training.md`."""


def base(subject: Subject, blocks: Blocks, known: float | None = None) -> float:
    """Nats per token without a prompt; stops where that is not what is known."""
    found = nats(subject, None, blocks.test)
    if known is not None and abs(found - known) > 0.005:
        raise SystemExit(f"{subject.name}: the base model needs {found:.4f} nats per token here, and not {known}")
    return found


def quality(
    subject: Subject, allowed: dict[int, float], seeds: Sequence[int], known: float | None = None, full: bool = False
) -> Section:
    """Test loss at each number of steps; allowed: how much more than PEFT's it may be.

    full: more steps try the neighbours of the best rate, too; else they take the best one of fewer steps.
    """
    blocks = subject.blocks()
    section = Section(f"Quality: {subject.name}")
    bare = base(subject, blocks, known)
    rows: list[tuple[object, ...]] = [("nothing", "", f"{bare:.4f}", "")]
    sweeps: dict[int, dict[float, Trained]] = {}
    for steps, more in allowed.items():
        sweeps[steps] = _sweep(subject, blocks, steps, sweeps, seeds[0], full)
        best = min(sweeps[steps], key=lambda rate: sweeps[steps][rate].validation)
        if best in (RATES[0], RATES[-1]):
            section.say(
                f"At {steps} steps PEFT's best rate, {best:g}, is at the end of the sweep: another may be better."
            )
        theirs = [sweeps[steps][best].vectors]
        theirs += [by_peft(subject, blocks, best, steps, seed=seed).vectors for seed in seeds[1:]]
        mine = [by_ours(subject, blocks, steps, seed).vectors for seed in seeds]
        losses = [_tested(subject, blocks, each) for each in (theirs, mine)]
        rows.append(("Trainer + PEFT, best rate", steps, *_told(losses[0])))
        rows.append(("ours, defaults", steps, *_told(losses[1])))
        section.most(f"more than PEFT, {steps} steps", mean(losses[1]) - mean(losses[0]), more)
        if known is not None and steps == 100:
            section.most("test loss, 100 steps", mean(losses[1]), 2.93)
    section.table(("prompt", "steps", "nats per token, test", "seeds"), rows)
    section.table(("validation after the sweep", *(f"rate {rate:g}" for rate in RATES)), _shown(sweeps))
    section.say(f"{blocks}; prompts of {TOKENS} tokens, 8 rows a step, the best step by validation for both.")
    return section


def _sweep(
    subject: Subject, blocks: Blocks, steps: int, before: dict[int, dict[float, Trained]], seed: int, full: bool
) -> dict[float, Trained]:
    """All rates at first; later the best one, and in full its neighbours: for more steps it is that one or near."""
    rates: Sequence[float] = RATES
    if before:
        last = list(before.values())[-1]
        place = RATES.index(min(last, key=lambda rate: last[rate].validation))
        rates = RATES[max(0, place - 1) : place + 2] if full else RATES[place : place + 1]
    return {rate: by_peft(subject, blocks, rate, steps, seed=seed) for rate in rates}


def _tested(subject: Subject, blocks: Blocks, prompts: list[torch.Tensor]) -> list[float]:
    return [nats(subject, vectors, blocks.test) for vectors in prompts]


def _told(losses: list[float]) -> tuple[str, str]:
    return f"{mean(losses):.4f}", ", ".join(f"{each:.4f}" for each in losses) if len(losses) > 1 else "1"


def _shown(sweeps: dict[int, dict[float, Trained]]) -> list[tuple[str, ...]]:
    return [
        (f"{steps} steps", *(f"{sweep[rate].validation:.4f}" if rate in sweep else "" for rate in RATES))
        for steps, sweep in sweeps.items()
    ]
