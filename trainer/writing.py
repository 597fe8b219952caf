"""`write(reader, vectors, starts, tokens=64, seed=0)`: what the model itself writes, as ids.

A model's own text is the best there is to measure by what a prompt costs, and to learn from a teacher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from .batch import Row, Rows
from .fitting import halving
from .reader import Reader

UNRELATED = 128
"""Tokens of a row of unrelated text."""


def write(
    reader: Reader,
    vectors: torch.Tensor | None,
    starts: Sequence[Sequence[int]],
    tokens: int,
    seed: int = 0,
    temperature: float = 1.0,
) -> list[list[int]]:
    """For each start (ids behind [head][vectors]), all of one length, up to `tokens` new ids; 0 is greedy.

    What ends a text ends the row and is left out. The random numbers of the rest of the program go on as if nothing
    had been drawn.
    """

    def written(numbers: range) -> list[list[int]]:
        # Halves of a batch that memory could not hold draw other numbers, or their rows would be the same.
        return _write(reader, vectors, [starts[each] for each in numbers], tokens, seed + numbers[0], temperature)

    return halving(written, range(len(starts)), lambda each: (each[: len(each) // 2], each[len(each) // 2 :]))


def goes_on(
    reader: Reader, tokenizer: Any, vectors: torch.Tensor | None, opening: str, tokens: int, seed: int = 0
) -> str:
    """How the model goes on after the opening behind `vectors`, as text."""
    ids = reader.seams.inner(opening)
    (made,) = write(reader, vectors, [ids], tokens, seed, 0.7)
    before, whole = (str(tokenizer.decode(list(each))) for each in (ids, [*ids, *made]))
    return whole[len(before) :]


def _write(
    reader: Reader,
    vectors: torch.Tensor | None,
    starts: Sequence[Sequence[int]],
    tokens: int,
    seed: int,
    temperature: float,
) -> list[list[int]]:
    ends, begun = _ends(reader.base), torch.tensor(starts, dtype=torch.long)
    with _seeded(seed, reader.device), torch.no_grad():
        made = _sharing(reader, vectors, begun, tokens, temperature, ends)
        if made is None:
            made = _generated(reader, vectors, begun, tokens, temperature, ends)
    return [list(_until(row, ends)) for row in made.tolist()]


def _sharing(
    reader: Reader, vectors: torch.Tensor | None, starts: torch.Tensor, tokens: int, temperature: float, ends: set[int]
) -> torch.Tensor | None:
    """(rows, new ids); None where the rows cannot share what stands before them, which may be longer than they are."""
    begun = reader.begin(vectors, starts)
    if begun is None:
        return None
    features, cache = begun
    made: list[torch.Tensor] = []
    ended = torch.zeros(len(starts), dtype=torch.bool)
    while True:
        logits = reader.logits(features).float()
        chances = torch.softmax(logits / temperature, dim=-1) if temperature > 0 else None
        made.append((logits.argmax(-1, keepdim=True) if chances is None else torch.multinomial(chances, 1)).cpu())
        ended |= torch.isin(made[-1][:, 0], torch.tensor(sorted(ends), dtype=torch.long))
        if len(made) == tokens or ended.all():
            return torch.cat(made, dim=1)
        features = reader.follow(cache, made[-1])


def _generated(
    reader: Reader, vectors: torch.Tensor | None, starts: torch.Tensor, tokens: int, temperature: float, ends: set[int]
) -> torch.Tensor:
    """The same by the model's own `generate`, which every model has."""
    from transformers import GenerationConfig

    base = reader.base
    given = torch.cat([reader.prefix(vectors).expand(len(starts), -1, -1), reader.embedded(starts)], 1)
    if not given.shape[1]:  # with nothing before it, a text begins after what ends texts
        given = reader.embedded(torch.full((len(starts), 1), min(ends, default=0)))
    options: dict[str, Any] = {"max_new_tokens": tokens, "do_sample": temperature > 0}
    if temperature > 0:
        options |= {"temperature": temperature, "top_k": 0, "top_p": 1.0}
    config = GenerationConfig(eos_token_id=sorted(ends) or None, pad_token_id=min(ends, default=0), **options)
    # What the model's own configuration asks for (penalties, samplers, ...) is not how it speaks.
    own, base.generation_config = base.generation_config, GenerationConfig()
    try:
        # The class's own: an attached model has one for texts with tags.
        made: torch.Tensor = type(base).generate(
            base,
            inputs_embeds=given,
            attention_mask=torch.ones(given.shape[:2], dtype=torch.long, device=given.device),
            generation_config=config,
        )
    finally:
        base.generation_config = own
    return made


def unrelated(reader: Reader, rows: int, seed: int, tokens: int = UNRELATED) -> Rows:
    """Texts that the model writes by itself, with nothing before them: what a prompt should leave as it is."""
    start = reader.head[-1:] or sorted(_ends(reader.base))[:1] or [0]
    # The head is there already; without one, a text begins after what ends texts.
    starts: list[list[int]] = [[] if reader.head else start] * rows
    found = write(reader, None, starts, tokens, seed)
    texts = [ids for ids in found if len(ids) >= min(8, tokens)] or [ids or start * 8 for ids in found]
    return Rows([Row.whole(ids) for ids in texts], first=bool(reader.head))


def _ends(base: Any) -> set[int]:
    """The ids that end a text."""
    own = getattr(getattr(base, "generation_config", None), "eos_token_id", None)
    own = own if own is not None else getattr(base.config.get_text_config(), "eos_token_id", None)
    return set(own) if isinstance(own, list | tuple) else set() if own is None else {int(own)}


def _until(ids: list[int], ends: set[int]) -> Iterator[int]:
    for each in ids:
        if each in ends:
            return
        yield each


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers from `seed`, and afterwards those of before. `torch.manual_seed` would seed every device."""
    module: Any = None if device.type == "cpu" else torch.get_device_module(device)
    with ExitStack() as undo:
        undo.callback(torch.set_rng_state, torch.get_rng_state())
        torch.default_generator.manual_seed(seed)
        if module is not None:
            # The model may compute on several, and draws where its logits are.
            for number in range(module.device_count()):
                which = () if device.type == "mps" else (number,)
                undo.callback(module.set_rng_state, module.get_rng_state(*which), *which)
            getattr(module, "manual_seed_all", module.manual_seed)(seed)
        yield
