"""Models in 8 and 4 bit learn as their originals do. They need what no extra installs, so elsewhere they are skipped.

pip install bitsandbytes torchao
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from soft_prompts.trainer import Corpus, Finetune, Training

from ..quantised import bitsandbytes, torchao

# Words of these packages about themselves and about CPUs.
pytestmark = pytest.mark.filterwarnings("ignore")


def flags(model: torch.nn.Module) -> list[Any]:
    weights = [(name, each.requires_grad, each.grad, each.dtype) for name, each in model.named_parameters()]
    return weights + [(name, each.training) for name, each in model.named_modules()]


def check(make: Callable[..., Any], model: Any, tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    plain = list(Training(make("llama", **SIZE), tokenizer, Finetune(text), **small))
    before = flags(model)
    for recompute in (False, True):
        for _ in range(2):  # the second time after the model has been asked
            training = Training(model, tokenizer, Finetune(text), recompute=recompute, **small)
            steps = list(training)
            assert steps[0].loss == pytest.approx(plain[0].loss, rel=0.02)
            assert steps[-1].best == pytest.approx(plain[-1].best, rel=0.02)
            assert flags(model) == before
            with torch.no_grad():
                model(torch.tensor([[5, 6, 7]]))


SIZE = {"hidden_size": 64, "intermediate_size": 128}


@pytest.mark.parametrize("bits", [8, 4])
def test_bitsandbytes(
    bits: int, make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any], tmp_path: Path
) -> None:
    model = bitsandbytes(make("llama", **SIZE), tmp_path, bits)
    check(make, model, tokenizer, text, small)


def test_torchao(make: Callable[..., Any], tokenizer: Any, text: Corpus, small: dict[str, Any]) -> None:
    model = torchao(make("llama", **SIZE))
    check(make, model, tokenizer, text, small)


@pytest.mark.parametrize("kind", [8, 4, "torchao"])
def test_in_a_trainer(kind: Any, make: Callable[..., Any], tokenizer: Any, story: str, tmp_path: Path) -> None:
    """The Trainer of Transformers refuses to train such a model, and trains a soft prompt on it."""
    from transformers import Trainer, TrainingArguments

    from soft_prompts.trainer.hf import SoftPromptModel, collate

    plain, found = make("llama", **SIZE), []
    quantised = torchao(make("llama", **SIZE)) if kind == "torchao" else bitsandbytes(plain, tmp_path / "model", kind)
    data = [{"input_ids": tokenizer(story[start : start + 90])["input_ids"]} for start in range(0, 320, 10)]
    options = {"max_steps": 8, "logging_steps": 1, "report_to": [], "use_cpu": True, "disable_tqdm": True}
    for model in (make("llama", **SIZE), quantised):
        before = flags(model)
        with SoftPromptModel(model, tokenizer, 4, text=story) as prompted:
            chosen = TrainingArguments(str(tmp_path), train_sampling_strategy="sequential", **options)
            given = {"train_dataset": data, "data_collator": collate, "optimizers": prompted.optimizers(8)}
            trainer = Trainer(model=prompted, args=chosen, **given)
            trainer.train()
            found.append([each["loss"] for each in trainer.state.log_history if "loss" in each])
        assert flags(model) == before
    assert found[1] == pytest.approx(found[0], rel=0.02)


def test_packed_weights_are_unpacked(model: Any) -> None:
    """What bitsandbytes does on a CPU, in small: a layer that was evaluated gives no gradient until it is unpacked."""
    from soft_prompts.trainer.frozen import frozen

    class State:
        packing_format_for_cpu = True

    class Layer(torch.nn.Linear):
        def _save_to_state_dict(self, *args: Any) -> None:
            self.weight.quant_state.packing_format_for_cpu = False  # type: ignore[union-attr]

    model.eval()
    layer = model.model.layers[0].mlp.down_proj = Layer(64, 32).eval()
    layer.weight.quant_state = State()  # type: ignore[assignment]
    with frozen(model):
        assert layer.training and not layer.weight.quant_state.packing_format_for_cpu  # type: ignore[union-attr]
        assert not model.training
    assert not layer.training
