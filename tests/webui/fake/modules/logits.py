"""Stands in for the webui's `modules.logits`: the most probable next tokens.

Without samplers the model is read past every hook: `shared.tokenizer.encode`, then the forward pass.
"""

from __future__ import annotations

import math
import time
from typing import Any

import torch
from modules import models, sampler_hijack, shared
from modules.logging_colors import logger
from modules.text_generation import generate_reply


def get_next_logits(*args: Any, **kwargs: Any) -> Any:
    """None where it fails, which is logged; under the lock, which with samplers `generate_reply` takes itself."""
    models.load_model_if_idle_unloaded()
    alone = not args[2]
    if alone:
        shared.generation_lock.acquire()
    try:
        return _get_next_logits(*args, **kwargs)
    except Exception:
        logger.exception("Failed to get next logits")
        return None
    finally:
        if alone:
            models.last_generation_time = time.time()
            shared.generation_lock.release()


def _get_next_logits(
    prompt: str, state: Any, use_samplers: bool, previous: str, top_logits: int = 25, return_dict: bool = False
) -> Any:
    loaded, problem = models.check_model_loaded()
    if not loaded:
        return problem, previous
    if type(shared.model).__name__ == "LlamaServer":
        found = shared.model.get_logits(prompt, state, n_probs=top_logits, use_samplers=use_samplers)
        words = {each["token"]: each["prob"] if use_samplers else math.exp(each["logprob"]) for each in found}
        return words if return_dict else (str(words), previous)
    if use_samplers:
        state["max_new_tokens"], state["auto_max_new_tokens"] = 1, False
        state.setdefault("stream", True)
        for _ in generate_reply(prompt, state):
            pass
        scores = sampler_hijack.global_scores[-1]
    else:
        ids = shared.tokenizer.encode(prompt, return_tensors="pt")
        scores = shared.model(input_ids=ids)["logits"][-1][-1]
    values, tokens = torch.softmax(scores.detach().float(), dim=-1).topk(top_logits)
    words = [shared.tokenizer.convert_ids_to_tokens(int(token)) for token in tokens]
    if return_dict:
        return dict(zip(words, values.tolist(), strict=True))
    return "".join(f"{value:.5f}  -  {word!r}\n" for value, word in zip(values, words, strict=True)), previous
