"""`by_peft(subject, blocks, rate=0.3, steps=100)` and `by_ancestors(...)`: what ours is measured against.

The first is what one finds today: PEFT's PromptTuning in the Trainer of Transformers, with the Trainer's own defaults
(AdamW, a linear schedule, clipping at 1) and a rate from a sweep. Validation looks at it as often as at ours, and its
best step counts, too. The second is the ancestors' recipe, written anew from its description.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.optimization import Adafactor

from .counting import loss, nats
from .subjects import Blocks, Subject

TOKENS = 20
LOOKS = 25
"""Steps between two looks at the validation part."""


@dataclass(frozen=True)
class Trained:
    """vectors: (tokens, width) of the best step. validation: nats per token of them. cpu: seconds of all steps."""

    vectors: torch.Tensor
    validation: float
    cpu: float = 0.0


# ---- Trainer + PEFT


def by_peft(subject: Subject, blocks: Blocks, rate: float, steps: int, batch: int = 8, seed: int = 0) -> Trained:
    """A prompt from Trainer + PEFT."""
    best = Best(subject, blocks.validation, steps)

    def look(number: int, model: Any) -> None:
        best.look(number, model.prompt_encoder["default"].embedding.weight)

    peft_steps(subject, blocks.train, steps, batch, look, rate=rate, seed=seed)
    return best.trained


def peft_steps(
    subject: Subject,
    rows: torch.Tensor,
    steps: int,
    batch: int,
    after: Callable[[int, Any], None],
    rate: float = 1e-2,
    seed: int = 0,
    counted: int | None = None,
) -> None:
    """Run the Trainer, which saves, evaluates and prints nothing; `after(step, model)` is called after each step.

    counted: how many tokens at the end of each row count; by default all.
    """
    data = [{"input_ids": row, "labels": _labels(row, counted)} for row in rows]
    _run(_prompt_tuned(subject), data, steps, batch, after, learning_rate=rate, seed=seed)


def hosted_steps(
    subject: Subject,
    rows: torch.Tensor,
    steps: int,
    batch: int,
    after: Callable[[int, Any], None],
    counted: int | None = None,
) -> None:
    """The same with our model in the place of PEFT's."""
    from soft_prompts.trainer.hf import SoftPromptModel

    head = torch.tensor(subject.head)
    uncounted = torch.full_like(head, -100)
    data = [
        {"input_ids": torch.cat([head, row]), "labels": torch.cat([uncounted, _labels(row, counted)])} for row in rows
    ]
    with SoftPromptModel(subject.model, subject.tokenizer, TOKENS, text=subject.about) as model:
        _run(model, data, steps, batch, after, learning_rate=model.rate())


def _run(
    model: Any, data: list[Any], steps: int, batch: int, after: Callable[[int, Any], None], **settings: Any
) -> None:
    class After(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **others: Any) -> None:
            after(state.global_step, others["model"])

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=steps,
            per_device_train_batch_size=batch,
            use_cpu=True,
            dataloader_pin_memory=False,
            dataloader_drop_last=True,
            disable_tqdm=True,
            report_to=[],
            save_strategy="no",
            eval_strategy="no",
            logging_strategy="no",
            **settings,
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=data, callbacks=[After()])
        trainer.remove_callback(PrinterCallback)
        trainer.train()


def _labels(row: torch.Tensor, counted: int | None) -> torch.Tensor:
    labels = row.clone()
    labels[: len(row) - (len(row) if counted is None else counted)] = -100
    return labels


def _prompt_tuned(subject: Subject, tokens: int = TOKENS) -> Any:
    from peft import PromptTuningConfig, PromptTuningInit, TaskType, get_peft_model

    config = PromptTuningConfig(
        task_type=TaskType.CAUSAL_LM,
        num_virtual_tokens=tokens,
        prompt_tuning_init=PromptTuningInit.TEXT,
        prompt_tuning_init_text=subject.about,
        tokenizer_name_or_path=str(subject.folder),
    )
    base = copy.deepcopy(subject.model)
    model = get_peft_model(base, config)
    _put_first(base, subject.head)
    return model


def _put_first(model: Any, head: list[int]) -> None:
    """Mutates the model: rows get [BOS] before the prompt, which PEFT puts before everything.

    It stands there in use, and a prompt before BOS would be another thing than the one it is compared with.
    """

    def hook(_: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = named["inputs_embeds"]
        first = model.get_input_embeddings()(torch.tensor(head)).expand(len(given), -1, -1)
        named["inputs_embeds"] = torch.cat([first, given], dim=1)
        uncounted = named["labels"].new_full((len(given), len(head)), -100)
        named["labels"] = torch.cat([uncounted, named["labels"]], dim=1)
        if named.get("attention_mask") is not None:
            named["attention_mask"] = torch.nn.functional.pad(named["attention_mask"], (len(head), 0), value=1)
        return arguments, named

    model.register_forward_pre_hook(hook, with_kwargs=True)


class Best:
    """The best vectors of a run by its validation part, looked at as often as ours are."""

    def __init__(self, subject: Subject, validation: torch.Tensor, steps: int, every: int = LOOKS) -> None:
        self._subject, self._rows, self._steps, self._every = subject, validation, steps, every
        self.trained = Trained(torch.empty(0), float("inf"))

    def look(self, number: int, vectors: torch.Tensor) -> None:
        """After step `number`."""
        if number % self._every and number != self._steps:
            return
        found = nats(self._subject, vectors, self._rows)
        if found < self.trained.validation:
            self.trained = Trained(vectors.detach().clone(), found)


def swept(
    subject: Subject, blocks: Blocks, rates: tuple[float, ...], steps: int, batch: int = 8, seed: int = 0
) -> dict[float, Trained]:
    """A prompt from Trainer + PEFT for each rate."""
    return {rate: by_peft(subject, blocks, rate, steps, batch, seed) for rate in rates}


# ---- the ancestors


def by_ancestors(subject: Subject, text: torch.Tensor, validation: torch.Tensor, steps: int, seed: int = 0) -> Trained:
    """Adafactor at 2e-4, blocks of 32 tokens of `text` (their ids in one row), a batch of one, accumulated 16 times.

    cpu is that of the steps alone; looks at the validation part are ours, and are not counted.
    """
    blocks = text[: len(text) // 32 * 32].view(-1, 32)
    vectors = _initial(subject).requires_grad_(True)
    optimizer = Adafactor([vectors], lr=2e-4, scale_parameter=False, relative_step=False, warmup_init=False)
    chance = torch.Generator().manual_seed(seed)
    best, spent = Best(subject, validation, steps), 0.0
    for number in range(1, steps + 1):
        began = time.process_time()
        for chosen in torch.randint(len(blocks), (16,), generator=chance):
            (loss(subject, vectors, blocks[chosen : chosen + 1]) / 16).backward()
        optimizer.step()
        optimizer.zero_grad()
        spent += time.process_time() - began
        best.look(number, vectors)
    return Trained(best.trained.vectors, best.trained.validation, spent)


def _initial(subject: Subject, tokens: int = TOKENS) -> torch.Tensor:
    ids = subject.tokenizer(subject.about, add_special_tokens=False)["input_ids"]
    ids = (ids * tokens)[:tokens]
    vectors: torch.Tensor = subject.model.get_input_embeddings()(torch.tensor(ids)).detach().clone()
    return vectors
