"""`Lending(webui)`: the model of the moment, for a training; torch-free. See `soft_prompts.hosts.protocol.Lends`.

The Transformers loader's model is trained on where it is. llama.cpp has a file, which a process of its own can train on
while the loaded model makes room. Nothing here is kept from the webui: whoever loads another model has it.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ...errors import TrainingError
from . import contract

if TYPE_CHECKING:
    from .host import Webui

log = logging.getLogger("textgen")

PATIENCE = 300.0
"""Seconds that a model may go on writing before it is asked to make room once more."""
_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_CHANGED = (
    "the webui's own Training tab has this model, and changes it: let that end, and load the model again in the Model "
    "tab"
)


class Lending:
    """Changes nothing but the time at which the model was used last; `release` unloads it, as the webui does."""

    def __init__(self, webui: Webui) -> None:
        self._webui = webui

    @property
    def way(self) -> Literal["here", "worker", "none"]:
        """Here with the Transformers loader, in a process of its own for a GGUF file."""
        current = self._webui.current
        if current.served is None or self._dirty:
            return "none"
        return "worker" if self._file else "here"

    @property
    def reason(self) -> str:
        """Why nothing can be trained now; empty where it can, here or in a process of its own."""
        current = self._webui.current
        if current.served is None:
            if not current.loader:
                return "no model is loaded: load the one that the prompt is to be for in the Model tab"
            return f"this model takes no soft prompts: {current.reason}"
        return _CHANGED if self._dirty else ""

    def waits(self) -> Iterator[None]:
        """Not at all: while the webui loads a model there is none, and `reason` says so."""
        return iter(())

    def borrow(self) -> tuple[Any, Any]:
        """The served pair, inside of whatever LoRA is around the model; raises TrainingError where none is loaded."""
        served: Any = self._webui.current.served
        if served is None or self.way != "here":
            raise TrainingError(self.reason or "this model runs in llama.cpp, and cannot be lent")
        return served.base, served.tokenizer

    @contextmanager
    def step(self) -> Iterator[None]:
        """No generation runs meanwhile, and the webui does not unload the model as idle."""
        lock = getattr(self._webui.shared, "generation_lock", None)  # made after the first model, and without an API
        with nullcontext() if lock is None else lock:
            if self._dirty:
                raise TrainingError(_CHANGED)
            self._used()
            try:
                yield
            finally:
                self._used()

    @property
    def original(self) -> str | None:
        """As the writer has said it for this file."""
        return self._webui.settings.choices.originals.get(Path(self._file).name, "") if self._file else None

    def learn_on(self, original: str) -> None:
        """Kept for this file; raises TrainingError where it can be neither a folder of a model nor a name of one."""
        if not self._file:
            raise TrainingError("only for a GGUF file there is an original to learn on")
        if original and not Path(original, "config.json").is_file() and not _NAME.fullmatch(original):
            raise TrainingError(
                f"“{original}” is neither a folder with a config.json nor a name on the Hugging Face hub, as "
                "mistralai/Mistral-7B-v0.3 is"
            )
        self._webui.settings.learn_on(Path(self._file).name, original)

    def model_words(self) -> Sequence[str]:
        """Of the file, or the first one of its parts; or of its original."""
        if not self._file:
            raise TrainingError(self.reason or "this model can be trained on where it is")
        return ["--model", self.original or self._file]

    def release(self) -> Callable[[], None]:
        """Unload it once it has written what it is writing; what is returned loads it again, as it was loaded."""
        shared, models = self._webui.shared, contract.module("modules.models")
        if models is None or contract.problems(contract.LENT):
            raise TrainingError("this webui is another than we know: unload the model yourself, then begin")
        name, loader = str(shared.model_name), shared.args.loader
        with self._quiet(models):
            models.unload_model()
        log.info("soft prompts: %s was unloaded, to make room for a training", name)
        return lambda: self._load(models, name, loader)

    def _load(self, models: Any, name: str, loader: str | None) -> None:
        shared = self._webui.shared
        if shared.model is not None:
            return  # the writer has loaded one meanwhile
        try:
            model, tokenizer = models.load_model(name, loader)
        except Exception as problem:  # whatever a loader raises
            raise TrainingError(f"{name} could not be loaded again: {problem}. Load it in the Model tab") from problem
        if model is None:
            raise TrainingError(f"{name} could not be loaded again: the webui's terminal says why")
        shared.model, shared.tokenizer = model, tokenizer

    @contextmanager
    def _quiet(self, models: Any) -> Iterator[None]:
        """While the block runs no generation does: with --parallel the webui counts them, without it takes a lock."""
        lock, end = getattr(self._webui.shared, "generation_lock", None), time.monotonic() + PATIENCE
        if lock is not None and not lock.acquire(timeout=PATIENCE):
            raise TrainingError("the model is still writing: stop it, then begin")
        try:
            while getattr(models, "active_generation_count", 0) > 0:
                if time.monotonic() > end:
                    raise TrainingError("the model is still writing: stop it, then begin")
                time.sleep(0.05)
            yield
        finally:
            if lock is not None:
                lock.release()

    @property
    def _file(self) -> str:
        """The file of a llama.cpp model."""
        return str(getattr(getattr(self._webui.current.served, "file", None), "path", ""))

    @property
    def _dirty(self) -> bool:
        """Whether the webui's own training has the model, or had it; it takes no lock, and changes it in place."""
        return bool(getattr(self._webui.shared, "model_dirty_from_training", False))

    @staticmethod
    def _used() -> None:
        models: Any = contract.module("modules.models")
        if models is not None:
            models.last_generation_time = time.time()
