"""What the library section answers where files are changed, brought or asked about: on disk, and in words."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts.arrival import Arrival
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Host, Row
from soft_prompts.panel import finding, markup, shelf_markup
from soft_prompts.panel.answers import Asked, Changes, Panel, answer, answers
from soft_prompts.panel.shelf_answers import MOST_OFFERS, Keeping
from soft_prompts.trash import Discarded


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake = _load("shelf_host")
tree = fake.tree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake.stock(tmp_path / "library")  # type: ignore[no-any-return]


@pytest.fixture
def host(folder: Path) -> Any:
    return fake.DiskHost(folder)


@pytest.fixture
def keeping(host: Host) -> Keeping:
    return Keeping(Panel(host))


def asked(host: Host, file: str = "", **more: Any) -> Asked:
    """What the page sends when the row of a file is chosen."""
    row = next((row for row in host.rows() if row.file == file), None)
    return Asked(key=markup.key(row) if row else "", **more)


def line(changes: Changes, name: str) -> str:
    return str(changes[name]["value"])


def chosen(host: Host, changes: Changes) -> str:
    """The file of the row that is the chosen one afterwards."""
    return next((row.file for row in host.rows() if markup.key(row) == line(changes, "key")), "")


def test_the_fake_is_a_host(host: Host) -> None:
    assert all(hasattr(host, name) for name in vars(Host) if not name.startswith("_"))


# ---- the chosen file


def test_rename(host: Any, keeping: Keeping, folder: Path) -> None:
    host.pin("character:Emma", "noir", 0.7)
    before = tree(folder)
    done = keeping.rename(asked(host, "noir.safetensors", title=" dark/rain ", find="noir", place="people"))
    after = tree(folder)
    assert after["dark/rain.safetensors"] == before["noir.safetensors"] and "noir.safetensors" not in after
    assert chosen(host, done) == "dark/rain.safetensors"
    assert "&lt;&lt;sp:dark/rain&gt;&gt; now. Texts that say &lt;&lt;sp:noir&gt;&gt; no longer" in line(done, "filed")
    assert line(done, "find") == line(done, "place") == "", "they would hide it"
    assert host.kept == {"character:Emma": {"dark/rain": 0.7}}, "it stays pinned"
    assert done["title"]["value"] == "dark/rain" and line(done, "tag") == "<<sp:dark/rain:0.7>>"


def test_a_rename_can_be_taken_back(host: Any, keeping: Keeping, folder: Path) -> None:
    host.pin("character:Emma", "noir", 0.7)
    before = tree(folder)
    done = keeping.rename(asked(host, "noir.safetensors", title="dark/rain"))
    assert "sp-undoable" in line(done, "filed")
    back = keeping.take_back(asked(host, "dark/rain.safetensors", back=line(done, "back")))
    assert tree(folder) == before and chosen(host, back) == "noir.safetensors"
    assert host.kept == {"character:Emma": {"noir": 0.7}}
    assert "&lt;&lt;sp:noir&gt;&gt; again" in line(back, "filed") and "sp-undoable" not in line(back, "filed")
    second = answer(keeping.take_back, asked(host, "noir.safetensors", back=line(done, "back")), "filed")
    assert "taken back already" in line(second, "filed") and tree(folder) == before


def test_a_rename_is_not_taken_back_over_another_file(host: Any, keeping: Keeping, folder: Path) -> None:
    done = keeping.rename(asked(host, "sea.txt", title="lake"))
    host.make("sea", "Another sea.")
    before = tree(folder)
    said = answer(keeping.take_back, asked(host, "lake.txt", back=line(done, "back")), "filed")
    assert "there is sea.txt already" in line(said, "filed") and tree(folder) == before
    host.shelf.discard("sea.txt")
    keeping.take_back(asked(host, "lake.txt", back=line(done, "back")))
    assert "sea.txt" in tree(folder), "it can be tried again"


def test_a_pin_stays_with_a_name_that_another_file_has(host: Any, keeping: Keeping, folder: Path) -> None:
    (folder / "noir@other.safetensors").write_bytes((folder / "noir.safetensors").read_bytes())
    host.pin("everywhere", "noir")
    keeping.rename(asked(host, "noir.safetensors", title="rain"))
    assert host.kept == {"everywhere": {"noir": 1.0}}


@pytest.mark.parametrize(
    ("title", "words"), [("noir", "its name already"), ("", "it is empty"), ("../x", "cannot name"), ("sea", "already")]
)
def test_rename_says_what_is_wrong(host: Any, keeping: Keeping, folder: Path, title: str, words: str) -> None:
    before = tree(folder)
    said = answer(keeping.rename, asked(host, "noir.safetensors", title=title), "filed")
    assert words in line(said, "filed") and 'role="alert"' in line(said, "filed") and tree(folder) == before


def test_describe(host: Any, keeping: Keeping, folder: Path) -> None:
    before = next(row for row in host.rows() if row.name == "noir")
    done = keeping.describe(asked(host, "noir.safetensors", description="Fog. ", author=""))
    row = next(row for row in host.rows() if row.name == "noir")
    assert (row.description, row.author, row.model) == ("Fog.", "", "a/tiny")
    assert "vectors are as they were" in line(done, "filed") and "Fog." in line(done, "library")
    keeping.take_back(asked(host, "noir.safetensors", back=line(done, "back")))
    again = next(each for each in host.rows() if each.name == "noir")
    assert (again.description, again.author) == (before.description, before.author) and before.description


def test_duplicate(host: Any, keeping: Keeping, folder: Path) -> None:
    done = keeping.duplicate(asked(host, "people/emma@llama-3-8b.safetensors"))
    assert chosen(host, done) == "people/emma-2@llama-3-8b.safetensors" in tree(folder)
    assert "the copy" in line(done, "filed")


def test_delete_and_undo(host: Any, keeping: Keeping, folder: Path) -> None:
    before, page = tree(folder), asked(host, "noir.safetensors", find="noir")
    gone = keeping.discard(page)
    assert "noir.safetensors lies in the trash" in line(gone, "binned") and not line(gone, "key")
    assert "noir.safetensors" not in tree(folder) and "noir.safetensors" in line(gone, "trash")
    assert "find" not in gone, "the list stays as the writer had it"
    settled = keeping.panel.choose(Asked(key="", fresh=""))
    assert "binned" not in settled, "the page chooses nothing by itself, which must not take Undo away"
    back = keeping.undo(Asked(undo=gone["undo"]["value"]))
    assert tree(folder) == before and chosen(host, back) == "noir.safetensors"
    assert "Nothing was deleted" in line(back, "trash") and line(back, "binned") == ""
    again = answer(keeping.undo, Asked(undo=gone["undo"]["value"]), "binned")
    assert "no longer in the trash" in line(again, "binned")


def test_delete_twice_is_one(host: Any, keeping: Keeping) -> None:
    page = asked(host, "noir.safetensors")
    keeping.discard(page)
    assert keeping.discard(page) == {"seen": {"value": ""}}, "what is said of the first click, and Undo, stay"
    assert len(host.shelf.discarded()) == 1


def test_undo_where_the_name_is_taken_by_now(host: Any, keeping: Keeping, folder: Path) -> None:
    gone = keeping.discard(asked(host, "sea.txt"))
    host.make("sea", "Another sea.")
    said = answer(keeping.undo, Asked(undo=gone["undo"]["value"]), "binned")
    assert "sea.txt has the name of sea.txt by now: rename that one" in line(said, "binned")
    assert tree(folder)["sea.txt"] == b"Another sea.\n"


def test_the_trash_puts_back_what_is_chosen_there(host: Any, keeping: Keeping, folder: Path) -> None:
    before = tree(folder)
    for file in ("noir.safetensors", "sea.txt", "broken.safetensors"):
        keeping.discard(asked(host, file))
    shown = line(keeping.poll(Asked()), "trash")
    assert [shown.index(file) for file in ("broken", "sea.txt", "noir")] == sorted(
        shown.index(file) for file in ("broken", "sea.txt", "noir")
    ), "the latest first"
    for key in re.findall(r'data-bin="([^"]+)"', shown):
        back = keeping.put_back(Asked(bin=key))
        assert back["bin"]["value"] == "", "so that it can be pressed again"
    assert tree(folder) == before and keeping.put_back(Asked()) == {}


def test_download_is_a_copy(host: Any, keeping: Keeping, folder: Path) -> None:
    done = keeping.download(asked(host, "people/emma@llama-3-8b.safetensors"))
    copied = Path(line(done, "parcel"))
    assert copied.name == "emma@llama-3-8b.safetensors" and folder not in copied.parents
    assert copied.read_bytes() == tree(folder)["people/emma@llama-3-8b.safetensors"]


def test_convert(host: Any, keeping: Keeping, folder: Path) -> None:
    done = keeping.convert(asked(host, "sea.txt"))
    assert chosen(host, done) == "sea@tiny.safetensors" in tree(folder) and "sea.txt" in tree(folder)


def test_a_row_without_its_file_is_words(host: Any, keeping: Keeping) -> None:
    host.kept["everywhere"] = {"lost": 1.0}
    key = markup.key(Row("lost", "", 0, "missing"))
    acts = (keeping.rename, keeping.describe, keeping.duplicate, keeping.download, keeping.convert)
    for act in (*acts, keeping.resembles):
        for page in (Asked(key=key, title="x"), Asked(key="0" * 12, title="x"), Asked(title="x")):
            assert "no longer there. Choose again" in line(answer(act, page, "filed"), "filed")


# ---- where files may not be changed


def test_what_is_forbidden_is_disabled_and_refused(host: Any, keeping: Keeping, folder: Path, tmp_path: Path) -> None:
    host.forbids = "the webui runs with --multi-user"
    page = asked(host, "noir.safetensors", title="x", name="x", sentence="x", undo="x", bin="x", offer="x")
    before, drawn = tree(folder), keeping.panel.choose(page)
    for name in ("upload", "make", "rename", "duplicate", "discard", "describe", "convert"):
        assert drawn[name]["interactive"] is False, name
    assert drawn["download"]["interactive"] is True, "that changes nothing"
    for place in ("forbidden", "forbidden_file", "forbidden_make"):
        assert "cannot be changed here: the webui runs with --multi-user." in line(drawn, place)
    acts: list[Callable[[Asked], Changes]] = [
        keeping.rename, keeping.describe, keeping.duplicate, keeping.discard, keeping.convert, keeping.undo,
        keeping.put_back, keeping.keep, keeping.panel.make, lambda page: keeping.offer(page, "x", "x"),
    ]  # fmt: skip
    for act in acts:
        assert "cannot be changed here" in line(answer(act, page, "filed"), "filed")
    assert tree(folder) == before and not (folder / ".trash").exists()
    host.forbids = ""
    assert line(keeping.panel.choose(page), "forbidden") == ""


@pytest.mark.parametrize(
    ("file", "can"),
    [
        ("noir.safetensors", {"rename", "duplicate", "discard", "describe", "download"}),
        ("sea.txt", {"rename", "duplicate", "discard", "convert", "download"}),
        ("broken.safetensors", {"rename", "discard", "download"}),
        ("", set()),
    ],
)
def test_each_file_has_its_buttons(host: Any, keeping: Keeping, file: str, can: set[str]) -> None:
    drawn = keeping.panel.choose(asked(host, file))
    names = {"rename", "duplicate", "discard", "describe", "download", "convert"}
    assert {name for name in names if drawn[name]["interactive"]} == can


# ---- what is brought


def brought(tmp_path: Path, data: bytes) -> str:
    (tmp_path / "upload").write_bytes(data)
    return str(tmp_path / "upload")


def test_an_upload_is_shown_before_it_is_kept(host: Any, keeping: Keeping, folder: Path, tmp_path: Path) -> None:
    before = tree(folder)
    path = brought(tmp_path, before["noir.safetensors"])
    shown = keeping.offer(Asked(), path, "Emma's <b>@llama.safetensors")
    assert tree(folder) == before, "nothing is kept yet"
    card = line(shown, "offered")
    for words in ("3 tokens, 4 wide", "a/tiny", "Rain and neon.", "Ann", "The door was shut.", "hung in the rain"):
        assert words in card
    assert line(shown, "keep_as") == "Emmas -b" and shown["keep"]["interactive"]
    page = Asked(offer=line(shown, "offer"), keep_as=" ann ")
    kept = keeping.keep(page)
    assert tree(folder) == {**before, "ann@llama.safetensors": before["noir.safetensors"]}
    assert chosen(host, kept) == "ann@llama.safetensors" and line(kept, "offered") == line(kept, "offer") == ""
    assert "no longer here" in line(answer(keeping.keep, page, "answer"), "answer"), "a second click keeps no second"


def test_a_taken_name_is_said_and_another_one_offered(
    host: Any, keeping: Keeping, folder: Path, tmp_path: Path
) -> None:
    before = tree(folder)
    shown = keeping.offer(Asked(), brought(tmp_path, b"Other."), "sea.txt")
    assert "There is a “sea” already" in line(shown, "offered") and line(shown, "keep_as") == "sea-2"
    page = Asked(offer=line(shown, "offer"), keep_as="sea")
    assert "there is sea.txt already" in line(answer(keeping.keep, page, "answer"), "answer") and tree(folder) == before
    keeping.keep(replace(page, keep_as="sea-2"))
    assert tree(folder) == {**before, "sea-2.txt": b"Other."}, "it could still be kept after the refusal"


def test_no_is_no(keeping: Keeping, folder: Path, tmp_path: Path) -> None:
    before = tree(folder)
    shown = keeping.offer(Asked(), brought(tmp_path, b"Rain."), "x.txt")
    gone = keeping.refuse(Asked(offer=line(shown, "offer")))
    assert line(gone, "offered") == line(gone, "keep_as") == "" and tree(folder) == before
    assert "no longer here" in line(answer(keeping.keep, Asked(offer=line(shown, "offer")), "answer"), "answer")


def test_whether_it_fits_and_what_one_may_do_with_it_is_said_before_it_is_kept(
    host: Any, keeping: Keeping, folder: Path, tmp_path: Path
) -> None:
    path = brought(tmp_path, tree(folder)["noir.safetensors"])
    card = line(keeping.offer(Asked(), path, "x.safetensors"), "offered")
    assert "✓ fits this model" in card and "not said: ask before you pass it on" in card
    assert "phrases of them may be recoverable" in card
    host.verdict = "width", "it is 4 wide, and this model embeds tokens <b> wide"
    assert "made for another model: it is 4 wide" in line(keeping.offer(Asked(), path, "x.safetensors"), "offered")
    text = line(keeping.offer(Asked(), brought(tmp_path, b"Rain."), "x.txt"), "offered")
    assert "Licence" not in text and "Here" not in text and "recoverable" not in text


def test_of_a_file_that_carries_several_one_is_offered_after_the_other(
    host: Any, keeping: Keeping, folder: Path, tmp_path: Path
) -> None:
    data = tree(folder)["noir.safetensors"]
    carried = [Arrival(name, "", ".safetensors", 3, 4, {}, data=data) for name in ("one", "two", "three")]
    host.shelf.carriers.add(lambda path, called: carried)
    before = tree(folder)
    shown = keeping.offer(Asked(), brought(tmp_path, b"\x89PNG"), "Emma <b>.png")
    assert "Emma &lt;b&gt;.png" in line(shown, "offered") and "2 more are in" in line(shown, "offered")
    kept = keeping.keep(Asked(offer=line(shown, "offer"), keep_as=line(shown, "keep_as")))
    assert "One more is in" in line(kept, "offered") and "It is in the library." in line(kept, "filed")
    refused = keeping.refuse(Asked(offer=line(kept, "offer")))
    assert line(refused, "keep_as") == "three"
    last = keeping.keep(Asked(offer=line(refused, "offer"), keep_as="three"))
    assert line(last, "offered") == "" and set(tree(folder)) - set(before) == {"one.safetensors", "three.safetensors"}


@pytest.mark.parametrize(
    ("called", "data", "words"),
    [
        ("a.safetensors", b"\x10\0\0", "cut short"),
        ("a.safetensors", b"\x89PNG\r\n\x1a\n" + b"\0" * 60, "picture"),
        ("a.pkl", b"\x80\x04\x95", "it is"),
        ("a.pt", b"\x80\x02", "it is"),
        ("a.txt", bytes(range(256)), "not UTF-8"),
        ("<img src=x onerror=pwned>.txt", b"", "empty"),
    ],
)
def test_wrong_files_are_words(
    keeping: Keeping, folder: Path, tmp_path: Path, called: str, data: bytes, words: str
) -> None:
    before = tree(folder)
    shown = keeping.offer(Asked(), brought(tmp_path, data), called)
    assert words in line(shown, "offered") and "cannot be kept" in line(shown, "offered")
    assert (
        not shown["keep"]["interactive"] and line(shown, "refuse") == "Close" and "<img" not in line(shown, "offered")
    )
    page = Asked(offer=line(shown, "offer"), keep_as="a")
    assert "cannot be kept" in line(answer(keeping.keep, page, "answer"), "answer") and tree(folder) == before


def test_an_upload_that_never_came_is_nothing(keeping: Keeping) -> None:
    assert keeping.offer(Asked(), None, "") == {}


def test_a_page_can_name_no_file_of_the_server(keeping: Keeping, tmp_path: Path) -> None:
    """What is kept is what was uploaded, whatever a page says."""
    path = brought(tmp_path, b"Rain.")
    assert "no longer here" in line(answer(keeping.keep, Asked(offer=path, keep_as="x"), "answer"), "answer")


def test_uploads_that_nobody_answers_are_forgotten(keeping: Keeping, tmp_path: Path) -> None:
    path = brought(tmp_path, b"Rain.")
    keys = [line(keeping.offer(Asked(), path, "x.txt"), "offer") for _ in range(MOST_OFFERS + 1)]
    assert "no longer here" in line(answer(keeping.keep, Asked(offer=keys[0], keep_as="x"), "answer"), "answer")
    keeping.keep(Asked(offer=keys[-1], keep_as="x"))


# ---- what the model is asked


def test_what_the_vectors_are_like(host: Any, keeping: Keeping) -> None:
    like = line(keeping.resembles(asked(host, "noir.safetensors")), "like")
    assert like.count("<li>") == 4 and "&lt;b&gt;" in like and "rain" in like
    host.like = ["x"] * (shelf_markup.MOST_VECTORS + 7)
    like = line(keeping.resembles(asked(host, "noir.safetensors")), "like")
    assert like.count("<li>") == shelf_markup.MOST_VECTORS and "7 more" in like
    host.like = []
    assert "no vectors" in line(keeping.resembles(asked(host, "noir.safetensors")), "like")
    host.fail = SoftPromptError("no model is loaded")
    assert "no model is loaded" in line(answer(keeping.resembles, asked(host, "noir.safetensors"), "like"), "like")


def test_a_line_is_written_with_and_without(host: Any, keeping: Keeping) -> None:
    page = asked(host, "noir.safetensors", strength=0.7, opening="The door <i>")
    *_, last = list(answers(keeping.lines, page, "lines"))
    assert host.tries.asked == [("<<sp:noir:0.7>>The door <i>", "The door <i>")]
    shown = line(last, "lines")
    assert "With &lt;&lt;sp:noir:0.7&gt;&gt;" in shown and " it rained &lt;b&gt;." in shown and " IT RAINED" in shown


def test_a_line_comes_piece_by_piece(host: Any, keeping: Keeping) -> None:
    pieces = answers(keeping.lines, asked(host, "noir.safetensors", opening="So"), "lines")
    first = line(next(pieces), "lines")
    assert " it" in first and "rained" not in first
    pieces.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("fails", [SoftPromptError("the model went"), ZeroDivisionError("oops")])
def test_a_line_that_fails_is_words(host: Any, keeping: Keeping, fails: Exception) -> None:
    def write(*_: Any, **__: Any) -> Iterator[Any]:
        yield from ()
        raise fails

    host.tries.write = write
    (only,) = answers(keeping.lines, asked(host, "noir.safetensors"), "lines")
    assert str(fails) in line(only, "lines") and 'role="alert"' in line(only, "lines")
    host.tries.reason = "No model is loaded."
    (only,) = answers(keeping.lines, asked(host, "noir.safetensors"), "lines")
    assert "No model is loaded." in line(only, "lines")


def test_another_row_takes_away_what_was_asked_about_the_last(host: Any, keeping: Keeping) -> None:
    shown = keeping.panel.choose(asked(host, "noir.safetensors"))
    assert shown["like"]["value"] == shown["lines"]["value"] == ""
    assert (line(shown, "title"), line(shown, "description"), line(shown, "author")) == (
        "noir",
        "Rain and neon.",
        "Ann",
    )
    assert not {"title", "description", "author", "like", "lines"} & set(
        keeping.poll(asked(host, "noir.safetensors"))
    ), "what a writer is typing is not drawn over"


# ---- the list

ROWS = [
    Row("b", "b.txt", 7, "text", changed=3.0, author="Zoe", model="llama", method="text"),
    Row("a", "deep/er/a.txt", 0, "no model", changed=1.0),
    Row("c", "deep/c.safetensors", 2, "stranger", changed=2.0),
    Row("d", "deeper/d.safetensors", 1, "fits", changed=0.0),
    Row("e", "e.safetensors", 1, "unreadable", changed=9.0),
]


@pytest.mark.parametrize(
    ("order", "names"), [("name", "bacde"), ("newest", "bcade"), ("tokens", "dcbae"), ("fits", "bdace"), ("?", "bacde")]
)
def test_orders(order: str, names: str) -> None:
    assert "".join(row.name for row in finding.found(ROWS, order=order)) == names, "what cannot be used stands last"


@pytest.mark.parametrize(
    ("find", "place", "names"),
    [("", "deep", "ac"), ("", "deep/er", "a"), ("", "nowhere", ""), ("zoe LLAMA", "", "b"), ("deep", "", "acd"),
     ("deep safetensors", "deep", "c"), ("  ", "", "bacde")],
)  # fmt: skip
def test_finding(find: str, place: str, names: str) -> None:
    assert "".join(row.name for row in finding.found(ROWS, find, place=place)) == names


def test_folders_are_counted_with_what_lies_below() -> None:
    assert finding.folders(ROWS) == [
        ("All folders", ""), ("deep (2)", "deep"), ("deep/er (1)", "deep/er"), ("deeper (1)", "deeper"),
    ]  # fmt: skip


def test_a_folder_that_went_is_not_chosen_any_more(host: Any, keeping: Keeping, folder: Path) -> None:
    shown = keeping.poll(Asked(place="people"))
    assert shown["place"] == {"choices": [("All folders", ""), ("people (1)", "people")]}, "the page may be further"
    assert "noir" not in line(shown, "library")
    shown = keeping.discard(asked(host, "people/emma@llama-3-8b.safetensors", place="people"))
    assert shown["place"]["value"] == "" and "noir" in line(shown, "library")


def test_a_row_says_what_its_file_says(host: Any, keeping: Keeping) -> None:
    drawn = keeping.panel.choose(asked(host, "noir.safetensors"))
    assert "for a/tiny · training on texts · test 1.33 → 1.16 · by Ann" in line(drawn, "library")
    for words in ("3 tokens", "a/tiny", "training on texts", "1.33 → 1.16 nats per token", "Ann", "noir.safetensors"):
        assert words in line(drawn, "detail")


# ---- strangers


@pytest.mark.parametrize("text", ["<b>", '" onmouseover="pwned', "</li></ul>", "\udcff", "\0\x1b\u202e"])
def test_nothing_of_a_file_is_markup(text: str, keeping: Keeping) -> None:

    said = {key: text for key in ("base_model", "description", "author", "sample", "sample_base")}
    pages = [
        shelf_markup.offer(Arrival(text, text, text, 1, 2, said, text), text),
        shelf_markup.offer(Arrival(text, problem=text)),
        shelf_markup.vectors([text]),
        shelf_markup.lines(text, text, text, text),
        shelf_markup.trash([Discarded(text, text, 1.0)]),
        shelf_markup.forbidden(text),
    ]
    for page in pages:
        assert "<b>" not in page.replace("<b>Keep this file?</b>", "").replace(f"<b>{markup.words(text)}</b>", "")
        assert '" onmouseover' not in page and "</li></ul></" not in page.replace("</li></ul>", "", 1)
        assert all(each.isprintable() for each in page)
        page.encode("utf-8")
