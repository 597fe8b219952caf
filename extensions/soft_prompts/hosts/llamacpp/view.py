"""`GgufView(model, text)`: what the core may know of a GGUF model and the tokenizer of the server that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import InvalidPrompt
from .model import GgufModel


class GgufView:
    """A View: width, rows, `embed(ids)` in the space of the embedding module's output, `inner_ids(text)`.

    inner: of the server that runs the model; without one, a text has no ids.
    """

    def __init__(self, model: GgufModel, inner: Callable[[str], list[int]] | None = None) -> None:
        self.model = model
        self.inner_ids = inner or _no_tokenizer

    @property
    def width(self) -> int:
        """Of one vector."""
        return self.model.width

    @property
    def rows(self) -> int:
        """How many ids can be asked for."""
        return self.model.rows

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(len(ids), width) float32."""
        return self.model.embed(ids)


class NoTokenizer(InvalidPrompt):
    """A text was to become vectors, and there is no server that could say its ids."""


def _no_tokenizer(text: str) -> list[int]:
    raise NoTokenizer("it is a text, which every model reads as it is: paste its words")
