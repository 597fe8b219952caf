"""Every kind of file: what other tools wrote is read to the bit, and what we write they read, and we again."""

from __future__ import annotations

import base64
import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import InvalidFile
from soft_prompts.formats import KINDS, READABLE, WRITABLE, kind_of, load_any, lost, metadata, read, write_as
from soft_prompts.formats.numbers import floats

from .conftest import SHARED
from .golden import make as golden

GOLDEN = Path(golden.__file__).parent
SAID = {
    "mkultra.json": {
        "uuid": golden.MKULTRA["uuid"],
        "description": "By the sea ☂",
        "created": "2021-06-09T18:46:17.708191+00:00",
        "steps": "120",
        "loss": "2.5",
    },
    "mkultra-inside.json": {"uuid": golden.MKULTRA["uuid"], "description": "By the sea ☂"},
    "kobold.zip": {"author": "Ann", "supported": "Generic 6B, Skein", "description": "By the sea ☂"},
    "kobold-bare.zip": {},
    "state.mtjsp": {"steps": "3", "loss": "1.5"},
    "google.npy": {},
    "one.safetensors": {"author": "Ann"},
    "one.pt": {},
    "adapter": {"base_model": "openai-community/gpt2"},
}
# PEFT asks Transformers for something by its older name.
QUIET = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated")
NOIR = SoftPrompt(
    "deep/noir",
    golden.VECTORS,
    metadata={
        "description": "rain ☂",
        "author": "Ann",
        "base_model": "openai-community/gpt2",
        "created": "2026-11-24T10:00:00+00:00",
        "steps": "300",
        "loss": "2.5",
        "settings": '{"tokens": 20}',
        "held_out": "2.9198",
    },
)


@pytest.mark.parametrize("name", [*golden.FILES, *golden.ADAPTERS])
def test_files_of_other_tools_are_read_to_the_bit(name: str) -> None:
    prompt = soft_prompts.load(GOLDEN / name)
    assert (prompt.vectors == golden.VECTORS).all() and prompt.vectors.shape == golden.VECTORS.shape
    assert prompt.name == name.partition(".")[0]
    if name in SAID:
        assert dict(prompt.metadata) == SAID[name]


@QUIET
def test_the_tools_as_they_are_installed_write_what_is_read(tmp_path: Path) -> None:
    golden.make(tmp_path)
    for name in [*golden.FILES, *golden.ADAPTERS]:
        assert (soft_prompts.load(tmp_path / name).vectors == golden.VECTORS).all(), name


def test_a_library_uses_them_where_they_lie(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "old", ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    library = Library(tmp_path)
    entries = [entry for entry in library.entries() if not entry.problem]
    assert len(entries) == len(golden.FILES) + len(golden.ADAPTERS), "none is refused, and none is listed twice"
    assert {(entry.tokens, entry.width) for entry in entries} == {(3, 4)}
    assert {entry.kind for entry in entries} == {
        "mkultra",
        "kobold",
        "mtjsp",
        "mkusp",
        "npy",
        "safetensors",
        "torch",
        "peft",
    }
    for entry in entries:
        assert not entry.metadata or dict(load_any(entry.path, "x").metadata) == {  # type: ignore[union-attr]
            key: value for key, value in entry.metadata.items() if key != "name"
        }
    assert (library["old/adapter"].vectors == golden.VECTORS).all()  # type: ignore[union-attr]
    assert "old/adapter/adapter_model" not in library


WITHOUT = """
import sys
from pathlib import Path

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "safetensors", "peft", "pickle"):
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

import numpy
sys.modules.pop("pickle", None)
sys.meta_path.insert(0, Blocker())
import soft_prompts
for name in sys.argv[2:]:
    print(sum(map(sum, soft_prompts.load(Path(sys.argv[1]) / name).vectors.tolist())))
"""


def test_all_of_it_without_torch_and_without_pickle(tmp_path: Path) -> None:
    names = [*golden.FILES, *golden.ADAPTERS]
    command = [sys.executable, "-I", "-X", "utf8", "-c", WITHOUT, str(GOLDEN), *names]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(golden.VECTORS.sum())] * len(names)


def test_the_public_sample_of_mkultra() -> None:
    path = SHARED / "data" / "neuromancer_gpt2.json"
    if not path.exists():
        pytest.skip("the sample is not beside this checkout")
    prompt = soft_prompts.load(path)
    assert prompt.vectors.shape == (100, 768)
    assert prompt.metadata["description"].startswith("Trained for 30 epochs on the full text of")
    assert prompt.metadata["created"] == "2021-06-09T18:46:17.708191+00:00"
    # torch itself can open it only on a machine with CUDA: the numbers stand at the end of what it would load.
    data = base64.b64decode(json.loads(path.read_text())["tensor"])
    place = data.find(prompt.vectors.tobytes())
    assert place > 0
    for kind in WRITABLE:
        assert again(kind, prompt) == prompt


# ---- numbers


@given(st.integers(0, 2**16 - 1))
def test_bfloat16_is_exact(bits: int) -> None:
    here = floats(bits.to_bytes(2, "little"), "BF16")
    theirs = torch.tensor([bits if bits < 1 << 15 else bits - (1 << 16)], dtype=torch.int16).view(torch.bfloat16)
    assert here.tobytes() == theirs.float().numpy().tobytes()


@pytest.mark.parametrize("kind", [torch.float16, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("zipped", [False, True])
def test_every_number_of_every_type_comes_through(kind: Any, batch: bool, zipped: bool) -> None:
    torch.manual_seed(0)
    tensor = torch.randn(5, 7).to(kind)
    shaped = tensor[None] if batch else tensor
    wanted = tensor.float().numpy()
    files = [
        golden.saved(shaped, zipped),
        golden.mkultra(shaped, {}).encode(),
        golden.saved(golden.state(shaped), zipped),
    ]
    files.append(safetensors.torch.save({"x": shaped}))
    arrays = golden.bits(shaped) if kind is torch.bfloat16 else shaped.numpy()
    files += [golden.npy(arrays), golden.kobold(arrays), golden.mtjsp(arrays)]
    for data in files:
        prompt = read(data, "x")
        assert isinstance(prompt, SoftPrompt)
        assert (prompt.vectors == wanted).all()


def test_arrays_of_another_machine_are_turned() -> None:
    assert (read(golden.npy(golden.VECTORS.astype(">f4")), "x").vectors == golden.VECTORS).all()  # type: ignore[union-attr]


def test_numbers_beyond_float32_are_refused() -> None:
    for data in (golden.npy(np.full((2, 2), 1e300)), golden.saved(torch.full((2, 2), 1e300, dtype=torch.float64))):
        with pytest.raises(soft_prompts.SoftPromptError, match="hold NaN or infinity"):
            read(data, "x")


# ---- written and read again


def again(kind: str, prompt: SoftPrompt) -> SoftPrompt:
    """What is read of the file of a kind that `prompt` is written as."""
    files = write_as(kind, prompt)
    if kind != "peft":
        ((name, data),) = files.items()
        found = read(data, prompt.name, name[name.rindex(".") :])
    else:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        found = read(file.getvalue(), prompt.name)
    assert isinstance(found, SoftPrompt)
    return found


@pytest.mark.parametrize("kind", WRITABLE)
def test_write_then_read_is_identity(kind: str) -> None:
    found = again(kind, NOIR)
    assert found == NOIR and found.name == NOIR.name
    assert dict(found.metadata) == ({} if kind == "npy" else dict(NOIR.metadata))
    assert write_as(kind, NOIR) == write_as(kind, NOIR), "the same prompt gives the same bytes"
    assert write_as(kind, again(kind, found)) == write_as(kind, found)


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(
    st.sampled_from(list(WRITABLE)),
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.dictionaries(words, words, max_size=4),
)
def test_whatever_a_prompt_says_of_itself_comes_back(
    kind: str, tokens: int, width: int, seed: int, said: dict[str, str]
) -> None:
    said = {
        key: value for key, value in said.items() if key not in {*metadata.OWN, "name", "supported", "epoch", "step"}
    }
    made = SoftPrompt("a", np.random.default_rng(seed).normal(size=(tokens, width)), None, said)
    found = again(kind, made)
    assert found == made
    assert kind == "npy" or dict(found.metadata) == said


@pytest.mark.parametrize("name", [*golden.FILES, *golden.ADAPTERS])
@pytest.mark.parametrize("kind", WRITABLE)
def test_what_was_read_is_equal_after_each_way_of_writing(kind: str, name: str) -> None:
    prompt = soft_prompts.load(GOLDEN / name)
    found = again(kind, prompt)
    assert found == prompt
    assert kind == "npy" or dict(found.metadata) == dict(prompt.metadata)


def test_mkultra_reads_what_we_write() -> None:
    (data,) = write_as("mkultra", NOIR).values()
    whole = json.loads(data)
    tensor = pickle.loads(base64.b64decode(whole["tensor"].encode("ascii")))  # as its own `from_json` does
    assert torch.equal(tensor, torch.from_numpy(np.array(NOIR.vectors))[None]) and not tensor.requires_grad
    said = whole["metadata"]
    assert (said["name"], said["step"], said["loss"], said["epoch"]) == ("deep/noir", 300, 2.5, 1795514400.0)


@QUIET
# Transformers hands PEFT the positions of the text alone, and PEFT says that it knows better.
@pytest.mark.filterwarnings("ignore:Position ids are not supported")
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_peft_reads_what_we_write_and_writes_the_same_text(
    family: str, make: Any, tokenizer: Any, tmp_path: Path
) -> None:
    model = make(family, 464)
    width = model.get_input_embeddings().embedding_dim
    rng = np.random.default_rng(0)
    prompt = SoftPrompt("noir", rng.normal(scale=0.3, size=(5, width)), metadata={"base_model": "a/tiny-model"})
    for name, data in write_as("peft", prompt).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    options = {"max_new_tokens": 24, "do_sample": False, "min_new_tokens": 24}
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]):
        # PEFT puts its vectors before everything, also before the token with which texts begin.
        tagged = tokenizer(prompt + "The sky", return_tensors="pt", add_special_tokens=False)
        ours = model.generate(**tagged, **options)[:, tagged["input_ids"].shape[1] :]
    plain = tokenizer("The sky", return_tensors="pt", add_special_tokens=False)
    start = plain["input_ids"].shape[1]
    without = model.generate(**plain, **options)[:, start:]
    theirs = peft.PeftModel.from_pretrained(model, tmp_path / "noir")
    assert torch.equal(theirs.get_prompt(1)[0], torch.from_numpy(np.array(prompt.vectors)))
    written = theirs.generate(**plain, **options)[:, start:]
    assert tokenizer.decode(written[0]) == tokenizer.decode(ours[0]) != tokenizer.decode(without[0])


def test_koboldai_reads_what_we_write() -> None:
    (data,) = write_as("kobold", NOIR).values()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert {each.compress_type for each in archive.infolist()} == {zipfile.ZIP_LZMA}
        with archive.open("tensor.npy") as file:
            assert (np.load(io.BytesIO(file.read()), allow_pickle=False) == NOIR.vectors).all()
        meta = json.loads(archive.read("meta.json"))
    assert meta["name"] == "deep/noir" and meta["supported"] == ["openai-community/gpt2"]


def test_numpy_reads_what_we_write() -> None:
    (data,) = write_as("npy", NOIR).values()
    assert (np.load(io.BytesIO(data), allow_pickle=False) == NOIR.vectors).all()


def test_what_is_lost_is_said() -> None:
    whole = SoftPrompt("x", [[1.0]], [[2.0]], {"author": "Ann"})
    assert lost("native", whole) == []
    assert lost("kobold", whole) == ["what strength 0 means (origin)"]
    assert len(lost("npy", whole)) == 2 and lost("npy", SoftPrompt("x", [[1.0]])) == []


def test_a_name_says_which_kind_is_meant() -> None:
    meant = {
        "a.safetensors": "native",
        "B.ZIP": "kobold",
        "c.json": "mkultra",
        "d.npy": "npy",
        "e": "peft",
        "f.v2/": "peft",
    }
    assert {name: kind_of(name) for name in meant} == meant
    assert kind_of("a.pt") == kind_of("a.gguf") == ""
    assert {kind.ending for kind in KINDS.values() if kind.ending} <= set(READABLE)
    with pytest.raises(InvalidFile, match="not written as 'torch': choose one of native, kobold, peft"):
        write_as("torch", NOIR)


def test_numbers_and_times_of_other_tools() -> None:
    assert [metadata.number(each) for each in ("3", "2.5", "1e5", "x", "03")] == [3, 2.5, "1e5", "x", "03"]
    assert [metadata.created(each) for each in (None, "x", True, -1, 1e99, float("nan"))] == [""] * 6
    assert [metadata.epoch(each) for each in ("", "yesterday")] == [None, None]
    assert metadata.epoch("2026-11-24T10:00:00Z") == metadata.epoch("2026-11-24T10:00:00") == 1795514400.0
    told = {"a": 1, "b": ["x", "y"], "c": {"d": [1]}, "e": None, "f": "", "tokens": 9, "g": "\ud800!"}
    assert metadata.texts(told) == {"a": "1", "b": "x, y", "c": '{"d": [1]}', "g": "!"}
