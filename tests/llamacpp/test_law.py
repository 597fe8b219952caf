"""The law on a real llama-server: what stands behind a tag is what Transformers says with the same vectors there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts import attach
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.hosts.llamacpp.probe import next_tokens
from soft_prompts.prompt import SoftPrompt

from ..conftest import make_model, make_tokenizer
from .gguf_models import write_gguf
from .llama_server import EXACT, FOUND, QUANTIZE, llama_server

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]

WIDE = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4, "num_key_value_heads": 2}
GEMMA = {"head_dim": 64, "query_pre_attn_scalar": 64}
SHAPES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "untied llama, byte-level": ("llama", "bytes", {**WIDE, "tie_word_embeddings": False}),
    "untied llama, sentencepiece": ("llama", "prepend", {**WIDE, "tie_word_embeddings": False}),
    "untied qwen, byte-level": ("qwen3", "bytes", {**WIDE, "head_dim": 64, "tie_word_embeddings": False}),
    "tied llama, byte-level": ("llama", "bytes", {**WIDE, "tie_word_embeddings": True}),
    "tied llama, sentencepiece": ("llama", "prepend", {**WIDE, "tie_word_embeddings": True}),
    "tied gemma 3, byte-level": ("gemma3", "bytes", {**WIDE, **GEMMA}),
    "tied gemma 2, byte-level": ("gemma2", "bytes", {**WIDE, **GEMMA}),
}
UNTIED = "untied llama, byte-level"
SPACED = "tied llama, sentencepiece"
"""Where llama.cpp puts a space behind each image."""
TEXTS = {
    "start": "<<sp:noir>> The lamp was lit by the keeper.",
    "middle": "The lamp <<sp:noir>>was lit",
    "end": "The lamp was lit by<<sp:noir>>",
    "twice": "One <<sp:noir>>, and the lamp <<sp:noir>> was",
    "two prompts": "One <<sp:noir>><<sp:sea>> and the lamp",
    "a strength": "The lamp <<sp:noir:0.5>> was",
}
TOP = 768
FLOOR = 1e-5


def prompts(width: int, scale: float) -> list[SoftPrompt]:
    generator = np.random.default_rng(7)
    return [
        SoftPrompt(name, (generator.standard_normal((length, width)) * scale).astype(np.float32))
        for name, length in (("noir", 8), ("sea", 4))
    ]


class Pair:
    """One model in both worlds."""

    def __init__(self, path: Path, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.client: Client
        self.path = path
        self.scale = float(model.get_input_embeddings().weight.detach().std())
        self.prompts = prompts(model.config.hidden_size, self.scale)

    def start(self, flags: Sequence[str] = ()) -> Any:
        file = GgufModel.open(self.path)
        self.client = Client(file, prompts=self.prompts, folder=self.path.parent / "sidecars")
        sidecar = self.client.prepare(["<<sp:noir>>", "<<sp:sea>>", "<<sp:noir:0.5>>"])
        return llama_server(self.path, [*sidecar.flags, *EXACT, *flags])

    def theirs(self, text: str) -> Any:
        import torch

        with torch.no_grad(), attach(self.model, self.tokenizer, prompts=self.prompts):
            logits = self.model(**self.tokenizer(text, return_tensors="pt")).logits[0, -1].float()
        return torch.log_softmax(logits, -1).numpy()

    def ours(self, text: str) -> Any:
        assert self.client.sidecar is not None
        prompt = self.client.request(text, {})["prompt"]
        found = np.full(TOP, np.nan, np.float32)
        for each, logprob in next_tokens(self.client.server.post, prompt, self.client.sidecar.told[0], TOP).items():
            found[each] = logprob
        return found


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Pair]]:
    """`pair("tied llama, byte-level", "Q8_0")`, with a server that runs until another is asked for."""
    folder, running = tmp_path_factory.mktemp("llamacpp"), ExitStack()
    last: list[tuple[Any, Pair]] = []

    def make(shape: str, kind: str = "F32") -> Pair:
        if last and last[0][0] == (shape, kind):
            return last[0][1]
        running.close()
        last.clear()
        family, border, changes = SHAPES[shape]
        model, tokenizer = make_model(family, vocabulary=TOP, **changes), make_tokenizer(border)
        name = f"{shape} {kind}".replace(" ", "-").replace(",", "")
        path = write_gguf(folder / f"{name}.gguf", model, tokenizer, unused=64)
        if kind != "F32":
            path = quantised(path, kind)
            _take_rows(model, GgufModel.open(path))
        found = Pair(path, model, tokenizer)
        found.client_address = running.enter_context(found.start())
        found.client.server.address = found.client_address
        last.append(((shape, kind), found))
        return found

    yield make
    running.close()


def quantised(path: Path, kind: str) -> Path:
    """The same with its token embeddings in another type, by llama.cpp's own quantiser."""
    target = path.with_name(f"{path.stem}-{kind}-table.gguf")
    command = [QUANTIZE, "--token-embedding-type", kind.lower(), str(path), str(target), "F32"]
    subprocess.run(command, check=True, capture_output=True)
    return target


def _take_rows(model: Any, file: GgufModel) -> None:
    """The dequantised table, into the model of Transformers."""
    import torch

    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(torch.from_numpy(file.table_rows(range(file.rows))))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_server_does_what_its_sidecar_says(pair: Callable[..., Pair], shape: str) -> None:
    found = pair(shape)
    assert found.client.sidecar is not None
    assert found.client.sidecar.way == ("mmproj" if "gemma" in shape or shape.startswith("tied") else "lora")
    assert found.client.check() < 0.01


@pytest.mark.parametrize("place", TEXTS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_law(pair: Callable[..., Pair], shape: str, place: str) -> None:
    found = pair(shape)
    if place == "end" and found.client.sidecar is not None and found.client.sidecar.way == "mmproj":
        pytest.skip("llama.cpp answers no prompt that ends with an image; see the next test")
    plain = "The lamp was lit by the keeper."
    floor = np.nanmax(np.abs(found.ours(plain) - found.theirs(plain)))
    text = TEXTS[place]
    read = re.sub(">>(?![ <])", ">> ", text) if shape == SPACED else text
    difference = np.nanmax(np.abs(found.ours(text) - found.theirs(read)))
    assert difference <= max(2 * floor, FLOOR * 10), (difference, floor)


@pytest.mark.parametrize(("text", "read"), [
    ("The lamp was lit by<<sp:noir>>", "The lamp was lit<<sp:noir>> by"),
    ("The lamp was lit by<<sp:noir>><<sp:sea>>", "The lamp was lit<<sp:noir>><<sp:sea>> by"),
    ("<<sp:noir>>", "<<sp:noir>>\n"),
])  # fmt: skip
@pytest.mark.parametrize("shape", ["tied llama, byte-level", SPACED])
def test_a_tag_at_the_end_where_tags_are_images(pair: Callable[..., Pair], shape: str, text: str, read: str) -> None:
    if "\n" in read and shape == SPACED:
        pytest.skip("this tokenizer has no line break in Transformers")
    found = pair(shape)
    assert np.nanmax(np.abs(found.ours(text) - found.theirs(read))) < 1e-4


@pytest.mark.parametrize("kind", ["F16", "Q8_0", "Q6_K", "Q4_K", "Q4_0"])
@pytest.mark.parametrize("shape", [UNTIED, "tied llama, byte-level"])
def test_the_law_at_every_type_of_the_table(pair: Callable[..., Pair], shape: str, kind: str) -> None:
    found = pair(shape, kind)
    assert found.client.model.kind == kind
    floors = [np.nanmax(np.abs(found.ours(text) - found.theirs(text))) for text in ("The lamp was lit", "One and two")]
    for place, text in TEXTS.items():
        if place == "end" and "tied" in shape.split():
            continue
        difference = np.nanmax(np.abs(found.ours(text) - found.theirs(text)))
        assert difference <= max(2 * max(floors), FLOOR * 10), (text, difference, floors)


@pytest.mark.parametrize("shape", SHAPES)
def test_greedy_text_is_the_same(pair: Callable[..., Pair], shape: str) -> None:
    found = pair(shape)
    text = "The lamp <<sp:noir>> was"
    with attach(found.model, found.tokenizer, prompts=found.prompts):
        asked = found.tokenizer(text, return_tensors="pt")
        rows = list(range(len(found.tokenizer), TOP))  # what the tokenizer does not know may be another vector here
        made = found.model.generate(**asked, max_new_tokens=24, do_sample=False, suppress_tokens=rows)
    new = made[0, asked["input_ids"].shape[1] :].tolist()
    options = {"n_predict": 24, "temperature": 0, "return_tokens": True, "cache_prompt": False}
    asked = found.client.request(text, options)
    asked["logit_bias"] = [[each, False] for each in rows]
    answer = found.client.server.post("/completion", asked)
    assert answer["tokens"][:20] == new[:20]
