"""Models that others have wrapped, moved, shared out, adapted or rounded take soft prompts as their own words."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import accelerate
import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

import soft_prompts
from soft_prompts.slots import FIRST_ID

from ..conftest import make_model
from ..law import PLACES, Pair, logits
from ..quantised import bitsandbytes, torchao

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

WIDE = {"hidden_size": 64, "intermediate_size": 128}


def check(pair: Pair, **options: Any) -> None:
    """The law in every place; to be called while attached."""
    for parts in PLACES.values():
        soft, plain = pair.ids(parts)
        one, two = logits(pair.model, soft).float(), logits(pair.model, plain).float()
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
        pair.same(parts, new=5, **options)


def checked(model: Any, tokenizer: Any, **options: Any) -> None:
    pair = Pair(model, tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt]):
        check(pair, **options)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3", "mixtral"])
def test_half_precision(family: str, dtype: torch.dtype, tokenizer: Any) -> None:
    checked(make_model(family).to(dtype), tokenizer)


def test_on_the_disk(tokenizer: Any, tmp_path: Path) -> None:
    checked(
        accelerate.disk_offload(make_model("llama"), str(tmp_path), execution_device=torch.device("cpu")), tokenizer
    )


@pytest.mark.parametrize("embedding", ["cpu", "disk"])
def test_a_device_map(embedding: str, tokenizer: Any, tmp_path: Path) -> None:
    """As `from_pretrained(device_map=...)` does it, with a part of the layers on the disk."""
    make_model("llama", tie_word_embeddings=False).save_pretrained(tmp_path / "model")
    places: dict[str, Any] = {
        **{"model.embed_tokens": embedding, "model.layers.0": "cpu", "model.layers.1": "disk"},
        **{"model.norm": "cpu", "model.rotary_emb": "cpu", "lm_head": "cpu"},
    }
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "model", device_map=places, offload_folder=str(tmp_path / "off"), dtype=torch.float32
    ).eval()
    assert "disk" in model.hf_device_map.values()
    checked(model, tokenizer)


TARGETS: dict[str, dict[str, Any]] = {
    "attention": {"target_modules": ["q_proj", "v_proj"]},
    "embeddings": {"target_modules": ["embed_tokens"]},
    "copied embeddings": {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]},
    "some tokens": {"target_modules": ["q_proj"], "trainable_token_indices": [5, 6, 300]},
}


def adapted(model: Any, target: str) -> Any:
    """With an adapter that is no zero, as a trained one is."""
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM", **TARGETS[target])
    made = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "modules_to_save" in name or "trainable_tokens" in name:
                weight += 0.1 * torch.randn_like(weight)
    return made


@pytest.mark.parametrize("target", TARGETS)
def test_an_adapter_before(target: str, tokenizer: Any) -> None:
    checked(adapted(make_model("llama"), target), tokenizer)


@pytest.mark.parametrize("target", TARGETS)
def test_an_adapter_that_comes_and_goes(target: str, tokenizer: Any) -> None:
    """Put around a model that is attached, switched off, and merged."""
    model = make_model("llama", tie_word_embeddings=False)
    pair = Pair(model, tokenizer)
    # With other embeddings it is another model for a fingerprint, and is here, where the adapter is a random one.
    with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt], allow_strangers=True):
        pair.model = adapted(model, target)
        if target == "attention":
            check(pair)
        soft, plain = pair.ids(PLACES["middle"])
        there = soft[0] >= FIRST_ID
        plain[0][there] = 77
        heard, unlike = logits(pair.model, soft)[:, -1], logits(pair.model, plain)[:, -1]
        assert not torch.allclose(heard, unlike, rtol=0, atol=1e-4)
        with torch.no_grad():
            embedded = pair.model.get_input_embeddings()(soft)[0]
        torch.testing.assert_close(embedded[there], torch.tensor(pair.prompt.vectors), rtol=0, atol=0)
        with pair.model.disable_adapter():
            check(pair)
        if target == "attention":
            pair.model = pair.model.merge_and_unload()
            check(pair)


def test_resized(tokenizer: Any) -> None:
    model = make_model("llama", tie_word_embeddings=False)
    pair = Pair(model, tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt]):
        for rows in (464, 390):
            model.resize_token_embeddings(rows, mean_resizing=False)
            check(pair)


@pytest.mark.parametrize("bits", [8, 4])
def test_bitsandbytes(bits: int, tokenizer: Any, tmp_path: Path) -> None:
    checked(bitsandbytes(make_model("llama", **WIDE), tmp_path, bits), tokenizer)


@pytest.mark.parametrize("part", [torch.nn.Linear, torch.nn.Embedding])
def test_torchao(part: type[torch.nn.Module], tokenizer: Any) -> None:
    checked(torchao(make_model("llama", tie_word_embeddings=False, **WIDE), part), tokenizer)


@pytest.mark.skipif(sys.platform == "win32", reason="gloo is Unix's")
@pytest.mark.parametrize(("way", "processes"), [("ddp", 1), ("ddp", 2), ("fsdp", 1), ("fsdp", 2)])
def test_shared_out(way: str, processes: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-I", str(Path(__file__).with_name("sharded.py")), way]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    pipe = subprocess.PIPE
    started = [
        subprocess.Popen(command, env={**os.environ, **place, "RANK": str(rank)}, stdout=pipe, stderr=pipe, text=True)
        for rank in range(processes)
    ]
    told = []
    try:
        for each in started:
            out, problems = each.communicate(timeout=240)
            assert out.strip(), problems
            told.append(json.loads(out.splitlines()[-1]))
    finally:
        for each in started:
            each.kill()
            each.wait()
    assert {each["rank"] for each in told} == set(range(processes))
    assert max(each["apart"] for each in told) <= 1e-5
    assert all(each["written"] == told[0]["written"] for each in told)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_cuda(dtype: torch.dtype, tokenizer: Any) -> None:
    """On a GPU a lost id would kill the whole process."""
    pair = Pair(make_model("llama").to("cuda", dtype), tokenizer)
    of = pair.ids
    pair.ids = lambda parts: tuple(ids.to("cuda") for ids in of(parts))  # type: ignore[method-assign, assignment, return-value]
    with soft_prompts.attach(pair.model, tokenizer, prompts=[pair.prompt]):
        check(pair)
