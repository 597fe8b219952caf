"""python -m soft_prompts.demo.build --output FOLDER     trains the storyteller anew: tokenizer and model, on the CPU

Torch, Transformers and Tokenizers are needed (the extra `train`). Two builds agree in quality, not in every bit: sums
are rounded differently by other processors and other versions of torch.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM

from . import noir, words
from .priming import prime
from .stories import FINAL_MIX, RARE, corpus, training_documents

UNKNOWN, BOS, EOS = "<unk>", "<s>", "</s>"
VOCABULARY = 2560
CONTEXT = 1024
SEED = 0


@dataclass(frozen=True)
class Stage:
    """A part of the training: documents in the proportions of `mix`, lores of up to `facts` facts, rows of `length`."""

    mix: Mapping[str, float]
    facts: int
    length: int
    tokens: int
    batch: int


@dataclass(frozen=True)
class Phase:
    """Stages under one rate, which rises for `warm_up` steps and then falls in a line to nothing."""

    stages: tuple[Stage, ...]
    rate: float
    warm_up: int


# Exercises first, in which finding and copying is all there is to learn; later a few of them stay in the mix, because
# what is not practised is unlearnt. At the end a little more of the rare register, so that a prompt can bring it out.
EXERCISES = Stage({"echo": 0.2, "table": 0.2, "repeated": 0.3, "plain lore": 0.3}, 20, 256, 1_000_000, 2048)
SHORT_MIX = FINAL_MIX | {"plain lore": 0.35, "story": 0.38, "table": 0.05, "repeated": 0.07, "echo": 0.02, RARE: 0.004}
SHORT = Stage(
    {key: share for key, share in SHORT_MIX.items() if key not in ("stories", "questions")}, 30, 512, 2_000_000, 4096
)
PHASES = (
    Phase((EXERCISES, SHORT, Stage(FINAL_MIX, 38, 1024, 3_400_000, 4096)), rate=1.2e-3, warm_up=60),
    Phase((Stage(FINAL_MIX | {RARE: 0.08}, 38, 1024, 1_800_000, 4096),), rate=8e-4, warm_up=20),
    Phase((Stage(FINAL_MIX | {RARE: 0.12}, 38, 1024, 2_000_000, 4096),), rate=8e-4, warm_up=20),
)


@dataclass(frozen=True)
class Recipe:
    """The sizes of the model and the phases of its training; the defaults make the storyteller of this project."""

    width: int = 160
    layers: int = 4
    heads: int = 4
    inner: int = 448
    rope_base: float = 1e7
    spread: float = 0.05
    phases: tuple[Phase, ...] = PHASES


@dataclass(frozen=True)
class Progress:
    """One step of the training: which, of how many, its loss in nats a token, and the tokens a second so far."""

    step: int
    steps: int
    stage: int
    loss: float
    speed: float


def tokenizer_texts() -> Iterator[str]:
    """What the tokenizer learns from: documents of all kinds, and names and rare words often enough to be one token."""
    mix = {"lore": 0.30, "story": 0.60, "stories": 0.08, "questions": 0.02, RARE: 0.005}
    yield from islice(training_documents(SEED, facts=20, mix=mix), 4000)
    yield corpus(RARE, documents=300, seed=SEED)
    people = words.WOMEN + words.MEN
    things = words.GARMENTS + words.COLOURS + words.ANIMALS + words.THINGS + words.INSTRUMENTS
    inner = people + words.TRADES + things + words.LOOKS + words.FAME + sum(noir.POOLS.values(), ())
    line = " " + " ".join(inner) + "\n" + "\n".join(people)
    yield from [line] * 60
    yield from [" " + " ".join(words.SPARE)] * 20


def train_tokenizer(texts: Iterator[str]) -> Tokenizer:
    """A byte-level BPE, so that every text has tokens and comes back whole; BOS is put before each text."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[UNKNOWN, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def silent(ids: list[int]) -> list[int]:
    """The ids as those of a text to be read, not learnt: -1 - id in place of each."""
    return [-1 - token for token in ids]


def lore_length(ids: list[int], newline: int) -> int:
    """How many ids stand before the first empty line; 0 in a document without one."""
    return next((n for n, pair in enumerate(pairwise(ids)) if pair == (newline, newline)), 0)


def rows(documents: Iterator[str], tokenizer: Any, length: int) -> Iterator[list[int]]:
    """Documents packed whole into rows of at most `length` ids; only a document longer than a row loses its end.

    Nobody can foresee the facts of a lore. Learning them drowns what is to be learnt, the answers, so two lores in
    three are only read.
    """
    end, newline = tokenizer.token_to_id(EOS), tokenizer.token_to_id("Ċ")
    read = cycle((True, True, False))
    open_rows: list[list[int]] = [[] for _ in range(64)]
    while True:
        for encoding in tokenizer.encode_batch(list(islice(documents, 64))):
            ids = [*encoding.ids, end][:length]
            given = lore_length(ids, newline) if next(read) else 0
            ids[:given] = silent(ids[:given])
            row = next((row for row in open_rows if len(row) + len(ids) <= length), None)
            if row is None:
                row = max(open_rows, key=len)
                yield list(row)
                row.clear()
            row.extend(ids)


def stage_rows(stage: Stage, tokenizer: Any, seed: int) -> np.ndarray[Any, np.dtype[np.int16]]:
    """(rows, length) ids of one stage; what a row has left over is filled with silent ends of text."""
    count = stage.tokens // stage.length
    filled = np.full((count, stage.length), silent([tokenizer.token_to_id(EOS)])[0], dtype=np.int16)
    documents = training_documents(seed, stage.facts, stage.mix)
    for row, ids in zip(filled, rows(documents, tokenizer, stage.length), strict=False):
        row[: len(ids)] = ids
    return filled


def new_model(recipe: Recipe, tokenizer: Tokenizer) -> Any:
    """An untrained but primed Llama; input and output share their embeddings."""
    torch.manual_seed(SEED)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=recipe.width,
        intermediate_size=recipe.inner,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        initializer_range=recipe.spread,
        rope_parameters={"rope_type": "default", "rope_theta": recipe.rope_base},
        bos_token_id=tokenizer.token_to_id(BOS),
        eos_token_id=tokenizer.token_to_id(EOS),
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    prime(model, tokenizer.get_vocab())
    return model


def _loss(model: Any, ids: torch.Tensor, half: bool) -> torch.Tensor:
    """Mean nats of each next token over the (rows, length) ids that are not silent."""
    inputs = torch.where(ids < 0, -1 - ids, ids)[:, :-1]
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        logits = model.lm_head(model.model(inputs).last_hidden_state)
    labels = ids[:, 1:].clamp(min=-1)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=-1)


def half_is_faster(model: Any) -> bool:
    """Whether this processor trains faster in bfloat16, found by trying both."""
    ids = torch.randint(0, model.config.vocab_size, (16, 256))
    seconds = {}
    for half in (False, True, False, True):
        start = time.perf_counter()
        torch.autograd.backward(_loss(model, ids, half))
        seconds[half] = time.perf_counter() - start
    model.zero_grad()
    return seconds[True] < 0.95 * seconds[False]


def train(model: Any, tokenizer: Tokenizer, recipe: Recipe) -> Iterator[Progress]:
    """Mutates the model: trains it through all phases and their stages."""
    half = half_is_faster(model)
    steps = sum(stage.tokens // stage.batch for phase in recipe.phases for stage in phase.stages)
    done, seen, start, number = 0, 0, time.perf_counter(), 0
    for phase in recipe.phases:
        optimizer = torch.optim.AdamW(model.parameters(), lr=phase.rate, betas=(0.9, 0.95), weight_decay=0.0)
        last = sum(stage.tokens // stage.batch for stage in phase.stages)
        step = 0
        for stage in phase.stages:
            number += 1
            for ids in _batches(stage_rows(stage, tokenizer, seed=SEED + number), stage.batch // stage.length):
                scale = min(1.0, (step + 1) / phase.warm_up) * max(0.0, 1 - step / last)
                optimizer.param_groups[0]["lr"] = phase.rate * scale
                loss = _loss(model, ids, half)
                torch.autograd.backward(loss)
                torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad()
                step, done, seen = step + 1, done + 1, seen + ids.numel()
                yield Progress(done, steps, number, loss.item(), seen / (time.perf_counter() - start))


def _batches(data: np.ndarray[Any, np.dtype[np.int16]], size: int) -> Iterator[torch.Tensor]:
    for first in range(0, len(data) - size + 1, size):
        yield torch.from_numpy(data[first : first + size].astype(np.int64))


def save(model: Any, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the five files of the model, in float16, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.to(torch.float16).contiguous() for name, value in model.state_dict().items()}
    del weights["lm_head.weight"]  # the same matrix as the embeddings
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    model.config.dtype = torch.float16
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT,
        "bos_token": BOS,
        "eos_token": EOS,
        "unk_token": UNKNOWN,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: trains and writes, with a line of progress every hundred steps."""
    parser = argparse.ArgumentParser("python -m soft_prompts.demo.build", description="Train the storyteller anew.")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER", help="where the model is written")
    parser.add_argument("--threads", type=int, default=2, help="processor cores to use (default: 2)")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    start = time.perf_counter()
    tokenizer = train_tokenizer(tokenizer_texts())
    model = new_model(Recipe(), tokenizer)
    for progress in train(model, tokenizer, Recipe()):
        if progress.step % 100 == 0:
            print(
                f"step {progress.step} of {progress.steps}, stage {progress.stage}: loss {progress.loss:.3f}, "
                f"{progress.speed:.0f} tokens/s",
                flush=True,
            )
    save(model, tokenizer, options.output)
    print(f"{options.output}: built in {(time.perf_counter() - start) / 60:.0f} minutes")


if __name__ == "__main__":
    main()
