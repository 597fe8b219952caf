"""What a panel may know of the host it stands in: records and the `Host` protocol; no gradio, no torch, no webui.

A panel shows these records and calls these methods, and nothing else, so that the same panel runs in the webui and
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

Verdict = Literal[
    "fits", "relative", "unknown", "text", "stranger", "width", "unreadable", "shadowed", "missing", "no model"
]


@dataclass(frozen=True)
class Health:
    """One line that a writer reads first. state: "ready", "waiting" (no model yet), "off" (by the writer), "cannot"."""

    state: Literal["ready", "waiting", "off", "cannot"]
    line: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """One file of the library as a panel lists it; tokens: 0 where they are not known without a model."""

    name: str
    file: str
    tokens: int
    verdict: Verdict
    reason: str = ""
    description: str = ""
    pinned: str = ""

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


@dataclass(frozen=True)
class Scope:
    """Where a pin counts. key: "everywhere", "character:Emma" or "chat:20261125-08-09"; label: in a writer's words."""

    key: str
    label: str


EVERYWHERE = Scope("everywhere", "everywhere")


class Host(Protocol):
    """What a panel asks of its host. Any thread may call any method; those that fail raise SoftPromptError."""

    @property
    def folder(self) -> str:
        """Where the files are dropped."""

    @property
    def revision(self) -> str:
        """Changes whenever anything below would answer differently: what a panel polls."""

    def health(self) -> Health:
        """Whether tags work now, and if not, why."""

    def rows(self) -> Sequence[Row]:
        """Every file of the library, by name, also those that cannot be used, with the reason."""

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
