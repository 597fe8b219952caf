"""What a panel may know of the host it stands in: records and the `Host` protocol; no gradio, no torch, no webui.

A panel shows these records and calls these methods, and nothing else, so that the same panel runs in the webui and
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ..fingerprint import Described
from ..shelf import Shelf

Verdict = Literal[
    "fits", "relative", "unknown", "text", "stranger", "width", "unreadable", "shadowed", "missing", "no model",
    "long", "off", "refused",
]  # fmt: skip
"""Of a file for the loaded model. The last three a panel finds: no room, switched off, a model that takes no tags."""


@dataclass(frozen=True)
class Health:
    """One line that a writer reads first. state: "ready", "waiting" (no model yet), "off" (by the writer), "cannot"."""

    state: Literal["ready", "waiting", "off", "cannot"]
    line: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One file of the library as a panel lists it; tokens: 0 where they are not known without a model.

    pinned: where, in words; a panel fills it in. author, method, model (that it was made for), score (nats per token on
    text that the training never saw, "1.33 -> 1.16"): as the file says them, or empty. changed: seconds of the epoch.
    """

    name: str
    file: str
    tokens: int
    verdict: Verdict
    reason: str = ""
    description: str = ""
    pinned: str = ""
    author: str = ""
    method: str = ""
    model: str = ""
    score: str = ""
    changed: float = 0.0

    @property
    def tag(self) -> str:
        """What the writer types."""
        return f"<<sp:{self.name}>>"

    @property
    def usable(self) -> bool:
        """Whether its tag does something on the loaded model."""
        return self.verdict in ("fits", "relative", "unknown", "text")


@dataclass(frozen=True)
class Use:
    """What became of one tag of a request. tokens: what it cost, all its places together; problem: why it cost none."""

    tag: str
    tokens: int = 0
    times: int = 1
    pinned: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Request:
    """The last request that a model answered. tokens: of the whole prompt; 0 with no uses: there was none yet."""

    tokens: int = 0
    uses: tuple[Use, ...] = ()
    when: float = 0.0


@dataclass(frozen=True)
class Pin:
    """A prompt that stands at the beginning of every prompt of its scope."""

    name: str
    strength: float = 1.0

    @property
    def at(self) -> str:
        """Behind the name of a place: " at 0.7", and nothing where it stands as it was made."""
        return "" if self.strength == 1 else f" at {self.strength:g}"


@dataclass(frozen=True)
class Room:
    """Tokens of the context, and how many of them are kept for the reply; a context of 0 is not known."""

    context: int = 0
    reply: int = 0

    def lacks(self, tokens: int) -> str:
        """Why a soft prompt of so many tokens has no place, in words; empty where it has. One is kept for the text."""
        if not self.context or tokens < self.context - self.reply:
            return ""
        return (
            f"it needs {tokens:,} tokens, and the context of {self.context:,} keeps {self.reply:,} for the reply: "
            "shorten it, or give it a longer context"
        )


@dataclass(frozen=True)
class Scope:
    """Where a pin counts. key: "everywhere", "character:Emma" or "chat:20261125-08-09"; label: in a writer's words."""

    key: str
    label: str


EVERYWHERE = Scope("everywhere", "everywhere")


@dataclass(frozen=True)
class Piece:
    """What one column of a trial wrote next. change: its log-probability there less that in the other one, in nats."""

    text: str
    change: float = 0.0


Turn = Callable[[], AbstractContextManager[Any]]
"""Entered around each piece of work of the model: nothing else is computed meanwhile."""


class Tries(Protocol):
    """Writing side by side, on the loaded model; raises SoftPromptError where it cannot, in words for the writer."""

    @property
    def reason(self) -> str:
        """Why nothing can be tried now, in words; empty where it can."""

    def write(
        self, left: str, right: str, *, tokens: int = 60, seed: int = 0, temperature: float = 0.7
    ) -> Iterator[tuple[int, Piece]]:
        """(column 0 or 1, what it wrote next) until both have ended; left and right: texts with tags, nothing pinned.

        Both columns draw the same random numbers. Closing the iterator ends it; other requests may come between.
        """


class Writes(Protocol):
    """A text that the loaded model goes on with, for a panel that stands alone."""

    def write(self, text: str, *, tokens: int = 120, seed: int = 0, temperature: float = 0.7) -> Iterator[str]:
        """What comes next, piece by piece, with what is pinned before it; empty pieces while the model is waited for.

        Closing the iterator ends it; other requests may come between. Raises SoftPromptError.
        """


class Lends(Protocol):
    """What a training asks of the host whose model it learns for."""

    @property
    def way(self) -> Literal["here", "worker", "none"]:
        """Whether the loaded model can be trained on, or a process of its own must be, or nothing can be."""

    @property
    def reason(self) -> str:
        """Why it cannot be trained here, and the way that there is, in words."""

    def waits(self) -> Iterator[None]:
        """One None after another for as long as the model is being loaded: who borrows it waits for that."""

    def borrow(self) -> tuple[Any, Any]:
        """(model, tokenizer) as a training takes them; raises SoftPromptError where none is loaded any more."""

    def step(self) -> AbstractContextManager[Any]:
        """Entered around each step: nothing else is computed meanwhile, and the host does not take itself for idle."""

    @property
    def original(self) -> str | None:
        """For a worker: what it learns on; empty: the loaded file; None where there is nothing to choose."""

    def learn_on(self, original: str) -> None:
        """A folder or a name that Transformers knows, from which the loaded file was made; raises SoftPromptError."""

    def model_words(self) -> Sequence[str]:
        """For a worker: `["--model", "/models/emma.gguf"]`, as the command line takes it."""

    def release(self) -> Callable[[], None]:
        """For a worker: unload the host's model, to make room; what is returned loads it again."""


class Host(Protocol):
    """What a panel asks of its host. Any thread may call any method; those that fail raise SoftPromptError."""

    @property
    def folder(self) -> str:
        """Where the files are dropped."""

    @property
    def revision(self) -> str:
        """Changes whenever anything below would answer differently: what a panel polls."""

    def health(self, *values: Any) -> Health:
        """Whether tags work now, and if not, why; values as of `scopes`."""

    def rows(self) -> Sequence[Row]:
        """Every file of the library, by name, also those that cannot be used, with the reason."""

    def fits(self, found: Described) -> tuple[Verdict, str]:
        """Whether a trained prompt that is not in the library would fit the loaded model, and why not."""

    def others(self) -> Sequence[str]:
        """Names of files in the folder that are no soft prompts, and that nothing else is said of."""

    def room(self, *values: Any) -> Room:
        """What a prompt may take at the most; values as of `scopes`."""

    def last_request(self) -> Request:
        """What became of the tags of the last request."""

    def report(self) -> str:
        """All of it as plain text for a bug report; no private text and no paths outside of the library."""

    def context(self) -> Sequence[Any]:
        """Components of the interface around the panel whose values `scopes` takes; empty where there is none."""

    def scopes(self, *values: Any) -> Sequence[Scope]:
        """Where a prompt can be pinned now, `EVERYWHERE` first; values: of the components of `context()`."""

    def pins(self, scope: str) -> Sequence[Pin]:
        """What is pinned there."""

    def left_out(self, scope: str, name: str, *values: Any) -> str:
        """Why what is pinned there would be left out of a prompt now, in words; empty where it would stand."""

    def pin(self, scope: str, name: str, strength: float = 1.0) -> None:
        """Pin it there, or change its strength."""

    def unpin(self, scope: str, name: str) -> None:
        """Take it away; nothing happens where it is not pinned."""

    @property
    def on(self) -> bool:
        """The master switch."""

    def switch(self, on: bool) -> None:
        """Turn all soft prompts on or off; off, tags are left out of what the model reads."""

    def make(self, name: str, text: str) -> Row:
        """A prompt from a sentence, saved into the library: its own tokens, untrained."""

    def on_warning(self, show: Callable[[str], None]) -> None:
        """`show` is called with every warning, in the thread of the request that it is about."""

    @property
    def forbids(self) -> str:
        """Why files may not be changed and nothing may be trained here, in words; empty where they may."""

    @property
    def shelf(self) -> Shelf:
        """The library's files, for what a panel does to them."""

    def bake(self, name: str) -> Row:
        """Of a text in the library, its vectors on the loaded model, as a file beside it; raises SoftPromptError."""

    def resembles(self, name: str) -> Sequence[str]:
        """For each vector the token it is nearest to on the loaded model, as one reads it; raises SoftPromptError."""

    @property
    def tries(self) -> Tries:
        """Writing with and without, side by side."""

    @property
    def lends(self) -> Lends:
        """The loaded model, for a training."""
