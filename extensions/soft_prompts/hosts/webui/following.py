"""`Following(shared, changed).start()`: sees the webui load, change and unload models, for which it has no hook.

The functions that do so are bound by name in many modules of the webui; what they all do is to assign
`shared.model` and `shared.tokenizer`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

_NAMES = frozenset({"model", "tokenizer", "input_elements", "user_config"})
"""input_elements is assigned whenever the interface is built anew: after "Apply flags/extensions and restart".
user_config is assigned when the settings of a model are saved."""

log = logging.getLogger("textgen")


class Following:
    """Mutates `modules.shared`: its class, until `stop()`. changed(name): one of its names was assigned."""

    def __init__(self, shared: ModuleType, changed: Callable[[str], None]) -> None:
        self._shared = shared
        self._changed = changed
        self._ours: type | None = None
        self._previous: type = type(shared)

    def start(self) -> None:
        """From now on every assignment is seen, in the thread that makes it."""
        self._previous = type(self._shared)
        following = self

        class Shared(self._previous):  # type: ignore[name-defined]
            def __setattr__(self, name: str, value: Any) -> None:
                super().__setattr__(name, value)
                if name in _NAMES and following._ours is Shared:
                    following._tell(name)

        Shared.__name__ = Shared.__qualname__ = self._previous.__name__
        self._ours = Shared
        self._shared.__class__ = Shared

    def stop(self) -> None:
        """Put the class back; where somebody else has changed it since, ours only falls silent."""
        ours, self._ours = self._ours, None
        if ours is not None and type(self._shared) is ours:
            self._shared.__class__ = self._previous

    def _tell(self, name: str) -> None:
        try:
            self._changed(name)
        except Exception:
            # The webui is loading a model: whatever is wrong with us, that must go on.
            log.exception("soft prompts could not follow the webui's model")
