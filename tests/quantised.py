"""`bitsandbytes(model, folder, 8)`, `torchao(model)`: a model rounded as these packages do; skipped where they lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch


def bitsandbytes(model: Any, folder: Path, bits: int) -> Any:
    """In 8 bits or in 4 (nf4), by way of the folder."""
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    model.save_pretrained(folder)
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if bits == 8
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    )
    return AutoModelForCausalLM.from_pretrained(folder, quantization_config=config, device_map="cpu")


def torchao(model: Any, part: type[torch.nn.Module] = torch.nn.Linear) -> Any:
    """In place, all layers of one kind: whole rows of int8."""
    pytest.importorskip("torchao", reason="torchao is not installed")
    from torchao.quantization import Int8WeightOnlyConfig, IntxWeightOnlyConfig, quantize_
    from torchao.quantization.granularity import PerAxis

    rows = IntxWeightOnlyConfig(weight_dtype=torch.int8, granularity=PerAxis(0))
    config = Int8WeightOnlyConfig() if part is torch.nn.Linear else rows
    quantize_(model, config, filter_fn=lambda module, name: isinstance(module, part))
    return model
