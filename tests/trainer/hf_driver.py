"""`torchrun --nproc-per-node 2 hf_driver.py '{"folder": "...", "batch": 2}'`: a run of Trainer in several processes.

Each process writes what it found into the folder, as `rank-NUMBER.json`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from driver import families
from transformers import Trainer, TrainingArguments

from soft_prompts.trainer import from_text
from soft_prompts.trainer.hf import SoftPromptModel, collate


def main(asked: dict[str, Any]) -> None:
    made, folder = families(), Path(asked["folder"])
    torch.set_num_threads(1)
    tokenizer = made.make_tokenizer("bytes")
    ids = tokenizer(made.TEXT * 6, add_special_tokens=False)["input_ids"]
    data = []
    for each in range(32):
        row = [1, *ids[each * 13 : each * 13 + 30 - each % 5]]
        # Of every two batches of two rows one has nothing that counts.
        data.append({"input_ids": row, "labels": [-100] * len(row) if each % 4 > 1 else row})
    chosen = TrainingArguments(
        str(folder), max_steps=8, per_device_train_batch_size=asked["batch"], train_sampling_strategy="sequential",
        logging_steps=1, save_steps=4, use_cpu=True, dataloader_pin_memory=False, disable_tqdm=True, report_to=[],
    )  # fmt: skip
    with SoftPromptModel(made.make_model("llama"), tokenizer, 4, start=from_text(" A tower")) as model:
        trainer = Trainer(
            model=model, args=chosen, train_dataset=data, data_collator=collate, optimizers=model.optimizers(8)
        )
        trainer.train(resume_from_checkpoint=asked.get("resume"))
        losses = [each["loss"] for each in trainer.state.log_history if "loss" in each]
        told = {"losses": losses, "vectors": model.vectors.tolist(), "processes": trainer.args.world_size}
        told["wrapped"] = type(trainer.model_wrapped).__name__
    (folder / f"rank-{os.environ.get('RANK', '0')}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
    if torch.distributed.is_initialized():  # or one that ends early now and then aborts the other
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()
