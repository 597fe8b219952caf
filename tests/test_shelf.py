"""A shelf changes files only as asked, undoes what it did, never writes over a file, and touches nothing outside."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts import Library, SoftPrompt, SoftPromptError, formats, moving
from soft_prompts import shelf as shelf_module
from soft_prompts.arrival import Arrival
from soft_prompts.container import pack, unpack
from soft_prompts.errors import InvalidFile, InvalidPrompt
from soft_prompts.prompt import TextPrompt
from soft_prompts.shelf import Shelf, parts
from soft_prompts.tags import name_problem

posix = pytest.mark.skipif(sys.platform == "win32", reason="links and permissions are another thing on Windows")
Tree = dict[str, bytes]


def tree(folder: Path, hidden: bool = False) -> Tree:
    """{file below it: bytes}; what is hidden only where asked for."""
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in found.items() if hidden or not any(part[0] == "." for part in name.split("/"))}


def save(folder: Path, name: str, value: float = 1.0) -> Path:
    path = folder / f"{name}.safetensors"
    SoftPrompt("x", np.full((3, 4), value), metadata={"author": "Ann", "other": "kept"}).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A library with a variant, a text, a training, and files that cannot be used."""
    folder = tmp_path / "library"
    save(folder, "noir")
    save(folder, "people/emma@llama-3-8b", 2)
    (folder / "note.txt").write_text("The sea is far.\n")
    (folder / "noir.training" / "deep").mkdir(parents=True)
    (folder / "noir.training" / "training.state").write_bytes(b"state")
    (folder / "noir.training" / "deep" / "report.txt").write_bytes(b"report")
    (folder / "broken.safetensors").write_bytes(b"\x10")
    (folder / "what?.txt").write_text("A name that is none.")
    (folder / "old.json").write_text("{}")
    return folder


@pytest.fixture
def shelf(folder: Path) -> Shelf:
    return Shelf(Library(folder))


FILES = (
    "noir.safetensors", "people/emma@llama-3-8b.safetensors", "note.txt", "broken.safetensors", "what?.txt", "old.json",
)  # fmt: skip


# ---- laws


@pytest.mark.parametrize("file", FILES)
def test_discard_then_restore_is_identity(shelf: Shelf, folder: Path, file: str) -> None:
    before = tree(folder, hidden=True)
    gone = shelf.discard(file)
    assert file not in tree(folder) and gone.file == file
    assert file not in [each.path.relative_to(folder).as_posix() for each in shelf.library.entries()]
    assert [each.key for each in shelf.discarded()] == [gone.key]
    assert shelf.restore(gone.key) == file
    assert tree(folder, hidden=True) == before and not shelf.discarded() and not (folder / ".trash").exists()


@pytest.mark.parametrize("file", [each for each in FILES if "?" not in each])
@pytest.mark.parametrize("name", ["dark/deep/rain", "Ünï cödé", "v1.5"])
def test_rename_there_and_back_is_identity(shelf: Shelf, folder: Path, file: str, name: str) -> None:
    before = tree(folder, hidden=True)
    there = shelf.rename(file, name)
    old, variant, ending = parts(file)
    assert there == f"{name}{variant}{ending}" and file not in tree(folder)
    assert tree(folder)[there] == before[file]
    assert shelf.rename(there, old) == file
    assert tree(folder, hidden=True) == before
    assert not (folder / "dark").exists(), "a folder that was made for it, and is empty"


@given(st.text(st.sampled_from("aZ9 ._-/é猫@:*\\\0"), max_size=12))
def test_rename_takes_a_good_name_or_changes_nothing(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    folder = tmp_path_factory.mktemp("library")
    save(folder, "noir")
    shelf, before = Shelf(Library(folder)), tree(folder)
    try:
        there = shelf.rename("noir.safetensors", name)
    except SoftPromptError:
        assert name_problem(name) and tree(folder) == before
    else:
        assert tree(folder) == {f"{name}.safetensors": before["noir.safetensors"]} and there in tree(folder)
        assert name in shelf.library


@given(st.text(max_size=40), st.text(max_size=20))
def test_describing_changes_the_words_alone(tmp_path_factory: pytest.TempPathFactory, words: str, author: str) -> None:
    folder = tmp_path_factory.mktemp("library")
    path = save(folder, "noir")
    before = unpack(path.read_bytes())
    Shelf(Library(folder)).describe("noir.safetensors", description=words, author=author)
    after = unpack(path.read_bytes())
    assert {name: array.tobytes() for name, array in after[0].items()} == {
        name: array.tobytes() for name, array in before[0].items()
    }
    said = {key: value for key, value in {"description": words, "author": author}.items() if value.strip()}
    assert after[1] == {**{key: value for key, value in before[1].items() if key != "author"}, **said}


def test_describe_then_describe_as_before_is_identity(shelf: Shelf, folder: Path) -> None:
    before = tree(folder)
    shelf.describe("noir.safetensors", description="Rain.", author="", licence="CC0")
    assert tree(folder) != before
    noir = next(each for each in shelf.library.entries() if each.name == "noir")
    assert noir.metadata["description"] == "Rain.", "the list knows at once"
    shelf.describe("noir.safetensors", description="", author="Ann", licence="")
    assert tree(folder) == before


def test_tensors_of_a_kind_that_nobody_reads_stay(tmp_path: Path) -> None:
    data = pack({"vectors": np.ones((2, 4), np.float32), "zeros": np.zeros(3, np.float32)}, {"format": "soft-prompt"})
    odd = data.replace(b'"zeros":{"dtype":"F32","shape":[3]', b'"zeros":{"dtype":"I32","shape":[3]')
    assert odd != data
    (tmp_path / "odd.safetensors").write_bytes(odd)
    Shelf(Library(tmp_path)).describe("odd.safetensors", author="Ann")
    after = (tmp_path / "odd.safetensors").read_bytes()
    assert b'"dtype":"I32","shape":[3]' in after and after.endswith(odd[-36:])


def test_a_duplicate_is_the_same_under_the_next_free_name(shelf: Shelf, folder: Path) -> None:
    before = tree(folder)
    names = [shelf.duplicate("noir.safetensors") for _ in range(3)]
    assert names == ["noir-2.safetensors", "noir-3.safetensors", "noir-4.safetensors"]
    assert shelf.duplicate("people/emma@llama-3-8b.safetensors") == "people/emma-2@llama-3-8b.safetensors"
    after = tree(folder)
    assert {name: data for name, data in after.items() if name in before} == before
    assert after["noir-3.safetensors"] == after["noir.safetensors"]
    assert after["noir-3.training/deep/report.txt"] == b"report", "it can be trained on as the first one can"


def test_what_is_looked_at_and_taken_is_what_was_brought(shelf: Shelf, folder: Path, tmp_path: Path) -> None:
    brought = save(tmp_path, "Emma's (1)@llama")
    found = shelf.look(brought)
    assert (found.name, found.variant, found.tokens, found.width, found.problem) == ("Emmas -1", "llama", 3, 4, "")
    assert found.metadata["author"] == "Ann"
    before = tree(folder)
    assert shelf.take(brought, brought.name, found.name) == "Emmas -1@llama.safetensors"
    assert tree(folder) == {**before, "Emmas -1@llama.safetensors": brought.read_bytes()}


# ---- names are taken once


@pytest.mark.parametrize("name", ["noir", "note", "old"])
def test_nothing_is_written_over(shelf: Shelf, folder: Path, tmp_path: Path, name: str) -> None:
    brought, before = save(tmp_path, "new"), tree(folder, hidden=True)
    acts: list[Callable[[], object]] = [lambda: shelf.take(brought, "new.safetensors", name)]
    if name == "noir":
        acts += [lambda: shelf.rename("note.txt", name), lambda: shelf.add(SoftPrompt(name, np.ones((1, 2))))]
    if name == "old":
        acts = [lambda: shelf.rename("old.json", "noir"), lambda: shelf.rename("noir.safetensors", "note")]
        acts = acts[1:]
    for act in acts:
        with pytest.raises(InvalidFile, match="already: choose another name"):
            act()
        assert tree(folder, hidden=True) == before


def test_a_file_that_comes_at_the_last_moment_is_not_written_over(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = folder / "rain.safetensors"
    monkeypatch.setattr(shelf_module, "prune", lambda *_: None)
    look = os.path.lexists

    def late_look(path: Any) -> bool:
        found = look(path)
        if Path(path) == late and not found:
            late.write_bytes(b"late")
        return found

    monkeypatch.setattr(shelf_module.os.path, "lexists", late_look)
    with pytest.raises(InvalidFile, match="file of that name already"):
        shelf.rename("noir.safetensors", "rain")
    assert late.read_bytes() == b"late" and (folder / "noir.safetensors").exists()


def test_variants_share_a_name(shelf: Shelf) -> None:
    assert shelf.rename("noir.safetensors", "people/emma") == "people/emma.safetensors"
    with pytest.raises(InvalidFile, match="there is people/emma.safetensors already"):
        shelf.rename("note.txt", "people/emma")


def test_restoring_asks_whose_the_name_is_now(shelf: Shelf, folder: Path) -> None:
    gone = shelf.discard("noir.safetensors")
    (folder / "noir.txt").write_text("Rain.")
    with pytest.raises(InvalidFile, match=r"noir.txt has the name of noir.safetensors by now: rename that one"):
        shelf.restore(gone.key)
    shelf.rename("noir.txt", "rain")
    assert shelf.restore(gone.key) == "noir.safetensors"
    with pytest.raises(InvalidFile, match="no longer in the trash"):
        shelf.restore(gone.key)


def test_a_shadowed_file_is_no_reason_against_putting_back(shelf: Shelf, folder: Path) -> None:
    (folder / "noir.txt").write_text("Rain.")
    before = tree(folder)
    shelf.restore(shelf.discard("noir.safetensors").key)
    assert tree(folder) == before


def test_the_trash_holds_two_of_one_name(shelf: Shelf, folder: Path) -> None:
    first = shelf.discard("noir.safetensors")
    save(folder, "noir", 7)
    shelf.discard("noir.safetensors")
    assert [each.file for each in shelf.discarded()] == ["noir.safetensors"] * 2
    shelf.restore(first.key)
    assert (shelf.library["noir"] == SoftPrompt("x", np.ones((3, 4)))) and len(shelf.discarded()) == 1


def test_what_a_text_says(shelf: Shelf) -> None:
    (shelf.library.folder / "sea.txt").write_text("Salt and rope.", "utf-8")
    (shelf.library.folder / "bad.txt").write_bytes(b"\xff\xfe\xfd")
    shelf.library.refresh()
    assert shelf.words("sea.txt") == "Salt and rope."
    assert [shelf.words(each) for each in ("bad.txt", "noir.safetensors", "../x.txt", "nobody.txt")] == [""] * 4


def test_a_free_name_is_offered(shelf: Shelf) -> None:
    assert shelf.free_name(Arrival("noir", "", ".safetensors")) == "noir-2"
    assert shelf.free_name(Arrival("people/emma", "gemma", ".safetensors")) == "people/emma"
    assert shelf.free_name(Arrival("people/emma", "llama-3-8b", ".safetensors")) == "people/emma-2"


# ---- what a training keeps goes along


def test_the_training_goes_along(shelf: Shelf, folder: Path) -> None:
    shelf.rename("noir.safetensors", "dark/rain")
    assert (folder / "dark" / "rain.training" / "deep" / "report.txt").read_bytes() == b"report"
    gone = shelf.discard("dark/rain.safetensors")
    assert not (folder / "dark").exists()
    shelf.restore(gone.key)
    assert (folder / "dark" / "rain.training" / "training.state").exists()


def test_a_variant_leaves_the_training_where_it_is(shelf: Shelf, folder: Path) -> None:
    (folder / "people" / "emma.training").mkdir()
    shelf.rename("people/emma@llama-3-8b.safetensors", "ann")
    assert (folder / "people" / "emma.training").is_dir()


@posix
def test_what_is_trained_just_now_stays(shelf: Shelf, folder: Path) -> None:
    from soft_prompts.trainer.claim import Claim

    before = tree(folder)
    acts = (shelf.discard, shelf.duplicate, lambda file: shelf.rename(file, "x"), lambda file: shelf.describe(file))
    with Claim(folder / "noir.training" / "in-use", "noir"):
        for act in acts:
            with pytest.raises(InvalidFile, match="'noir' is being trained just now"):
                act("noir.safetensors")
    assert tree(folder) == before
    (folder / "noir.training" / "in-use").write_text("a training that was killed")
    assert shelf.rename("noir.safetensors", "x") == "x.safetensors"


def test_half_a_move_is_taken_back(shelf: Shelf, folder: Path) -> None:
    (folder / "rain.training").mkdir()
    (folder / "rain.training" / "mine").write_text("mine")
    before = tree(folder, hidden=True)
    with pytest.raises(InvalidFile, match="already"):
        shelf.rename("noir.safetensors", "rain")
    assert tree(folder, hidden=True) == before


# ---- nothing outside


@pytest.mark.parametrize(
    "file",
    ["../secret.txt", "people/../../secret.txt", "/etc/hostname", "", ".", "..", ".trash/x", "people", "gone.txt",
     "noir.training/deep/report.txt", "people\\emma.txt"],
)  # fmt: skip
def test_only_what_is_listed_is_touched(shelf: Shelf, folder: Path, file: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    before = tree(folder.parent, hidden=True)
    acts = (shelf.path, shelf.discard, shelf.duplicate, lambda file: shelf.rename(file, "x"), shelf.describe)
    for act in acts:
        with pytest.raises(InvalidFile, match="no file of the library|no longer in the library"):
            act(file)
    assert tree(folder.parent, hidden=True) == before


@pytest.mark.parametrize("name", ["../x", "/x", "a/../x", ".hidden", "a/.b", "x@y", "", "noir.training/x"])
def test_only_good_names_are_given(shelf: Shelf, folder: Path, name: str) -> None:
    before = tree(folder.parent, hidden=True)
    with pytest.raises(InvalidPrompt):
        shelf.rename("noir.safetensors", name)
    assert tree(folder.parent, hidden=True) == before


@posix
def test_links_out_of_the_folder_are_refused(shelf: Shelf, folder: Path) -> None:
    outside = folder.parent / "elsewhere"
    save(outside, "sea")
    (folder / "linked").symlink_to(outside, target_is_directory=True)
    (folder / "shore.safetensors").symlink_to(outside / "sea.safetensors")
    before = tree(folder.parent, hidden=True)
    for file in ("linked/sea.safetensors", "shore.safetensors"):
        for act in (shelf.path, shelf.discard, shelf.duplicate, lambda file: shelf.describe(file, author="Eve")):
            with pytest.raises(InvalidFile, match="lies outside of the library"):
                act(file)
    with pytest.raises(InvalidFile, match="lies outside of the library"):
        shelf.rename("noir.safetensors", "linked/noir")
    assert tree(folder.parent, hidden=True) == before


@posix
def test_a_trash_that_is_a_link_is_refused(shelf: Shelf, folder: Path) -> None:
    (folder.parent / "elsewhere").mkdir()
    (folder / ".trash").symlink_to(folder.parent / "elsewhere")
    with pytest.raises(InvalidFile, match="is a link"):
        shelf.discard("noir.safetensors")
    assert (folder / "noir.safetensors").exists()


@pytest.mark.parametrize(
    "record",
    [b"", b"{}", b"[" * 100_000, b'{"file": "../x.txt", "when": 1, "beside": []}',
     b'{"file": "/x.txt", "when": 1, "beside": []}', b'{"file": 7, "when": 1, "beside": []}',
     b'{"file": "other.txt", "when": 1, "beside": []}', b'{"file": "x.txt", "when": "soon", "beside": []}'],
)  # fmt: skip
def test_a_record_in_the_trash_is_not_believed(shelf: Shelf, folder: Path, record: bytes) -> None:
    place = folder / ".trash" / "20260101-000000-abcd"
    place.mkdir(parents=True)
    (place / "x.txt").write_text("x")
    (place / ".place.json").write_bytes(record)
    assert shelf.discarded() == []
    with pytest.raises(InvalidFile, match="no longer in the trash"):
        shelf.restore(place.name)


def test_a_name_of_half_a_character_can_be_put_back(tmp_path: Path) -> None:
    try:
        (tmp_path / "half\udcff.txt").write_text("x")
    except OSError:
        pytest.skip("this file system has no such names")
    shelf = Shelf(Library(tmp_path))
    gone = shelf.discard("half\udcff.txt")
    assert json.loads((tmp_path / ".trash" / gone.key / ".place.json").read_bytes())["file"] == "half\udcff.txt"
    assert shelf.restore(gone.key) == "half\udcff.txt"


# ---- what can go wrong


def acts_of(shelf: Shelf, brought: Path) -> list[Callable[[], object]]:
    return [
        lambda: shelf.rename("noir.safetensors", "deep/rain"),
        lambda: shelf.describe("noir.safetensors", description="Rain."),
        lambda: shelf.duplicate("noir.safetensors"),
        lambda: shelf.discard("noir.safetensors"),
        lambda: shelf.take(brought, brought.name, "deep/brought"),
        lambda: shelf.add(SoftPrompt("made", np.ones((1, 2)))),
    ]


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("broken", ["write", "fsync", "replace", "rename", "mkdir"])
def test_a_full_disk_loses_nothing(
    shelf: Shelf, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, broken: str
) -> None:
    brought, before = save(tmp_path, "brought"), tree(folder, hidden=True)
    folders = {path for path in folder.rglob("*") if path.is_dir()}

    def full(*args: Any, **more: Any) -> Any:
        raise OSError(28, "No space left on device")

    place = {"write": moving, "mkdir": Path}.get(broken, os)
    what = {"write": "write_atomically"}.get(broken, broken)
    act = acts_of(shelf, brought)[number]
    with monkeypatch.context() as patch:
        patch.setattr(place, what, full)
        try:
            act()
            done = True
        except SoftPromptError as problem:
            done = False
            assert "the disk is full" in str(problem) and "nothing was changed" in str(problem)
    if not done:
        assert tree(folder, hidden=True) == before
        assert {path for path in folder.rglob("*") if path.is_dir()} == folders
    else:
        assert set(before.values()) <= {*tree(folder, hidden=True).values(), before["noir.safetensors"]}


@posix
@pytest.mark.skipif("os.geteuid() == 0", reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(shelf: Shelf, folder: Path) -> None:
    before = tree(folder)
    folder.chmod(0o555)
    try:
        with pytest.raises(InvalidFile, match="check the permissions of its folder"):
            shelf.rename("note.txt", "x")
    finally:
        folder.chmod(0o755)
    assert tree(folder) == before


def test_a_file_that_went_is_said_to_be_gone(shelf: Shelf, folder: Path) -> None:
    shelf.library.entries()
    (folder / "note.txt").unlink()
    for act in (shelf.discard, shelf.duplicate, shelf.path, lambda file: shelf.rename(file, "x")):
        with pytest.raises(InvalidFile, match="no longer in the library: choose again"):
            act("note.txt")


def test_a_text_has_nothing_to_describe(shelf: Shelf) -> None:
    with pytest.raises(InvalidFile, match="a text says what it is"):
        shelf.describe("note.txt", description="x")
    with pytest.raises(InvalidPrompt, match="what can be said"):
        shelf.describe("noir.safetensors", base_model="x")
    with pytest.raises(InvalidPrompt, match="shorten it"):
        shelf.describe("noir.safetensors", description="x" * 10_000)
    with pytest.raises(InvalidFile, match=r"broken.safetensors: it is cut short"):
        shelf.describe("broken.safetensors", description="x")


def test_half_a_character_cannot_be_said(shelf: Shelf, folder: Path) -> None:
    before = tree(folder)
    with pytest.raises(InvalidPrompt, match="half a character"):
        shelf.describe("noir.safetensors", description="\udcff")
    assert tree(folder) == before


# ---- what is brought

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60


@pytest.mark.parametrize(
    ("called", "data", "words"),
    [
        ("noir.safetensors", b"\x10\0\0", "cut short"),
        ("noir.safetensors", PNG, "picture"),
        ("noir.safetensors", b"\x80\x02}q\0." + b"\0" * 40, "it "),
        ("noir.pt", b"PK\x03\x04" + b"\0" * 40, "it "),
        ("noir.bin", b"\x80\x04\x95", "it "),
        ("noir.json", b"{}", "JSON"),
        ("noir.txt", bytes(range(256)), "not UTF-8"),
        ("noir.txt", b"  \n", "empty"),
        ("noir.txt", b"", "empty"),
        ("noir.png", PNG, "it is"),
        ("noir", b"a text", "no file of a known kind"),
    ],
)
def test_wrong_files_are_told_and_not_kept(
    shelf: Shelf, folder: Path, tmp_path: Path, called: str, data: bytes, words: str
) -> None:
    brought, before = tmp_path / "upload", tree(folder, hidden=True)
    brought.write_bytes(data)
    found = shelf.look(brought, called)
    assert words in found.problem and not found.data
    with pytest.raises(InvalidFile, match="cannot be kept"):
        shelf.take(brought, called, "new")
    assert tree(folder, hidden=True) == before


def test_a_native_file_is_kept_as_one_whatever_it_is_called(shelf: Shelf, tmp_path: Path) -> None:
    brought = save(tmp_path, "sea").rename(tmp_path / "sea.bin")
    assert shelf.take(brought, "sea.bin", "sea") == "sea.safetensors"
    text = tmp_path / "t"
    text.write_bytes(b"Salt.")
    assert shelf.look(text, "T.TXT").text == "Salt." and shelf.take(text, "T.TXT", "salt") == "salt.txt"
    assert shelf.library["salt"] == TextPrompt("salt", "Salt.")


def test_what_is_too_large_is_not_read(shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought = save(tmp_path, "sea")
    monkeypatch.setattr(formats, "LARGEST_FILE", 50)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("it was opened"))
    assert "more than any soft prompt" in shelf.look(brought).problem


def test_an_upload_that_went_is_words(shelf: Shelf, tmp_path: Path) -> None:
    assert "cannot be read" in shelf.look(tmp_path / "gone", "noir.txt").problem


def test_a_prompt_made_here_is_added_beside_its_text(shelf: Shelf) -> None:
    prompt = SoftPrompt("note", np.ones((2, 4)), metadata={"method": "text"})
    assert shelf.add(prompt, "storyteller") == "note@storyteller.safetensors"
    assert shelf.library.variants("note") == [prompt, TextPrompt("note", "The sea is far.")]
    with pytest.raises(InvalidFile, match="already"):
        shelf.add(prompt, "storyteller")


# ---- what other tools made


@pytest.fixture
def foreign(folder: Path) -> Path:
    """A numpy file, and a PEFT folder with a dot and a variant in its name."""
    np.save(folder / "shore.npy", np.ones((2, 4), np.float32))
    peft = folder / "people" / "v1.5@llama"
    peft.mkdir()
    (peft / "adapter_config.json").write_text(json.dumps({"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 2}))
    data = pack({"prompt_embeddings": np.ones((2, 4), np.float32)}, {"format": "pt"})
    (peft / "adapter_model.safetensors").write_bytes(data)
    return folder


def test_another_tools_file_is_converted_and_can_be_put_back(shelf: Shelf, foreign: Path) -> None:
    before = tree(foreign)
    assert shelf.convert("shore.npy") == "shore.safetensors"
    found = shelf.library["shore"]
    assert (
        isinstance(found, SoftPrompt) and found.vectors.tolist() == [[1] * 4] * 2 and "shore.npy" not in tree(foreign)
    )
    shelf.describe("shore.safetensors", description="A shore.")
    (gone,) = shelf.discarded()
    assert shelf.restore(gone.key) == "shore.npy" and tree(foreign)["shore.npy"] == before["shore.npy"]
    for file in ("noir.safetensors", "note.txt"):
        with pytest.raises(InvalidFile, match="nothing to convert"):
            shelf.convert(file)


def test_a_folder_of_peft_is_one_prompt(shelf: Shelf, foreign: Path) -> None:
    before = tree(foreign)
    assert "people/v1.5" in shelf.library
    assert shelf.rename("people/v1.5@llama", "v2.0") == "v2.0@llama" and "v2.0" in shelf.library
    shelf.restore(shelf.discard("v2.0@llama").key)
    assert shelf.rename("v2.0@llama", "people/v1.5") == "people/v1.5@llama"
    assert tree(foreign) == before
    with pytest.raises(InvalidFile, match="a folder that another tool made: turn it into"):
        shelf.duplicate("people/v1.5@llama")
    assert shelf.convert("people/v1.5@llama") == "people/v1.5@llama.safetensors"


def test_another_tools_file_is_kept_as_it_is(shelf: Shelf, foreign: Path, tmp_path: Path) -> None:
    brought = tmp_path / "x.npy"
    brought.write_bytes((foreign / "shore.npy").read_bytes())
    assert shelf.take(brought, "x.npy", "x") == "x.npy" and tree(foreign)["x.npy"] == brought.read_bytes()
    assert shelf.take(brought, "x.unknown", "y") == "y.safetensors" and "y" in shelf.library
