"""`Pair(model, tokenizer)`: one model asked twice, with soft prompts and with the plain text that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import transformers

from soft_prompts import SoftPrompt
from soft_prompts.hosts.hf.view import codec_of
from soft_prompts.slots import FIRST_ID

A, MIDDLE, B = "The door opened and", " a stranger came in from the rain", ", and she lit the lamp."
PLACES = {
    "start": ("<<sp:p>>", B),
    "middle": (A, "<<sp:p>>", B),
    "end": (A, "<<sp:p>>"),
    "twice": (A, "<<sp:p>>", B, "<<sp:p>>", B),
    "alone": ("<<sp:p>>",),
}


class TwiceReading(transformers.LlamaForCausalLM):
    """A model that reads the ids in a second place, as some architectures do."""

    def forward(self, input_ids: torch.Tensor | None = None, **options: Any) -> Any:  # type: ignore[override]
        output = super().forward(input_ids=input_ids, **options)
        if input_ids is not None:
            output.logits = output.logits + (input_ids.cumsum(-1)[..., None] % 97) * 0.1
        return output


class Pair:
    """One model, twice asked: with placeholders and with the ids that they stand for."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.prompt = SoftPrompt.from_text(MIDDLE, model, tokenizer, name="p")
        self.plain_middle = codec_of(tokenizer).seams.inner(MIDDLE)

    def ids(self, parts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """((1, length) with placeholders, (1, length) plain); to be called while attached."""
        soft = self.tokenizer("".join(parts), return_tensors="pt")["input_ids"]
        start = int(soft[soft >= FIRST_ID].min())
        plain = [self.plain_middle[each - start] if each >= FIRST_ID else each for each in soft[0].tolist()]
        return soft, torch.tensor([plain])

    def same(self, parts: Sequence[str] = PLACES["middle"], new: int = 12, **options: Any) -> torch.Tensor:
        """The common continuation of both, (sequences, new tokens); fails where they differ."""
        soft, plain = self.ids(parts)
        defaults = {"do_sample": False, "max_new_tokens": new, "pad_token_id": 3, "eos_token_id": None}
        outputs = []
        for ids in (soft, plain):
            torch.manual_seed(1)
            outputs.append(self.model.generate(ids, attention_mask=torch.ones_like(ids), **{**defaults, **options}))
        continuations = [output[:, soft.shape[1] :] for output in outputs]
        assert torch.equal(*continuations)
        assert continuations[0].max() < FIRST_ID
        assert continuations[0].shape[1] > 0
        return continuations[0]


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=ids, use_cache=False).logits  # type: ignore[no-any-return]


def check_everywhere(pair: Pair) -> None:
    for parts in PLACES.values():
        soft, plain = pair.ids(parts)
        torch.testing.assert_close(logits(pair.model, soft), logits(pair.model, plain), rtol=1e-5, atol=1e-5)
        cached = pair.same(parts, use_cache=True)
        assert torch.equal(cached, pair.same(parts, use_cache=False))
