"""`Refused("llama.cpp", reason).take(model, tokenizer)`: where tags cannot be served, none reaches the model as text.

Also what the master switch puts in front of a loader that serves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...tags import Tag
from ..plain import plain, tags_of
from ..wrapped import Wrapped

_READERS = ("generate", "generate_with_streaming", "get_logits", "get_prompt_logprob_entries")
"""Methods of the webui's own loaders that take a text; those of Transformers take ids, and are left alone."""


class Refused:
    """Mutates model and tokenizer: texts lose their tags on the way in, until `close()`.

    dropped(tags): is told of tags in what the model is to answer; own_loader: the model itself takes texts.
    """

    def __init__(self, model: Any, tokenizer: Any, dropped: Callable[[list[Tag]], None], own_loader: bool) -> None:
        owners = [(tokenizer, "encode", self._quiet)]
        if own_loader:
            owners += [(model, name, self._loud) for name in _READERS]
        self._dropped = dropped
        self._wrapped = [
            Wrapped(owner, name, around).install() for owner, name, around in owners if hasattr(owner, name)
        ]

    def close(self) -> None:
        """Undo it, the last one first."""
        while self._wrapped:
            self._wrapped.pop().restore()

    def _quiet(self, call: Callable[..., Any], text: Any, *args: Any, **kwargs: Any) -> Any:
        return call(plain(text), *args, **kwargs)

    def _loud(self, call: Callable[..., Any], text: Any, *args: Any, **kwargs: Any) -> Any:
        if tags := tags_of(text):
            self._dropped(tags)
        return call(plain(text), *args, **kwargs)
