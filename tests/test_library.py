"""A library is a Mapping over a folder: it sees changes, lists what it cannot read, and opens nothing outside."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import Library, SoftPrompt, SoftPromptError, TextPrompt, formats
from soft_prompts import folder as folder_module
from soft_prompts import library as library_module
from soft_prompts.errors import InvalidFile, UnknownPrompt
from soft_prompts.formats import listing


def save(folder: Path, name: str, value: float = 1.0, width: int = 4) -> Path:
    path = folder / f"{name}.safetensors"
    SoftPrompt("x", np.full((3, width), value), metadata={"author": "Ann"}).save(path)
    return path


def test_a_folder_that_is_not_there_is_said_to_be_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownPrompt, match=f"in prompts \\(there is no such folder in {tmp_path}\\): put noir"):
        Library("prompts")["noir"]


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
        ("zzz.txt", "put zzz.safetensors or zzz.txt there"),
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
    save(tmp_path, "emma's")
    (tmp_path / ".hidden.safetensors").write_bytes(b"")
    (tmp_path / "README.md").write_text("not a prompt")
    problems = {entry.path.name: entry.problem for entry in Library(tmp_path).entries()}
    assert problems.pop("good.safetensors") == ""
    for name, message in {
        "folder.safetensors": "it is a folder",
        "cut.safetensors": "cut short",
        "none.safetensors": "it is empty",
        "old.zip": "KoboldAI",
        "odd;name.safetensors": "its name cannot stand in a tag (it holds ';'",
        "emma's.safetensors": "; rename to 'emmas.safetensors'",
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


# ---- a lookup waits for nobody


class Gate:
    """A walk that stops before it looks at anything, until it is let go; it counts how often it began."""

    def __init__(self, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.open = threading.Event()
        self.walks = 0
        self._walk = library._folders.walk
        monkeypatch.setattr(library._folders, "walk", self.walk)

    def walk(self) -> Iterator[Any]:
        self.walks += 1
        self.begun.release()
        assert self.open.wait(30)
        yield from self._walk()


def test_lookups_go_on_while_a_walk_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "noir")
    library = Library(tmp_path)
    assert len(library) == 1
    gate = Gate(library, monkeypatch)
    walker = threading.Thread(target=library.refresh)
    walker.start()
    assert gate.begun.acquire(timeout=30)
    # All of this in the thread that would hang, were there anything to wait for.
    first = library["noir"]
    assert library["noir"] is first
    save(tmp_path, "noir", 2)
    assert library["noir"] != first
    save(tmp_path, "deep/new")
    assert library["deep/new"]
    assert "nor" not in library
    with pytest.raises(UnknownPrompt, match="did you mean 'noir'"):
        library["noi"]
    assert library.near("noi") == ["noir"]
    (tmp_path / "noir.safetensors").unlink()
    with pytest.raises(UnknownPrompt):
        library["noir"]
    assert gate.walks == 1
    gate.open.set()
    walker.join(30)
    assert list(library) == ["deep/new"]


def test_walks_that_wait_for_each_other_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path)
    gate = Gate(library, monkeypatch)
    found: list[list[str]] = []
    first = threading.Thread(target=library.refresh)
    first.start()
    assert gate.begun.acquire(timeout=30)
    save(tmp_path, "noir")
    others = [threading.Thread(target=lambda: found.append([e.name for e in library.refresh()])) for _ in range(8)]
    for each in others:
        each.start()
    deadline = time.monotonic() + 30
    while sum(each.is_alive() for each in others) < 8 and time.monotonic() < deadline:
        time.sleep(0.01)
    gate.open.set()
    for each in [first, *others]:
        each.join(30)
    assert found == [["noir"]] * 8
    # The one that ran when they came began too early for them; a late starter may need one more.
    assert 2 <= gate.walks <= 9
    assert library.revision in (1, 2)


def test_a_walk_that_fails_leaves_the_next_one_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "noir")
    library = Library(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(library._folders, "walk", lambda: (_ for _ in ()).throw(RuntimeError()))
        library.refresh()
    assert [entry.name for entry in library.refresh()] == ["noir"]


# ---- what a lookup costs, and what it must not miss


def settle(library: Library) -> None:
    """Look until everything is older than the step of the drive's clock."""
    deadline = time.monotonic() + 30
    library.refresh()
    while not all(folder.certain for folder in library._folders._known.values()) and time.monotonic() < deadline:
        time.sleep(0.02)
        library.refresh()


def test_a_miss_reads_no_folder_where_nothing_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("noir", "people/emma"):
        save(tmp_path, name)
    library = Library(tmp_path)
    settle(library)
    reads = []
    scandir = os.scandir
    monkeypatch.setattr(library_module, "AGAIN", float("inf"))
    monkeypatch.setattr(folder_module.os, "scandir", lambda path: (reads.append(path), scandir(path))[1])
    for _ in range(20):
        for name in ("nor", "people/ema", "nobody/emma"):
            assert name not in library
            with pytest.raises(UnknownPrompt):
                library[name]
        assert library["people/emma"]
    assert not reads
    save(tmp_path, "people/ema")
    assert library["people/ema"]
    assert set(reads) == {str(tmp_path / "people")}


def test_within_one_step_of_the_clock_no_file_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two changes within one step leave a folder one signature: the second must count all the same."""
    library = Library(tmp_path)
    stopped = folder_module.signature(tmp_path)
    real = folder_module.signature
    monkeypatch.setattr(folder_module, "signature", lambda path: stopped if path == str(tmp_path) else real(path))
    monkeypatch.setattr(folder_module, "step", lambda found: 1000.0)
    for each in range(20):
        name = f"noir{each}"
        assert name not in library
        save(tmp_path, name)
        assert library[name]
    assert library.near("noir30")


def test_within_one_step_of_the_clock_no_change_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "noir.txt"
    path.write_text("It rained.")
    library = Library(tmp_path)
    stopped = folder_module.signature(path)
    monkeypatch.setattr(folder_module, "signed", lambda status: stopped)
    monkeypatch.setattr(folder_module, "signature", lambda path: stopped)
    monkeypatch.setattr(library_module, "settled", lambda found: False)
    first = library["noir"]
    assert library["noir"] is first
    path.write_text("It snowed.")
    assert library["noir"] == TextPrompt("noir", "It snowed.")


@pytest.mark.parametrize("moved", [-3600, 3600, 10**9])
def test_a_drive_whose_clock_is_wrong(moved: int, tmp_path: Path) -> None:
    library = Library(tmp_path)
    for each in range(5):
        os.utime(tmp_path, (time.time() + moved,) * 2)
        assert f"noir{each}" not in library
        save(tmp_path, f"noir{each}")
        os.utime(tmp_path, (time.time() + moved,) * 2)
        assert library[f"noir{each}"]


# ---- files in every state


def test_names_that_are_no_prompts(tmp_path: Path) -> None:
    save(tmp_path, "noir")
    (tmp_path / "deep").mkdir()
    for name in ("settings.json", "deep/settings.json", ".tmp-1.safetensors", "a.safetensors.part", "b.txt.crdownload"):
        (tmp_path / name).write_text("{}")
    for ignore in (("settings.json",), ["settings.json"], "settings.json"):
        listed = [entry.path.relative_to(tmp_path).as_posix() for entry in Library(tmp_path, ignore=ignore).entries()]
        assert listed == ["deep/settings.json", "noir.safetensors"]
    assert "settings" in [entry.name for entry in Library(tmp_path).entries()]


def test_a_file_that_is_being_copied(tmp_path: Path) -> None:
    data = save(tmp_path / "whole", "noir").read_bytes()
    library = Library(tmp_path / "library")
    (tmp_path / "library").mkdir()
    with (tmp_path / "library" / "noir.safetensors").open("wb", buffering=0) as file:
        for each in data[:-1]:
            file.write(bytes([each]))
        with pytest.raises(InvalidFile, match="cut short"):
            library["noir"]
        assert "cut short" in library.refresh()[0].problem
        assert "noir" not in library
        file.write(data[-1:])
        assert library["noir"]


def test_a_file_that_goes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "noir")
    library = Library(tmp_path)
    real = library_module.describe

    def gone(*arguments: Any) -> Any:
        path.unlink()
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(library_module, "describe", gone)
        assert library.entries() == ()
    save(tmp_path, "noir")
    (tmp_path / "noir.txt").write_text("It rained.")

    def load(path: Path, name: str) -> Any:
        path.unlink()
        monkeypatch.undo()
        return formats.load_any(path, name)

    assert library.refresh()
    monkeypatch.setattr(library_module, "load_any", load)
    assert isinstance(library["noir"], TextPrompt)
    monkeypatch.setattr(library_module, "load_any", load)
    with pytest.raises(UnknownPrompt):
        library["noir"]


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "noir")
    save(tmp_path, "sea")
    library = Library(tmp_path)
    real = listing.read_header

    def denied(path: Path) -> Any:
        if path.stem == "noir":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(listing, "read_header", denied)
        assert [entry.problem for entry in library.entries()] == [
            "it cannot be read (Permission denied): check its permissions",
            "",
        ]
        with pytest.raises(InvalidFile, match=r"noir\.safetensors: it cannot be read"):
            library["noir"]
    # No signature need tell of a change of permissions, so it is tried every time.
    assert library["noir"]
    assert list(map(bool, (entry.problem for entry in library.refresh()))) == [False, False]


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_a_link_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "noir.safetensors").symlink_to(tmp_path / "away" / "noir.safetensors")
    library = Library(tmp_path)
    with pytest.raises(InvalidFile, match="a link to a file that is not there"):
        library["noir"]
    assert len(library.entries()) == 1
    save(tmp_path / "away", "noir")
    assert library["noir"]


def test_a_running_reader_keeps_its_vectors(tmp_path: Path) -> None:
    path = save(tmp_path, "noir")
    library = Library(tmp_path)
    mine = library["noir"]
    assert isinstance(mine, SoftPrompt)
    before = mine.vectors.copy()
    save(tmp_path, "noir", 2)
    assert library["noir"] != mine
    np.testing.assert_array_equal(mine.vectors, before)
    path.write_bytes(bytes(path.stat().st_size))
    path.unlink()
    assert "noir" not in library
    np.testing.assert_array_equal(mine.vectors, before)


def test_a_file_that_is_rewritten_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, "noir")
    times = iter(range(100))
    real = os.fstat

    def fstat(handle: int) -> os.stat_result:
        seen = list(real(handle))
        seen[8] = next(times)
        return os.stat_result(seen, {"st_mtime_ns": seen[8]})

    library = Library(tmp_path)
    assert library.entries()
    with monkeypatch.context() as patch:
        patch.setattr(formats.os, "fstat", fstat)
        with pytest.raises(InvalidFile, match="being written just now"):
            library["noir"]
    assert library["noir"]


def test_hostile_headers_take_no_room(tmp_path: Path) -> None:
    long = "x" * 500_000
    SoftPrompt("x", [[1.0]], metadata={"note": long, "author": "Ann"}).save(tmp_path / "long.safetensors")
    many = {f"key {number}": "x" for number in range(20_000)}
    SoftPrompt("x", [[1.0]], metadata=many).save(tmp_path / "many.safetensors")
    SoftPrompt("x", [[1.0]], metadata={"format": "x"}).save(tmp_path / "kind.safetensors")
    data = (tmp_path / "kind.safetensors").read_bytes()
    text = data[8 : 8 + int.from_bytes(data[:8], "little")].replace(b'"soft-prompt"', b'"' + long.encode() + b'"')
    (tmp_path / "kind.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + data[-4:])
    library = Library(tmp_path)
    entries = {entry.name: entry for entry in library.entries()}
    for entry in entries.values():
        assert len(entry.metadata) <= 64
        assert sum(map(len, entry.metadata.values())) < 20_000
        assert len(entry.problem) < 1000
    assert entries["long"].metadata["author"] == "Ann"
    assert "of the kind 'xxx" in entries["kind"].problem
    prompt = library["long"]
    assert isinstance(prompt, SoftPrompt)
    assert prompt.metadata["note"] == long


@pytest.mark.parametrize("text", ["[],", "{},", "1,", '{"a":[', '["a","b"],'])
def test_headers_that_take_long_to_parse_are_refused_unparsed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = b'{"a":[' + text.encode() * (1_000_000 // len(text)) + b"1]}"
    (tmp_path / "bad.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    monkeypatch.setattr("json.JSONDecoder.decode", lambda *_: pytest.fail("it was parsed"))
    assert "brackets and commas, more than the 32,768" in Library(tmp_path).entries()[0].problem


def test_what_could_not_be_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="brackets and commas"):
        SoftPrompt("x", [[1.0]], metadata={"note": "a, " * 40_000}).save(tmp_path / "noir.safetensors")


def test_entries_share_their_texts(tmp_path: Path) -> None:
    for name in "ab":
        SoftPrompt("x", [[1.0]], metadata={"fingerprint": "f" * 5000}).save(tmp_path / f"{name}.safetensors")
    one, other = Library(tmp_path).entries()
    assert one.metadata["fingerprint"] is other.metadata["fingerprint"]


# ---- the listing


def test_the_revision_changes_when_the_listing_does(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert library.revision == 0
    revisions = []

    def look() -> None:
        library.refresh()
        revisions.append(library.revision)
        library.refresh()
        assert library.revision == revisions[-1]

    look()
    path = save(tmp_path, "noir")
    look()
    save(tmp_path, "noir", 2)
    look()
    path = path.rename(tmp_path / "sea.safetensors")
    look()
    path.write_bytes(b"broken")
    look()
    path.unlink()
    look()
    (tmp_path / "README.md").write_text("no prompt")
    library.refresh()
    assert library.revision == revisions[-1]
    assert revisions == sorted(set(revisions))


def test_what_is_iterated_is_what_is_there(tmp_path: Path) -> None:
    library = Library(tmp_path)
    assert list(library) == []
    save(tmp_path, "noir")
    assert list(library) == ["noir"]
    save(tmp_path, "deep/sea")
    assert len(library) == 2
    (tmp_path / "noir.safetensors").unlink()
    assert dict(library).keys() == {"deep/sea"}


def test_a_folder_that_may_not_be_read_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, "deep/noir")
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    library = Library(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(folder_module.os, "scandir", scandir)
        for _ in range(3):
            assert library.refresh() == ()
        assert "deep/noir" not in library
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "Permission denied; its soft prompts are not listed"
    ]


def test_a_files_name_in_a_tag_is_a_slip(tmp_path: Path) -> None:
    (tmp_path / "noir.txt").write_text("Rain.", "utf-8")
    with pytest.raises(UnknownPrompt, match="did you mean 'noir'"):
        Library(tmp_path)["noir.safetensors"]


def test_files_of_other_kinds_are_not_listed_but_known(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    for name in ("noir.txt", "cover.png", "README", ".hidden", "settings.json", "people/notes.md", "old.pt"):
        (tmp_path / name).write_text("Rain.", "utf-8")
    library = Library(tmp_path, ignore=("settings.json",))
    assert library.others() == [], "nobody has looked yet"
    library.refresh()
    assert sorted(library.others()) == ["README", "cover.png", "people/notes.md"]
