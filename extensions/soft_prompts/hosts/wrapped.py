"""`Wrapped(model, "generate", around).install()`: one callable of somebody else's object, wrapped until `restore()`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any


class Wrapped:
    """`Wrapped(owner, "name", around).install()` mutates the owner: calls go through `around(original, *args, ...)`.

    owner: an object, whose class's method is looked up at call time, or a module. `restore()` undoes it; who kept the
    wrapper gets the original from then on.
    """

    def __init__(self, owner: Any, name: str, around: Callable[..., Any]) -> None:
        self._owner = owner
        self._name = name
        self._around: Callable[..., Any] | None = around
        self._previous = vars(owner).get(name)
        method = getattr(owner, name)
        functools.update_wrapper(self, method)
        self.__signature__ = inspect.signature(method)

    def install(self) -> Wrapped:
        setattr(self._owner, self._name, self)
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._around is None:  # somebody kept the method of an attachment that is closed by now
            return self._original()(*args, **kwargs)
        return self._around(self._original(), *args, **kwargs)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        # A copy of the model has the hooks, so it must have the safe lists, too; but for itself, not for the original.
        copied = memo.get(id(self._owner), self._owner)
        return Wrapped(copied, self._name, self._around) if self._around else self._original()

    def restore(self) -> None:
        if vars(self._owner).get(self._name) is self:
            delattr(self._owner, self._name)
            if self._previous is not None:
                setattr(self._owner, self._name, self._previous)
        self._around = None

    def _original(self) -> Callable[..., Any]:
        if self._previous is not None:
            return self._previous  # type: ignore[no-any-return]
        return getattr(type(self._owner), self._name).__get__(self._owner)  # type: ignore[no-any-return]
