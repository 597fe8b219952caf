"""`Trying(webui).write(left, right)`: the webui's model writes two texts side by side; see `hosts.protocol.Tries`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from ...errors import SoftPromptError
from ..protocol import Piece
from . import contract

if TYPE_CHECKING:
    from .host import Webui
    from .serving import Serves


class Trying:
    """Takes the webui's lock for a token or a few, so that what others write comes between."""

    def __init__(self, webui: Webui) -> None:
        self._webui = webui

    @property
    def reason(self) -> str:
        """Why nothing can be tried now, in words; empty where it can."""
        current = self._webui.current
        if not self._webui.desk.on:
            return "Soft prompts are switched off: switch them on in the Library."
        if current.reason:
            return f"Tags do not work with this model: {current.reason}."
        return "" if current.served is not None else "No model is loaded: load one in the Model tab."

    def write(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        """Both columns; raises SoftPromptError."""
        served = self._webui.current.answers
        if served is None:
            raise SoftPromptError(self.reason or "The model has just gone: load one in the Model tab.")
        turn = partial(self._turn, served)
        return served.trial(left, right, tokens=tokens, seed=seed, temperature=temperature, turn=turn)

    @contextmanager
    def _turn(self, served: Serves) -> Iterator[None]:
        with getattr(self._webui.shared, "generation_lock", None) or nullcontext():
            if self._webui.current.served is not served:
                raise SoftPromptError("The model has gone in the middle of it: load it, and write again.")
            contract.awake()
            yield
            contract.awake()
