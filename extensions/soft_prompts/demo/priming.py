"""Priming: the storyteller begins its training with heads that can already find words again. Needs torch.

In training alone this circuit of two layers comes too, but only after many millions of tokens: heads of the first layer
tell each place which tokens stood before it, and heads of the second look for the place where the present words stood
before and copy what followed (induction heads). The model stays a plain Llama; only its first weights differ.

The residual stream is parted for that: dimension 0 is the same for every token, the next `WORD` hold a token's own
embedding, and behind them lie copies of parts of the embeddings of the tokens 1, 2 and 3 places back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

WORD = 64
MATCHED = {1: 12, 2: 7, 3: 4}
"""Places back -> dimensions by which a head of the second layer compares that token with the one of the present."""

CONSTANT = 0.6
SPREAD = 0.11
ELSEWHERE = 0.01
TWINS_DIFFER = 0.3
DISTANCE_SHARPNESS = 100.0
FASTEST_PAIRS = 6
SLOW = 0.004
"""Radians a token; slower rotary pairs turn so little over a lore that a word still matches itself."""

WRITE = 0.3
MATCH = 5.0
COPY = 1.5
DAMPED = 0.3


@torch.no_grad()
def prime(model: Any, vocabulary: Mapping[str, int]) -> None:
    """Mutates the model: embeddings, the heads of the first two layers; the other layers begin small."""
    heads = model.config.num_attention_heads
    table = model.get_input_embeddings().weight
    _part_embeddings(table)
    _pair_twins(table, vocabulary)
    for layer in model.model.layers:
        layer.mlp.down_proj.weight.mul_(DAMPED)
        layer.self_attn.o_proj.weight.mul_(DAMPED)
    first, second = (layer.self_attn for layer in model.model.layers[:2])
    for attention in (first, second):
        for part in (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj):
            part.weight.zero_()
    constant = CONSTANT / float((table.square().sum(dim=1).mean() / table.shape[1]).sqrt())
    speeds = model.model.rotary_emb.inv_freq
    _look_back(first, speeds, constant, _copies(heads))
    _find_again(second, speeds, _copies(heads), heads)


def _part_embeddings(table: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    table[:, 1 : 1 + WORD].normal_(0, SPREAD, generator=generator)
    table[:, 1 + WORD :].normal_(0, ELSEWHERE, generator=generator)
    table[:, 0] = CONSTANT


def _pair_twins(table: torch.Tensor, vocabulary: Mapping[str, int]) -> None:
    """A word at the beginning of a line and the same word behind a space are two tokens: they begin almost alike."""
    generator = torch.Generator().manual_seed(1)
    for word, place in sorted(vocabulary.items()):
        behind_space = vocabulary.get("Ġ" + word)
        if behind_space is not None and len(word) > 1:
            noise = SPREAD * torch.randn(WORD, generator=generator)
            kept = math.sqrt(1 - TWINS_DIFFER**2) * table[behind_space, 1 : 1 + WORD]
            table[place, 1 : 1 + WORD] = kept + TWINS_DIFFER * noise


def _copies(heads: int) -> dict[int, int]:
    """Places back -> the first dimension of the copy of that token."""
    starts, start = {}, 1 + WORD
    for back, matched in MATCHED.items():
        starts[back] = start
        start += heads * matched
    return starts


def _look_back(attention: Any, speeds: torch.Tensor, constant: float, copies: Mapping[int, int]) -> None:
    """Two heads copy the token before, one the token two, one the token three places back."""
    size = attention.head_dim
    sharpness = math.sqrt(DISTANCE_SHARPNESS) / constant
    near = 4 * MATCHED[1]
    jobs = [(1, 0, min(size, near)), (1, size, near), (2, 0, 4 * MATCHED[2]), (3, 0, 4 * MATCHED[3])]
    for head, (back, start, stop) in enumerate(jobs):
        top = head * size
        for pair in range(FASTEST_PAIRS):
            turn = float(speeds[pair]) * back
            attention.q_proj.weight[top + pair, 0] = sharpness
            attention.k_proj.weight[top + pair, 0] = sharpness * math.cos(turn)
            attention.k_proj.weight[top + size // 2 + pair, 0] = sharpness * math.sin(turn)
        for row, dimension in enumerate(range(start, stop)):
            attention.v_proj.weight[top + row, 1 + dimension] = 1
            attention.o_proj.weight[copies[back] + dimension, top + row] = WRITE


def _find_again(attention: Any, speeds: torch.Tensor, copies: Mapping[int, int], heads: int) -> None:
    """Every head attends to where the present token, the one before and the one before that stand one place earlier."""
    size = attention.head_dim
    slow = [pair for pair, speed in enumerate(speeds.tolist()) if speed < SLOW]
    rows = [*slow, *(pair + size // 2 for pair in slow)]
    # What the present is read from: its own embedding, then the copies of the tokens before it.
    present = {1: 1, 2: copies[1], 3: copies[2]}
    for head in range(heads):
        compared = [
            (present[back] + head * matched + each, copies[back] + head * matched + each, _gain(back))
            for back, matched in MATCHED.items()
            for each in range(matched)
        ]
        for row, (query, key, gain) in zip(reversed(rows), reversed(compared), strict=False):
            attention.q_proj.weight[head * size + row, query] = math.sqrt(gain)
            attention.k_proj.weight[head * size + row, key] = math.sqrt(gain)
        half = WORD // 2
        for row in range(half):
            dimension = 1 + half * (head % 2) + row
            attention.v_proj.weight[head * size + row, dimension] = 1
            attention.o_proj.weight[dimension, head * size + row] = COPY


def _gain(back: int) -> float:
    """So much that tokens 1, 2 and 3 places back weigh the same, though fewer and weaker dimensions tell of them."""
    written = WRITE if back == 1 else WRITE**2
    return MATCH * MATCHED[1] / MATCHED[back] / written
