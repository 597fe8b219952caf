"""`for step in Training(model, tokenizer, Finetune("noir.txt"), tokens=20): ...`: a generator of Steps; `break` stops.

The recipe: AdamW on a float32 copy of the vectors, a rate in units of the embeddings' own RMS (one setting then
serves all models), warm-up, cosine, clipped gradients, and the best step on the validation part.
"""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..errors import TrainingError
from ..hosts.hf.view import codec_of, embedded, evaluating, origin_of, text_embedding, unwrap
from ..prompt import MOST_TOKENS, SoftPrompt, check_name
from .data import Corpus
from .evaluate import HeldOut, Rows


@dataclass(frozen=True)
class Finetune:
    """`Finetune("noir.txt")` or `Finetune(Corpus(text))`: learn how this text is written."""

    source: str | Path | Corpus

    def corpus(self) -> Corpus:
        """The text, read now; raises InvalidFile."""
        return self.source if isinstance(self.source, Corpus) else Corpus.read(self.source)


@dataclass(frozen=True)
class Settings:
    """tokens: vectors of the prompt. rate: peak, in RMS of the token embeddings. batch: rows of `block` tokens a step.

    warmup and floor: shares of the steps and of the rate. validate: steps between looks at the validation part.
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
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("tokens", "steps", "batch", "block", "validate"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise TrainingError(f"{name}={value!r}: it must be a whole number, 1 or more")
        if self.tokens > MOST_TOKENS:
            raise TrainingError(f"tokens={self.tokens}: a soft prompt has {MOST_TOKENS:,} at most, and 20 to 64 do")
        if not 0 < self.rate < math.inf:
            raise TrainingError(f"rate={self.rate}: it must be a positive number; 0.4 serves most models")
        if not (0 <= self.warmup <= 1 and 0 <= self.floor <= 1 and self.clip > 0):
            raise TrainingError("warmup and floor are shares between 0 and 1, and clip is a positive number")


@dataclass(frozen=True)
class Step:
    """One step, done: number counts from 1 to steps; loss, validation and best so far in nats per token.

    rate: as it was applied. validation: only where it was looked at. best: the initial prompt counts, too.
    """

    number: int
    steps: int
    loss: float
    rate: float
    seconds: float
    best: float
    validation: float | None = None


class Training:
    """`training = Training(model, tokenizer, task, tokens=20)`; iterate, then `training.prompt("noir")`.

    The model is frozen while the iteration runs and exactly as before afterwards, also after an exception or `break`.
    settings: the fields of Settings. Raises TrainingError or InvalidFile, before the first step where that is possible.
    """

    def __init__(self, model: Any, tokenizer: Any, task: Finetune, **settings: Any) -> None:
        self.settings = Settings(**settings)
        self._base = unwrap(model)
        self._tokenizer = tokenizer
        self._embedding = text_embedding(self._base)
        self._corpus = task.corpus()
        seams = codec_of(tokenizer).seams
        self._rows = Rows(self._base, self._embedding, seams.head)
        parts = self._corpus.parts()
        ids = [seams.inner(part) for part in (parts.train, parts.validation, parts.test)]
        self._train, self._validation, self._test = _blocks(ids, self.settings.block)
        self._check_length(len(seams.head) + self.settings.tokens + self._train.shape[1])
        self._initial, self._scale = self._start(ids[0])
        self._reset()

    def __iter__(self) -> Iterator[Step]:
        chosen = self.settings
        self._reset()
        vectors = self._initial.clone().requires_grad_(True)
        optimizer = torch.optim.AdamW([vectors], betas=(0.9, 0.95), weight_decay=0.0)
        order = _order(len(self._train), chosen)
        with _frozen(self._base):
            lowest = self._rows.nats(self._initial, self._validation)
            for number in range(1, chosen.steps + 1):
                started = time.monotonic()
                rate = chosen.rate * self._scale * _schedule(number, chosen)
                optimizer.param_groups[0]["lr"] = rate
                # Not `backward`: it would leave gradients on an embedding that a host has set to want them.
                with torch.enable_grad():
                    loss = self._rows.loss(vectors, self._train[next(order)])
                    (vectors.grad,) = torch.autograd.grad(loss, [vectors])
                if not torch.isfinite(loss):
                    raise TrainingError(
                        f"the loss of step {number} is {float(loss.detach())}: try a rate below {chosen.rate}"
                    )
                torch.nn.utils.clip_grad_norm_([vectors], chosen.clip)
                optimizer.step()
                validation = None
                if number % chosen.validate == 0 or number == chosen.steps:
                    validation = self._rows.nats(vectors, self._validation)
                    if validation < lowest:
                        lowest, self._best = validation, vectors.detach().clone()
                self.done = number
                seconds = time.monotonic() - started
                yield Step(number, chosen.steps, float(loss.detach()), rate, seconds, lowest, validation)

    def prompt(self, name: str) -> SoftPrompt:
        """The best prompt so far, with its history and its result on the test part in the metadata."""
        held_out = self.held_out()
        history = {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "method": "finetune",
            "settings": json.dumps(asdict(self.settings)),
            "steps": str(self.done),
            "data": self._corpus.digest,
            "held_out": f"{held_out.prompt:.4f}",
            "base": f"{held_out.base:.4f}",
        }
        origin = origin_of(self._base, self._tokenizer)
        return SoftPrompt(name, self._best.numpy(), self._initial.numpy(), {**history, **origin})

    def held_out(self) -> HeldOut:
        """Nats per token on the test part, which nothing else looks at."""
        with evaluating(self._base):
            return HeldOut(self._rows.nats(None, self._test), self._rows.nats(self._best, self._test))

    def _reset(self) -> None:
        self._best = self._initial.clone()
        self.done = 0

    def _check_length(self, row: int) -> None:
        longest = getattr(self._base.config.get_text_config(), "max_position_embeddings", None)
        if longest and row > longest:
            raise TrainingError(f"rows of {row} tokens do not fit into the model's {longest}: lower block or tokens")

    def _start(self, ids: list[int]) -> tuple[torch.Tensor, float]:
        """(tokens of the text itself, (tokens, width) float32; RMS of the embeddings of its tokens)."""
        generator = torch.Generator().manual_seed(self.settings.seed)
        chosen = torch.randint(len(ids), (self.settings.tokens,), generator=generator)
        with torch.no_grad():
            sample = embedded(self._embedding, ids[:4096]).float()
            initial = embedded(self._embedding, [ids[int(each)] for each in chosen]).float().cpu()
        return initial, float(sample.square().mean().sqrt())


def train(model: Any, tokenizer: Any, task: Finetune, name: str, **settings: Any) -> SoftPrompt:
    """`noir = train(model, tokenizer, Finetune("noir.txt"), name="noir", tokens=20)`; settings as in Settings."""
    check_name(name)
    training = Training(model, tokenizer, task, **settings)
    for _ in training:
        pass
    return training.prompt(name)


@contextmanager
def _frozen(model: torch.nn.Module) -> Iterator[None]:
    """No weight wants a gradient and no dropout runs; both as before afterwards."""
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        for weight, _ in wanted:
            weight.requires_grad_(False)
        with evaluating(model):
            yield
    finally:
        for weight, flag in wanted:
            weight.requires_grad_(flag)


def _blocks(parts: list[list[int]], length: int) -> list[torch.Tensor]:
    """Each part as (blocks, length) ids, the rest dropped; a short text gets shorter blocks."""
    length = min(length, *map(len, parts))
    if length < 16:
        raise TrainingError(
            f"the text is too short: {sum(map(len, parts))} tokens, of which a tenth must be 16 or more; "
            "give at least a page"
        )
    return [torch.tensor(ids[: len(ids) // length * length], dtype=torch.long).view(-1, length) for ids in parts]


def _order(blocks: int, settings: Settings) -> Iterator[torch.Tensor]:
    """Which blocks each step takes: all of them in a new order, again and again."""
    generator = torch.Generator().manual_seed(settings.seed)
    left: list[int] = []
    while True:
        while len(left) < settings.batch:
            left += torch.randperm(blocks, generator=generator).tolist()
        yield torch.tensor(left[: settings.batch])
        left = left[settings.batch :]


def _schedule(number: int, settings: Settings) -> float:
    """The share of the peak rate at step `number`: up in a line, down in a cosine to the floor."""
    rising = max(1, round(settings.warmup * settings.steps))
    if number <= rising:
        return number / rising
    progress = (number - rising) / max(1, settings.steps - rising)
    return settings.floor + (1 - settings.floor) * (1 + math.cos(math.pi * progress)) / 2
