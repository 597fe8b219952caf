"""`Wrapped(model, "generate", around).install()`: one callable of somebody else's object, wrapped until `restore()`."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any


class Wrapped:
    """`Wrapped(owner, "name", around).install()` mutates the owner: calls go through `around(original, *args, ...)`.

    owner: an object, whose class's method is looked up at call time, or a module. What was there may be a Wrapped
    itself. `restore()` undoes it; who kept the wrapper gets the original from then on.
    """

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        method = getattr(owner, name)
        # Without its __dict__: of a Wrapped, that is all that makes it what it is.
        functools.update_wrapper(self, method, updated=())
        with contextlib.suppress(TypeError, ValueError):  # some callables written in C have none
            self.__signature__ = inspect.signature(method)
        self._owner = owner
        self._name = name
        self._around: Callable[..., Any] | None = around
        self._previous = vars(owner).get(name)

    @property
    def live(self) -> bool:
        """False once it is restored; whoever kept it since still calls through it."""
        return self._around is not None

    @property
    def original(self) -> Callable[..., Any]:
        """What is called in the end when this one is taken away."""
        if self._previous is not None:
            return self._previous  # type: ignore[no-any-return]
        return getattr(type(self._owner), self._name).__get__(self._owner)  # type: ignore[no-any-return]

    def install(self) -> Wrapped:
        """Put it in the place of the original."""
        setattr(self._owner, self._name, self)
        return self

    def restore(self) -> None:
        """Put the original back; where somebody has wrapped this one since, it only falls silent."""
        if vars(self._owner).get(self._name) is self:
            delattr(self._owner, self._name)
            if self._previous is not None:
                setattr(self._owner, self._name, self._previous)
        self._around = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._around is None:
            return self.original(*args, **kwargs)
        return self._around(self.original, *args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A copy of the model has the hooks, so it must have the safe lists, too; but for itself, not for the original.
        copied = object.__new__(type(self))
        copied.__dict__ = {**self.__dict__, "_owner": memo.get(id(self._owner), self._owner)}
        copied._previous = copy.deepcopy(self._previous, memo)
        return copied
