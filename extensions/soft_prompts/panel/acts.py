"""`Acts(gr, parts, host.context()).on(button.click, panel.pin, "said")`: an answer becomes updates of components."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from .answers import Asked, Changes, answer, answers
from .parts import Wiring

UNANSWERED = (
    "poll", "bell", "insert", "copy", "copy_report", "close_report", "called", "look", "line", "again",
)  # fmt: skip
"""Components that no answer changes."""


@dataclass(frozen=True)
class Acts:
    """parts: {name: component}, which has those of `Asked` and of `Changes`. context: what the host asks for."""

    gr: Any
    parts: dict[str, Any]
    context: Sequence[Any]

    def on(
        self, event: Callable[..., Any], act: Callable[..., Changes], where: str, *takes: str,
        gives: Sequence[str] = (), **more: Any,
    ) -> Any:  # fmt: skip
        """where: what goes wrong stands in that component. takes: what the act gets besides what is asked.

        gives: the components that it may change, where these are few.
        """

        def act_on(*sent: Any) -> list[Any]:
            extra, asked = sent[: len(takes)], self._asked(sent[len(takes) :])
            return wiring.updates(answer(_with(act, extra), asked, where), names)

        wiring, names = Wiring(self.gr), list(gives or self._outputs)
        inputs = [*(self.parts[name] for name in takes), *self._inputs]
        return event(act_on, inputs, [self.parts[name] for name in names], **{**wiring.quick, **more})

    def polls(self, act: Callable[[Asked], Changes], moved: Callable[[Asked], bool], where: str) -> tuple[Any, Any]:
        """(what follows on each question of a page for news, on those that drew some)."""
        rung = Wiring(self.gr).polled(
            self.parts["poll"], self.parts["bell"], self._inputs, lambda *sent: moved(self._asked(sent))
        )
        return rung, self.on(self.parts["bell"].change, act, where, trigger_mode="always_last")

    def stream(self, event: Callable[..., Any], act: Callable[[Asked], Iterator[Changes]], where: str) -> Any:
        """For what comes piece by piece, all of it in one component; others are answered meanwhile."""

        def act_on(*sent: Any) -> Iterator[Any]:
            for changes in answers(act, self._asked(sent), where):
                yield Wiring(self.gr).updates(changes, [where])[0]

        how = {"show_progress": "hidden", "concurrency_limit": 4, **Wiring(self.gr).private}
        return event(act_on, self._inputs, [self.parts[where]], **how)

    def script(self, event: Callable[..., Any], code: str, *takes: str, gives: Sequence[str] = ()) -> None:
        """What happens in the page alone."""
        parts = self.parts
        Wiring(self.gr).script(event, code, [parts[name] for name in takes], [parts[name] for name in gives])

    @property
    def _inputs(self) -> list[Any]:
        return [*(self.parts[name] for name in _ASKED), *self.context]

    @property
    def _outputs(self) -> list[str]:
        return [name for name in self.parts if name not in UNANSWERED]

    def _asked(self, sent: Sequence[Any]) -> Asked:
        return replace(Asked(*sent[: len(_ASKED)]), values=tuple(sent[len(_ASKED) :]))


_ASKED = [field.name for field in fields(Asked) if field.name != "values"]


def _with(act: Callable[..., Changes], extra: Sequence[Any]) -> Callable[[Asked], Changes]:
    def on_asked(asked: Asked) -> Changes:
        return act(asked, *extra)

    on_asked.__name__ = act.__name__
    return on_asked
