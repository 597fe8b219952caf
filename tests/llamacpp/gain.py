"""`in_llamacpp(client, "<<sp:noir>>", rows)`: what a soft prompt is worth there, in nats per token of unread texts.

The llama-server of today says nothing of a prompt's own tokens, so each is asked for: what is likely behind those
before it? Both worlds count the same places. The first token of a row is not counted: llama.cpp ends where nothing
stands behind an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

from soft_prompts import SoftPrompt
from soft_prompts.demo import stories
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.trainer import Corpus, Finetune, Training

from .gguf_models import write_gguf
from .storyteller import loaded, model_of, write_storyteller

LENGTH = 48
"""Tokens of a row."""

Nats = NDArray[np.float64]
"""(rows, LENGTH - 1); not a number where the server read something else than was sent."""


@dataclass(frozen=True)
class Gain:
    """Nats per token without and with a prompt, over the places that were counted."""

    without: float
    prompt: float

    def __float__(self) -> float:
        return self.without - self.prompt

    @classmethod
    def of(cls, without: Nats, prompt: Nats, where: NDArray[np.bool_]) -> Gain:
        return cls(float(without[where].mean()), float(prompt[where].mean()))


@dataclass(frozen=True)
class Subject:
    """A model, a prompt that was trained on it, and rows of token ids that neither has read."""

    name: str
    way: str
    model: Any
    tokenizer: Any
    prompt: SoftPrompt
    rows: list[list[int]]

    def write(self, folder: Path, kind: str) -> Path:
        """Its GGUF."""
        if self.name == "storyteller":
            return write_storyteller(folder, self.way, kind)
        return write_gguf(folder / f"{self.name}-{kind}.gguf", self.model, self.tokenizer, kind)


def storyteller(way: str, prompt: SoftPrompt, text: str, rows: int = 12) -> Subject:
    """The demo's model, for one of the ways; `prompt` and `text` as `noir()` gives them."""
    model, tokenizer = model_of(way), loaded()[1]
    return Subject("storyteller", way, model, tokenizer, prompt, _rows(tokenizer, text, rows))


def noir(steps: int) -> tuple[SoftPrompt, str]:
    """A style that is trained on the tied storyteller in Transformers, and the test part of its text."""
    text = stories.corpus("noir", documents=200, seed=20_000)
    return _trained("noir", *loaded(), text, steps), Corpus(text).parts().test


def stories260k(shared: Path, steps: int, rows: int = 12) -> Subject:
    """A real model of 260,000 parameters, and a novel: of `shared`, where there is one."""
    where = shared / "models" / "stories260k"
    model: Any = AutoModelForCausalLM.from_pretrained(where, dtype=torch.float32).eval().requires_grad_(False)
    tokenizer = AutoTokenizer.from_pretrained(where)
    text = (shared / "data" / "alice.txt").read_text("utf-8")
    prompt = _trained("alice", model, tokenizer, text, steps)
    return Subject("stories260k", "mmproj", model, tokenizer, prompt, _rows(tokenizer, Corpus(text).parts().test, rows))


def in_llamacpp(client: Client, tag: str, rows: Sequence[Sequence[int]]) -> Nats:
    """tag: or nothing."""
    opening, media = client.text.encode(tag).ids, client.server.get("/props")["media_marker"]
    return np.array([[_asked(client, media, opening, row, place) for place in range(1, len(row))] for row in rows])


@torch.no_grad()
def in_transformers(model: Any, head: Sequence[int], prompt: SoftPrompt | None, rows: Sequence[Sequence[int]]) -> Nats:
    """The same by the model's own forward: [head][vectors][row]."""
    embed, ids = model.get_input_embeddings(), torch.tensor(rows)
    before = embed(torch.tensor(list(head)))
    if prompt is not None:
        before = torch.cat([before, torch.tensor(prompt.vectors)])
    inputs = torch.cat([before.expand(len(ids), -1, -1), embed(ids)], dim=1)
    logs = model(inputs_embeds=inputs).logits[:, len(before) : -1].double().log_softmax(-1)
    return -logs.gather(-1, ids[:, 1:, None])[..., 0].numpy()  # type: ignore[no-any-return]


def _asked(client: Client, media: str, opening: Sequence[int], row: Sequence[int], place: int) -> float:
    """Of row[place] behind what stands before it."""
    ids = [*opening, *row[:place]]
    asked = {"prompt": ids, "n_predict": 1, "n_probs": client.model.rows, "temperature": 0}
    # A word that it writes then, because a server says nothing where its first token is half a character.
    payload = client.wire.payload(asked, client.sidecar, media)
    payload["logit_bias"] = [[client.sidecar.told[0], 100.0]]
    answer = client.server.post("/completion", payload)
    if answer["tokens_evaluated"] != len(ids):
        return float("nan")
    shown = answer["completion_probabilities"][0]["top_logprobs"]
    return next(-float(each["logprob"]) for each in shown if each["id"] == row[place])


def _trained(name: str, model: Any, tokenizer: Any, text: str, steps: int) -> SoftPrompt:
    training = Training(model, tokenizer, Finetune(Corpus(text)), tokens=16, steps=steps)
    for _ in training:
        pass
    return training.prompt(name)


def _rows(tokenizer: Any, text: str, rows: int) -> list[list[int]]:
    """Parts of a text, from all over it, each of which begins with a word: so it is read the same behind an image."""
    ids = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
    texts = tokenizer.convert_ids_to_tokens(ids[: 1 - LENGTH])
    begins = [place for place, each in enumerate(texts) if len(each) > 1 and each.startswith(("Ġ", "▁"))]
    return [ids[place : place + LENGTH] for place in begins[:: len(begins) // rows][:rows]]
