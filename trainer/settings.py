"""`Settings(tokens=20, steps=300)`: how a training is run. The task gives the defaults; nothing needs to be tuned."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from ..errors import TrainingError
from ..prompt import MOST_TOKENS

BETAS = (0.9, 0.95)
"""Of AdamW."""


@dataclass(frozen=True)
class Settings:
    """tokens: vectors of the prompt. rate: peak, in RMS of the token embeddings. batch: rows a step.

    block: tokens of a row. warmup and floor: shares of the steps and of the rate. validate: steps between looks at the
    validation part. patience: looks without anything better after which the training ends. micro: rows that are read at
    once; by default as many as memory holds. recompute: gradient checkpointing; by default when memory asks for it.
    """

    tokens: int = 20
    steps: int = 300
    batch: int = 8
    block: int = 256
    rate: float = 0.4
    warmup: float = 0.06
    floor: float = 0.05
    clip: float = 1.0
    validate: int = 25
    patience: int = 10
    seed: int = 0
    micro: int | None = None
    recompute: bool | None = None

    def __post_init__(self) -> None:
        for name in ("tokens", "steps", "batch", "block", "validate", "patience", "micro"):
            value = getattr(self, name)
            if name == "micro" and value is None:
                continue
            if not isinstance(value, int) or value < 1:
                raise TrainingError(f"{name}={value!r}: it must be a whole number, 1 or more")
        if not isinstance(self.seed, int) or not 0 <= self.seed < 1 << 31:
            raise TrainingError(f"seed={self.seed!r}: it must be a whole number from 0 to {(1 << 31) - 1:,}")
        if self.tokens > MOST_TOKENS:
            raise TrainingError(f"tokens={self.tokens}: a soft prompt has {MOST_TOKENS:,} at most, and 20 to 64 do")
        for name in ("rate", "warmup", "floor", "clip"):
            if not isinstance(getattr(self, name), int | float):
                raise TrainingError(f"{name}={getattr(self, name)!r}: it must be a number")
        if not 0 < self.rate < math.inf:
            raise TrainingError(f"rate={self.rate}: it must be a positive number; 0.4 serves most models")
        if not (0 <= self.warmup <= 1 and 0 <= self.floor <= 1 and self.clip > 0):
            raise TrainingError("warmup and floor are shares between 0 and 1, and clip is a positive number")

    @classmethod
    def of(cls, given: dict[str, Any]) -> Settings:
        """`Settings(**given)`; raises TrainingError that lists them where there is no such setting."""
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in given if name not in known]:
            raise TrainingError(f"there is no setting {unknown[0]!r}: settings are {', '.join(known)}")
        return cls(**given)

    def share(self, number: int) -> float:
        """The share of the peak rate at step `number`: up in a line, down in a cosine to the floor."""
        rising = max(1, round(self.warmup * self.steps))
        if number <= rising:
            return number / rising
        progress = (number - rising) / max(1, self.steps - rising)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress)) / 2
