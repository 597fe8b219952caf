"""Stands in for the webui's `modules.LoRA`: an adapter around `shared.model`, and off again."""

from __future__ import annotations

from pathlib import Path

import modules.shared as shared


def add_lora_to_model(lora_names: list[str]) -> None:
    """`shared.model` is assigned, its tokenizer is not; what the names no longer hold is taken off first."""
    if set(lora_names) == set(shared.lora_names):
        return
    from peft import PeftModel

    if shared.lora_names:
        shared.model = shared.model.unload()
    for place, name in enumerate(lora_names):
        folder = Path(shared.args.lora_dir) / name
        if place:
            shared.model.load_adapter(folder, name)
        else:
            shared.model = PeftModel.from_pretrained(shared.model, folder, adapter_name=name)
    shared.lora_names = lora_names
