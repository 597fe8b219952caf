"""The native file: write then read is identity, the safetensors package agrees, and no bytes can fool the reader."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.errors import InvalidFile, InvalidPrompt, SoftPromptError
from soft_prompts.formats import native

NOIR = SoftPrompt("noir", [[0.5, -1.25], [3.0, 0.0]], metadata={"author": "Ann", "description": "rain ☂"})
GOLDEN = (
    b'\xd0\x00\x00\x00\x00\x00\x00\x00{"__metadata__":{"author":"Ann","description":"rain \xe2\x98\x82","format":'
    b'"soft-prompt","format_version":"1","name":"noir","tokens":"2","width":"2"},"vectors":{"dtype":"F32","shape":'
    b'[2,2],"data_offsets":[0,16]}}'
)


def file_of(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape: list[int], offsets: list[int], dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_golden_bytes() -> None:
    data = native.write(NOIR)
    header = data[: 8 + int.from_bytes(data[:8], "little")]
    assert header.rstrip() == GOLDEN
    assert data[len(header) :] == bytes.fromhex("0000003f 0000a0bf 00004040 00000000")


@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.booleans(),
    st.sampled_from(["float32", "float16"]),
    st.integers(0, 2**32 - 1),
)
def test_write_then_read_is_identity(tokens: int, width: int, origin: bool, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(tokens, width)).astype(dtype)
    made = SoftPrompt("a/b", vectors, vectors[::-1] if origin else None, {"note": "x" * (seed % 9)})
    data = native.write(made, dtype)
    assert native.read(data) == made
    assert native.read(data).metadata == made.metadata
    assert native.read(data).name == "a/b"
    judged = safetensors.numpy.load(data)
    assert (judged["vectors"] == vectors).all()
    assert set(judged) == ({"vectors", "origin"} if origin else {"vectors"})


def test_files_of_the_safetensors_package_are_read(tmp_path: Path) -> None:
    path = tmp_path / "sea.safetensors"
    safetensors.numpy.save_file({"vectors": np.ones((2, 3), np.float16), "more": np.ones(2, np.int64)}, path)
    sea = soft_prompts.load(path)
    assert (sea.name, len(sea), sea.width) == ("sea", 2, 3)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "noir@gpt2.safetensors"
    NOIR.save(path)
    loaded = soft_prompts.load(path)
    assert loaded == NOIR
    assert loaded.name == "noir"
    assert loaded.metadata == NOIR.metadata
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    with pytest.raises(InvalidPrompt, match=r"noir\.json: the native file ends in \.safetensors"):
        NOIR.save(tmp_path / "noir.json")


def test_a_failing_write_leaves_what_stood_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "noir.safetensors"
    NOIR.save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InvalidFile, match="No space left on device; nothing was changed"):
        SoftPrompt("noir", [[1.0, 2.0]]).save(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


SIXTEEN = b"\0" * 16
HOSTILE = {
    "empty": (b"", "it is empty"),
    "seven bytes": (b"1234567", "cut short"),
    "a 10 GB header": (file_of(b"{}", length=10 << 30), "claims 10,737,418,240 bytes"),
    "a header of 2 MB": (file_of(b"{" + b" " * (2 << 20)), "larger than the 1,048,576"),
    "no JSON": (file_of(b"{'a'"), "not JSON"),
    "no object": (file_of([]), "not a JSON object"),
    "deep JSON": (file_of(b'{"a":' + b"[" * 30_000), "not JSON"),
    "bad UTF-8": (file_of(b'{"\xff":1}'), "not JSON"),
    "metadata of numbers": (file_of({"__metadata__": {"a": 1}}), "not a table of texts"),
    "doubled key": (file_of(b'{"a":1,"a":2}'), "names something twice"),
    "no entry": (file_of({"vectors": 3}), "not described by"),
    "shape of text": (file_of({"vectors": entry(["a"], [0, 16])}, SIXTEEN), "no list of sizes"),  # type: ignore[list-item]
    "negative shape": (file_of({"vectors": entry([-2, -2], [0, 16])}, SIXTEEN), "no list of sizes"),
    "huge shape": (file_of({"vectors": entry([1 << 40, 1 << 40], [0, 16])}, SIXTEEN), "does not fill"),
    "wrong size": (file_of({"vectors": entry([2, 3], [0, 16])}, SIXTEEN), "does not fill its 16 bytes"),
    "cut data": (file_of({"vectors": entry([2, 2], [0, 16])}, SIXTEEN[:9]), "cut short: 9 bytes"),
    "data behind": (file_of({"vectors": entry([2, 2], [0, 16])}, SIXTEEN + b"x"), "1 bytes follow"),
    "hole": (file_of({"vectors": entry([1, 2], [8, 16])}, SIXTEEN), "overlap or leave holes"),
    "overlap": (file_of({"vectors": entry([2, 2], [0, 16]), "b": entry([1, 2], [8, 16])}, SIXTEEN), "overlap"),
    "zero rows": (file_of({"vectors": entry([0, 4], [0, 0])}), r"\(0, 4\)"),
    "one dimension": (file_of({"vectors": entry([4], [0, 16])}, SIXTEEN), r"\(4,\), not \(tokens, width\)"),
    "no vectors": (
        file_of({"__metadata__": {"format": "soft-prompt"}, "weight": entry([2, 2], [0, 16])}, SIXTEEN),
        "it holds weight, and no",
    ),
    "integers": (
        file_of({"vectors": entry([2, 1], [0, 16], "I64")}, SIXTEEN),
        "of type I64: soft prompts hold F32 or F16",
    ),
    "doubles": (file_of({"vectors": entry([1, 2], [0, 16], "F64")}, SIXTEEN), "of type F64"),
    "bfloat16": (file_of({"vectors": entry([2, 4], [0, 16], "BF16")}, SIXTEEN), "of type BF16"),
    "too many tokens": (file_of({"vectors": entry([1 << 24, 0], [0, 0])}), "at most 16,384"),
    "a number of 5,000 digits": (file_of(b'{"a":' + b"1" * 5000 + b"}"), "not JSON"),
    "half a character": (file_of(b'{"__metadata__":{"a":"\\ud800"}}'), "not a table of texts"),
    "half a character as a key": (file_of(b'{"__metadata__":{"\\ud800":"a"}}'), "not a table of texts"),
    "half a character as a name": (
        file_of(b'{"\\ud800":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'),
        "half a character in its name",
    ),
    "half a character as a type": (
        file_of(b'{"more":{"dtype":"\\ud800","shape":[0],"data_offsets":[0,0]}}'),
        "no list of sizes",
    ),
    "a space before the header": (
        file_of(b" " + json.dumps({"vectors": entry([2, 2], [0, 16])}).encode(), SIXTEEN),
        "not a JSON object",
    ),
    "NaN": (file_of({"vectors": entry([2, 2], [0, 16])}, b"\0\0\xc0\x7f" * 4), "2 of its 2 vectors hold NaN"),
    "another kind": (file_of({"__metadata__": {"format": "lora"}}), "of the kind 'lora'"),
    "a coming version": (
        file_of({"__metadata__": {"format": "soft-prompt", "format_version": "2.1"}}),
        "format version '2.1'.*update",
    ),
    "a lie about itself": (
        file_of({"__metadata__": {"tokens": "3"}, "vectors": entry([2, 2], [0, 16])}, SIXTEEN),
        "says 3 tokens",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_by_name(kind: str, tmp_path: Path) -> None:
    data, message = HOSTILE[kind]
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data)
    with pytest.raises(InvalidFile, match=message) as caught:
        soft_prompts.load(path)
    assert "bad.safetensors" in str(caught.value)
    # A library lists the file with its reason and goes on; what only the vectors tell comes when they are asked for.
    library = soft_prompts.Library(tmp_path)
    with pytest.raises(InvalidFile, match=message):
        library["bad"]


def test_a_file_cut_anywhere_is_refused() -> None:
    data = native.write(NOIR)
    for length in range(len(data)):
        with pytest.raises(SoftPromptError):
            native.read(data[:length])


@given(st.binary(max_size=200), st.integers(0, 2**20))
def test_no_bytes_break_the_reader(noise: bytes, place: int) -> None:
    data = bytearray(native.write(NOIR))
    place %= len(data)
    data[place : place + len(noise)] = noise
    for each in (bytes(data), noise, file_of(noise)):
        with contextlib.suppress(SoftPromptError):
            native.read(each)


def test_float16_overflow_is_refused() -> None:
    with pytest.raises(InvalidFile, match="beyond float16"):
        native.write(SoftPrompt("x", [[1e6]]), "float16")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "it is a folder, not a file"),
        (lambda path: None, "No such file.*check the name"),
        (lambda path: path.symlink_to(path), "check the name"),
    ],
)
def test_paths_that_are_no_files(make: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "emma.safetensors"
    make(path)
    with pytest.raises(InvalidFile, match=message):
        soft_prompts.load(path)


def test_other_kinds_are_named(tmp_path: Path) -> None:
    for name, message in (("a.zip", "no KoboldAI"), ("a.json", "no mkultra"), ("a.xyz", "no file of a known kind")):
        (tmp_path / name).write_bytes(b"something")
        with pytest.raises(InvalidFile, match=f"{message}.*this version reads"):
            soft_prompts.load(tmp_path / name)
    (tmp_path / "a.txt").write_text("Emma is tall.")
    with pytest.raises(InvalidFile, match="text prompt, which has vectors only on a model"):
        soft_prompts.load(tmp_path / "a.txt")


KINDS = {
    "a picture": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "it is a picture: copy or download"),
    "a photograph": (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "it is a picture"),
    "another picture": (b"RIFF\x24\0\0\0WEBPVP8 ", "it is a picture"),
    "a page": (b"\n<!DOCTYPE HTML>\n<html>", "it is a web page .* download the file itself"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:", "Git LFS.*git lfs pull"),
    "a zip": (b"PK\x03\x04\x14\0", "it is a zip file"),
    "a model": (b"GGUF\x03\0\0\0", "it is a model .GGUF."),
    "zeros": (bytes(200), "nothing but zeros"),
}


@pytest.mark.parametrize("ending", [".safetensors", ".txt"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_came_in_the_place_of_the_file_is_said(kind: str, ending: str, tmp_path: Path) -> None:
    data, message = KINDS[kind]
    path = tmp_path / f"noir{ending}"
    path.write_bytes(data if ending == ".safetensors" else data + b"\0\xff")
    library = soft_prompts.Library(tmp_path)
    if ending == ".safetensors":
        assert re.search(message, library.entries()[0].problem, re.DOTALL), "the list says it, too"
    for ask in (lambda: library["noir"], lambda: soft_prompts.load(path)):
        with pytest.raises(InvalidFile, match=message) as caught:
            ask()
        assert str(caught.value).count("noir") == 1, "the path stands there once"


def test_texts_of_other_editors_are_told_how_to_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "emma.txt"
    others = (
        ("Emma".encode("utf-16"), "UTF-16.*save it as UTF-8"),
        (rb"{\rtf1\ansi Emma}", "plain text"),
        (b"Em\0ma", "it is no text"),
    )
    for data, message in others:
        path.write_bytes(data)
        with pytest.raises(InvalidFile, match=message):
            soft_prompts.Library(tmp_path)["emma"]


def test_an_incomplete_copy_is_told_to_be_copied_again() -> None:
    data = native.write(NOIR)
    for length in (5, 40, len(data) - 9):
        with pytest.raises(InvalidFile, match=r"cut short.*copy or download it again"):
            native.read(data[:length])
