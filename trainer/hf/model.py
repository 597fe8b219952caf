"""`model = SoftPromptModel(base, tokenizer, tokens=20)`: what a Trainer trains, saves, and goes on with."""

from __future__ import annotations

import copy
import datetime
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput
from transformers.utils import SAFE_WEIGHTS_NAME

from ...container import pack, write_atomically
from ...errors import TrainingError
from ...hosts.hf.view import origin_of
from ...prompt import SoftPrompt
from ..frozen import freeze, recomputed
from ..initial import Start, from_words
from ..objectives import unexpected
from ..reader import Reader
from ..settings import BETAS, Settings
from ..writing import goes_on
from .rows import Placed

_PACKED = ("cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k", "seq_idx", "shift_labels")
"""What comes with several texts in one row."""


class SoftPromptModel(PreTrainedModel):
    """`SoftPromptModel(model, tokenizer, tokens=20)` mutates the model, which is frozen until `close()`; or use `with`.

    model: any causal language model of Transformers, also quantised, spread over devices, or inside PEFT. start: what
    the prompt is at first (initial.py). text: some of what will be learnt; of it the start is drawn, and on it `rate`
    is measured. Without, both are of the vocabulary. Raises UnsupportedModel and TrainingError.

    The base model does without dropout, and its weights want no gradient. Called with labels, it gives the mean loss
    of those that count, and while it trains nothing else; without labels, or in evaluation, logits as long as the row.
    """

    accepts_loss_kwargs = True
    loss_type = "ForCausalLM"
    supports_gradient_checkpointing = True

    def __init__(
        self, model: Any, tokenizer: Any, tokens: int = 20, *, start: Start = from_words, text: str = "", seed: int = 0
    ) -> None:
        # PreTrainedModel's own would look after weights of its own; there are none but the base's, which have been.
        torch.nn.Module.__init__(self)
        Settings(tokens=tokens, seed=seed)
        self.reader = Reader(model, tokenizer)
        self.base = self.reader.base
        # Copies, for a Trainer writes into them.
        self.config = copy.deepcopy(self.base.config)
        self.generation_config = copy.deepcopy(getattr(self.base, "generation_config", None)) or GenerationConfig()
        words = self.reader.seams.inner(text) or _vocabulary(tokenizer)
        initial = start(self.reader, words, tokens, seed)
        self.vectors = torch.nn.Parameter(initial.vectors.clone().to(self.reader.device))
        self.origin = initial.origin.clone()
        self.scale = self.reader.scale(words)
        self._tokenizer = tokenizer
        self._recompute = False
        self._made_for: dict[str, str] | None = None
        self._undo = freeze(self.base)

    # ---- what one asks of it

    def get_soft_params(self) -> torch.nn.Parameter:
        """(tokens, width) float32: the only parameter that is trained."""
        return self.vectors

    def prompt(self, name: str) -> SoftPrompt:
        """`model.prompt("noir").save("soft_prompts/noir.safetensors")`: the prompt as it is now."""
        return self._prompt(name, self.vectors)

    def rate(self, share: float = 0.4) -> float:
        """`TrainingArguments(learning_rate=model.rate())`: a peak rate in units of the model's own embeddings."""
        return share * self.scale

    def optimizers(self, steps: int, rate: float = 0.4) -> tuple[torch.optim.Optimizer, Any]:
        """`Trainer(..., optimizers=model.optimizers(300))`: our own recipe, for as many `max_steps`."""
        chosen = Settings(steps=steps, rate=rate)
        optimizer = torch.optim.AdamW([self.vectors], lr=self.rate(rate), betas=BETAS, weight_decay=0.0)
        shares = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda done: chosen.share(min(done + 1, steps)))
        return optimizer, shares

    def write(self, opening: str, tokens: int = 40, seed: int = 0, prompted: bool = True) -> str:
        """How the model goes on behind the prompt as it is now, or without it: the same for a seed."""
        vectors = self.vectors.detach() if prompted else None
        return goes_on(self.reader, self._tokenizer, vectors, opening, tokens, seed)

    def generate(self, *args: Any, **others: Any) -> Any:
        """Not here; raises TrainingError that says what to type instead."""
        raise TrainingError(
            "a SoftPromptModel is for training: model.write('It was late when') tries the prompt, and for more use "
            "soft_prompts.attach(base, tokenizer, prompts=[model.prompt('noir')]) after model.close()"
        )

    def close(self) -> None:
        """The base model is as before; a second call does nothing."""
        self._undo.close()

    def __repr__(self) -> str:
        return (
            f"SoftPromptModel({len(self.vectors)} tokens, {self.vectors.shape[1]} wide, of {type(self.base).__name__})"
        )

    def __enter__(self) -> SoftPromptModel:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    # ---- what a Trainer computes

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        **others: Any,
    ) -> CausalLMOutput:
        """(rows, length) ids, padded on either side, with the head or without; labels likewise, -100 does not count.

        loss: nats per label that counts, of this batch or of `num_items_in_batch`. logits: (rows, length, vocabulary).
        """
        placed = self._placed(input_ids, attention_mask, others)
        with self._reading():
            loss = None if labels is None else self._loss(placed, labels, num_items_in_batch)
            if loss is not None and self.training:
                return CausalLMOutput(loss=loss)
            features = self.reader.features(self.vectors, placed.batch)
            return CausalLMOutput(loss=loss, logits=placed.back(self.reader.logits(features)))

    @property
    def base_model(self) -> Callable[..., BaseModelOutput]:
        """What TRL puts a head of its own on: hidden states, as long as the row."""
        return self._states

    def _states(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **others: Any
    ) -> BaseModelOutput:
        placed = self._placed(input_ids, attention_mask, others)
        with self._reading():
            features = self.reader.features(self.vectors, placed.batch)
        if not self.reader.apart:
            raise TrainingError(
                f"{self._get_name()} gives logits only, and this trainer wants what comes before them: take the "
                "Trainer of Transformers, or soft_prompts.trainer.train"
            )
        return BaseModelOutput(last_hidden_state=placed.back(features))

    def _placed(self, ids: torch.Tensor, mask: torch.Tensor | None, others: Mapping[str, Any]) -> Placed:
        _refuse_packed(others)
        placed = Placed.of(ids, mask, self.reader.head)
        needed, longest = len(self.reader.head) + len(self.vectors) + placed.longest, self.reader.longest
        if longest and needed > longest:
            raise TrainingError(
                f"a prompt of {len(self.vectors)} tokens and rows of {placed.longest} do not fit into the model's "
                f"{longest}: take fewer tokens or shorter rows"
            )
        return placed

    def _loss(self, placed: Placed, labels: torch.Tensor, items: torch.Tensor | int | None) -> torch.Tensor:
        batch, wanted = placed.counted(labels)
        # Rows in which nothing counts have a gradient, too: of several processes, one would wait for the others'.
        total = self.vectors.sum() * 0
        for part in batch.split(len(batch)):
            total = total + unexpected(self.reader, self.reader.features(self.vectors, part), wanted).to(total.device)
        count = max(1, len(wanted)) if items is None else items
        return total / (count.to(total.device) if isinstance(count, torch.Tensor) else count)

    def _reading(self) -> AbstractContextManager[None]:
        self.reader.recomputed = self._recompute and torch.is_grad_enabled()
        return recomputed(self.base) if self.reader.recomputed else nullcontext()

    # ---- what a Trainer asks of a model

    def train(self, mode: bool = True) -> SoftPromptModel:
        """The base stays as it is in use: without dropout."""
        self.training = mode
        return self

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None, **others: Any) -> None:
        """What is inside the layers is computed again, by our own means, which need no settings."""
        self._recompute = True

    activation_checkpointing_enable = gradient_checkpointing_enable

    def gradient_checkpointing_disable(self) -> None:
        """Keep what is inside the layers."""
        self._recompute = False

    activation_checkpointing_disable = gradient_checkpointing_disable

    @property
    def is_gradient_checkpointing(self) -> bool:
        """Whether what is inside the layers is computed again."""
        return self._recompute

    is_activation_checkpointing = is_gradient_checkpointing

    @property
    def hf_device_map(self) -> Any:
        """The base's, if it has one: Trainer leaves such a model where it is."""
        return self.base.hf_device_map

    def get_base_model(self) -> Any:
        """The model that is read, as PEFT's method of this name: `attach` finds it by it."""
        return self.base

    def get_input_embeddings(self) -> torch.nn.Module:
        """The base's."""
        return self.base.get_input_embeddings()  # type: ignore[no-any-return]

    def get_output_embeddings(self) -> torch.nn.Module:
        """The base's."""
        return self.base.get_output_embeddings()  # type: ignore[no-any-return]

    def _get_name(self) -> str:
        # By this name Trainer knows whether labels are to be shifted where it smoothes them.
        return type(self.base).__name__ if "base" in self._modules else type(self).__name__

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> SoftPromptModel:
        """Move to a device. The vectors stay in float32, in which alone small steps are not lost."""
        if not (hasattr(self, "hf_device_map") or getattr(self.base, "quantization_method", None)):
            self.base._apply(fn)
        self.vectors.data = self.vectors.data.to(fn(self.vectors.data[:1]).device)
        return self

    def _replicate_for_data_parallel(self) -> SoftPromptModel:
        raise TrainingError(
            "Trainer puts one model onto several GPUs from one process here: start the script with `accelerate launch` "
            "or `torchrun`, or set CUDA_VISIBLE_DEVICES=0"
        )

    # ---- what is kept

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """vectors and origin: all that a checkpoint holds of the model."""
        found = OrderedDict() if destination is None else destination
        found[f"{prefix}vectors"] = self.vectors if keep_vars else self.vectors.detach()
        found[f"{prefix}origin"] = self.origin
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take vectors and origin; raises TrainingError where they are of another prompt, or none."""
        for name in ("vectors", "origin"):
            found = tuple(state_dict[name].shape) if name in state_dict else "missing"
            if found != tuple(self.vectors.shape):
                raise TrainingError(
                    f"the checkpoint's {name} are {found}, and this prompt is {tuple(self.vectors.shape)} (tokens, "
                    "width): make the SoftPromptModel as it was made for that checkpoint, or take another output_dir"
                )
        with torch.no_grad():
            self.vectors.copy_(state_dict["vectors"])
        self.origin = state_dict["origin"].detach().float().cpu().clone()
        return torch.nn.modules.module._IncompatibleKeys([], [])

    def save_pretrained(
        self,
        save_directory: str | Path,
        is_main_process: bool = True,
        state_dict: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        """Write `save_directory/model.safetensors`, a soft prompt as a library wants it. Raises InvalidFile."""
        if others.get("push_to_hub"):
            raise TrainingError("save first, and then upload the folder: hf upload REPOSITORY FOLDER")
        if is_main_process:
            prompt = self._prompt("model", (state_dict or self.state_dict())["vectors"])
            write_atomically(Path(save_directory) / SAFE_WEIGHTS_NAME, pack(*prompt.parts()))

    @classmethod
    def from_pretrained(cls, *args: Any, **others: Any) -> Any:
        """There is nothing of the model in a checkpoint; raises TrainingError that says what to type instead."""
        raise TrainingError(
            "a checkpoint holds the soft prompt alone: use it with soft_prompts.load('.../model.safetensors'), go on "
            "with it by trainer.train(resume_from_checkpoint=True), or begin anew from it with SoftPromptModel(model, "
            "tokenizer, start=from_prompt(soft_prompts.load('.../model.safetensors')))"
        )

    def _prompt(self, name: str, vectors: torch.Tensor) -> SoftPrompt:
        if self._made_for is None:
            self._made_for = origin_of(self.base, self._tokenizer)
        history = {
            "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "method": "finetune",
            "settings": json.dumps({"tokens": len(vectors), "trainer": "transformers"}),
        }
        whole = vectors.detach().float().cpu().numpy()
        return SoftPrompt(name, whole, self.origin.numpy(), {**history, **self._made_for})


def _refuse_packed(others: Mapping[str, Any]) -> None:
    """Raises TrainingError where several texts stand in one row: each would need the soft prompt before it."""
    positions = others.get("position_ids")
    again = positions is not None and bool((positions.diff(dim=-1) < 0).any())
    if again or any(others.get(name) is not None for name in _PACKED):
        raise TrainingError(
            "several texts are packed into one row, and each would need the soft prompt before it: switch packing and "
            "padding_free off"
        )


def _vocabulary(tokenizer: Any) -> list[int]:
    special = set(tokenizer.all_special_ids)
    return [each for each in range(len(tokenizer)) if each not in special]
