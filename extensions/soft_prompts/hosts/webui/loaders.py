"""`Current(shared, library, warn).follow()`: the model of the moment, served by one loader or refused with a reason."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...errors import SoftPromptError
from ...library import Library
from . import contract
from .refused import Refused
from .serving import Asks, Serves
from .start_flag import StartFlag

if TYPE_CHECKING:
    from ..llamacpp.sidecar import Sidecar
    from .llama_start import Starts

log = logging.getLogger("textgen")

LATER = "choose the Transformers loader for a model in its format, or wait for a version that serves this one"
LLAMA = "LlamaServer"
OWN = {
    "Exllamav3Model": ("ExLlamav3", "the ExLlamav3 loader embeds tokens in a way of its own"),
    "TensorRTLLMModel": ("TensorRT-LLM", "the TensorRT-LLM loader embeds tokens in a way of its own"),
}
"""Classes of the webui that are no models of Transformers -> (loader, why tags cannot be used there yet)."""
HALF = {"Exllamav3HF": ("ExLlamav3_HF", "the ExLlamav3_HF loader embeds tokens in a way of its own")}
"""The same for one that looks like a model of Transformers and is none."""
SWITCHED_OFF = "soft prompts are switched off: tags are left out of what the model reads"
PATIENCE = 2.0
"""Seconds to wait for a running generation before the model is attached to or let go."""


class Current:
    """served: the attached model, or None; reason: why none is. Safe to use from several threads.

    asks: the host, which is also told of tags that a loader without soft prompts was given; read: what becomes of a
    text before its tags are looked for.
    """

    def __init__(
        self,
        shared: ModuleType,
        library: Library,
        asks: Asks,
        read: Callable[[str], str] = str,
    ) -> None:
        self.served: Serves | None = None
        self.reason = ""
        self.loader = ""
        self.revision = 0
        self._shared = shared
        self._library = library
        self._asks = asks
        self._read = read
        self._lock = threading.RLock()
        self._gates: list[Refused] = []
        self._starts: Starts | None = None
        self.flag = StartFlag(shared, library)
        self._on = True

    @property
    def answers(self) -> Serves | None:
        """The attached model while soft prompts are on, else None."""
        return self.served if self._on else None

    def follow(self) -> None:
        """Take what `shared.model` and `shared.tokenizer` are now: attach, refuse, or let go."""
        model, tokenizer = self._shared.model, self._shared.tokenizer
        with self._lock:
            if model is None or tokenizer is None:
                return self._forget()
            if self.served is not None and self.served.serves(model, tokenizer):
                return None  # a LoRA came or went around the same model
            self._forget()
            self._take(model, tokenizer)
            self._gate()
            self.revision += 1

    def expect(self) -> None:
        """From now on models of llama.cpp come up with their soft prompts, the first one too."""
        server = getattr(contract.module("modules.llama_cpp_server"), LLAMA, None)
        if server is not None:
            with self._lock:
                self._starts_of(server)

    def mend(self) -> None:
        """Load the model that the webui could not load because of its start flag."""
        if self.flag.failed and not contract.problems(contract.LLAMA):
            self.flag.mend()

    def switch(self, on: bool) -> None:
        """The master switch; a generation that runs goes on as it began."""
        with self._lock:
            self._on = on
            self._gate()
            self.revision += 1

    def close(self) -> None:
        """Leave model and tokenizer as they were."""
        with self._lock, self._quiet():
            self._open()
            if self.served is not None:
                self.served.close()
            self._forget()
            if self._starts is not None:
                self._starts.remove()
                self._starts = None

    def _forget(self) -> None:
        # No hook is taken off: a generation may still run on the old model, and the model is on its way out. Without
        # our reference the whole of it goes. A gate only changes texts, and may stand in front of what stays.
        self._open()
        self.served, self.reason, self.loader = None, "", ""
        self.revision += 1

    def _open(self) -> None:
        while self._gates:
            self._gates.pop().close()

    def _take(self, model: Any, tokenizer: Any) -> None:
        name = type(model).__name__
        self.loader, why = {**OWN, **HALF}.get(name, ("llama.cpp" if name == LLAMA else "Transformers", ""))
        self.reason = f"{why}, and cannot be served yet: {LATER}" if why else ""
        if not why:
            self.served, self.reason = self._attached(model, tokenizer)
        if self.reason:
            log.warning("soft prompts: %s", self.reason)
            self._gates.append(Refused(model, tokenizer, self._asks.dropped, own_loader=name in OWN or name == LLAMA))

    def _attached(self, model: Any, tokenizer: Any) -> tuple[Serves | None, str]:
        try:
            with self._quiet():
                return self._serving(model, tokenizer), ""
        except ImportError as missing:
            return None, f"{missing.name or missing} is missing in this webui, and without it no tag can be served"
        except SoftPromptError as problem:
            return None, str(problem)
        except Exception as problem:  # whatever it is, the webui must go on with its model
            log.exception("soft prompts could not be attached to the model")
            return None, f"the model could not be attached to ({type(problem).__name__}: {problem}): send a report"

    def _serving(self, model: Any, tokenizer: Any) -> Serves:
        if type(model).__name__ == LLAMA:
            from .llamacpp import ServedLlama

            starts = self._starts_of(type(model))
            if starts.sidecar(model) is None and (found := self.flag.adopted(model)):
                starts.adopt(model, found)
            return ServedLlama(model, self._shared.args, self._library, self._asks, starts, self._read)
        from .transformers import Served

        return Served(model, tokenizer, self._library, self._read)

    def _starts_of(self, server: type) -> Starts:
        """Once for the class, see `expect`; a model of another class of that name is the one that counts."""
        from .llama_start import Starts
        from .llama_stock import planned

        if self._starts is not None and not self._starts.of(server):
            self._starts.remove()
            self._starts = None
        if self._starts is None:
            args, library, asks = self._shared.args, self._library, self._asks

            def plan(model: Any) -> Sidecar:
                return planned(model, args, library, asks.favourites())

            self._starts = Starts(server, args, plan, self.flag.keep).install()
        return self._starts

    def _gate(self) -> None:
        """One gate in front of a served tokenizer exactly while soft prompts are off."""
        if self.served is None:
            return
        self._open()
        if not self._on:
            self._gates.append(Refused(None, self.served.tokenizer, self._asks.dropped, own_loader=False))

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """While the block runs no generation does, unless one goes on for longer than it is polite to wait."""
        lock = getattr(self._shared, "generation_lock", None)
        if lock is None or not lock.acquire(timeout=PATIENCE):
            yield
            return
        try:
            yield
        finally:
            lock.release()
