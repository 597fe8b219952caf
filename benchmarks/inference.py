"""`python benchmarks/inference.py` prints what soft prompts cost while a model writes, against the same model without.

The peer is an untouched copy of the model in the same process; both take turns, so that what else the machine does
falls on both. What is attached is what text-generation-webui gets: `attach` and the webui's own repairs.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import platform
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers

from soft_prompts import Library, SoftPrompt, demo
from soft_prompts.hosts.webui.transformers import Served

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
turns, ratio = parts.part("common.turns").turns, parts.part("common.turns").ratio

CONTEXT, TAGS, TOKENS = 2_048, 4, 20


def model_of(width: int, layers: int, heads: int, vocabulary: int) -> Any:
    """A random Llama; decoding speed depends on its sizes only."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=2 * CONTEXT + 64,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    return transformers.LlamaForCausalLM(config).eval()


def attached(model: Any, folder: Path) -> tuple[Any, Any, torch.Tensor]:
    """(attached copy, tokenizer, (1, CONTEXT) ids with four tags)."""
    folder.mkdir(exist_ok=True)
    rows = model.get_input_embeddings().weight.detach().numpy()
    for number in range(TAGS):
        SoftPrompt(name=f"p{number}", vectors=rows[number * TOKENS : (number + 1) * TOKENS]).save(
            folder / f"p{number}.safetensors"
        )
    copied = copy.deepcopy(model)
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo.path())
    Served(copied, tokenizer, Library(folder))
    words = "the old keeper lit the lamp in the tower and the boat was gone in the morning "
    text = "".join(f"{words * 20}<<sp:p{number}>>" for number in range(TAGS)) + words * 200
    ids = tokenizer(text, return_tensors="pt")["input_ids"][:, :CONTEXT]
    assert int((ids >= 1_000_000_000).sum()) == TAGS * TOKENS
    return copied, tokenizer, ids


def decode(model: Any, ids: torch.Tensor, steps: int) -> float:
    """Seconds of one decoding step behind `ids`, without the prefill."""
    options: dict[str, Any] = {"do_sample": False, "attention_mask": torch.ones_like(ids), "pad_token_id": 0}
    times = []
    for count in (1, steps + 1):
        began = time.perf_counter()
        model.generate(inputs=ids, max_new_tokens=count, min_new_tokens=count, **options)
        times.append(time.perf_counter() - began)
    return (times[1] - times[0]) / steps


def prefill(model: Any, ids: torch.Tensor) -> float:
    """Seconds of one forward pass over `ids`."""
    began = time.perf_counter()
    with torch.no_grad():
        model(input_ids=ids, use_cache=False, logits_to_keep=1)
    return time.perf_counter() - began


def more(ours: list[float], theirs: list[float]) -> float:
    """The median of what each round took more: the two stood close together in time."""
    return statistics.median(mine - other for mine, other in zip(ours, theirs, strict=True))


def small(folder: Path, steps: int, rounds: int) -> None:
    """What a step and a prefill cost more, on a model that costs next to nothing itself."""
    bare = model_of(8, 1, 1, 4_096)
    ours, _, tagged = attached(bare, folder)
    plain = tagged.masked_fill(tagged >= 1_000_000_000, 5)
    idle = transformers.AutoTokenizer.from_pretrained(demo.path())
    again, untouched = copy.deepcopy(bare), copy.deepcopy(bare)
    Served(untouched, idle, Library(folder))
    found = turns(
        {
            "bare": lambda: decode(bare, plain, steps),
            "again": lambda: decode(again, plain, steps),
            "idle": lambda: decode(untouched, plain, steps),
            "no tag": lambda: decode(ours, plain, steps),
            "tags": lambda: decode(ours, tagged, steps),
        },
        rounds,
        warm=True,
    )
    bare_step = statistics.median(found["bare"]) * 1e6
    print(f"| decoding step, hidden size 8, one layer, {rounds} times {steps:,} steps | {bare_step:.0f} µs |")
    for name, words in {
        "again": "the same model against itself",
        "idle": "attached, no tag ever used",
        "no tag": "attached, tags used before, none in this text",
        "tags": f"attached, four tags of {TOKENS} tokens in the text",
    }.items():
        print(f"| {words} | {more(found[name], found['bare']) * 1e6:+.0f} µs |")
    found = turns(
        {
            "bare": lambda: prefill(bare, plain),
            "no tag": lambda: prefill(ours, plain),
            "tags": lambda: prefill(ours, tagged),
        },
        5 * rounds,
        warm=True,
    )
    print(f"| prefill of {CONTEXT:,} tokens | {statistics.median(found['bare']) * 1e3:.1f} ms |")
    print(f"| the same, attached, without a tag | {more(found['no tag'], found['bare']) * 1e3:+.2f} ms |")
    print(f"| the same, four tags of {TOKENS} tokens | {more(found['tags'], found['bare']) * 1e3:+.2f} ms |")


def large(folder: Path, steps: int, rounds: int) -> None:
    """The ratio on a model of the size where people notice."""
    bare = model_of(512, 8, 8, 16_384)
    again = copy.deepcopy(bare)
    ours, _, tagged = attached(bare, folder)
    plain = tagged.masked_fill(tagged >= 1_000_000_000, 5)
    count = sum(weight.numel() for weight in bare.parameters()) / 1e6
    found = turns(
        {
            "bare": lambda: decode(bare, plain, steps),
            "again": lambda: decode(again, plain, steps),
            "no tag": lambda: decode(ours, plain, steps),
            "tags": lambda: decode(ours, tagged, steps),
        },
        rounds,
        warm=True,
    )
    print(f"| decoding step of {count:.0f} million parameters | {statistics.median(found['bare']) * 1e3:.1f} ms |")
    for name, words in {
        "again": "the same model against itself",
        "no tag": "attached, no tag",
        "tags": "four tags",
    }.items():
        print(f"| {words} | {ratio(found[name], found['bare']):.3f} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400, help="decoding steps of the small model a round")
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    parser.add_argument("--small", action="store_true", help="leave the larger model out")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}\n")
    print("| | |\n|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        small(Path(folder) / "small", options.steps, options.rounds)
        if not options.small:
            large(Path(folder) / "large", 12, options.rounds // 2)


if __name__ == "__main__":
    main()
