"""A lorebook comes back with tags as its texts: keys, order and all else as they were; what is ended goes on."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from soft_prompts import Library
from soft_prompts.cli import main
from soft_prompts.tags import Tag, parse
from soft_prompts.trainer import lorebook
from soft_prompts.trainer.data import books
from soft_prompts.trainer.data.books import rewriting
from soft_prompts.trainer.data.books.envelope import opened

from .samples import EMMA, OAKHAM, SAMPLES, Sample, card, charx, novelai, png, world_info, written

SMALL = ("--steps", "2", "--rows", "4", "--batch", "2", "--block", "16")
BOOKS = [each for each in SAMPLES if {"Oakham", "oakham"} & set(each.names) and not each.file.endswith(".md")]


def undone(value: Any) -> Any:
    """The value with all that could be a tag taken for the same."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace(json.dumps("<<sp:x>>"), json.dumps(OAKHAM, ensure_ascii=False))


# ---- rewriting, without a model


@pytest.mark.parametrize("sample", BOOKS, ids=lambda each: each.says)
def test_only_the_texts_change(sample: Sample) -> None:
    envelope = opened(sample.data)
    book = books.find(sample.data)
    assert envelope is not None and book is not None
    entry = next(each for each in rewriting.entries_of(book) if each.text == OAKHAM)
    new = opened(rewriting.rewritten(envelope, {entry.place: (entry.text, "<<sp:x>>")}))
    assert new is not None and list(new.values) == list(envelope.values)
    for name, value in envelope.values.items():
        assert undone(new.values[name]) == json.dumps(value, ensure_ascii=False)
    assert [(each.name, each.keys, each.order) for each in books.book_of(new.value).entries] == [  # type: ignore[union-attr]
        (each.name, each.keys, each.order) for each in book.entries
    ]
    assert OAKHAM.encode() not in (new.data if new.ending == ".json" else b""), "nor does a second copy stay"


def test_what_is_not_there_is_passed_over() -> None:
    envelope = opened(written(novelai()))
    assert envelope is not None
    texts = {
        ("entries", 9, "text"): ("x", "y"),
        ("entries", "0", "text"): ("x", "y"),
        ("entries", 0, "text"): ("x", "y"),
    }
    assert json.loads(rewriting.rewritten(envelope, texts)) == novelai()


def test_a_card_in_a_picture_is_changed_in_both_of_its_copies() -> None:
    old = card()
    old["data"]["character_book"]["entries"][1]["content"] = "Another text."
    envelope = opened(png({"chara": old, "ccv3": card(3)}))
    assert envelope is not None
    places = [("data", "character_book", "entries", each, "content") for each in (0, 1)]
    contents = [each["content"] for each in card()["data"]["character_book"]["entries"]]
    new = opened(rewriting.rewritten(envelope, {place: (contents[n], f"<<sp:{n}>>") for n, place in enumerate(places)}))
    assert new is not None
    said = {
        name: [each["content"] for each in value["data"]["character_book"]["entries"][:2]]
        for name, value in new.values.items()
    }
    assert said == {"ccv3": ["<<sp:0>>", "<<sp:1>>"], "chara": ["<<sp:0>>", "Another text."]}


def test_files_keep_their_looks() -> None:
    for indent in (None, 2, 4):
        data = json.dumps(
            world_info(), indent=indent, separators=None if indent else (",", ":"), ensure_ascii=False
        ).encode()
        envelope = opened(data)
        assert envelope is not None and rewriting.rewritten(envelope, {}) == data


def test_tags_do_not_call_other_entries() -> None:
    from argparse import Namespace

    value = {
        "entries": {
            str(number): {"comment": name, "key": keys, "content": OAKHAM}
            for number, (name, keys) in enumerate(
                [("Emma of Oakham", ["emma"]), ("Oakham", ["oakham"]), ("Oakham", ["port"]), ("What? <b>", ["xyz"])]
            )
        }
    }
    book = books.book_of(value)
    assert book is not None
    options = Namespace(name=None, book="worlds/oakham tales.json")
    found = list(lorebook.names(options, book, book.entries))
    assert found[:3] == ["book/1", "book/Oakham", "book/3"] and len(set(found)) == 4
    assert all(isinstance(parse(f"<<sp:{each}>>")[0], Tag) for each in found)
    options.name = "tales"
    assert list(lorebook.names(options, book, book.entries))[1] == "tales/Oakham"


# ---- with a model


@pytest.fixture
def typed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make: Callable[..., Any],
    tokenizer: Any,
) -> Callable[..., tuple[int, str, str]]:
    """`typed("oakham.json")`: `soft-prompts lorebook` on a tiny model; status, output, errors."""
    monkeypatch.chdir(tmp_path)
    make("llama", max_position_embeddings=2048).save_pretrained("tiny")
    tokenizer.save_pretrained("tiny")
    Path("oakham.json").write_bytes(written(world_info(), 4))
    capsys.readouterr()

    def run(*words: str) -> tuple[int, str, str]:
        status = main(["lorebook", *words, "--model", "tiny", *SMALL])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def test_a_lorebook_of_tags(typed: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    value = world_info()
    value["entries"]["2"]["content"] = "Short."
    Path("oakham.json").write_bytes(written(value, 4))
    status, out, _ = typed("oakham.json", "--name", "tales")
    assert status == 0
    new = json.loads(Path("oakham with tags.json").read_text("utf-8"))
    said = [each["content"] for each in new["entries"].values()]
    assert said == ["<<sp:tales/Oakham>>", "<<sp:tales/The Black Gull>>", "Short.", "It was Jonas.", ""]
    assert [each["content"] for each in new["originalData"]["entries"]][:2] == said[:2]
    same = copy.deepcopy(new)
    for uid, each in same["entries"].items():
        each["content"] = value["entries"][uid]["content"]
    assert same["entries"] == value["entries"]
    assert {*Library("soft_prompts")} == {"tales/Oakham", "tales/The Black Gull"}
    assert "left as it is" in out and "no longer bring in other entries" not in out
    report = Library("soft_prompts")["tales/Oakham"].metadata
    assert "recall" in report and report["method"] == "distill"

    # Once more: nothing is trained again, and the same file is written.
    first = Path("oakham with tags.json").read_bytes()
    monkeypatch.setattr(lorebook, "Job", None)
    status, out, _ = typed("oakham.json", "--name", "tales", "--output", "again.json", "--json")
    assert status == 0 and Path("again.json").read_bytes() == first
    lines = json.loads(out.splitlines()[-1])["entries"]
    assert [each["why"].endswith("(made before)") for each in lines] == [True, True, False]
    assert all(each["before"] > each["after"] for each in lines[:2])


@pytest.mark.slow
def test_an_end_in_the_middle_goes_on(
    typed: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, ended = lorebook.Job, [0, 130]

    class Ended(job):  # type: ignore[misc, valid-type]
        def run(self) -> int:
            status = ended.pop(0)
            return status or super().run()

    monkeypatch.setattr(lorebook, "Job", Ended)
    status, _, _ = typed("oakham.json", "--name", "tales")
    assert status == 130 and not Path("oakham with tags.json").exists()
    monkeypatch.setattr(lorebook, "Job", job)
    assert typed("oakham.json", "--name", "tales")[0] == 0
    assert Path("oakham with tags.json").exists()


def test_all_in_one(typed: Callable[..., tuple[int, str, str]]) -> None:
    Path("emma.charx").write_bytes(charx(card(3)))
    status, out, _ = typed("emma.charx", "--all-in-one", "--name", "tales", "--output", "all.charx")
    assert status == 0 and "all 2 entries" in out
    envelope = opened(Path("all.charx").read_bytes())
    assert envelope is not None
    entries = envelope.value["data"]["character_book"]["entries"]
    assert [(each["content"], each["enabled"], each.get("constant")) for each in entries] == [
        ("<<sp:tales/all>>", True, True),
        (card()["data"]["character_book"]["entries"][1]["content"], False, None),
        ("It was Jonas.", False, None),
    ]
    assert envelope.value["data"]["description"] == EMMA


def test_what_is_no_lorebook(typed: Callable[..., tuple[int, str, str]]) -> None:
    Path("emma.json").write_bytes(written(card(3, character_book=None)))
    Path("a.txt").write_text("x", "utf-8")
    Path("oakham with tags.json").write_text("mine", "utf-8")
    for words, message in (
        (("emma.json",), "emma.json: it is a Character Card V3 without a lorebook"),
        (("a.txt",), "a.txt: it is no lorebook"),
        (("oakham.json",), "oakham with tags.json exists already"),
        (("oakham.json", "--output", "oakham.json", "--overwrite"), "oakham.json exists already"),
    ):
        status, _, err = typed(*words)
        assert status == 1 and message in err, err
