"""`Section("Speed").row(...)`: what a section found, as Markdown, and which targets it met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Target:
    """What must hold: `value` at most (or at least) `limit`. A stretch is told, and never missed."""

    name: str
    value: float
    limit: float
    least: bool = False
    stretch: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit

    def __str__(self) -> str:
        wanted = f"{'>=' if self.least else '<='} {self.limit:g}{' (stretch)' if self.stretch else ''}"
        return f"| {self.name} | {wanted} | {self.value:.3f} | {'met' if self.met else 'not met'} |"


@dataclass
class Section:
    """A heading, one table or several, sentences about how it was made, and targets."""

    title: str
    lines: list[str] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def table(self, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """One more table."""
        self.lines += ["", _row(header), _row(["---"] * len(header)), *map(_row, rows)]

    def say(self, sentence: str) -> None:
        """One more paragraph."""
        self.lines += ["", sentence]

    def most(self, name: str, value: float, limit: float, stretch: bool = False) -> None:
        """`value` must be `limit` at most."""
        self.targets.append(Target(name, value, limit, stretch=stretch))

    def least(self, name: str, value: float, limit: float, stretch: bool = False) -> None:
        """`value` must be `limit` at least."""
        self.targets.append(Target(name, value, limit, least=True, stretch=stretch))

    @property
    def missed(self) -> list[Target]:
        return [each for each in self.targets if not each.met and not each.stretch]

    def __str__(self) -> str:
        targets = ["", "| target | wanted | measured | |", "|---|---|---|---|", *map(str, self.targets)]
        return "\n".join([f"### {self.title}", *self.lines, *(targets if self.targets else [])]) + "\n"


def _row(cells: Sequence[object]) -> str:
    return "|---" * len(cells) + "|" if cells and cells[0] == "---" else f"| {' | '.join(map(str, cells))} |"
