"""`SafeGeneration(base, injection, neutral)`: samplers, criteria and candidate generators see vocabulary ids only.

A placeholder that reaches a sampler is an IndexError on the CPU and the death of the process on a GPU. So the lists
that `generate` builds are wrapped as lists: whatever processor stands in them, now or in a coming version, sees safe
ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from transformers import LogitsProcessorList, StoppingCriteriaList, UnbatchedClassifierFreeGuidanceLogitsProcessor

from ...errors import UnsupportedInput
from ...slots import FIRST_ID
from ..wrapped import Wrapped
from .injection import Injection

_PENALTIES = frozenset(
    {
        "RepetitionPenaltyLogitsProcessor",
        "EncoderRepetitionPenaltyLogitsProcessor",
        "RepetitionPenaltyLogitsProcessorWithRange",
        "PresencePenaltyLogitsProcessor",
        "FrequencyPenaltyLogitsProcessor",
    }
)
"""By name, because hosts bring their own: what punishes each id that it sees, and some the more the oftener."""


class SafeProcessors(LogitsProcessorList):
    """A LogitsProcessorList whose processors never see a placeholder id.

    Penalties see the words only, so that nothing more is penalised, and none the oftener; classifier-free guidance
    runs the model itself and gets the ids as they are; all others see the neutral id, in a row of the same length.
    """

    def __init__(self, processors: Any, neutral: int) -> None:
        super().__init__(processors)
        self._neutral = neutral

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> Any:
        mask = input_ids >= FIRST_ID
        neutral = input_ids.masked_fill(mask, self._neutral)
        for processor in self:
            ids = neutral
            if type(processor).__name__ in _PENALTIES:
                ids = words_of(input_ids, mask, self._neutral)
            elif isinstance(processor, UnbatchedClassifierFreeGuidanceLogitsProcessor):
                ids = input_ids
            # A list of one: the list knows which arguments a processor takes.
            scores = LogitsProcessorList([processor])(ids, scores, **kwargs)
        return scores


class SafeCriteria(StoppingCriteriaList):
    """A StoppingCriteriaList whose criteria never see a placeholder id."""

    def __init__(self, criteria: Any, neutral: int) -> None:
        super().__init__(criteria)
        self._neutral = neutral

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> Any:
        return super().__call__(input_ids.masked_fill(input_ids >= FIRST_ID, self._neutral), scores, **kwargs)


class SafeGeneration:
    """Mutates the model: wraps four of its methods on the instance, until `remove()`.

    Each wrapper calls the class's method at call time, so a host that replaces that one later is still obeyed.
    """

    def __init__(self, base: Any, injection: Injection, neutral: int) -> None:
        self._base = base
        self._injection = injection
        self._neutral = neutral
        self._wrapped: list[Wrapped] = []

    def install(self) -> None:
        for name, around in (
            ("generate", self._generate),
            ("_get_logits_processor", self._logits_processor),
            ("_get_stopping_criteria", self._stopping_criteria),
            ("_get_candidate_generator", self._candidate_generator),
        ):
            if hasattr(self._base, name):
                self._wrapped.append(Wrapped(self._base, name, around).install())

    def remove(self) -> None:
        while self._wrapped:
            self._wrapped.pop().restore()

    def _generate(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        given = [args[0] if args else kwargs.get("inputs"), kwargs.get("input_ids")]
        prompts = [each for each in (*given, kwargs.get("negative_prompt_ids")) if has_placeholders(each)]
        if any(map(has_placeholders, given)) and kwargs.get("inputs_embeds") is not None:
            raise UnsupportedInput(
                "generate got inputs_embeds together with ids that hold soft prompts; the embeddings would win and the "
                "tags be lost: pass one of the two"
            )
        if prompts:
            self._injection.follow()
        outer, self._injection.words_only = self._injection.words_only, not prompts
        try:
            with self._injection.slots.hold({int(each) for ids in prompts for each in ids[ids >= FIRST_ID].unique()}):
                return call(*args, **kwargs)
        finally:
            self._injection.words_only = outer

    def _logits_processor(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> LogitsProcessorList:
        if self._injection.words_only:
            return call(*args, **kwargs)
        seen = kwargs.get("encoder_input_ids")
        if has_placeholders(seen):
            # Built into a penalty for good, long before the list is called.
            kwargs["encoder_input_ids"] = with_present(seen, self._neutral)
        return SafeProcessors(call(*args, **kwargs), self._neutral)

    def _stopping_criteria(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> StoppingCriteriaList:
        if self._injection.words_only:
            return call(*args, **kwargs)
        return SafeCriteria(call(*args, **kwargs), self._neutral)

    def _candidate_generator(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The generator itself: `generate` asks for its class and its attributes, which differ by version."""
        if not has_placeholders(kwargs.get("input_ids")):
            return call(*args, **kwargs)
        safe: dict[str, Any] = {
            key: with_neutral(kwargs[key], self._neutral) for key in ("input_ids", "inputs_tensor") if key in kwargs
        }
        generator = call(*args, **{**kwargs, **safe})
        guess, update = generator.get_candidates, generator.update_candidate_strategy

        def get_candidates(input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            candidates, *rest = guess(with_neutral(input_ids, self._neutral), *args, **kwargs)
            return torch.cat([input_ids, candidates[:, input_ids.shape[1] :]], dim=1), *rest

        def update_candidate_strategy(input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            return update(with_neutral(input_ids, self._neutral), *args, **kwargs)

        generator.get_candidates, generator.update_candidate_strategy = get_candidates, update_candidate_strategy
        return generator


def has_placeholders(ids: Any) -> TypeGuard[torch.Tensor]:
    """Whether a tensor of ids holds any that stands for a soft vector; False for all that is no tensor of ids."""
    return isinstance(ids, torch.Tensor) and not ids.is_floating_point() and bool((ids >= FIRST_ID).any())


def with_neutral(ids: Any, neutral: int) -> Any:
    """`ids` with the neutral id in place of placeholders; anything but a tensor of ids comes back as it is."""
    return ids.masked_fill(ids >= FIRST_ID, neutral) if has_placeholders(ids) else ids


def with_present(ids: torch.Tensor, neutral: int) -> torch.Tensor:
    """(batch, length) ids in which each placeholder is replaced by an ordinary id of its own row, where it has one.

    By the last one: the first may be padding, which some penalties pass over.
    """
    mask = ids >= FIRST_ID
    last = ids.shape[-1] - 1 - (~mask).flip(-1).int().argmax(dim=-1, keepdim=True)
    present = ids.gather(-1, last).masked_fill(mask.all(dim=-1, keepdim=True), neutral)
    return torch.where(mask, present, ids)


def words_of(ids: torch.Tensor, mask: torch.Tensor, neutral: int) -> torch.Tensor:
    """(batch, length) ids without the placeholders; several rows keep their length, so there `with_present` stands in.

    mask: where placeholders are. A penalty with a range reaches further back over them, as without a soft prompt.
    """
    words = ids[~mask] if len(ids) == 1 else ids[:0]
    return words.unsqueeze(0) if words.numel() else with_present(ids, neutral)


def neutral_id(base: Any, tokenizer: Any) -> int:
    """A vocabulary id that no processor has reason to care about: a padding row, else pad, unk or bos."""
    rows = int(base.config.get_text_config().vocab_size)
    if rows > len(tokenizer):
        return rows - 1
    ends = {tokenizer.eos_token_id}
    choices = (tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id)
    return next((int(each) for each in choices if each is not None and each < rows and each not in ends), 0)
