"""`nats(rows, blocks, vectors)`: how well a model predicts a text it has not seen, with and without a prompt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from ..hosts.hf.view import device_of


@dataclass(frozen=True)
class HeldOut:
    """Nats per token on the test part: without the prompt and with it. Lower is better."""

    base: float
    prompt: float


class Rows:
    """`rows.loss(vectors, blocks)`: rows of [head][soft prompt][text] for one frozen model, as they stand in use.

    head: what the tokenizer puts before a text, BOS or nothing. The vectors are given as embeddings, so the model need
    not be attached, and a gradient can reach them.
    """

    def __init__(self, model: Any, embedding: torch.nn.Module, head: list[int]) -> None:
        self._model = model
        self._embedding = embedding
        self._head = head

    def loss(self, vectors: torch.Tensor | None, blocks: torch.Tensor) -> torch.Tensor:
        """Mean nats per token over all of `blocks`, (batch, length) ids; vectors: (tokens, width) or None."""
        count, length = blocks.shape
        with torch.no_grad():
            head = self._embed(torch.tensor([self._head], dtype=torch.long).expand(count, -1))
            text = self._embed(blocks)
        parts = [head, text]
        if vectors is not None:
            parts.insert(1, vectors.to(text.device, text.dtype).expand(count, -1, -1))
        logits = self._model(inputs_embeds=torch.cat(parts, dim=1), use_cache=False).logits
        # The first token of a block is predicted from BOS or the prompt. Where the bare text has nothing before it,
        # that token counts in neither case, so that both are measured on the same ones.
        counted = length if self._head else length - 1
        predicted = logits[:, -counted - 1 : -1]
        wanted = blocks[:, -counted:].to(logits.device)
        return F.cross_entropy(predicted.flatten(0, 1).float(), wanted.flatten())

    def nats(self, vectors: torch.Tensor | None, blocks: torch.Tensor, batch: int = 8) -> float:
        """Mean nats per token, without gradients, `batch` rows at a time."""
        with torch.no_grad():
            chunks = [(len(chunk), float(self.loss(vectors, chunk))) for chunk in blocks.split(batch)]
        return sum(count * loss for count, loss in chunks) / len(blocks)

    def _embed(self, ids: torch.Tensor) -> torch.Tensor:
        return self._embedding(ids.to(device_of(self._embedding)))  # type: ignore[no-any-return]
