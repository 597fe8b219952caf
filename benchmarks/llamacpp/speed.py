"""Tokens per second of a llama-server with and without a sidecar, turn by turn, and what the same server differs by."""

from __future__ import annotations

import random
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from soft_prompts import SoftPrompt, demo
from soft_prompts.fingerprint import KEY, take
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.hosts.llamacpp.server import Server

from ..common.tables import Section
from ..common.turns import ratio, turns

WIDTH, LAYERS, VOCABULARY = 512, 8, 16_384
PROMPTS, TOKENS, WRITTEN, ROUNDS = 10, 32, 64, 2
WORDS = "the old keeper lit the lamp in the tower and the boat was gone in the morning "
TAGGED = f"{WORDS * 3}<<sp:p0>> {WORDS}<<sp:p1>> {WORDS}"
WAYS = {"lora": "LoRA", "mmproj": "projector"}
NAMES = {
    "bare": "without",
    "again": "another server without",
    "no tag": "with, no tag in the text",
    "tags": "with, two tags in the text",
}
TASKS = Path("/proc/self/task").exists()


def speed(starts: int, tests: Callable[[str], Any]) -> Iterator[Any]:
    """Every server is started anew `starts` times: where its memory comes to lie makes up to a tenth.

    tests: gives a file of tests/llamacpp.
    """
    found = Section("Speed")
    if not tests("llama_server").FOUND:
        found.say("Not measured: LLAMA_SERVER names no llama-server, and none is on the PATH.")
        yield found
        return
    seconds: dict[Any, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {way: _written(way, Path(folder), tests) for way in WAYS}
        for number in range(starts):
            with ExitStack() as running:
                chance = random.Random(number)
                measures = [_measures(way, path, running, chance, tests) for way, path in paths.items()]
                for name, times in turns(measures[0] | measures[1], ROUNDS, warm=True).items():
                    seconds.setdefault(name, []).append(statistics.mean(times))
    rows = []
    for (way, name), times in seconds.items():
        slower = ratio(times, seconds[way, "bare"])
        shown = "" if name == "bare" else f"{slower:.3f}"
        rows.append((f"{WAYS[way]}: {NAMES[name]}", f"{1 / statistics.median(times):.0f}", shown))
        if name in ("no tag", "tags"):
            found.most(f"{WAYS[way]}, {NAMES[name]}: time of a token, ratio", slower.middle, 1.02)
    found.table(("sidecar", "tokens per second", "time of a token, times that without"), rows)
    clock = "the processor time of the server" if TASKS else "as the server reports it"
    found.say(
        f"Random Llama of hidden size {WIDTH}, {LAYERS} layers, vocabulary {VOCABULARY:,}, Q8_0 (tied for the "
        f"projector), one thread. {PROMPTS} prompts of {TOKENS} tokens in the sidecar, texts of the same length. "
        f"{starts} starts of each server, {ROUNDS} rounds of {WRITTEN} tokens after each, all in another order each "
        f"time; ratios of the starts, their median and its 95 % interval; time is {clock}."
    )
    yield found


def _written(way: str, folder: Path, tests: Callable[[str], Any]) -> Path:
    """The model, with most of its vocabulary spare."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(demo.path())
    path = folder / f"{way}.gguf"
    write: Callable[..., Path] = tests("gguf_models").write_gguf
    return write(path, _model(tied=way == "mmproj"), tokenizer, "Q8_0", unused=VOCABULARY - len(tokenizer))


def _measures(
    way: str, path: Path, running: ExitStack, chance: random.Random, tests: Callable[[str], Any]
) -> dict[Any, Callable[[], float]]:
    """Each gives the seconds of one token."""
    model = GgufModel.open(path)
    client = Client(model, prompts=_prompts(model), folder=path.parent / "sidecars")
    flags = client.prepare().flags
    assert client.sidecar is not None and client.sidecar.way == way

    servers, order = {}, ["bare", "again", "with"]
    chance.shuffle(order)
    for name in order:
        started = tests("llama_server").llama_server(path, flags if name == "with" else (), 512)
        servers[name] = running.enter_context(started)
    client.server.address = servers["with"]
    tagged, plain = client.request(TAGGED, {}), client.request(WORDS * 12, {})
    plain["prompt"] = plain["prompt"][: len(client.text.encode(TAGGED).ids)]
    bare = {"prompt": plain["prompt"]}
    return {
        (way, "bare"): _decoding(servers["bare"], bare),
        (way, "again"): _decoding(servers["again"], bare),
        (way, "no tag"): _decoding(servers["with"], plain),
        (way, "tags"): _decoding(servers["with"], tagged),
    }


def _decoding(address: Any, asked: dict[str, Any]) -> Callable[[], float]:
    server = Server(address)
    whole = {**asked, "n_predict": WRITTEN, "ignore_eos": True, "temperature": 0, "cache_prompt": True}

    def measure() -> float:
        server.post("/completion", {**whole, "n_predict": 1})  # so that the text is read, and only writing is left
        before = _spent(address.pid)
        answer = server.post("/completion", whole)
        assert answer["tokens_predicted"] == WRITTEN
        if not TASKS:
            return float(answer["timings"]["predicted_ms"]) / 1000 / WRITTEN
        return (_spent(address.pid) - before) / WRITTEN

    return measure


def _spent(pid: int) -> float:
    """Seconds of processor time of all threads of a process."""
    if not TASKS:
        return 0.0
    return sum(int((each / "schedstat").read_text().split()[0]) for each in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def _model(tied: bool) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=3 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=8,
        max_position_embeddings=1_024,
        tie_word_embeddings=tied,
    )
    return transformers.LlamaForCausalLM(config).eval()


def _prompts(model: GgufModel) -> list[SoftPrompt]:
    chance, origin = np.random.default_rng(0), {KEY: take(model).to_text()}
    return [
        SoftPrompt(f"p{number}", chance.standard_normal((TOKENS, WIDTH)).astype(np.float32) * 0.02, metadata=origin)
        for number in range(PROMPTS)
    ]
