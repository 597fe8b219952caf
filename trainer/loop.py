"""`for step in Training(model, tokenizer, Finetune("noir.txt"), tokens=20): ...`: a generator of Steps; `break` stops.

The recipe: AdamW on a float32 copy of the vectors, a rate in units of the embeddings' own RMS (one setting then
serves all models), warm-up, cosine, clipped gradients, and the best step on the validation part.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import TrainingError
from ..hosts.hf.view import origin_of
from ..prompt import SoftPrompt, check_name
from . import record
from .checkpoint import Keeper, State, Told
from .engine import Engine
from .evaluate import HeldOut, Report
from .fitting import Estimate, estimate
from .initial import Start, from_words
from .judging import OTHER_TYPE, judge, skip
from .lesson import Preparation, Watch, Written
from .reader import Reader
from .settings import BETAS, Settings
from .tasks import Task, check_task
from .writing import goes_on

SAVED = 15.0
"""Seconds between two checkpoints, at most a step more; each look at the validation part makes one, too."""


@dataclass(frozen=True)
class Step:
    """One step, done: number counts from 1 to steps; loss, validation and best so far in nats per token.

    rate: as it was applied. validation: only where it was looked at. best: the initial prompt counts, too. tokens: that
    counted, of all processes. skipped: why the step changed nothing, or empty.
    """

    number: int
    steps: int
    loss: float
    rate: float
    seconds: float
    best: float
    validation: float | None = None
    tokens: int = 0
    skipped: str = ""


class Training:
    """`training = Training(model, tokenizer, task, tokens=20)`; iterate, then `training.prompt("noir")`.

    To iterate again begins anew; a keeper that resumes goes on.

    The model is frozen within each step, and exactly as before between two of them and afterwards.
    settings: the fields of Settings. start: what the prompt is at first (initial.py). keeper: writes checkpoints, and
    goes on from one. lock: entered around each step and each piece of a preparation or a report, for a model that
    others use. watch: called between these pieces with (what, done, total). Raises TrainingError or InvalidFile,
    before the first step where that is possible.

    notes: what a writer should know of the data and of a run that goes on. state: all that it is between two steps.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        task: Task,
        *,
        start: Start = from_words,
        keeper: Keeper | None = None,
        lock: Callable[[], AbstractContextManager[Any]] = nullcontext,
        watch: Watch | None = None,
        **settings: Any,
    ) -> None:
        check_task(task)
        self.reader = Reader(model, tokenizer)
        self.lesson = task.lesson(self.reader)
        self.settings = Settings.of({**self.lesson.defaults, **settings})
        self._tokenizer = tokenizer
        self._keeper = keeper
        self._lock = lock
        self._watch = watch or (lambda what, done, total: None)
        self._work = ExitStack()
        self._prefix, self._text = len(self.reader.head) + self.settings.tokens, self.lesson.fit(self.settings)
        self._check_length()
        self._scale = self.reader.scale(self.lesson.words)
        self._initial = start(self.reader, self.lesson.words, self.settings.tokens, self.settings.seed)
        self._made_for: dict[str, str] | None = None
        self._prepared: list[Preparation] = []
        self.notes = list(self.lesson.notes)
        self._reset()

    def __iter__(self) -> Iterator[Step]:
        with self._keeper.alone(self._engine.crowd) if self._keeper else nullcontext():
            yield from self._steps()

    def _steps(self) -> Iterator[Step]:
        self._reset()
        self._resume()
        self.prepare()
        state, chosen = self.state, self.settings
        vectors = state.vectors.clone().requires_grad_(True)
        optimizer = _optimizer(vectors, state)
        if not state.done:
            with self._working():
                state.lowest = state.begun = self._validate(vectors)
            if not math.isfinite(state.begun):
                raise TrainingError(f"before the first step the loss is {state.begun}: {OTHER_TYPE}")
        saved = time.monotonic()
        while state.done < chosen.steps and not state.ended:
            with self._working():
                step = self._advance(vectors, optimizer)
            state.seconds += step.seconds
            last = state.done == chosen.steps or state.ended
            if step.validation is not None or last or time.monotonic() - saved > SAVED:
                self._save(better=state.best_step == state.done)
                saved = time.monotonic()
            yield step

    def prepare(self) -> None:
        """Let the model write what the task needs; called before the first step, if not by you."""
        self._prepare(self.lesson.prepare)
        self._prepare(self.lesson.prepare_test)

    def prompt(self, name: str, held_out: HeldOut | None = None) -> SoftPrompt:
        """The best prompt so far, with its history and its result on the test part in the metadata."""
        held_out = held_out or self.held_out()
        return self._named(name, {"held_out": f"{held_out.prompt:.4f}", "base": f"{held_out.base:.4f}"})

    def held_out(self) -> HeldOut:
        """Nats per token on the test part, which nothing else looks at."""
        self._prepare(self.lesson.prepare_test)
        with self._working():
            test, objective = self.lesson.test.all, self.lesson.objective
            return HeldOut(
                self._engine.mean(None, objective, test), self._engine.mean(self.state.best, objective, test)
            )

    def report(self) -> Report:
        """Everything measured on the test part: nothing, the text in its forms, the prompt; and what it costs."""
        self._prepare(self.lesson.prepare_test)
        with self._working():
            looked = self._engine.looked
            return self.lesson.report(self._tokenizer, self.state.best, self.settings, looked, self._between)

    def write(self, opening: str, tokens: int = 40, seed: int = 0, prompted: bool = True, best: bool = False) -> str:
        """How the model goes on behind the prompt as it is now, or the best so far, or without: the same for a seed."""
        vectors = (self.state.best if best else self.state.vectors) if prompted else None
        with self._working():
            return goes_on(self.reader, self._tokenizer, vectors, opening, tokens, seed)

    def estimate(self) -> Estimate:
        """What a step will need in memory, before the first one."""
        return estimate(self.reader, self._prefix, self._text, self.settings.batch, self.settings.recompute)

    def checkpoint(self) -> None:
        """Save where the training stands, for who ends it between two steps and goes on later; raises InvalidFile."""
        self._save(better=False)

    def keep(self, prompt: SoftPrompt, files: dict[str, bytes] | None = None) -> None:
        """`training.keep(training.prompt("noir"))`: write the finished prompt through the keeper; raises InvalidFile.

        What only served to go on is taken away. files: by their names, to stand beside it, such as a report.
        """
        if self._keeper is not None:
            keeper = self._keeper
            self._engine.crowd.agreed(lambda: keeper.finish(prompt, files or {}))

    @property
    def done(self) -> int:
        """Steps made so far."""
        return self.state.done

    @property
    def ended(self) -> str:
        """Why the training ended before its last step, or empty."""
        return self.state.ended

    @property
    def rows(self) -> int:
        """Rows that are read at once: as estimated, or as many as memory has turned out to hold."""
        return self._engine.rows

    @property
    def recompute(self) -> bool:
        """Whether what is inside the layers is computed twice, since memory holds no more."""
        return self._engine.recompute

    @property
    def first(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self._engine.crowd.rank == 0

    def _prepare(self, preparation: Preparation) -> None:
        """Once. Who measures a prompt that is there already needs the test part alone."""
        if preparation in self._prepared:
            return
        written = Told(self._keeper.written(self._identity) if self._keeper else Written(), self._engine.crowd)
        with self._working():
            preparation(self.settings, self._between, written)
        self._prepared.append(preparation)

    def _advance(self, vectors: torch.Tensor, optimizer: torch.optim.Optimizer) -> Step:
        """One step: gradient, rate, change, and now and then a look at the validation part."""
        state, chosen = self.state, self.settings
        started, number = time.monotonic(), state.done + 1
        rate = chosen.rate * self._scale * chosen.share(number)
        optimizer.param_groups[0]["lr"] = rate
        terms = self.lesson.terms(number, chosen)
        loss, vectors.grad = self._engine.gradient(vectors, terms)
        skipped = "" if _finite(loss, vectors.grad) else f"the loss or its gradient is not finite ({loss})"
        if skipped:
            skip(state, number, chosen)
        else:
            torch.nn.utils.clip_grad_norm_([vectors], chosen.clip)
            optimizer.step()
            state.take(vectors, optimizer.state[vectors])
        state.done = number
        validation = None
        if number % chosen.validate == 0 or number == chosen.steps:
            validation = self._validate(vectors)
            judge(state, validation, chosen)
        state.history.append((number, loss, validation))
        spent, tokens = time.monotonic() - started, sum(term.batch.count for term in terms)
        return Step(number, chosen.steps, loss, rate, spent, state.lowest, validation, tokens, skipped)

    def _validate(self, vectors: torch.Tensor) -> float:
        return self._engine.mean(vectors.detach(), self.lesson.objective, self.lesson.validation.all)

    def _reset(self) -> None:
        self.state = State.fresh(self._initial)
        found = self.estimate()
        may = self.settings.recompute is None
        self._engine = Engine(self.reader, self.settings.micro or found.rows, found.recompute, may)

    def _resume(self) -> None:
        if self._keeper is None:
            return
        keeper, engine = self._keeper, self._engine
        state, notes = engine.crowd.agreed(lambda: keeper.open(self._identity, self._machine))
        self.notes += notes
        if state is None and keeper.resume:
            self.notes.append("there is no training of this name to go on with, so it begins at the first step")
        if state is not None:
            self.state = state
            engine.rows, engine.measured = min(state.rows, self.settings.micro or state.rows), True
            engine.recompute = state.recompute if self.settings.recompute is None else self.settings.recompute
            self.notes.append(f"going on from step {state.done} of {self.settings.steps}")

    def _save(self, better: bool) -> None:
        if self._keeper is None or not self.first:
            return
        prompt = None
        if better or self._keeper.behind or not self._keeper.path.exists():
            prompt = self._named(self._keeper.name, {"validation": f"{self.state.lowest:.4f}"})
        self.state.rows, self.state.recompute = self._engine.rows, self._engine.recompute
        self._keeper.save(self.state, self._identity, self._machine, prompt)

    def _named(self, name: str, scores: dict[str, str]) -> SoftPrompt:
        return record.prompt(name, self.state, self.settings, self.lesson, {**scores, **self._model})

    @property
    def _model(self) -> dict[str, str]:
        if self._made_for is None:
            self._made_for = origin_of(self.reader.base, self._tokenizer)
        return self._made_for

    @property
    def _identity(self) -> dict[str, Any]:
        return record.identity(self.settings, self.lesson, self._initial, self._model)

    @property
    def _machine(self) -> dict[str, Any]:
        return record.machine(self.reader, self._engine.crowd)

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            self._take()
            yield
        finally:
            self._work.close()

    def _take(self) -> None:
        self._work.enter_context(self._lock())
        self._work.enter_context(self._engine.frozen())

    def _between(self, what: str, done: int, total: int) -> None:
        """A preparation and a report are long: between two pieces of them the model is others' as between two steps."""
        self._work.close()
        self._watch(what, done, total)
        self._take()

    def _check_length(self) -> None:
        longest = self.reader.longest
        length = self._prefix + self._text
        if longest and length > longest:
            raise TrainingError(
                f"a prompt of {self.settings.tokens} tokens and rows of {self._text} do not fit into the model's "
                f"{longest}: lower tokens or block"
            )


def train(model: Any, tokenizer: Any, task: Task, name: str, **options: Any) -> SoftPrompt:
    """`noir = train(model, tokenizer, Finetune("noir.txt"), name="noir", tokens=20)`; options as in Training."""
    check_name(name)
    training = Training(model, tokenizer, task, **options)
    for _ in training:
        pass
    return training.prompt(name)


def _optimizer(vectors: torch.Tensor, state: State) -> torch.optim.AdamW:
    optimizer = torch.optim.AdamW([vectors], betas=BETAS, weight_decay=0.0)
    if state.applied:
        moments = {"step": torch.tensor(float(state.applied)), "exp_avg": state.first, "exp_avg_sq": state.second}
        optimizer.state[vectors] = {key: value.clone() for key, value in moments.items()}
    return optimizer


def _finite(loss: float, gradient: torch.Tensor) -> bool:
    return math.isfinite(loss) and bool(torch.isfinite(gradient).all())
