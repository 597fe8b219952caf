"""`turns({"ours": run, "theirs": run}, rounds=9)`: measures that take turns, and ratios with their intervals.

What else the machine does falls on all of them, and a ratio compares what stood close together in time.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A middle, and where it lies in 95 of 100 cases."""

    middle: float
    low: float
    high: float

    def __format__(self, how: str) -> str:
        """As numbers are written: `.3f`."""
        middle, low, high = (format(each, how or ".2f") for each in (self.middle, self.low, self.high))
        return f"{middle} ({low} to {high})"

    def __str__(self) -> str:
        return format(self, ".2f")


def turns(measures: dict[Name, Callable[[], float]], rounds: int, warm: bool = False) -> dict[Name, list[float]]:
    """Every measure once a round, in another order each time; warm: and once before, which does not count."""
    found: dict[Name, list[float]] = {name: [] for name in measures}
    order = list(measures)
    chance = random.Random(0)
    for name in order if warm else ():
        measures[name]()
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            found[name].append(measures[name]())
    return found


def ratio(of: Sequence[float], over: Sequence[float]) -> Interval:
    """The median ratio of the rounds, with its bootstrap interval."""
    ratios = np.array(of) / np.array(over)
    return _spread(ratios, np.median)


def difference(of: Sequence[float], minus: Sequence[float]) -> Interval:
    """The mean difference of pairs, with its bootstrap interval."""
    return _spread(np.array(of, dtype=float) - np.array(minus, dtype=float), np.mean)


def _spread(values: Numbers, middle: Callable[..., Numbers]) -> Interval:
    chance = np.random.default_rng(0)
    middles = middle(chance.choice(values, (4_000, len(values))), axis=1)
    low, high = np.percentile(middles, [2.5, 97.5])
    return Interval(float(middle(values)), float(low), float(high))
