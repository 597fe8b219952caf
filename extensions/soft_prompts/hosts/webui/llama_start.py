"""`Starts(server_class, args, plan).install()`: llama-server comes up with soft prompts in it, whenever it is started.

The webui starts one for each model that it loads. With these flags among its own a start needs no second one; only the
model that `--model` loads before any extension is there without them, or with those of its start flag (start_flag.py).
"""

from __future__ import annotations

import logging
import shlex
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ...errors import SoftPromptError
from ..llamacpp.sidecar import Sidecar
from .deploy.flagging import apart

log = logging.getLogger("textgen")

Plan = Callable[[Any], "Sidecar | None"]
"""What a model that is about to be started gets; None: nothing."""
Kept = Callable[[Any, Sidecar], None]
"""Is told what a model was started with."""


class Starts:
    """Mutates the webui's class LlamaServer, until `remove()`.

    args: the webui's flags, which are changed during a start only; plan: is asked at each; kept: is told of it.
    """

    def __init__(self, server: type, args: Any, plan: Plan, kept: Kept = lambda model, sidecar: None) -> None:
        self._server, self._args, self._plan, self._kept = server, args, plan, kept
        self._original: Callable[..., Any] | None = None
        self._sidecars: weakref.WeakKeyDictionary[Any, Sidecar] = weakref.WeakKeyDictionary()
        self._adopted: weakref.WeakSet[Any] = weakref.WeakSet()
        self._chosen: list[Sidecar | None] = []

    def of(self, server: type) -> bool:
        """Whether this is the class that is changed."""
        return self._server is server

    def install(self) -> Starts:
        """From now on."""
        starts, original = self, self._server._start_server  # type: ignore[attr-defined]

        def _start_server(model: Any, *args: Any, **options: Any) -> Any:
            return starts._around(original, model, *args, **options)

        self._original = original
        self._server._start_server = _start_server  # type: ignore[attr-defined]
        return self

    def remove(self) -> None:
        """As it was."""
        if self._original is not None:
            self._server._start_server = self._original  # type: ignore[attr-defined]
            self._original = None

    def sidecar(self, model: Any) -> Sidecar | None:
        """What the server of this model was started with."""
        return self._sidecars.get(model)

    def adopt(self, model: Any, sidecar: Sidecar) -> None:
        """Its server was started before us, and should have this."""
        self._sidecars[model] = sidecar
        self._adopted.add(model)

    def disown(self, model: Any) -> bool:
        """It has not; False: it was not adopted."""
        if model not in self._adopted:
            return False
        self._adopted.discard(model)
        self._sidecars.pop(model, None)
        return True

    def start(self, model: Any, sidecar: Sidecar | None) -> None:
        """Start its server anew with this sidecar or none.

        Where that fails it is started without, and SoftPromptError says what went wrong.
        """
        model.stop()
        self._chosen.append(sidecar)
        try:
            model._start_server()
        except Exception as problem:
            if sidecar is None:
                raise
            model.stop()
            self._chosen.append(None)
            model._start_server()
            raise SoftPromptError(
                f"llama.cpp does not start with soft prompts ({problem}); it was started without, and its own words "
                "are in the webui's terminal"
            ) from problem

    def _around(self, original: Callable[..., Any], model: Any, *args: Any, **options: Any) -> Any:
        ours = not self._chosen
        chosen = self._planned(model) if ours else self._chosen.pop()
        self._sidecars.pop(model, None)
        self._adopted.discard(model)
        try:
            with self._flags(chosen):
                result = original(model, *args, **options)
        except Exception as problem:
            if chosen is None or not ours:
                raise
            log.warning("soft prompts: llama.cpp does not start with them (%s): it is started without", problem)
            model.stop()
            with self._flags(None):
                return original(model, *args, **options)
        if chosen is not None:
            self._sidecars[model] = chosen
            self._kept(model, chosen)
        return result

    def _planned(self, model: Any) -> Sidecar | None:
        try:
            return self._plan(model)
        except (SoftPromptError, ImportError) as problem:  # gguf may be missing
            log.info("soft prompts: this start is without them: %s", problem)
        except Exception:  # a model must be loaded, whatever ails us
            log.exception("soft prompts could not prepare a start of llama.cpp")
        return None

    @contextmanager
    def _flags(self, sidecar: Sidecar | None) -> Iterator[None]:
        before = self._args.extra_flags
        rest, ours = apart(before)  # a start flag is one model's, and that one gets what it is to have now
        if ours:
            self._args.extra_flags = rest
        if sidecar is not None:
            self._args.extra_flags = with_flags(rest if ours else before, sidecar.flags)
        try:
            yield
        finally:
            self._args.extra_flags = before


def with_flags(flags: str | None, more: Sequence[str]) -> str:
    """The webui's `extra_flags` with ours behind; it knows two spellings, see its `LlamaServer._start_server`."""
    name, path = more
    own = (flags or "").strip().strip("\"'").strip()
    if own and not own.startswith("-"):
        if "," in path:
            raise SoftPromptError(
                f"the extra-flags of this model are written as 'flag=value,flag', in which the path {path} cannot "
                "stand: write them as '--flag value'"
            )
        return f"{own},{name.removeprefix('--')}={path}"
    return f"{own} {name} {shlex.quote(path)}".strip()
