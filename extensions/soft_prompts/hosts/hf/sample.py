"""`continuation(model, tokenizer, "The door opened and")`: what the model writes next, the same for the same seed."""

from __future__ import annotations

from typing import Any

import torch

from .view import device_of, text_embedding, unwrap


def continuation(
    model: Any, tokenizer: Any, text: str, tokens: int = 80, seed: int = 0, temperature: float = 0.7
) -> str:
    """The new text alone, up to `tokens` tokens long; temperature 0 always takes the likeliest token.

    The random numbers of the rest of the program go on as if nothing had been drawn.
    """
    batch = tokenizer(text, return_tensors="pt").to(device_of(text_embedding(unwrap(model))))
    options: dict[str, Any] = {"do_sample": temperature > 0, "max_new_tokens": tokens}
    if temperature > 0:
        options |= {"temperature": temperature, "top_k": 0, "top_p": 0.95}
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        output = model.generate(**batch, pad_token_id=pad, **options)
    # Cut from the whole: some tokenizers drop the space in front of what they decode.
    before, whole = (str(tokenizer.decode(ids, skip_special_tokens=True)) for ids in (batch["input_ids"][0], output[0]))
    return whole[len(before) :]
