"""Stands in for the webui's `modules.transformers_loader`: the model, and what it puts into `generate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import modules.shared as shared
import torch
from modules.text_generation import get_reply_from_output_ids
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, StoppingCriteria


class _StopEverythingStoppingCriteria(StoppingCriteria):
    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> bool:
        return shared.stop_everything


class Stream(StoppingCriteria):
    """Shows each new row of ids to a callback, and never stops by itself."""

    def __init__(self, callback_func: Callable[[Any], None]) -> None:
        self.callback_func = callback_func

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> bool:
        self.callback_func(input_ids[0])
        return False


class LogitsBiasProcessor(LogitsProcessor):
    def __init__(self, logit_bias: dict[str, float]) -> None:
        self.logit_bias = logit_bias

    def __call__(self, input_ids: Any, logits: Any) -> Any:
        for token, bias in self.logit_bias.items():
            logits[0, int(token)] += bias
        return logits


class LogprobProcessor(LogitsProcessor):
    """Keeps the most probable tokens of each step."""

    def __init__(self, logprobs: int) -> None:
        self.logprobs = logprobs
        self.token_alternatives: dict[str, float] = {}
        self.token_alternatives_history: list[dict[str, float]] = []

    def __call__(self, input_ids: Any, logits: Any) -> Any:
        values, tokens = logits.log_softmax(dim=1)[0].topk(self.logprobs)
        words = [get_reply_from_output_ids([token]) for token in tokens]
        self.token_alternatives = dict(zip(words, values.tolist(), strict=True))
        self.token_alternatives_history.append(self.token_alternatives)
        return logits


def load_tokenizer(model_name: str) -> Any:
    return AutoTokenizer.from_pretrained(Path(shared.args.model_dir) / model_name)


def load_model_HF(model_name: str) -> Any:
    """In eval mode and in float32, as with `--cpu`; all weights want gradients."""
    return AutoModelForCausalLM.from_pretrained(Path(shared.args.model_dir) / model_name, dtype=torch.float32)
