"""`soft-prompts export`: a sidecar and the words that say how to use it. What a server does with it: test_page.py."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from soft_prompts import SoftPrompt, cli, load  # noqa: E402
from soft_prompts.hosts.llamacpp.model import GgufModel  # noqa: E402

from ..conftest import make_model, make_tokenizer  # noqa: E402
from .gguf_models import origin_of, write_gguf  # noqa: E402

WIDTH, ROWS, WORDS = 32, 464, 380
"""Of WORDS the tokenizer knows; the others are spare."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder: untied with tokens as Llama 3 reserves them, unused rows that have no text, and tied."""
    folder, tokenizer = tmp_path_factory.mktemp("models"), make_tokenizer("bytes")
    untied = make_model("llama", ROWS, tie_word_embeddings=False)
    write_gguf(folder / "reserved.gguf", untied, tokenizer, reserved=ROWS - WORDS)
    write_gguf(folder / "unused.gguf", untied, tokenizer)
    write_gguf(folder / "tied.gguf", make_model("llama", ROWS, tie_word_embeddings=True), tokenizer)
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Path:
    folder = tmp_path / "soft_prompts"
    for number, (name, length) in enumerate((("noir", 3), ("people/emma", 2), ("long", 94))):
        vectors = np.random.default_rng(number).standard_normal((length, WIDTH)).astype(np.float32)
        SoftPrompt(name, vectors).save(folder / f"{name}.safetensors")
    SoftPrompt("wide", np.ones((2, 48), np.float32)).save(folder / "wide.safetensors")
    (folder / "words.txt").write_text("The sea.", "utf-8")
    return folder


@pytest.fixture
def export(library: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    """`export("unused", "noir")`: (status, output, errors); written into the folder `out`."""

    def run(model: str, *words: Any, output: Any = tmp_path / "out") -> tuple[int, str, str]:
        line = ["export", *words, "--gguf", models / f"{model}.gguf", "--folder", library]
        status = cli.main([*map(str, line), *(["--output", str(output)] if output else [])])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_rows_of_the_vocabulary_become_what_is_wanted(export: Any, models: Path, library: Path) -> None:
    status, out, _ = export("unused", "noir", "people/emma", "--json")
    found = json.loads(out)
    assert (status, found["way"], found["flags"]) == (0, "lora", ["--lora", found["path"]])
    ids = found["ids"]
    assert list(ids) == ["<<sp:noir>>", "<<sp:people/emma>>"] and found["text"] == {}
    assert set(ids["<<sp:noir>>"]) | set(ids["<<sp:people/emma>>"]) < set(found["banned"])
    model, reader = GgufModel.open(models / "unused.gguf"), gguf.GGUFReader(found["path"])
    tensors = {each.name: each for each in reader.tensors}
    lora_a = gguf.quants.dequantize(tensors["token_embd.weight.lora_a"].data, gguf.GGMLQuantizationType.Q4_0)
    change = lora_a @ np.asarray(tensors["token_embd.weight.lora_b"].data, np.float32).reshape(WIDTH, -1).T
    for name, length in (("noir", 3), ("people/emma", 2)):
        rows = ids[f"<<sp:{name}>>"]
        vectors = load(library / f"{name}.safetensors").vectors
        assert len(rows) == length
        np.testing.assert_allclose(model.table_rows(rows) + change[rows], vectors, atol=1e-5)


def test_a_model_that_takes_images_gets_images(export: Any) -> None:
    status, out, _ = export("tied", "noir", "people/emma", "--json")
    found = json.loads(out)
    assert (status, found["way"], found["flags"]) == (0, "mmproj", ["--mmproj", found["path"]])
    assert {tag: len(each) for tag, each in found["images"].items()} == {"<<sp:noir>>": 3, "<<sp:people/emma>>": 2}
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in found["images"]["<<sp:noir>>"])


def test_people_are_told_what_to_type(export: Any, models: Path, tmp_path: Path, library: Path) -> None:
    path = tmp_path / "out" / "noir.for.unused.gguf"
    _, out, _ = export("unused", "noir")
    assert out.startswith(f"{path}: {path.stat().st_size:,} bytes, made for unused.gguf and no other file\n")
    assert f"llama-server --model {models / 'unused.gguf'} --lora {path}\n" in out
    assert "3 ids, sent in its place: 382-384\n" in out
    assert '"prompt": ["Once upon ", 382, 383, ..., "a time"]' in out
    assert '"logit_bias": [[380, false], [381, false], [382, false], [383, false], [384, false]]' in out
    # Unused rows have no text that a tokenizer finds, and koboldcpp takes nothing but text.
    assert "pasted" not in out and "koboldcpp" not in out
    _, out, _ = export("reserved", "noir")
    text = "".join(f"<|reserved_special_token_{each}|>" for each in (2, 3, 4))
    assert f"or pasted there as text: {text}\n" in out
    assert "koboldcpp --model" in out and "(not tried)" in out
    _, out, _ = export("tied", "noir", "people/emma:0.5")
    assert "its embeddings are its output as well" in out and "--mmproj" in out
    assert f"client = Client({str(models / 'tied.gguf')!r}, {str(library)!r})" in out
    assert "client.prepare(['<<sp:noir>>', '<<sp:people/emma:0.5>>'])" in out


def test_a_path_with_a_space_can_be_typed(export: Any, tmp_path: Path) -> None:
    _, out, _ = export("unused", "noir", output=tmp_path / "a folder")
    assert f'--lora "{tmp_path / "a folder" / "noir.for.unused.gguf"}"' in out


@pytest.mark.parametrize(("words", "ids"), [
    (["noir:0.5"], {"<<sp:noir:0.5>>": 3}),
    (["<<sp:noir:0.5>>", "noir", "noir:1.0"], {"<<sp:noir:0.5>>": 3, "<<sp:noir>>": 3}),
    (["<<sp:people/emma:-1>>"], {"<<sp:people/emma:-1>>": 2}),
])  # fmt: skip
def test_strengths_and_tags(export: Any, words: list[str], ids: dict[str, int]) -> None:
    status, out, err = export("unused", *words, "--json")
    assert status == 0, err
    assert {tag: len(each) for tag, each in json.loads(out)["ids"].items()} == ids


def test_another_strength_is_other_vectors_in_another_file(export: Any) -> None:
    paths = [Path(json.loads(export("unused", name, "--json")[1])["path"]) for name in ("noir", "noir:0.5", "noir:1.0")]
    assert [each.name for each in paths] == [f"{name}.for.unused.gguf" for name in ("noir", "noir-0.5", "noir")]
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_where_it_is_written(export: Any, models: Path, tmp_path: Path) -> None:
    new = tmp_path / "new" / "folder"
    for output, path in (
        (new, new / "noir+people-emma.for.unused.gguf"),
        (tmp_path / "mine.gguf", tmp_path / "mine.gguf"),
        (None, models / "noir+people-emma.for.unused.gguf"),
    ):
        for _ in ("once", "and again"):
            status, out, _ = export("unused", "noir", "people/emma", "--json", output=output)
            assert (status, json.loads(out)["path"]) == (0, str(path)) and path.exists()
    path.unlink()


def test_errors_say_what_to_do(export: Any, models: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    (models / "text.gguf").write_text("hello, I am no model at all")
    known = GgufModel.open(models / "unused.gguf")
    for model, words, output, message in (
        ("unused", ["nior"], "out", "did you mean 'noir'"),
        ("unused", ["nior:0.5"], "out", "did you mean 'noir'"),
        ("unused", ["noir?"], "out", "cannot name a soft prompt: it holds '?'"),
        ("unused", ["noir:9"], "out", "between -4 and 4"),
        ("unused", ["wide"], "out", "48 wide, but this model embeds tokens 32 wide"),
        ("unused", ["words"], "out", "<<sp:words>>: it is a text, which every model reads as it is: paste its words"),
        ("unused", ["noir", "long"], "out", f"no room in {known.name} for <<sp:long>>: it has room for 95 vectors"),
        ("unused", ["noir"], "taken/deep", "cannot be written"),
        ("text", ["noir"], "out", "is no GGUF file: choose the model's .gguf"),
        ("none", ["noir"], "out", "cannot be read: No such file"),
    ):
        status, out, err = export(model, *words, output=tmp_path / output)
        assert (status, out) == (1, "") and message in err, err
        assert err.startswith("soft-prompts: ") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_model_is_never_written_over(export: Any, models: Path, tmp_path: Path) -> None:
    before = (models / "tied.gguf").read_bytes()
    for target in (models / "tied.gguf", models / "unused.gguf"):
        status, _, err = export("unused", "noir", output=target)
        assert status == 1 and "is there already and was not written by this command" in err
    assert (models / "tied.gguf").read_bytes() == before


def test_an_adapter_is_no_model(export: Any, library: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = json.loads(export("unused", "noir", "--json")[1])["path"]
    assert cli.main(["export", "noir", "--gguf", path, "--folder", str(library)]) == 1
    assert "choose the model itself" in capsys.readouterr().err


def test_a_stranger_is_refused(export: Any, models: Path, library: Path) -> None:
    other = make_model("llama", ROWS, tie_word_embeddings=False, num_hidden_layers=1)
    write_gguf(models / "other.gguf", other, make_tokenizer("bytes"))
    for name in ("other", "unused"):
        facts = origin_of(GgufModel.open(models / f"{name}.gguf"))
        SoftPrompt(f"of {name}", np.ones((2, WIDTH), np.float32), metadata=facts).save(
            library / f"of {name}.safetensors"
        )
    assert export("unused", "of unused")[0] == 0
    status, _, err = export("unused", "of other")
    assert status == 1 and "soft prompt 'of other'" in err


# ---- what is needed for it

ALONE = """
import sys

class Lacks:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split():
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Lacks())
before = set(sys.modules)
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.hosts.llamacpp import export
heavy = {"torch", "transformers", "gguf", "gradio", "safetensors"} & {each.partition(".")[0] for each in sys.modules}
assert not heavy, heavy
from soft_prompts.cli import main
raise SystemExit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize(("lacks", "status"), [("torch transformers safetensors gradio", 0), ("torch gguf", 1)])
def test_it_needs_numpy_and_gguf_only(lacks: str, status: int, models: Path, library: Path, tmp_path: Path) -> None:
    words = ["export", "noir", "--gguf", models / "unused.gguf", "--folder", library, "--output", tmp_path]
    done = subprocess.run(
        [sys.executable, "-I", "-X", "utf8", "-c", ALONE, lacks, *map(str, words)],
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == status, done.stderr
    if status:
        assert "needs the package gguf" in done.stderr and "pip install" in done.stderr
        assert done.stderr.count("\n") == 1
    else:
        assert "llama-server --model" in done.stdout
