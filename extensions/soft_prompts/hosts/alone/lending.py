"""`Lending(model)` and `Trying(model, host)`: the model of a panel that stands alone, for a training and for trials."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from ...errors import SoftPromptError
from ..protocol import Piece
from .model import Model


class Switched(Protocol):
    """Whether soft prompts are on."""

    @property
    def on(self) -> bool:
        """The master switch."""


class Lending:
    """See `hosts.protocol.Lends`. words: as a command line names the model."""

    way: Literal["here", "worker", "none"] = "here"

    def __init__(self, model: Model, words: Sequence[str] = ()) -> None:
        self._model = model
        self._words = words

    @property
    def reason(self) -> str:
        """Why nothing can be trained."""
        return "" if self._model.loading else self._model.problem

    def waits(self) -> Iterator[None]:
        """Until the model is there, or cannot be."""
        return self._model.waited()

    def borrow(self) -> tuple[Any, Any]:
        """The pair, attached; raises SoftPromptError where it is not there."""
        attached = self._model.there().attached
        return attached.model, attached.tokenizer

    def step(self) -> AbstractContextManager[Any]:
        """Nothing else is computed meanwhile; whoever writes has the next turn."""
        return self._model.turns()

    original: str | None = None

    def learn_on(self, original: str) -> None:
        """There is nothing to choose."""
        raise SoftPromptError("this model is trained on where it is")

    def model_words(self) -> Sequence[str]:
        """As the command line takes it."""
        return self._words

    def release(self) -> Callable[[], None]:
        """There is no need: it is trained on where it is."""
        raise SoftPromptError("this model stays loaded: a training learns on it where it is")


class Trying:
    """See `hosts.protocol.Tries`."""

    def __init__(self, model: Model, host: Switched) -> None:
        self._model = model
        self._host = host

    @property
    def reason(self) -> str:
        """Why nothing can be tried now."""
        if self._model.loading:
            return "The model is being loaded: wait a moment."
        return self._model.problem or ("" if self._host.on else "Soft prompts are switched off.")

    def write(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        """Both columns; raises SoftPromptError."""
        from ..hf.trial import trial

        served = self._model.there()
        found: Iterator[tuple[int, Piece]] = trial(
            served.attached, left, right, tokens=tokens, seed=seed, temperature=temperature, turn=self._model.turns
        )
        return found
