"""`Injection(base, slots).install()`: where a placeholder id stands, the embedding's output is its soft vector.

Hooks and nothing else: before the model (ids become shadows that any layer may look up), before its embedding, and
after it (the vectors are written). What the first learns is kept per thread, so that generations may overlap. Under
torch.compile they run between the compiled parts: which rows to write depends on the ids, and a lost id must raise.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from ...errors import UnsupportedModel
from ...slots import FIRST_ID, Slots
from .view import text_embedding


@dataclass(frozen=True, eq=False)
class _Pending:
    """mask: (batch, length) bool, where vectors go; vectors: (mask.sum(), width) float32.

    announced: found before the whole model, whose embedding then sees shadows; else by the embedding itself.
    """

    mask: torch.Tensor
    vectors: torch.Tensor
    announced: bool = False


_NOTHING = _Pending(torch.empty(0), torch.empty(0), announced=True)


class Injection:
    """Mutates the model: hooks on `base` and its embedding, until `remove()`. Weights, classes and sizes stay."""

    def __init__(self, base: torch.nn.Module, slots: Slots) -> None:
        self.slots = slots
        self._base = base
        self.shadow = shadow_id(base)
        self._local = threading.local()
        self._place = _position_of_ids(base)
        self._lock = threading.Lock()
        self._model_hooks: list[Any] = []
        self._embedding_hooks: list[Any] = []
        self._embedding: torch.nn.Module | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Injection:
        # PEFT's modules_to_save copies the embedding with its hooks: the copy serves the same slots.
        return self

    @property
    def words_only(self) -> bool | None:
        """Whether this thread generates behind a text without placeholders; None: it does not generate."""
        return getattr(self._local, "words_only", None)

    @words_only.setter
    def words_only(self, known: bool | None) -> None:
        self._local.words_only = known

    @contextmanager
    def reading(self, ids: torch.Tensor, hidden: int) -> Iterator[None]:
        """In this block and thread the model reads `ids` whatever it is given, and hides the first `hidden` logits.

        For a host whose program cannot be told of what stands before its text: row i of the logits tells of the token
        behind it, so that without the first rows the last of the hidden takes the place of the BOS.
        """
        self._local.reading = ids, hidden
        try:
            yield
        finally:
            self._local.reading = None

    def install(self) -> None:
        """Set the hooks."""
        self._model_hooks = [
            self._base.register_forward_pre_hook(self._before_model, with_kwargs=True, prepend=True),
            self._base.register_forward_hook(self._after_model, always_call=True),
        ]
        inner = getattr(self._base, "base_model", self._base)
        if inner is not self._base:
            # PEFT 0.18 calls the model's `forward` by itself, past all hooks of the whole.
            self._model_hooks.append(inner.register_forward_pre_hook(self._before_inner))
        self.follow()

    def remove(self) -> None:
        """Take the hooks off, the last one first."""
        with self._lock:
            for hooks in (self._embedding_hooks, self._model_hooks):
                while hooks:
                    hooks.pop().remove()
            self._embedding = None

    def follow(self) -> None:
        """Hook the model's embedding as it is now: it may have been replaced, resized or wrapped since."""
        embedding = text_embedding(self._base)
        if embedding is self._embedding:
            return
        with self._lock:
            while self._embedding_hooks:
                self._embedding_hooks.pop().remove()
            self._embedding_hooks = [
                embedding.register_forward_pre_hook(self._before_embedding),
                embedding.register_forward_hook(self._after_embedding, always_call=True),
            ]
            self._embedding = embedding

    @torch.compiler.disable
    def _before_model(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        if self.slots.idle:
            return None
        if self.words_only is None:
            self.follow()  # within a generation it was done at its beginning
        self._local.pending = None
        named = "input_ids" in kwargs
        reading: tuple[torch.Tensor, int] | None = getattr(self._local, "reading", None)
        if reading is not None and named:
            kwargs = {**kwargs, "input_ids": reading[0].to(kwargs["input_ids"].device)}
        ids = kwargs["input_ids"] if named else args[self._place] if len(args) > self._place else None
        pending = self._locate(ids, announced=True)
        if pending is None or ids is None:
            # Where ids came, they were looked at: the embedding need not look again.
            looked = isinstance(ids, torch.Tensor) and ids.device.type != "meta"
            self._local.pending = _NOTHING if looked else None
            return None if reading is None else (args, kwargs)
        self._local.pending = pending
        shadows = ids.masked_fill(pending.mask, self.shadow)
        if isinstance(labels := kwargs.get("labels"), torch.Tensor):
            # A soft vector is nothing that a model could have written: -100 takes it out of the loss.
            kwargs = {**kwargs, "labels": labels.masked_fill(labels >= FIRST_ID, -100)}
        if named:
            return args, {**kwargs, "input_ids": shadows}
        return (*args[: self._place], shadows, *args[self._place + 1 :]), kwargs

    @torch.compiler.disable
    def _before_inner(self, module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if not self.slots.idle and self.words_only is None:
            self.follow()

    @torch.compiler.disable
    def _after_model(self, module: torch.nn.Module, args: Any, output: Any) -> None:
        if self.slots.idle:
            return
        self._local.pending = None
        reading: tuple[torch.Tensor, int] | None = getattr(self._local, "reading", None)
        if reading is not None and output is not None:
            output["logits"] = output["logits"][:, reading[1] :]

    @torch.compiler.disable
    def _before_embedding(self, module: torch.nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        if self.slots.idle:
            return None
        pending: _Pending | None = getattr(self._local, "pending", None)
        if not args or pending is not None:
            # Found before the whole model, or by an embedding around this one: PEFT's copies stand in a wrapper.
            return None
        # The embedding was called by itself, or by a model that is not the one we hooked.
        self._local.pending = self._locate(args[0])
        if self._local.pending is None:
            return None
        return (args[0].masked_fill(self._local.pending.mask, self.shadow), *args[1:])

    @torch.compiler.disable
    def _after_embedding(self, module: torch.nn.Module, args: Any, output: torch.Tensor | None) -> torch.Tensor | None:
        if self.slots.idle:
            return None
        pending: _Pending | None = getattr(self._local, "pending", None)
        if pending is None or pending is _NOTHING:
            return None
        if output is None or output.shape[:-1].numel() != pending.mask.numel():
            if not pending.announced:
                self._local.pending = None  # its own lookup failed: the next one is another
            return None
        self._local.pending = None
        mask = pending.mask.to(output.device).view(output.shape[:-1])
        vectors = pending.vectors.to(output.device, output.dtype)
        where = mask.nonzero(as_tuple=True)
        # A lookup's output is new memory, so it may be written, unless a gradient is to flow back through it.
        return output.index_put(where, vectors) if output.requires_grad else output.index_put_(where, vectors)

    def _locate(self, ids: Any, announced: bool = False) -> _Pending | None:
        if not isinstance(ids, torch.Tensor) or ids.is_floating_point() or ids.device.type == "meta":
            return None
        # One look and no mask: this runs at every decoding step, and nearly always ends here.
        if not ids.numel() or int(ids.item() if ids.numel() == 1 else ids.max()) < FIRST_ID:
            return None
        mask = ids >= FIRST_ID
        vectors = self.slots.vectors(ids[mask].cpu().numpy())
        return _Pending(mask, torch.from_numpy(vectors), announced)


def shadow_id(base: Any) -> int:
    """The vocabulary id that layers see in place of a placeholder.

    Models with embeddings of their own in every layer read pad as "nothing here"; others derive positions from pad,
    and some take 0 for it whatever their settings say.
    """
    config = base.config.get_text_config()
    pad = getattr(config, "pad_token_id", None)
    if getattr(config, "hidden_size_per_layer_input", None) and pad is not None:
        return int(pad)
    return 2 if pad == 1 else 1


def _position_of_ids(base: Any) -> int:
    names = list(inspect.signature(type(base).forward).parameters)
    if "input_ids" not in names:
        raise UnsupportedModel(f"{type(base).__name__}.forward takes no input_ids: soft prompts stand for token ids")
    return names.index("input_ids") - 1
