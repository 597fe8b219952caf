"""`Wiring(gr)`: what all sections of the panel are made of; one code base for gradio 4.37 and 6.

The webui brings its own build of 4.37, which swallows words that it does not know: each word that we pass stands in the
signatures of both, and a test holds that.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class Wiring:
    """`Wiring(gr).script(button.click, "() => []")`: events, as both versions of gradio want them."""

    gr: Any

    @property
    def private(self) -> dict[str, Any]:
        """Our events are no part of the host's API; gradio 4 and 6 have different words for that."""
        return dict(_private(self.gr))

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
