"""`check(base, view, injection)`: does this model treat soft vectors exactly like the tokens they came from?

Some architectures read ids in other places than one embedding. Nobody keeps a list of them up to date, so every loaded
model is asked: a few real tokens, once as ids and once as their own embeddings, must give the same numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from ...errors import UnsupportedModel
from ...fingerprint import sample_ids
from ...slots import Slots
from ...tags import Tag
from .injection import Injection
from .view import ModelView, called, device_of, evaluating, text_embedding

_SENTENCE = "Early one morning the old keeper opened the door, and said that the sea had gone."
_NEW_TOKENS = 3
_Outputs = list[np.ndarray[Any, Any]]


def check(base: Any, view: ModelView, injection: Injection) -> str:
    """What to know of soft prompts on this model, mostly nothing: "".

    Raises UnsupportedModel when soft vectors do not act as their tokens do, with and without a cache.
    """
    ids = [each for each in view.inner_ids(_SENTENCE) if each < view.rows][:12]
    ids = ids if len(ids) >= 6 else list(sample_ids(view.rows))[:12]
    middle = slice(len(ids) // 3, len(ids) - 2)
    shadowed = [*ids[: middle.start], *[injection.shadow] * (middle.stop - middle.start), *ids[middle.stop :]]
    kind, remark = called(base), ""
    slots, injection.slots = injection.slots, Slots(view.width)

    def both(ids: list[int]) -> tuple[_Outputs, _Outputs]:
        """What the model makes of these ids, and of the same with the middle as soft vectors."""
        slot = injection.slots.place(view.embed(ids[middle]), Tag("self-test"), f"self-test {ids[middle]}")
        return _outputs(base, ids), _outputs(base, [*ids[: middle.start], *slot.ids, *ids[middle.stop :]])

    try:
        with evaluating(base), torch.no_grad():
            plain, softly = both(ids)
            finite = all(np.isfinite(each).any() for each in plain)
            alike = finite and _agree(plain, softly)
            if finite and not alike and (remark := reads_ids_too(base)):
                # What its layers look up by id is the shadow's, so a prompt of the shadow's own vectors must be exact.
                hidden, softly_hidden = both(shadowed)
                alike = _agree(hidden, softly_hidden) and not _agree(hidden, softly)
    except (RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as problem:
        raise UnsupportedModel(
            f"soft prompts are not supported for {kind}: its self-test failed ({problem})"
        ) from problem
    finally:
        injection.slots = slots
    if not finite:
        raise UnsupportedModel(f"{kind} gives no numbers but NaN: load it in another type (bfloat16, float32)")
    if not alike:
        raise UnsupportedModel(f"soft prompts are not supported for {kind}: its text embedding is not a single lookup")
    return remark


def reads_ids_too(base: Any) -> str:
    """What follows from layers that look token ids up as well, as the architecture says of itself; "" for most."""
    config = base.config.get_text_config()
    if getattr(config, "hidden_size_per_layer_input", None):
        reads = "each of its layers has token embeddings of its own"
    elif "hash_moe" in (getattr(config, "mlp_layer_types", None) or ()):
        reads = "some of its layers choose their experts by token"
    else:
        return ""
    return f"{reads}, and a soft prompt has none there: train it on this model; made of a sentence, it is not quite it"


def _outputs(base: Any, ids: list[int]) -> _Outputs:
    """The logits without a cache, then those of a short greedy generation with one."""
    given = torch.tensor([ids], device=device_of(text_embedding(base)))
    logits = base(input_ids=given, use_cache=False).logits
    outputs = [logits]
    if hasattr(base, "generate"):
        config = GenerationConfig(
            max_new_tokens=_NEW_TOKENS,
            min_new_tokens=_NEW_TOKENS,
            do_sample=False,
            pad_token_id=0,
            use_cache=True,
            output_logits=True,
            return_dict_in_generate=True,
        )
        # What the model's own configuration asks for (stop strings, penalties, ...) is not what is tested here.
        own, base.generation_config = base.generation_config, GenerationConfig()
        try:
            done = base.generate(input_ids=given, attention_mask=torch.ones_like(given), generation_config=config)
        finally:
            base.generation_config = own
        outputs += done.logits
    return [each.float().cpu().numpy() for each in outputs]


def _agree(plain: _Outputs, soft: _Outputs) -> bool:
    return len(plain) == len(soft) and all(
        a.shape == b.shape
        and np.allclose(a, b, rtol=1e-3, atol=1e-3 * max(1.0, float(np.abs(a[np.isfinite(a)]).max())))
        for a, b in zip(plain, soft, strict=True)
    )
