"""`Model(load, library).start()`: a model of Transformers, loaded in a thread of its own and attached; torch-free.

torch comes with the loading, and so nobody waits for it who only looks at a library.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import SoftPromptError
from ...fingerprint import Described, Fit
from ...library import Library
from ...prompt import SoftPrompt, TextPrompt
from ...slots import Slot
from ...tags import Tag
from .turns import Turns

Load = Callable[[], tuple[Any, Any]]
"""(model, tokenizer) of Transformers; raises SoftPromptError, in words for the writer."""
_log = logging.getLogger(__name__)


class Served:
    """A model that understands tags."""

    def __init__(self, attached: Any) -> None:
        self.attached = attached
        self.verdicts: dict[Any, Any] = {}

    @property
    def context(self) -> int:
        """The most tokens that it reads; 0 where it does not say."""
        return int(getattr(self.attached.model.config.get_text_config(), "max_position_embeddings", 0) or 0)

    @property
    def called(self) -> str:
        """Its name and its kind, for a report."""
        from ..hf.view import called, unwrap

        return called(unwrap(self.attached.model))

    def onwards(self, ids: list[int], tokens: int, seed: int, temperature: float, turns: Turns) -> Iterator[str]:
        """What it writes behind these ids, piece by piece."""
        from ..hf.trial import onwards

        return onwards(self.attached, ids, tokens=tokens, seed=seed, temperature=temperature, turn=turns)

    def resembles(self, tag: Tag) -> list[str]:
        """For each vector of the tag the token it is nearest to."""
        from ..hf.neighbours import nearest

        return nearest(self.attached.model, self.attached.tokenizer, self.place(tag).vectors)

    def baked(self, prompt: TextPrompt) -> SoftPrompt:
        """The vectors that a text has on this model."""
        from ..hf import text_prompt

        return text_prompt(prompt.text, self.attached.model, self.attached.tokenizer, prompt.name)

    def fit(self, prompt: Described) -> Fit:
        """Whether the prompt was made for this model."""
        found: Fit = self.attached.fit(prompt)
        return found

    def tokens(self, text: str) -> int:
        """What a text prompt costs on this model."""
        return len(self.attached.view.inner_ids(text))

    def place(self, tag: Tag) -> Slot:
        """The ids and vectors of a tag; raises SoftPromptError with the reason why there are none."""
        found: Slot = self.attached.place(tag)
        return found


class Model:
    """Safe to use from several threads. turns: whoever computes on the model takes one for each step."""

    def __init__(self, load: Load, library: Library) -> None:
        self.served: Served | None = None
        self.problem = ""
        """Why there is none and will be none, in words."""
        self.revision = 0
        self.turns = Turns()
        self._load = load
        self._library = library
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> Model:
        """Begin to load it; does nothing where it has begun."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="soft-prompts-model", daemon=True)
            self._thread.start()
        return self

    def close(self) -> None:
        """Leave the model as it was loaded."""
        if self._thread is not None:
            self._thread.join()
        if self.served is not None:
            self.served.attached.close()

    @property
    def loading(self) -> bool:
        """Whether it is not there yet."""
        return not self._done.is_set()

    def waited(self, every: float = 0.2) -> Iterator[None]:
        """One None after another until it is loaded, or cannot be."""
        while not self._done.wait(every):
            yield None

    def there(self) -> Served:
        """The model; raises SoftPromptError where it is not there yet, or cannot be loaded."""
        if self.served is None:
            raise SoftPromptError(self.problem or "the model is being loaded: wait a moment")
        return self.served

    def _run(self) -> None:
        try:
            from ..hf import attach

            # A tag that means nothing is left out here; what is said about it is said once for each text.
            self.served = Served(attach(*self._load(), self._library, unresolved=lambda tag, problem: None))
        except SoftPromptError as problem:
            self.problem = str(problem)
        except ModuleNotFoundError as missing:
            self.problem = (
                f"{missing.name} is needed to run a model: pip install 'soft-prompts[train]', then start this again"
            )
        except Exception as problem:  # whatever it is, the library can still be looked at
            _log.exception("the model could not be loaded")
            self.problem = f"the model could not be loaded: {str(problem) or type(problem).__name__}"
        finally:
            self.revision += 1
            self._done.set()
