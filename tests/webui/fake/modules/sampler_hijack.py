"""Stands in for the webui's `modules.sampler_hijack`: its samplers take the place of those of Transformers.

The class attributes `GenerationMixin._get_logits_processor` and `GenerationConfig.__init__` are assigned anew whenever
a model is loaded. What reads ids is here under its own name, since that is what soft prompts must get right; samplers
that look at scores only are accepted, and do something where Transformers has them too.
"""

from __future__ import annotations

import json
from typing import Any

import torch
import transformers
from modules import shared
from modules.presets import default_preset_values
from transformers import LogitsProcessor, LogitsProcessorList

original_init = transformers.GenerationConfig.__init__
original_get_logits_processor = transformers.GenerationMixin._get_logits_processor
global_scores: Any = None
NONE = float("-inf")


class _Penalty(LogitsProcessor):
    """Of the last `_range` ids: each is looked up in the scores, so one outside of the vocabulary is an IndexError."""

    def __init__(self, strength: float, _range: int) -> None:
        self.strength, self._range = strength, _range

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for ids, row in zip(input_ids[:, -self._range :], scores, strict=True):
            seen, counts = ids.unique(return_counts=True)
            row[seen] = self.punished(row[seen], counts)
        return scores


class RepetitionPenaltyLogitsProcessorWithRange(_Penalty):
    def punished(self, scores: Any, counts: Any) -> Any:
        return torch.where(scores < 0, scores * self.strength, scores / self.strength)


class PresencePenaltyLogitsProcessor(_Penalty):
    def punished(self, scores: Any, counts: Any) -> Any:
        return scores - self.strength


class FrequencyPenaltyLogitsProcessor(_Penalty):
    def punished(self, scores: Any, counts: Any) -> Any:
        return scores - self.strength * counts


class DRYLogitsProcessor(LogitsProcessor):
    """Punishes what would go on with a sequence that stands in the text already, the more the longer it is."""

    def __init__(self, multiplier: float, base: float, allowed: int, breakers: set[int], _range: int) -> None:
        self.multiplier, self.base, self.allowed, self.breakers, self._range = (
            multiplier,
            base,
            allowed,
            breakers,
            _range,
        )

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        for ids, row in zip(input_ids[:, -self._range :].tolist(), scores, strict=True):
            longest: dict[int, int] = {}
            for place, following in enumerate(ids[1:], 1):
                length = 0
                while length < min(place, 50) and ids[place - 1 - length] == ids[-1 - length] not in self.breakers:
                    length += 1
                if following not in self.breakers:
                    longest[following] = max(length, longest.get(following, 0))
            for token, length in longest.items():
                if length >= max(self.allowed, 1):
                    row[token] -= self.multiplier * self.base ** (length - self.allowed)
        return scores


class GrammarConstrainedLogitsProcessor(LogitsProcessor):
    """Not the grammar, only words; but as strict as the webui's: from call to call the row grows by one id."""

    def __init__(self, grammar: str) -> None:
        self.grammar, self.last_size = grammar, 0
        words = shared.tokenizer.get_vocab().items()
        self.allowed = torch.tensor([number for word, number in words if word.strip(" Ġ▁").isalpha()])

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self.last_size and input_ids.shape[1] != self.last_size + 1:
            raise RuntimeError(f"a row of {input_ids.shape[1]} ids came after one of {self.last_size}")
        self.last_size = input_ids.shape[1]
        return torch.full_like(scores, NONE).index_copy(1, self.allowed, scores[:, self.allowed])


class SpyLogitsWarper(LogitsProcessor):
    """The last one: what it sees is what `modules.logits` shows."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        global global_scores
        global_scores = scores
        return scores


def _of_ids(config: Any) -> list[LogitsProcessor]:
    found: list[LogitsProcessor] = []
    reach = config.repetition_penalty_range
    if config.repetition_penalty not in (None, 1):
        found.append(RepetitionPenaltyLogitsProcessorWithRange(config.repetition_penalty, reach))
    if config.presence_penalty:
        found.append(PresencePenaltyLogitsProcessor(config.presence_penalty, reach))
    if config.frequency_penalty:
        found.append(FrequencyPenaltyLogitsProcessor(config.frequency_penalty, reach))
    if config.dry_multiplier:
        ends = json.loads(f"[{config.dry_sequence_breakers.strip('[]')}]")
        # Behind a letter, so that the last token is the one that a text ends with.
        breakers = {shared.tokenizer.encode(f"a{end}")[-1] for end in ends}
        found.append(
            DRYLogitsProcessor(config.dry_multiplier, config.dry_base, config.dry_allowed_length, breakers, reach)
        )
    return found


def get_logits_processor_patch(self: Any, **kwargs: Any) -> LogitsProcessorList:
    """The webui's own in place of Transformers' repetition penalty, and the spy as the last one."""
    config = kwargs["generation_config"]
    config.temperature = float(config.temperature or 1)
    theirs = [
        each
        for each in original_get_logits_processor(self, **kwargs)
        if type(each).__name__ != "RepetitionPenaltyLogitsProcessor"
    ]
    return LogitsProcessorList([*_of_ids(config), *theirs, SpyLogitsWarper()])


def generation_config_init_patch(self: Any, **kwargs: Any) -> None:
    """Transformers' own, and every parameter that it does not know: else `generate` would refuse it."""
    original_init(self, **kwargs)
    for name, default in default_preset_values.items():
        if name not in ("do_sample", "temperature", "top_p", "top_k", "sampler_priority") and not hasattr(self, name):
            setattr(self, name, kwargs.get(name, default))
    self.min_p = kwargs.get("min_p", 0.0)
    self.sampler_priority = kwargs.get("sampler_priority", default_preset_values["sampler_priority"].split())


def hijack_samplers() -> None:
    """Mutates Transformers, for good."""
    transformers.GenerationMixin._get_logits_processor = get_logits_processor_patch
    transformers.GenerationConfig.__init__ = generation_config_init_patch
