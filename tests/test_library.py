"""A library is a Mapping over a folder: it sees changes, lists what it cannot read, and opens nothing outside."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from soft_prompts import Library, SoftPrompt, SoftPromptError, TextPrompt
from soft_prompts.errors import InvalidFile, UnknownPrompt


def save(folder: Path, name: str, value: float = 1.0, width: int = 4) -> Path:
    path = folder / f"{name}.safetensors"
    SoftPrompt("x", np.full((3, width), value), metadata={"author": "Ann"}).save(path)
    return path


def test_it_is_a_mapping(tmp_path: Path) -> None:
    save(tmp_path, "noir")
    save(tmp_path, "people/emma")
    (tmp_path / "note.txt").write_text("The sea is far.\n")
    library = Library(tmp_path)
    assert list(library) == ["noir", "note", "people/emma"]
    assert len(library) == 3
    assert "noir" in library
    assert "nor" not in library
    assert library["noir"].name == "noir"
    assert library["people/emma"].name == "people/emma"
    assert library["note"] == TextPrompt("note", "The sea is far.")
    assert dict(library)["noir"] is library["noir"]


def test_constructing_does_not_touch_the_disk(tmp_path: Path) -> None:
    library = Library(tmp_path / "later")
    assert list(library) == []
    save(tmp_path / "later", "noir")
    assert library["noir"]


def test_new_replaced_renamed_and_deleted_files_count_at_once(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert len(library) == 0
    path = save(tmp_path, "noir")
    first = library["noir"]
    save(tmp_path, "noir", 2)
    assert library["noir"] != first
    path.rename(tmp_path / "rain.safetensors")
    assert library["rain"]
    assert "noir" not in library
    (tmp_path / "rain.safetensors").unlink()
    with pytest.raises(UnknownPrompt):
        library["rain"]


def test_a_better_file_under_a_known_name_counts_at_once(tmp_path: Path) -> None:
    (tmp_path / "emma.txt").write_text("Emma is tall.")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "sea.txt").write_text("The sea.")
    library = Library(tmp_path)
    assert isinstance(library["emma"], TextPrompt)
    assert isinstance(library["deep/sea"], TextPrompt)
    save(tmp_path, "emma")
    save(tmp_path, "deep/sea")
    assert isinstance(library["emma"], SoftPrompt)
    assert isinstance(library["deep/sea"], SoftPrompt)
    save(tmp_path, "emma@other")
    assert len(library.variants("emma")) == 3


def test_endings_in_capitals(tmp_path: Path) -> None:
    save(tmp_path, "noir").rename(tmp_path / "NOIR.SAFETENSORS")
    (tmp_path / "NOTE.TXT").write_text("The sea.")
    library = Library(tmp_path)
    assert isinstance(library["NOIR"], SoftPrompt)
    assert isinstance(library["NOTE"], TextPrompt)


def test_a_file_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="is a file; a library is a folder"):
        list(Library(save(tmp_path, "noir")))


def test_headers_alone_list_a_file(tmp_path: Path) -> None:
    save(tmp_path, "noir")
    (entry,) = Library(tmp_path).entries()
    assert (entry.name, entry.tokens, entry.width, entry.metadata["author"], entry.problem) == ("noir", 3, 4, "Ann", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gibsn", "did you mean 'gibson'"),
        ("Gibson", "did you mean 'gibson'"),
        ("emma", "did you mean 'people/emma'"),
        ("zzz", "it holds 2 others.*put zzz.safetensors or zzz.txt there"),
        ("../../etc/passwd", "points out of"),
        ("/etc/passwd", "points out of"),
        ("people/../gibson", "points out of"),
    ],
)
def test_a_miss_says_what_to_do(name: str, message: str, tmp_path: Path) -> None:
    save(tmp_path, "gibson")
    save(tmp_path, "people/emma")
    with pytest.raises(UnknownPrompt, match=message) as caught:
        Library(tmp_path)[name]
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, SoftPromptError)
    assert not str(caught.value).startswith(("'", '"'))


def test_nothing_outside_the_folder_is_opened(tmp_path: Path) -> None:
    save(tmp_path, "secret")
    library = Library(tmp_path / "inner")
    (tmp_path / "inner").mkdir()
    for name in ("../secret", "inner/../../secret", str(tmp_path / "secret"), "..", ".", ""):
        assert name not in library
        with pytest.raises(UnknownPrompt):
            library[name]


def test_what_cannot_be_read_is_listed_with_its_reason(tmp_path: Path) -> None:
    save(tmp_path, "good")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    (tmp_path / "none.safetensors").write_bytes(b"")
    (tmp_path / "old.zip").write_bytes(b"PK")
    save(tmp_path, "odd;name")
    (tmp_path / ".hidden.safetensors").write_bytes(b"")
    (tmp_path / "README.md").write_text("not a prompt")
    problems = {entry.path.name: entry.problem for entry in Library(tmp_path).entries()}
    assert problems.pop("good.safetensors") == ""
    for name, message in {
        "folder.safetensors": "it is a folder",
        "cut.safetensors": "cut short",
        "none.safetensors": "it is empty",
        "old.zip": "KoboldAI",
        "odd;name.safetensors": "rename to 'odd-name.safetensors'",
    }.items():
        assert message in problems.pop(name)
    assert not problems
    assert list(Library(tmp_path)) == ["good"]
    with pytest.raises(InvalidFile, match="cut short"):
        Library(tmp_path)["cut"]


def test_two_files_of_one_name(tmp_path: Path) -> None:
    trained = save(tmp_path, "emma")
    (tmp_path / "emma.txt").write_text("Emma is tall.")
    older = save(tmp_path, "emma@old", 2)
    os.utime(older, ns=(1, 1))
    library = Library(tmp_path)
    assert [type(each).__name__ for each in library.variants("emma")] == ["SoftPrompt", "SoftPrompt", "TextPrompt"]
    assert library["emma"] == SoftPrompt("emma", np.ones((3, 4)))
    assert [(entry.path.name, entry.variant, entry.shadowed_by) for entry in library.entries()] == [
        ("emma.safetensors", "", ""),
        ("emma@old.safetensors", "old", ""),
        ("emma.txt", "", "emma.safetensors"),
    ]
    trained.unlink()
    older.unlink()
    assert isinstance(library["emma"], TextPrompt)


def test_a_bad_variant_does_not_hide_a_good_one(tmp_path: Path) -> None:
    save(tmp_path, "emma")
    (tmp_path / "emma@new.safetensors").write_bytes(b"broken")
    assert Library(tmp_path)["emma"].name == "emma"


def test_names_are_compared_composed(tmp_path: Path) -> None:
    save(tmp_path, unicodedata.normalize("NFD", "café"))
    assert Library(tmp_path)["café"]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    save(tmp_path / "elsewhere", "sea")
    library = tmp_path / "library"
    library.mkdir()
    (library / "mine").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "elsewhere" / "loop").symlink_to(library, target_is_directory=True)
    assert list(Library(library)) == ["mine/sea"]
    # A folder that is reached in two ways has two names; neither hides the other.
    (library / "zeta").mkdir()
    save(library / "zeta", "rain")
    (library / "alias").symlink_to(library / "zeta", target_is_directory=True)
    assert list(Library(library)) == ["alias/rain", "mine/sea", "zeta/rain"]


def test_text_prompts_must_be_utf8(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("café".encode("latin-1"))
    (tmp_path / "marked.txt").write_bytes(b"\xef\xbb\xbfEmma\r\nis tall.\r\n")
    library = Library(tmp_path)
    assert library["marked"] == TextPrompt("marked", "Emma\nis tall.")
    with pytest.raises(InvalidFile, match=r"latin\.txt.*not UTF-8 text \(byte 3\)"):
        library["latin"]


def test_readers_and_a_writer_at_once(tmp_path: Path) -> None:
    library = Library(tmp_path)
    save(tmp_path, "noir", 0)
    stop = threading.Event()
    wrong: list[object] = []

    def read() -> None:
        while not stop.is_set():
            found = library["noir"].vectors  # type: ignore[union-attr]
            if found.shape != (3, 4) or len(set(found.flat)) != 1:
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    deadline = time.monotonic() + 1
    value = 0
    while time.monotonic() < deadline:
        value += 1
        save(tmp_path, "noir", value)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert library["noir"] == SoftPrompt("noir", np.full((3, 4), value))
