"""Training on the file of a llama.cpp model: the same numbers, the same tokens, and a prompt that fits both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("gguf")

from soft_prompts.errors import InvalidFile, TrainingError
from soft_prompts.fingerprint import judge
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.trainer import Corpus, Finetune, train
from soft_prompts.trainer import gguf as room
from soft_prompts.trainer.loading import Choice, load

from ..conftest import make_model, make_tokenizer
from ..llamacpp.gguf_models import write_gguf


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, tokenizer = tmp_path_factory.mktemp("gguf"), make_tokenizer("bytes")
    model = make_model("llama", 464, tie_word_embeddings=False)
    kinds = ("F32", "Q8_0")
    return {kind: write_gguf(folder / f"tiny-{kind}.gguf", model, tokenizer, kind) for kind in kinds}


def test_it_is_the_model_that_it_was_made_from(files: dict[str, Path], story: str) -> None:
    original, tokenizer = make_model("llama", 464, tie_word_embeddings=False), make_tokenizer("bytes")
    model, read, notes = load(Choice(str(files["F32"]), dtype="float32"))
    assert (read(story)["input_ids"], notes) == (tokenizer(story)["input_ids"], [])
    ids = torch.tensor([tokenizer(story)["input_ids"][:64]])
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, original(ids).logits, atol=1e-4, rtol=1e-4)


def test_what_is_trained_on_a_file_fits_it_and_its_original(files: dict[str, Path], story: str, small: Any) -> None:
    model, tokenizer, _ = load(Choice(str(files["Q8_0"])))
    prompt = train(model, tokenizer, Finetune(Corpus(story * 6)), name="noir", **small)
    assert prompt.metadata["base_model"] == "tiny-Q8_0"
    for path in files.values():
        assert judge(prompt, GgufModel.open(path)).verdict == "fits"


def test_what_cannot_be_trained_on_is_told(files: dict[str, Path], tmp_path: Path, monkeypatch: Any) -> None:
    path = files["F32"]
    with pytest.raises(TrainingError, match="a GGUF is read as it is"):
        load(Choice(str(path), bits=4))
    with pytest.raises(InvalidFile, match="No such file"):
        load(Choice(str(tmp_path / "none.gguf")))
    for part in (1, 2):
        (tmp_path / f"it-0000{part}-of-00002.gguf").write_bytes(path.read_bytes())
    with pytest.raises(TrainingError, match="one of 2 parts, .* llama-gguf-split --merge"):
        load(Choice(str(tmp_path / "it-00001-of-00002.gguf")))
    monkeypatch.setattr("soft_prompts.trainer.fitting.free", lambda device: 1000)
    with pytest.raises(TrainingError, match="in float32, and 0 GB are free: --dtype bfloat16 needs half of it"):
        room.opened(Choice(str(path), device="cpu"))
    monkeypatch.undo()
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises((InvalidFile, TrainingError)):
        load(Choice(str(cut)))
    odd = write_gguf(tmp_path / "odd.gguf", make_model("llama", 464), make_tokenizer("bytes"))
    odd.write_bytes(odd.read_bytes().replace(b"llama", b"lla9a"))
    with pytest.raises(InvalidFile, match="cannot be loaded"):
        load(Choice(str(odd)))
