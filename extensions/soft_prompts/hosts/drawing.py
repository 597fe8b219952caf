"""`Dice(seed=0, temperature=0.7).choose(place, ids, logs)`: which token comes next, by the same luck in every text.

Two columns that are written side by side throw the same dice: where a soft prompt changes nothing, they say the same
words, and where it changes little, nearly always.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST = 100
"""Tokens that are drawn from, the likeliest ones: what a server tells of as well."""
_SHARE = 0.95
"""Of their probability; what is less likely than that is left out."""


class Dice:
    """seed: of all numbers; temperature: 0 always takes the likeliest token, 1 draws as the model says."""

    def __init__(self, seed: int = 0, temperature: float = 0.7) -> None:
        self._seed = int(seed) % 2**63
        self._temperature = float(temperature)

    def choose(self, place: int, ids: NDArray[np.int64], logs: NDArray[np.float32]) -> int:
        """One of `ids`, the tokens that may stand at `place`; logs: their log-probabilities, in the same order."""
        if self._temperature <= 0 or len(ids) == 1:
            return int(ids[np.argmax(logs)])
        ids, chances = _likeliest(ids, logs / self._temperature)
        # Each token has its own number at each place, whatever else could stand there: who has the best of number and
        # chance wins. So a change in the chances of others hardly moves a choice, as a sum over all of them would.
        numbers = np.random.default_rng([self._seed, place]).standard_exponential(int(ids.max()) + 1)[ids]
        return int(ids[np.argmin(numbers / chances)])


def _likeliest(ids: NDArray[np.int64], logs: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(ids, chances) of those that are drawn from, the likeliest first."""
    kept = np.argpartition(logs, -MOST)[-MOST:] if len(logs) > MOST else np.arange(len(logs))
    kept = kept[np.lexsort((ids[kept], -logs[kept]))]
    chances = np.exp(logs[kept].astype(np.float64) - float(logs[kept[0]]))
    chances /= chances.sum()
    enough = int(np.searchsorted(np.cumsum(chances), _SHARE)) + 1
    return ids[kept[:enough]], np.maximum(chances[:enough], np.finfo(np.float64).tiny)
