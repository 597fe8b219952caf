"""`nats(subject, vectors, blocks)`: how results are counted, apart from the code that is measured.

Rows are [BOS][prompt][block], and [BOS][block] without a prompt. The mean goes over all tokens of all blocks; the first
one is predicted from what stands before it. Logits are made at once and the model's own forward makes them.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F

from .subjects import Subject


def logits(subject: Subject, vectors: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
    """(rows, tokens, vocabulary): the predictions of (rows, tokens) ids behind [BOS][vectors]."""
    embed = subject.model.get_input_embeddings()
    before = embed(torch.tensor(subject.head))
    if vectors is not None:
        before = torch.cat([before, vectors])
    rows = torch.cat([before.expand(len(ids), -1, -1), embed(ids)], dim=1)
    made: torch.Tensor = subject.model(inputs_embeds=rows, use_cache=False).logits
    return made[:, len(before) - 1 : -1]


def loss(subject: Subject, vectors: torch.Tensor | None, ids: torch.Tensor) -> torch.Tensor:
    """Plain cross-entropy, the mean over all of `ids`."""
    return F.cross_entropy(logits(subject, vectors, ids).flatten(0, 1).float(), ids.flatten())


@torch.no_grad()
def nats(subject: Subject, vectors: torch.Tensor | None, blocks: torch.Tensor, rows: int = 8) -> float:
    """Nats per token over all blocks, `rows` at a time."""
    parts = blocks.split(rows)
    return sum(float(loss(subject, vectors, part)) * len(part) for part in parts) / len(blocks)


@torch.no_grad()
def divergence(
    subject: Subject, teacher: torch.Tensor | None, vectors: torch.Tensor | None, texts: list[list[int]], start: int = 0
) -> float:
    """KL(behind teacher || behind vectors), nats per token from `start` on; (tokens, width) each, None for nothing."""
    total, tokens = 0.0, 0
    for ids in texts:
        row = torch.tensor([ids])
        wanted, mine = (logits(subject, each, row)[0, start:].log_softmax(-1) for each in (teacher, vectors))
        total += float((wanted.exp() * (wanted - mine)).sum())
        tokens += len(ids) - start
    return total / tokens


class Answer(NamedTuple):
    """right: every token is the likeliest one. nats: of all of them together."""

    right: bool
    nats: float
    tokens: int


@torch.no_grad()
def answers(subject: Subject, vectors: torch.Tensor | None, pairs: list[tuple[list[int], list[int]]]) -> list[Answer]:
    """Each answer behind its call."""
    found = []
    for call, answer in pairs:
        logs = logits(subject, vectors, torch.tensor([call + answer]))[0, len(call) :].log_softmax(-1)
        wanted = torch.tensor(answer)
        unexpected = -float(logs.gather(-1, wanted.unsqueeze(-1)).sum())
        found.append(Answer(bool((logs.argmax(-1) == wanted).all()), unexpected, len(answer)))
    return found


def ids_of(subject: Subject, call: str, answer: str) -> tuple[list[int], list[int]]:
    """A call and its answer, as they are tokenised in one text."""
    first, whole = (subject.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (call, call + answer))
    assert whole[: len(first)] == first, call
    return first, whole[len(first) :]


def text_vectors(subject: Subject, text: str, before: torch.Tensor | None = None) -> torch.Tensor:
    """(tokens, width): a text as it is embedded, behind other vectors."""
    ids = torch.tensor(subject.tokenizer(text, add_special_tokens=False)["input_ids"])
    found: torch.Tensor = subject.model.get_input_embeddings()(ids).detach()
    return found if before is None else torch.cat([before, found])


@torch.no_grad()
def written(subject: Subject, vectors: torch.Tensor, start: str, rows: int, tokens: int, seed: int) -> list[list[int]]:
    """What the model writes behind [BOS][vectors][start], at temperature 1: ids with those of `start`, without EOS."""
    begun = subject.tokenizer(start, add_special_tokens=False)["input_ids"]
    embed = subject.model.get_input_embeddings()
    row = torch.cat([embed(torch.tensor(subject.head)), vectors, embed(torch.tensor(begun, dtype=torch.long))])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = subject.model.generate(
            inputs_embeds=row.expand(rows, -1, -1),
            attention_mask=torch.ones(rows, len(row), dtype=torch.long),
            max_new_tokens=tokens,
            do_sample=True,
            top_k=0,
            pad_token_id=subject.tokenizer.eos_token_id,
        ).tolist()
    end = subject.tokenizer.eos_token_id
    return [begun + (ids[: ids.index(end)] if end in ids else ids) for ids in made if ids[0] != end]
