"""GGUF files read and sidecars written: the gguf package is the judge of both."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

gguf = pytest.importorskip("gguf")

from soft_prompts.errors import InvalidFile, SoftPromptError, UnsupportedModel  # noqa: E402
from soft_prompts.fingerprint import judge  # noqa: E402
from soft_prompts.hosts.llamacpp.header import read_header  # noqa: E402
from soft_prompts.hosts.llamacpp.mmproj import image, patch_for, room_of, side_for  # noqa: E402
from soft_prompts.hosts.llamacpp.model import GgufModel  # noqa: E402
from soft_prompts.hosts.llamacpp.sidecar import PROBE, Wanted, make, route_of  # noqa: E402
from soft_prompts.hosts.llamacpp.spare import spare_rows  # noqa: E402
from soft_prompts.hosts.llamacpp.writer import one_hot_q4  # noqa: E402
from soft_prompts.prompt import SoftPrompt  # noqa: E402

from ..conftest import make_model, make_tokenizer  # noqa: E402
from .gguf_models import origin_of, write_gguf  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gguf")


@pytest.fixture(scope="module")
def models(folder: Path) -> dict[str, Path]:
    """Untied with 64 spare rows, tied, and the scaled embeddings of Gemma."""

    tokenizer = make_tokenizer("bytes")
    found = {}
    for name, family, changes in (
        ("untied", "llama", {"tie_word_embeddings": False}),
        ("tied", "llama", {"tie_word_embeddings": True}),
        ("gemma", "gemma3", {}),
    ):
        model = make_model(family, vocabulary=464, **changes)
        found[name] = write_gguf(folder / f"{name}.gguf", model, tokenizer, unused=64)
    return found


def test_a_file_says_what_the_gguf_package_says(models: dict[str, Path]) -> None:
    for path in models.values():
        ours, theirs = read_header(path), gguf.GGUFReader(path)
        places = {each.name: (tuple(map(int, each.shape)), int(each.tensor_type)) for each in theirs.tensors}
        assert {name: (each.shape, each.kind) for name, each in ours.tensors.items()} == places
        starts = {each.name: int(each.data_offset) for each in theirs.tensors}
        assert {name: each.start for name, each in ours.tensors.items()} == starts
        for key, field in theirs.fields.items():
            if not key.startswith("GGUF.") and ours.values[key] is not None:
                assert ours.values[key] == pytest.approx(field.contents()), key
        assert ours.values["tokenizer.ggml.tokens"] == theirs.fields["tokenizer.ggml.tokens"].contents()


@pytest.mark.parametrize("name", ["untied", "tied", "gemma"])
def test_rows_are_those_of_the_embedding_module(models: dict[str, Path], name: str) -> None:

    model = GgufModel.open(models[name])
    changes = {} if name == "gemma" else {"tie_word_embeddings": name == "tied"}
    original = make_model("gemma3" if name == "gemma" else "llama", vocabulary=464, **changes)
    import torch

    with torch.no_grad():
        expected = original.get_input_embeddings()(torch.tensor([5, 300, 17])).numpy()
    np.testing.assert_allclose(model.embed([5, 300, 17]), expected, rtol=1e-6)
    assert model.tied == (name != "untied")
    assert (model.width, model.rows) == (32, 464)


def test_a_prompt_of_the_original_fits_every_quantisation(folder: Path) -> None:
    from soft_prompts.hosts.hf.view import origin_of as origin_of_original

    model, tokenizer = make_model("llama", vocabulary=464), make_tokenizer("bytes")
    stranger = make_model("llama", vocabulary=464, initializer_range=0.021, hidden_size=32, num_hidden_layers=1)
    prompt = SoftPrompt("noir", np.ones((4, 32), np.float32), metadata=origin_of_original(model, tokenizer))
    for kind in ("F32", "F16", "Q8_0", "Q4_0"):
        file = GgufModel.open(write_gguf(folder / f"fits-{kind}.gguf", model, tokenizer, kind, unused=64))
        fit = judge(prompt, file)
        assert fit.verdict == "fits", fit
        own = SoftPrompt("own", np.ones((4, 32), np.float32), metadata=origin_of(file))
        assert judge(own, file).verdict == "fits"
    file = GgufModel.open(write_gguf(folder / "stranger.gguf", stranger, tokenizer, unused=64))
    assert judge(prompt, file).verdict == "stranger"


def test_spare_rows_come_from_what_the_file_says(models: dict[str, Path], folder: Path) -> None:

    model = GgufModel.open(models["untied"])
    spare = spare_rows(model)
    unused = [each for each in spare if model.kinds[each] == 5]
    assert spare[: len(unused)] == tuple(range(400, 464)) or set(range(400, 464)) <= set(unused)
    # Bytes that no UTF-8 text holds stand in a byte-level vocabulary, too.
    assert {model.tokens[each] for each in spare[len(unused) :]} == {
        chr(each) for each in (0xC0, 0xC1, *range(0xF5, 256))
    }
    template = "{{ '[PAD450]' }}"
    path = folder / "template.gguf"
    write_gguf(
        path,
        make_model("llama", vocabulary=464),
        make_tokenizer("bytes"),
        unused=64,
        **{"tokenizer.chat_template": template},
    )
    assert spare_rows(GgufModel.open(path)) == tuple(each for each in spare if model.tokens[each] != "[PAD450]")


@pytest.mark.parametrize(("height", "width"), [(40, 32), (7, 96)])
def test_a_one_is_a_one_in_q4(height: int, width: int) -> None:
    lit = {row: (5 * row + 3) % width for row in range(0, height, 2)}
    shape, kind, data = one_hot_q4(height, width, lit)
    rows = np.frombuffer(data, np.uint8).reshape(height, -1)
    found = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType(kind))
    expected = np.zeros((height, width), np.float32)
    for row, column in lit.items():
        expected[row, column] = 1
    assert tuple(shape) == (width, height)
    np.testing.assert_array_equal(found, expected)


def wanted(*lengths: int, width: int = 32) -> list[Wanted]:
    generator = np.random.default_rng(0)
    return [
        Wanted(f"prompt {place}", generator.standard_normal((length, width)).astype(np.float32))
        for place, length in enumerate(lengths)
    ]


def test_an_adapter_makes_rows_what_is_wanted(models: dict[str, Path], tmp_path: Path) -> None:
    model, asked = GgufModel.open(models["untied"]), wanted(16, 20)
    sidecar = make(model, asked, tmp_path)
    reader = gguf.GGUFReader(sidecar.path)
    assert reader.fields["general.architecture"].contents() == "llama"
    tensors = {each.name: gguf.quants.dequantize(each.data, each.tensor_type) for each in reader.tensors}
    table = (
        model.table_rows(range(model.rows))
        + tensors["token_embd.weight.lora_a"] @ tensors["token_embd.weight.lora_b"].T
    )
    for each in asked:
        np.testing.assert_allclose(table[list(sidecar.places[each.key])], each.vectors, atol=1e-6)
    np.testing.assert_allclose(table[list(sidecar.probe)], model.table_rows(sidecar.told), atol=1e-6)
    kept = [each for each in range(model.rows) if each not in sidecar.banned]
    np.testing.assert_array_equal(table[kept], model.table_rows(kept))
    assert len(sidecar.banned) == 16 + 20 + PROBE


def test_the_same_gives_the_same_file_and_others_make_room(models: dict[str, Path], tmp_path: Path) -> None:
    model = GgufModel.open(models["untied"])
    first = make(model, wanted(4), tmp_path)
    written = first.path.stat().st_ino
    assert make(model, wanted(4), tmp_path) == first
    assert first.path.stat().st_ino == written
    for length in range(5, 12):
        last = make(model, wanted(length), tmp_path)
    assert last.path.exists() and not first.path.exists()
    assert len(list(tmp_path.iterdir())) == 4
    # What has no room is left out, the first ones first.
    room = route_of(model).room
    full = make(model, wanted(room - 6, 8, 6), tmp_path)
    assert list(full.places) == ["prompt 0", "prompt 2"]


def test_a_projector_takes_each_patch_to_its_vector(models: dict[str, Path], tmp_path: Path) -> None:
    """What llama.cpp computes, written down: convolution, GELU between two matrices."""
    from PIL import Image

    for name, lengths in (("tied", (16, 20)), ("gemma", (9, 16, 2))):
        model, asked = GgufModel.open(models[name]), wanted(*lengths)
        sidecar = make(model, asked, tmp_path)
        assert (sidecar.way, sidecar.banned) == ("mmproj", ())
        reader = gguf.GGUFReader(sidecar.path)
        tensors = {each.name: np.asarray(each.data, np.float32).reshape(each.shape[::-1]) for each in reader.tensors}
        side, patch = sidecar.side, sidecar.patch
        each_holds = side * side
        for each in asked:
            places = list(sidecar.places[each.key])
            for start in range(0, len(places), each_holds):
                path = tmp_path / "image.png"
                path.write_bytes(image(places[start : start + each_holds], side, patch))
                pixels = np.asarray(Image.open(path), np.float32) / 255
                patches = pixels.reshape(side, patch, side, patch, 3).transpose(0, 2, 4, 1, 3).reshape(each_holds, -1)
                hidden = patches @ tensors["v.patch_embd.weight"].reshape(room_of(patch), -1).T
                hidden = hidden @ tensors["mm.0.weight"].T
                assert set(np.unique(hidden)) <= {0.0, 16.0}  # where GELU changes nothing
                found = hidden @ tensors["mm.2.weight"].T
                np.testing.assert_allclose(found, each.vectors[start : start + each_holds], rtol=1e-6)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_images_hold_whole_prompts(lengths: list[int]) -> None:
    side = side_for(lengths)
    assert 1 <= side <= 8 and all(length % (side * side) == 0 for length in lengths)
    count = sum(lengths)
    assert not patch_for(count) or room_of(patch_for(count)) >= count


def test_models_of_the_other_ways(models: dict[str, Path]) -> None:
    assert route_of(GgufModel.open(models["untied"])).way == "lora"
    tied = route_of(GgufModel.open(models["tied"]))
    assert tied.way == "mmproj" and "its output as well" in tied.why
    refused = GgufModel.open(models["tied"])
    object.__setattr__(refused, "architecture", "gemma3n")
    with pytest.raises(UnsupportedModel, match="Transformers loader"):
        route_of(refused)


def test_each_sidecar_is_tried_with_words_of_its_own(models: dict[str, Path], tmp_path: Path) -> None:
    model = GgufModel.open(models["untied"])
    made = [make(model, wanted(*lengths), tmp_path) for lengths in ((4,), (4, 5), (6,), (), (4,))]
    assert made[0] == made[4] and len({each.told for each in made}) == 4
    for each in made:
        assert len(set(each.told)) == PROBE and all(model.tokens[word].strip("Ġ").isalpha() for word in each.told)


# ---- bad input


def test_what_is_no_model_is_told_by_name(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "text.gguf").write_text("hello, I am no model at all")
    with pytest.raises(InvalidFile, match="is no GGUF file"):
        GgufModel.open(tmp_path / "text.gguf")
    with pytest.raises(InvalidFile, match="cannot be read: No such file"):
        GgufModel.open(tmp_path / "none.gguf")
    adapter = make(GgufModel.open(models["untied"]), wanted(4), tmp_path)
    with pytest.raises(UnsupportedModel, match="choose the model itself"):
        GgufModel.open(adapter.path)
    (tmp_path / "big.gguf").write_bytes(b"GGUF" + struct.pack(">I", 3) + bytes(64))
    with pytest.raises(InvalidFile, match="big-endian"):
        GgufModel.open(tmp_path / "big.gguf")
    with pytest.raises(InvalidFile, match="m-00002-of-00002.gguf is not beside it"):
        GgufModel.open(tmp_path / "m-00001-of-00002.gguf")


def test_every_cut_is_an_error_with_a_name(models: dict[str, Path], tmp_path: Path) -> None:
    whole = models["untied"].read_bytes()
    end = read_header(models["untied"]).tensors["token_embd.weight"].start
    path = tmp_path / "cut.gguf"
    for length in [*range(0, 400, 7), *range(400, end, 997), end, end + 1000]:
        path.write_bytes(whole[:length])
        with pytest.raises(InvalidFile, match=r"cut short|is no GGUF"):
            GgufModel.open(path)


@given(st.data())
def test_a_changed_byte_never_gives_another_error(models: dict[str, Path], data: Any) -> None:
    whole = bytearray(models["untied"].read_bytes())
    end = read_header(models["untied"]).tensors["token_embd.weight"].start
    for place in data.draw(st.lists(st.integers(0, end - 1), min_size=1, max_size=4)):
        whole[place] = data.draw(st.integers(0, 255))
    path = models["untied"].with_name("changed.gguf")
    path.write_bytes(whole)
    try:
        model = GgufModel.open(path)
        route_of(model)
        model.embed([0])
    except SoftPromptError:
        pass


def test_a_model_that_was_replaced_says_so(models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(models["untied"].read_bytes())
    model = GgufModel.open(path)
    path.write_bytes(models["tied"].read_bytes())
    with pytest.raises(InvalidFile, match="load the model again"):
        model.embed([0])


def test_a_folder_that_cannot_be_written_to(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, no folder")
    with pytest.raises(InvalidFile, match="cannot be written"):
        make(GgufModel.open(models["untied"]), wanted(4), tmp_path / "taken" / "deep")
