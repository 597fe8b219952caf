"""`Wiring(gr)`: what all sections of the panel are made of; one code base for gradio 4.37 and 6.

The webui brings its own build of 4.37, which swallows words that it does not know: each word that we pass stands in the
signatures of both, and a test holds that.
"""

from __future__ import annotations

import inspect
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Protocol

from ..hosts.protocol import Host


class Section(Protocol):
    """One part of the tab. `build` is called once for each interface, within its own `gr.Tab`."""

    title: str
    """What its button says."""
    key: str
    """Of its place in the page: `sp-KEY` is its element's id."""

    @property
    def css(self) -> str:
        """Its look."""

    @property
    def js(self) -> str:
        """Statements to run once in the page, after `window.softPrompts` is there."""

    def build(self, gr: Any, host: Host) -> None:
        """Its components and events."""

    def mark(self) -> str:
        """What goes on in it, as a word for its tab; empty: nothing. Asked often, by every page."""


@dataclass(frozen=True)
class Wiring:
    """`Wiring(gr).script(button.click, "() => []")`: events, as both versions of gradio want them."""

    gr: Any

    @property
    def private(self) -> dict[str, Any]:
        """Our events are no part of the host's API; gradio 4 and 6 have different words for that."""
        return dict(_private(self.gr))

    @property
    def quick(self) -> dict[str, Any]:
        """Without the queue: what takes milliseconds must not wait behind a story that is being written."""
        return {"queue": False, "show_progress": "hidden", **self.private}

    def updates(self, changes: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> list[Any]:
        """What an event gives for its outputs, of these names.

        A value alone is given as it is: for an update gradio builds the component anew, also for one without a change.
        """
        return [self._update(changes.get(name, {})) for name in names]

    def _update(self, change: Mapping[str, Any]) -> Any:
        return change["value"] if list(change) == ["value"] else self.gr.update(**change)

    def polled(self, poll: Any, bell: Any, inputs: Sequence[Any], moved: Callable[..., bool], **more: Any) -> Any:
        """A page's question for news: the text of `bell` is another one where there are some, and its `change` draws.

        All pages ask all the time and mostly in vain, and gradio builds each output of an event anew: here it is one.
        """

        def ring(*sent: Any) -> str:
            try:
                news = moved(*sent[:-1])
            except Exception:
                news = True  # drawing them says what is wrong
            return secrets.token_hex(4) if news else str(sent[-1])

        return poll.click(ring, [*inputs, bell], [bell], **self.quick, **more)

    def script(self, event: Callable[..., Any], code: str, takes: Sequence[Any] = (), gives: Sequence[Any] = ()) -> Any:
        """What happens in the page alone."""
        return event(None, list(takes), list(gives), js=code, **self.private)

    def tab(self, title: str, name: str) -> Any:
        """A tab that is drawn at once: gradio 6 forgets what is given to a component that it has not drawn."""
        known = inspect.signature(self.gr.Tab).parameters
        whole = {"render_children": True} if "render_children" in known else {}
        return self.gr.Tab(title, elem_id=name, **whole)


@cache
def _private(gr: Any) -> tuple[tuple[str, Any], ...]:
    """Found once: there are many events, and gradio takes its time for a component."""
    known = inspect.signature(gr.Button("", render=False).click).parameters
    return (("show_api", False),) if "show_api" in known else (("api_visibility", "private"),)


def button(gr: Any, words: str, name: str, variant: str = "secondary") -> Any:
    """As small as its words."""
    return gr.Button(words, size="sm", scale=0, min_width=120, variant=variant, elem_id=name)


def asset(package: str, name: str) -> str:
    """A file that stands beside a section."""
    return resources.files(package).joinpath(name).read_text("utf-8")
