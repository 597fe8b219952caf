"""`raise Beside("named", "It needs a name.")`: what is wrong with the form, and the line of it that it stands in."""

from __future__ import annotations

from ..errors import SoftPromptError
from ..panel.markup import said


class Beside(SoftPromptError):
    """A message, and the line of the form that it belongs to."""

    def __init__(self, line: str, message: str) -> None:
        super().__init__(message)
        self.line = line

    @property
    def shown(self) -> str:
        """As HTML."""
        return said(str(self), "bad")


class NameTaken(Beside):
    """A name that is somebody's; the style sheet then shows the box to replace it."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "named", f"There is a soft prompt called “{name}” already. Choose another name, or replace it."
        )

    @property
    def shown(self) -> str:
        """As HTML, with the mark that the style sheet looks for."""
        return f'<div class="sp-taken">{said(str(self), "fair")}</div>'
