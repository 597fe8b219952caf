"""python -m soft_prompts.demo.measure [--model FOLDER] [--json]     measures all that the storyteller's card claims

Everything is measured on seeds that the training never used. Torch and Transformers are needed (the extra `train`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch

from . import path
from .lore import FORMS, Lore, Question, lore
from .stories import REGISTERS, story

OPENINGS = (
    "Once upon a time",
    "Dear diary,",
    "The door opened and",
    "Question: Where does Emma live?\nAnswer:",
)


@dataclass(frozen=True)
class Answered:
    """One question put to the model: whether its greedy answer was right, and the nats of the right answer's tokens."""

    question: Question
    right: bool
    nats: float
    tokens: int


@dataclass(frozen=True)
class Recall:
    """Shares and nats over the same questions, with the lore before them and without."""

    questions: int
    lore_tokens: int
    with_lore: float
    without_lore: float
    nats_with_lore: float
    nats_without_lore: float
    by_form: dict[str, float]


def load(folder: Path | None = None) -> tuple[Any, Any]:
    """The model, in float32 and for inference, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = folder or path()
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def lores(number: int = 20, seed: int = 1, plain: bool = True) -> list[Lore]:
    """The lores of the yardstick: five people with seven facts each, two places, two things; 300 tokens and more.

    plain: each fact is told in the words in which it is asked for. Otherwise also in others, and with pronouns.
    """
    sizes = {"people": 5, "facts": 7, "places": 2, "things": 2}
    return [lore(Random(f"measure {seed} {n}"), **sizes, plain=plain) for n in range(number)]


@torch.inference_mode()
def answers(model: Any, tokenizer: Any, context: str, questions: Sequence[Question]) -> list[Answered]:
    """Puts all questions in one batch, each after `context`.

    The right answer is fed in; the model's greedy answer equals it just when each of its tokens is the likeliest one.
    """
    calls = [tokenizer(context + item.call).input_ids for item in questions]
    replies = [tokenizer(item.answer, add_special_tokens=False).input_ids for item in questions]
    length = max(len(call) + len(reply) for call, reply in zip(calls, replies, strict=True))
    rows = [call + reply + [0] * (length - len(call) - len(reply)) for call, reply in zip(calls, replies, strict=True)]
    logits = model(torch.tensor(rows)).logits
    answered = []
    for row, call, reply, item in zip(logits, calls, replies, questions, strict=True):
        scores, wanted = row[len(call) - 1 : len(call) - 1 + len(reply)], torch.tensor(reply)
        nats = torch.nn.functional.cross_entropy(scores, wanted, reduction="sum").item()
        answered.append(Answered(item, bool((scores.argmax(-1) == wanted).all()), nats, len(reply)))
    return answered


def recall(model: Any, tokenizer: Any, worlds: Sequence[Lore], each: int = 12) -> Recall:
    """The first `each` questions of every lore, asked with the lore in the context and without it."""
    told, guessed = [], []
    for world in worlds:
        told += answers(model, tokenizer, world.text + "\n\n", world.questions[:each])
        guessed += answers(model, tokenizer, "", world.questions[:each])
    return Recall(
        questions=len(told),
        lore_tokens=min(len(tokenizer(world.text).input_ids) for world in worlds),
        with_lore=_share(told),
        without_lore=_share(guessed),
        nats_with_lore=_nats(told),
        nats_without_lore=_nats(guessed),
        by_form={form: _share([item for item in told if item.question.form == form]) for form in FORMS},
    )


def _share(answered: Sequence[Answered]) -> float:
    return sum(item.right for item in answered) / max(1, len(answered))


def _nats(answered: Sequence[Answered]) -> float:
    return sum(item.nats for item in answered) / sum(item.tokens for item in answered)


@torch.inference_mode()
def register_losses(model: Any, tokenizer: Any, documents: int = 24, seed: int = 1) -> dict[str, float]:
    """Nats per token of new stories of each register, a story at a time, without what ends it."""
    return {register: _loss(model, tokenizer, _stories(register, documents, seed)) for register in REGISTERS}


def _stories(register: str, documents: int, seed: int) -> list[str]:
    return [story(Random(f"measure {seed} {register} {n}"), register) for n in range(documents)]


def _loss(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    total, tokens = 0.0, 0
    for first in range(0, len(texts), 8):
        encoded = [tokenizer(text).input_ids for text in texts[first : first + 8]]
        length = max(map(len, encoded))
        logits = model(torch.tensor([ids + [0] * (length - len(ids)) for ids in encoded])).logits
        labels = torch.tensor([ids[1:] + [-100] * (length - len(ids)) for ids in encoded])
        total += torch.nn.functional.cross_entropy(
            logits[:, :-1].flatten(0, 1), labels.flatten(), reduction="sum"
        ).item()
        tokens += sum(len(ids) - 1 for ids in encoded)
    return total / tokens


def embedding_size(model: Any) -> float:
    """Root mean square of the embedding module's output over the whole vocabulary."""
    ids = torch.arange(model.config.vocab_size)
    with torch.inference_mode():
        return float(model.get_input_embeddings()(ids).pow(2).mean().sqrt())


@torch.inference_mode()
def samples(model: Any, tokenizer: Any, tokens: int = 120, seed: int = 0) -> Iterator[tuple[str, str]]:
    """("greedy" or "sampled", text) for each of `OPENINGS`."""
    torch.manual_seed(seed)
    for opening in OPENINGS:
        inputs = tokenizer(opening, return_tensors="pt")
        for name, settings in (("greedy", {"do_sample": False}), ("sampled", {"do_sample": True, "top_k": 0})):
            made = model.generate(**inputs, max_new_tokens=tokens, **settings)
            yield name, tokenizer.decode(made[0], skip_special_tokens=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command: prints the figures and some samples, or one JSON object a line."""
    parser = argparse.ArgumentParser("python -m soft_prompts.demo.measure", description="Measure the storyteller.")
    parser.add_argument("--model", type=Path, metavar="FOLDER", help="another model (default: the storyteller itself)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(arguments)
    model, tokenizer = load(options.model)
    figures = {
        "parameters": model.num_parameters(),
        "embedding_rms": embedding_size(model),
        "plain_lores": asdict(recall(model, tokenizer, lores())),
        "lores_in_other_words": asdict(recall(model, tokenizer, lores(plain=False))),
        "register_nats": register_losses(model, tokenizer),
    }
    for key, value in figures.items():
        print(json.dumps({key: value}) if options.json else f"{key}: {value}")
    for name, text in samples(model, tokenizer):
        print(json.dumps({name: text}) if options.json else f"\n--- {name}\n{text}")


if __name__ == "__main__":
    main()
