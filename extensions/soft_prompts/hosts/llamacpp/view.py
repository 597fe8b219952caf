"""`GgufView(model, text)`: what the core may know of a GGUF model and the tokenizer of the server that runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ...fingerprint import KEY, sample_ids, take
from .model import GgufModel


class GgufView:
    """A View: width, rows, `embed(ids)` in the space of the embedding module's output, `inner_ids(text)`."""

    def __init__(self, model: GgufModel, inner: Callable[[str], list[int]]) -> None:
        self.model = model
        self.inner_ids = inner

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


def origin_of(model: GgufModel) -> dict[str, str]:
    """The metadata that says which model vectors belong to: base_model and fingerprint."""
    ids = sample_ids(len(model.tokens))
    return {"base_model": model.name, KEY: take(model, [model.tokens[each] for each in ids], ids).to_text()}
