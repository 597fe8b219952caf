"""`Lent(model, tokenizer, lock, rest)`: a model that is there already and that others use; torch-free."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from ..errors import TrainingError


class Withdrawn(TrainingError):
    """The model that was lent is wanted back; what was learnt until now is kept, and can be gone on with."""


@dataclass(frozen=True)
class Lent:
    """lock: entered around each piece of work. rest: called between two pieces, for as long as it likes.

    Both may raise Withdrawn: then the training ends where it stands, and can be gone on with.
    """

    model: Any
    tokenizer: Any
    lock: Callable[[], AbstractContextManager[Any]] = nullcontext
    rest: Callable[[], None] = lambda: None
