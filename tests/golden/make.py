"""`python tests/golden/make.py FOLDER` makes these files anew, by the tools whose formats they are.

torch, numpy, safetensors and PEFT write their own. What mkultra, KoboldAI and mtj-softtuner wrote is put together of
the same calls that these made, as described in docs/format.md. Every file holds VECTORS, which every type can hold.
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

VECTORS = (np.arange(12, dtype=np.float32).reshape(3, 4) - 5) / 8
TENSOR = torch.from_numpy(VECTORS)
HALF, BFLOAT16 = TENSOR.half(), TENSOR.bfloat16()

MKULTRA = {"name": "keeper", "uuid": "299ce582-5a2e-427d-a8e8-8c17aef3b458", "description": "By the sea ☂"}
MKULTRA_ALL = {**MKULTRA, "epoch": 1623264377.708191, "step": 120, "loss": 2.5}
KOBOLD = {"name": "keeper", "author": "Ann", "supported": ["Generic 6B", "Skein"], "description": "By the sea ☂"}
STATE = {"opt_state": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}, "step": 3}}, "step": 3}


def mkultra(tensor: Any, metadata: dict[str, Any]) -> str:
    """What its `SoftPrompt.to_json` gives."""
    data = base64.b64encode(pickle.dumps(tensor, protocol=4)).decode("ascii")
    return json.dumps({"metadata": metadata, "tensor": data})


def npy(array: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def kobold(array: Any, meta: dict[str, Any] | None = KOBOLD) -> bytes:
    """LZMA, two members, the tensor first."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("tensor.npy", npy(array))
        if meta is not None:
            archive.writestr("meta.json", json.dumps(meta, indent=2))
    return file.getvalue()


def mtjsp(array: Any) -> bytes:
    """An npz in which the state of the optimizer is an array of objects, that is a pickle."""
    file = io.BytesIO()
    state = np.array([{"momentum": np.ones(2)}], dtype=object)
    numbers = {"step": 3, "loss": 1.5, "last_loss": 1.75, "grad_norm": 0.5, "grad_norm_micro": 0.25}
    np.savez_compressed(file, tensor=array, opt_state=state, **numbers)
    return file.getvalue()


def saved(value: Any, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def bits(tensor: Any) -> Any:
    """bfloat16 as the tools that train on a TPU leave it in numpy: two bytes without a type."""
    return tensor.view(torch.uint16).numpy().view("V2")


def state(tensor: Any) -> dict[str, Any]:
    return {"tensor": tensor, **STATE, "loss": 1.5, "grad_norm": 0.5}


def small_model() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    ids = {"bos_token_id": 1, "eos_token_id": 2}
    return GPT2LMHeadModel(GPT2Config(vocab_size=16, n_embd=4, n_layer=1, n_head=1, n_positions=16, **ids))


def adapter(folder: Path) -> None:
    """A PEFT folder, as its trainer leaves it."""
    import peft

    config = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    model = peft.get_peft_model(small_model(), config)
    model.prompt_encoder["default"].embedding.weight.data.copy_(TENSOR)
    model.peft_config["default"].base_model_name_or_path = "openai-community/gpt2"
    model.save_pretrained(folder, save_embedding_layers=False)
    for path in folder.iterdir():
        if path.suffix == ".md":
            path.unlink()


FILES: dict[str, Callable[[], bytes]] = {
    "mkultra.json": lambda: mkultra(TENSOR, MKULTRA_ALL).encode(),
    "mkultra-batch.json": lambda: mkultra(torch.nn.Parameter(HALF[None], requires_grad=True), MKULTRA).encode(),
    "mkultra-inside.json": lambda: json.dumps({"story": ["Once"], "sp": mkultra(TENSOR, MKULTRA)}).encode(),
    "kobold.zip": lambda: kobold(VECTORS),
    "kobold-half.zip": lambda: kobold(VECTORS.astype(np.float16)),
    "kobold-bfloat16.zip": lambda: kobold(bits(BFLOAT16)),
    "kobold-bare.zip": lambda: kobold(VECTORS, None),
    "state.mtjsp": lambda: mtjsp(VECTORS),
    "state-bfloat16.mtjsp": lambda: mtjsp(bits(BFLOAT16)),
    "state.mkusp": lambda: saved(state(torch.nn.Parameter(HALF))),
    "state-older.mkusp": lambda: saved(state(TENSOR[None].clone()), zipped=False),
    "google.npy": lambda: npy(VECTORS),
    "google-columns.npy": lambda: npy(np.asfortranarray(VECTORS.astype(np.float64))),
    "one.safetensors": lambda: safetensors.torch.save({"soft_prompt.weight": TENSOR}, {"author": "Ann"}),
    "one-bfloat16.safetensors": lambda: safetensors.torch.save({"prompt_embeddings": BFLOAT16[None].clone()}),
    "one.pt": lambda: saved(TENSOR),
    "one-bfloat16.pt": lambda: saved({"state_dict": {"soft_prompt.weight": BFLOAT16}}),
    "one-older.pt": lambda: saved(torch.nn.Parameter(HALF), zipped=False),
    "one-transposed.pt": lambda: saved(TENSOR.T.contiguous().T),
    "one-part.pt": lambda: saved(torch.cat([TENSOR, TENSOR, TENSOR])[3:6]),
    "embedding.bin": lambda: saved(embedding().state_dict()),
}
ADAPTERS = ("adapter", "adapter-older")


def embedding() -> Any:
    """A layer whose state dict carries versions, which come as a BUILD instruction."""
    return torch.nn.Embedding.from_pretrained(TENSOR)


def make(folder: Path) -> None:
    """All of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in FILES.items():
        (folder / name).write_bytes(data())
    for name in ADAPTERS:
        adapter(folder / name)
    # As PEFT wrote it before it had safetensors.
    (folder / ADAPTERS[1] / "adapter_model.safetensors").unlink()
    (folder / ADAPTERS[1] / "adapter_model.bin").write_bytes(saved({"prompt_embeddings": TENSOR}))


if __name__ == "__main__":
    make(Path(sys.argv[1]))
