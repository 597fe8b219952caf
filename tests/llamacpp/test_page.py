"""docs/llamacpp.md is run: what export says, as it says it, and the client, both on a real llama-server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts import Library, SoftPrompt, cli, demo
from soft_prompts.hosts.llamacpp.export import Exported, export
from soft_prompts.hosts.llamacpp.server import Server

from ..conftest import make_model, make_tokenizer
from ..test_docs import blocks
from .gguf_models import write_gguf
from .llama_server import FOUND, llama_server

PAGE = "docs/llamacpp.md"
WAYS = ["lora", "mmproj"]
LAMP = " and the old keeper lit the lamp in the tower"
GREEDY = {"n_predict": 20, "temperature": 0, "cache_prompt": False}
EXACT = ["--flash-attn", "off", "--cache-type-k", "f32", "--cache-type-v", "f32"]

real = pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH")


def test_the_page_shows_what_export_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    SoftPrompt("noir", np.ones((4, 32), np.float32)).save("soft_prompts/noir.safetensors")
    for name, shown in zip(("model", "tied"), blocks(PAGE, "text"), strict=True):
        model = make_model("llama", 464, tie_word_embeddings=name == "tied")
        write_gguf(Path(f"{name}.gguf"), model, make_tokenizer("bytes"), reserved=84)
        assert cli.main(["export", "noir", "--gguf", f"{name}.gguf"]) == 0
        assert capsys.readouterr().out == shown


@pytest.fixture(scope="module")
def storyteller(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: the demo's model as `lora.gguf`, with reserved words as Llama 3 has them, and as it is, tied, and a
    library with what LAMP says."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder, tokenizer = tmp_path_factory.mktemp("page"), AutoTokenizer.from_pretrained(demo.path())
    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
    for name in ("lamp", "noir"):
        SoftPrompt.from_text(LAMP, model, tokenizer, name=name).save(folder / "soft_prompts" / f"{name}.safetensors")
    write_gguf(folder / "mmproj.gguf", model, tokenizer)
    rows = model.get_input_embeddings().num_embeddings + 96
    model.resize_token_embeddings(rows, mean_resizing=False)
    write_gguf(folder / "lora.gguf", model, tokenizer, reserved=96, untie=True)
    return folder


@real
@pytest.mark.llamacpp
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_the_programs_of_the_page(
    storyteller: Path, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("model.gguf").write_bytes((storyteller / f"{way}.gguf").read_bytes())
    SoftPrompt("noir", Library(storyteller / "soft_prompts")["noir"].vectors).save("soft_prompts/noir.safetensors")
    first, second = blocks(PAGE, "python")
    names: dict[str, Any] = {}
    exec(compile(first, PAGE, "exec"), names)
    line = capsys.readouterr().out.split()
    assert line[:5] == ["llama-server", "--model", "model.gguf", "--port", "8080"]
    with llama_server(Path("model.gguf"), line[5:], 512) as address:
        names["client"].server.address = address  # nobody knows whether 8080 is free here
        exec(compile(second, PAGE, "exec"), names)
    assert len(capsys.readouterr().out.split()) > 20


@real
@pytest.mark.llamacpp
@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_what_export_says_can_be_done_by_hand(storyteller: Path, way: str, tmp_path: Path) -> None:
    model, library = storyteller / f"{way}.gguf", storyteller / "soft_prompts"
    made = export(["noir:0.5", "lamp"], Library(library), model, tmp_path)
    with llama_server(model, [*made.sidecar.flags, *EXACT], 512) as address:
        server = Server(address)

        def written(prompt: Any, **more: Any) -> str:
            return str(server.post("/completion", {**GREEDY, **more, "prompt": prompt})["content"])

        for before in ("Once upon", ""):
            expected = written(before + LAMP + " a time there")
            assert expected != written(before + " a time there")
            for each in (_ids, _text) if way == "lora" else (_images, _client):
                assert each(made, before, " a time there", server, written) == expected, each.__name__


Written = Callable[..., str]


def _ids(made: Exported, before: str, after: str, server: Server, written: Written) -> str:
    banned = [[each, False] for each in made.record()["banned"]]
    return written([before, *made.ids["<<sp:lamp>>"], after], logit_bias=banned)


def _text(made: Exported, before: str, after: str, server: Server, written: Written) -> str:
    return written(before + made.text["<<sp:lamp>>"] + after)


def _images(made: Exported, before: str, after: str, server: Server, written: Written) -> str:
    marker, pictures = server.get("/props")["media_marker"], made.images["<<sp:lamp>>"]
    return written({"prompt_string": before + marker * len(pictures) + after, "multimodal_data": pictures})


def _client(made: Exported, before: str, after: str, server: Server, written: Written) -> str:
    """The program that export prints."""
    lines = [line for line in str(made).splitlines() if line.startswith(("from ", "client"))]
    names: dict[str, Any] = {}
    exec("\n".join(lines), names)
    names["client"].server.address = server.address
    return str(names["client"].complete(f"{before}<<sp:lamp>>{after}", **GREEDY))
