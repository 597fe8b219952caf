"""`lora_bytes(model, {id: vector})`: an adapter that gives spare rows of a vocabulary other vectors.

llama.cpp adds B times row `id` of A to the embedding of each token where an adapter names token_embd.weight
(ggml-org/llama.cpp, src/llama-graph.cpp, build_inp_embd). With A one-hot on chosen rows, a column of B is what is
added to one row: the wanted vector less the one that stands there. So an adapter is for one file, type and all.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .model import EMBEDDING, GgufModel
from .writer import BLOCK, Value, f32, gguf_bytes, one_hot_q4


def lora_bytes(model: GgufModel, vectors: Mapping[int, NDArray[np.float32]]) -> bytes:
    """vectors: id of a row -> (width,) in the space of the embedding module's output."""
    ids = sorted(vectors)
    rank = -(-len(ids) // BLOCK) * BLOCK
    wanted = np.stack([vectors[each] for each in ids]) / np.float32(model.scale)
    change = np.zeros((model.width, rank), np.float32)
    change[:, : len(ids)] = (wanted - model.table_rows(ids)).T
    values: dict[str, Value] = {
        "general.type": "adapter",
        "general.architecture": model.architecture,
        "general.name": "soft prompts",
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),  # alpha / rank is the scale: one
    }
    hot = one_hot_q4(model.rows, rank, {each: column for column, each in enumerate(ids)})
    return gguf_bytes(values, {f"{EMBEDDING}.lora_a": hot, f"{EMBEDDING}.lora_b": f32(change)})
