"""`Reader(model, tokenizer).features(vectors, batch)`: rows of [head][soft prompt][text], as a frozen model reads them.

Three things make it lean. All rows begin with the same [head][soft prompt], so that is read once, and its keys and
values are shared by the rows. Logits are made in small parts, loss and gradient of each at once, so that a large
vocabulary costs no memory. And only what counts is predicted.

Which models can be read in this way is in no list: the first batch is read both ways and compared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch

from ..hosts.hf.view import codec_of, device_of, embedded, text_embedding, unwrap
from .batch import Batch
from .frozen import blocks
from .losses import Graded

PART = 9 << 20
"""Logits that exist at once, 36 MB in float32. Less makes the products of matrices slow, more leaves the caches; and
what is larger than 32 MB the C library of Linux gives back at once, where it scatters what is smaller: a step took
three times the memory with 32.
"""

Loss = Callable[[torch.Tensor, slice], Graded]
"""`loss(logits, places)`: of (places, vocabulary) float32 logits, over which it may write."""


class Reader:
    """How one frozen model reads; changes nothing of it. `shared`: whether rows share the prompt's keys and values."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.base = unwrap(model)
        self.embedding = text_embedding(self.base)
        self.seams = codec_of(tokenizer).seams
        self.head = list(self.seams.head)
        self.shared = True
        self.recomputed = False
        self.part = PART
        self._trunk: Callable[[torch.Tensor], torch.Tensor] | None = None
        self._overwritable = False
        self._known = False
        self._open: bool | None = None

    @property
    def device(self) -> torch.device:
        """Where ids must be to be embedded."""
        return device_of(self.embedding)

    @property
    def longest(self) -> int | None:
        """Tokens that the model takes, if it says so."""
        length = getattr(self.base.config.get_text_config(), "max_position_embeddings", None)
        return int(length) if length else None

    def embed(self, ids: list[int]) -> torch.Tensor:
        """(len(ids), width) float32 on the CPU: a text as vectors, which behave as its tokens do."""
        with torch.no_grad():
            return embedded(self.embedding, ids).float().cpu()

    def scale(self, ids: Sequence[int]) -> float:
        """The root of the mean square of these tokens' embeddings: what a rate is in units of."""
        return float(self.embed(list(ids[:4096])).square().mean().sqrt())

    @property
    def apart(self) -> bool:
        """Whether features are hidden states; else they are the logits. Known once something has been read."""
        return self._trunk is not None

    def features(self, vectors: torch.Tensor | None, batch: Batch) -> torch.Tensor:
        """(counted tokens, features): what `logits` turns into their predictions; a gradient reaches `vectors`.

        vectors: (tokens, width), or None for the text alone.
        """
        self._get_to_know(vectors, batch)
        return self._features(vectors, batch, self.shared and not self.recomputed)

    def inside(self, vectors: torch.Tensor | None, batch: Batch) -> tuple[torch.Tensor, torch.Tensor | None]:
        """`features`, and as many hidden states, (places, width), half-way through the layers; None if not shown."""
        self._get_to_know(vectors, batch)
        if self._open is None:
            self._open = self._shows(vectors, batch)
        found = self._read(vectors, batch, self.shared and not self.recomputed, self._open)
        return found[0], found[1] if self._open else None

    def logits(self, features: torch.Tensor) -> torch.Tensor:
        """(places, vocabulary) of some of the features."""
        return features if self._trunk is None else self._trunk(features)

    def predictions(self, features: torch.Tensor) -> torch.Tensor:
        """The same in float32 and without a gradient, for who writes over them."""
        with torch.no_grad():
            return self.own(self.logits(features))

    def own(self, logits: torch.Tensor) -> torch.Tensor:
        """`logits` in float32, over which one may write: their own gradient still finds its way back."""
        found = logits.detach().float()
        return found if self._overwritable or logits.dtype != torch.float32 else found.clone()

    def total(self, features: torch.Tensor, loss: Loss) -> torch.Tensor:
        """The sum of `loss` over all places, a part at a time; its gradient flows into `features`."""
        vocabulary = int(self.base.config.get_text_config().vocab_size)
        size = max(16, self.part // max(vocabulary, 1))
        if self._trunk is None:
            size = len(features)  # they exist already
        if torch.is_grad_enabled() and features.requires_grad:
            total: torch.Tensor = _InParts.apply(features, self, loss, size)  # type: ignore[no-untyped-call]
            return total
        places = [slice(start, start + size) for start in range(0, len(features), size)]
        return torch.stack([loss(self.predictions(features[each]), each).sum for each in places]).sum()

    def begin(self, vectors: torch.Tensor | None, starts: torch.Tensor) -> tuple[torch.Tensor, Any] | None:
        """(rows, features) that predict what follows (rows, length) ids, and a cache to `follow` with; no gradients.

        What stands before the rows is read once for all of them. None where they cannot share it, or there is nothing.
        """
        anything = torch.arange(12).expand(2, -1) % int(self.base.config.get_text_config().vocab_size)
        self._get_to_know(vectors, Batch(anything, torch.ones_like(anything, dtype=torch.bool)))
        prefix = self.prefix(vectors)
        if not self.shared or not prefix.shape[1]:
            return None
        with torch.no_grad():
            first = self.base.base_model(inputs_embeds=prefix, use_cache=True)
        cache = first.past_key_values
        cache.batch_repeat_interleave(len(starts))
        if not starts.shape[1]:
            return first[0][:, -1].expand(len(starts), -1), cache
        return self.follow(cache, starts), cache

    def follow(self, cache: Any, ids: torch.Tensor) -> torch.Tensor:
        """(rows, features) behind (rows, length) more ids, which are in the cache afterwards; no gradients."""
        with torch.no_grad():
            read = self.base.base_model(inputs_embeds=self.embedded(ids), past_key_values=cache, use_cache=True)
        return read[0][:, -1]  # type: ignore[no-any-return]

    def prefix(self, vectors: torch.Tensor | None) -> torch.Tensor:
        """(1, length, width): [head][soft prompt]."""
        head = self.embedded(torch.tensor([self.head], dtype=torch.long))
        if vectors is None:
            return head
        return torch.cat([head, vectors.to(head.device, head.dtype).unsqueeze(0)], dim=1)

    def embedded(self, ids: torch.Tensor) -> torch.Tensor:
        """(rows, length, width) of (rows, length) ids, where and as the model wants them; without a gradient."""
        with torch.no_grad():
            return self.embedding(ids.to(self.device))  # type: ignore[no-any-return]

    @cached_property
    def _layers(self) -> list[torch.nn.Module]:
        return blocks(self.base)

    def _features(self, vectors: torch.Tensor | None, batch: Batch, shared: bool) -> torch.Tensor:
        return self._read(vectors, batch, shared)[0]

    def _read(
        self, vectors: torch.Tensor | None, batch: Batch, shared: bool, inside: bool = False
    ) -> list[torch.Tensor]:
        """At the counted tokens: the features, and with `inside` what is half-way to them."""
        prefix = self.prefix(vectors)
        # The last token of the longest row predicts nothing that counts.
        text = self.embedded(batch.ids[:, :-1])
        rows, start = len(batch), prefix.shape[1]
        with _half_way(self._layers if inside else []) as seen:
            if shared and start and text.shape[1] and self._trunk is not None:
                first = self.base.base_model(inputs_embeds=prefix, use_cache=True)
                cache = first.past_key_values
                cache.batch_repeat_interleave(rows)
                rest = self.base.base_model(inputs_embeds=text, past_key_values=cache, use_cache=True)
                pairs = [(first[0], rest[0]), *([seen] if inside else [])]
                found = [torch.cat([before[:, -1:].expand(rows, -1, -1), behind], dim=1) for before, behind in pairs]
            else:
                given = torch.cat([prefix.expand(rows, -1, -1), text], dim=1)
                model = self.base if self._trunk is None else self.base.base_model
                output = model(inputs_embeds=given, use_cache=False)
                # Without anything before the text, its first token cannot be predicted and does not count.
                found = [
                    states[:, start - 1 :] if start else torch.nn.functional.pad(states, (0, 0, 1, 0))
                    for states in (output.logits if self._trunk is None else output[0], *seen)
                ]
        return [states[batch.counted.to(states.device)] for states in found]

    def _get_to_know(self, vectors: torch.Tensor | None, batch: Batch) -> None:
        """Once: does the trunk with the head give the model's own logits, and does sharing change nothing?"""
        if self._known:
            return
        self._known = True
        probe = Batch(batch.ids[:2, :12], torch.ones_like(batch.ids[:2, :12], dtype=torch.bool))
        if not self.head and vectors is None:
            probe.counted[:, 0] = False
        if vectors is None:
            vectors = self.embed(batch.ids[0, :4].tolist())
        self._trunk = self._find_trunk(vectors, probe)
        if self._trunk is None:
            self.shared = False
        elif self.shared:
            self.shared = self._sharing_agrees(vectors, probe)

    def _find_trunk(self, vectors: torch.Tensor, probe: Batch) -> Callable[[torch.Tensor], torch.Tensor] | None:
        head = self.base.get_output_embeddings() if hasattr(self.base, "get_output_embeddings") else None
        if head is None or self.base.base_model is self.base:
            return None
        with torch.no_grad():
            whole = self._features(vectors, probe, shared=False)
            try:
                self._trunk = head
                features = self._features(vectors, probe, shared=False)
                heads = [each for each in self._heads(head) if _agree(each(features), whole)]
                # The nearest one: a soft cap bends usual logits by less than half precision rounds them.
                found = min(heads, key=lambda each: float((each(features) - whole).float().norm()), default=None)
                self._overwritable = found is not None and _may_be_overwritten(found, features)
                return found
            except (RuntimeError, TypeError, ValueError, AttributeError, LookupError):
                return None
            finally:
                self._trunk = None

    def _heads(self, head: torch.nn.Module) -> list[Callable[[torch.Tensor], torch.Tensor]]:
        """What architectures do between the last hidden state and the logits: nothing, a factor, or a soft cap."""
        config = self.base.config.get_text_config()
        cap = getattr(config, "final_logit_softcapping", None)
        factors = [getattr(config, "logit_scale", None), getattr(config, "logits_scaling", None)]
        heads: list[Callable[[torch.Tensor], torch.Tensor]] = [head]
        if cap:
            heads.append(lambda features: torch.tanh(head(features) / cap) * cap)
        if factors[0]:
            heads.append(lambda features: head(features) * factors[0])
        if factors[1]:
            heads.append(lambda features: head(features) / factors[1])
        return heads

    def _shows(self, vectors: torch.Tensor | None, batch: Batch) -> bool:
        """Whether there is one hidden state for each token, behind half of the layers."""
        try:
            with torch.no_grad():
                features, middle = self._read(vectors, batch, self.shared and not self.recomputed, inside=True)
        except (RuntimeError, TypeError, ValueError, AttributeError, LookupError):
            return False
        return middle.ndim == 2 and len(middle) == len(features) and middle.is_floating_point()

    def _sharing_agrees(self, vectors: torch.Tensor, probe: Batch) -> bool:
        results = []
        for shared in (False, True):
            asked = vectors.detach().clone().requires_grad_(True)
            try:
                with torch.enable_grad():
                    features = self._features(asked, probe, shared)
                    weights = torch.linspace(-1, 1, features.numel(), device=features.device, dtype=features.dtype)
                    (gradient,) = torch.autograd.grad((features * weights.view_as(features)).sum(), [asked])
            except (RuntimeError, TypeError, ValueError, AttributeError, LookupError, NotImplementedError):
                return False
            results.append((features.detach(), gradient))
        (plain, one), (shared_, other) = results
        return _agree(plain, shared_) and _agree(one, other, plain.dtype)


class _InParts(torch.autograd.Function):
    """The sum of a loss over the places, its gradient computed with it, a part at a time."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor, reader: Reader, loss: Loss, size: int) -> torch.Tensor:
        gradient = torch.empty_like(features)
        totals = []
        for start in range(0, len(features), size):
            places = slice(start, start + size)
            part = features[places].detach().requires_grad_(True)
            with torch.enable_grad():
                logits = reader.logits(part)
            total, slope = loss(reader.own(logits), places)
            (gradient[places],) = torch.autograd.grad([logits], [part], [slope.to(logits.dtype)])
            totals.append(total)
        ctx.save_for_backward(gradient)
        return torch.stack(totals).sum()

    @staticmethod
    def backward(ctx: Any, outer: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient.mul_(outer.to(gradient.dtype)), None, None, None


@contextmanager
def _half_way(layers: Sequence[torch.nn.Module]) -> Iterator[list[torch.Tensor]]:
    """What comes out of the first half of the layers, of each pass until the block ends; of no layers, nothing.

    Not by `output_hidden_states`: for that Transformers 5 hangs hooks on a model that stay, and keeps all layers'.
    """
    seen: list[torch.Tensor] = []
    with ExitStack() as undo:
        for layer in layers[len(layers) // 2 - 1 :][:1]:
            hook = layer.register_forward_hook(
                lambda layer, given, output: seen.append(output if isinstance(output, torch.Tensor) else output[0])
            )
            undo.callback(hook.remove)
        yield seen


def _may_be_overwritten(head: Callable[[torch.Tensor], torch.Tensor], features: torch.Tensor) -> bool:
    """Whether a head needs its logits no more: the gradient finds its way back although others stand in their place."""
    asked = features.detach().clone().requires_grad_(True)
    try:
        with torch.enable_grad():
            logits = head(asked)
            (before,) = torch.autograd.grad(logits.sum(), [asked], retain_graph=True)
        logits.detach().fill_(torch.nan)
        (after,) = torch.autograd.grad([logits], [asked], [torch.ones_like(logits)])
    except RuntimeError:  # what it keeps for the way back was written over
        return False
    return torch.equal(before, after) and torch.equal(features, asked)


def _agree(one: torch.Tensor, other: torch.Tensor, dtype: torch.dtype | None = None) -> bool:
    """Equal but for rounding, which in a half precision is large."""
    if one.shape != other.shape:
        return False
    exact = (dtype or one.dtype) in (torch.float32, torch.float64)
    difference, size = (one - other).float().norm(), other.float().norm()
    return bool(difference <= (1e-4 if exact else 5e-2) * size + 1e-12)
