"""`Serves` and `Asks`: what a loader's adapter does for the webui's host, and what it asks of it. Protocols only.

ids are (1, length) in whatever array the loader itself uses: torch's or numpy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from ...fingerprint import Described, Fit
from ...prompt import SoftPrompt, TextPrompt
from ...slots import Slot
from ...tags import Tag
from ..protocol import Piece, Turn


class Serves(Protocol):
    """A model of the webui, attached."""

    tokenizer: Any
    kind: str
    verdicts: dict[Any, Any]
    """What a list says of its files, for as long as this model is loaded."""

    @property
    def tested(self) -> str:
        """What is known of whether tags work on it, in words."""

    def serves(self, model: Any, tokenizer: Any) -> bool:
        """Whether this pair is the one attached."""

    def close(self) -> None:
        """Undo everything. Let running generations end before."""

    def place(self, tag: Tag) -> Slot:
        """The ids and vectors of a tag; raises SoftPromptError with the reason why there are none."""

    def fit(self, prompt: Described) -> Fit:
        """Whether the prompt was made for this model; a file's header is enough to tell."""

    def tokens(self, text: str) -> int:
        """What a text prompt costs on this model."""

    def resembles(self, name: str) -> list[str]:
        """For each vector of a prompt the token it is nearest to, as one reads it; raises SoftPromptError."""

    def baked(self, prompt: TextPrompt) -> SoftPrompt:
        """The vectors that a text has on this model, made for it; raises SoftPromptError."""

    def arranged(self, ids: Any, whole: Callable[[], Any], pins: Sequence[int], limit: int) -> Any:
        """What the webui has encoded and cut, with pins, arranged anew within its `limit`.

        whole: the same prompt before the cut, asked for only where there may have been one.
        """

    def reached(self, ids: Any) -> list[Slot]:
        """The slot of each whole tag in the ids, in their order."""

    def allow(self, ids: Any, new_tokens: int) -> Any:
        """The same ids, behind which the model writes `new_tokens` at most: the webui counted without our part."""

    def next_logits(self, host: Any, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """The webui's `_get_next_logits`, called with what it was asked."""

    def entries(
        self, call: Callable[..., list[dict[str, Any]]], prompt: str, count: int, ids: Any, pins: Sequence[int]
    ) -> list[dict[str, Any]]:
        """The webui's log probabilities of a prompt's tokens: placeholders have none, and pins are heard, not shown."""

    def trial(
        self, left: str, right: str, *, tokens: int, seed: int, temperature: float, turn: Turn
    ) -> Iterator[tuple[int, Piece]]:
        """See `hosts.protocol.Tries.write`; turn: entered around a token or a few. A tag that means nothing raises."""


class Asks(Protocol):
    """What an adapter asks of the webui's host."""

    def arranged(self, state: dict[str, Any], prompt: str, ids: Any) -> Any:
        """The ids that the model shall read, pins and all."""

    def logits_pins(self, prompt: str, ids: Any) -> Sequence[int]:
        """The pins of a prompt of which only the next token is asked for."""

    def dropped(self, tags: list[Tag], why: str = "") -> None:
        """Tags that a request cannot have; why: if not because of what the whole loader lacks."""

    def favourites(self) -> Sequence[Tag]:
        """Tags that are pinned or were used, the most wanted first."""

    def told(self, words: str) -> None:
        """Something the writer should know while a request waits, as a toast and in the log."""
