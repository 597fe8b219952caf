"""A text is read from whatever writers have, and split into three parts, by whole stories where it has many."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import Corpus, kinds, reading, texts

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
FIELDS = ["text", "messages", "role", "content", "conversations", "from", "value", "instruction", "input", "output"]
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=5,
)
MARKS = [mark for mark, *_ in reading._MARKS]


def plain(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def zipped(*names: str, first: bytes = b"") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        if first:
            file.writestr("mimetype", first)
        for name in names:
            file.writestr(name, "x")
    return held.getvalue()


# ---- three parts


def test_a_single_text_is_split_by_characters() -> None:
    text = "".join(chr(97 + each % 26) for each in range(1000))
    parts = Corpus(text).parts()
    assert parts.train + parts.validation + parts.test == text
    assert (len(parts.train), len(parts.validation)) == (800, 100)


@pytest.mark.parametrize("mark", ["***", "*****", "  ⁂", "* * *"])
def test_many_stories_are_split_by_stories(mark: str) -> None:
    stories = [f"Story {number}.\nIt ends." for number in range(40)]
    corpus = Corpus(f"\n{mark}\n".join(stories))
    assert corpus.stories == tuple(stories)
    parts = corpus.parts()
    assert parts.train.split("\n\n") == stories[:32]
    assert parts.validation.split("\n\n") == stories[32:36]
    assert parts.test.split("\n\n") == stories[36:]


def test_stars_inside_a_line_break_nothing() -> None:
    assert len(Corpus("It was *** cold.\n**\nAnd dark.").stories) == 1


@given(st.lists(TEXTS, max_size=40))
def test_parts_are_the_stories_one_after_the_other(stories: list[str]) -> None:
    corpus = Corpus("\n***\n".join(stories))
    parts = corpus.parts()
    joint = "\n\n" if len(corpus.stories) >= 30 else ""
    assert joint.join([parts.train, parts.validation, parts.test]) == "\n\n".join(corpus.stories)
    assert parts == Corpus(corpus.text).parts()


# ---- plain texts


@given(TEXTS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_any_text_comes_back(encoding: str, text: str) -> None:
    data = text.encode(encoding)
    assume(not kinds.told(data) and not text.startswith("\ufeff"))
    assert texts.parse(data) == [plain(text)]


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfThe sea\r\n")
    assert Corpus.read(path).text == "The sea\n"
    assert Corpus.read(str(path)).digest == Corpus("The sea\n").digest
    path.write_bytes(codecs.BOM_UTF16_BE + "The séa\n".encode("utf-16-be"))
    assert Corpus.read(path).text == "The séa\n"
    path.with_suffix(".log").write_text('[{"text": "no dataset"}]', "utf-8")
    assert Corpus.read(path.with_suffix(".log")).text == '[{"text": "no dataset"}]'


@given(st.tuples(st.sampled_from(MARKS), st.binary()).map(b"".join))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (texts.parse, texts.parse_dataset):
        try:
            found = parse(data)
        except InvalidFile as problem:
            assert str(problem)
        else:
            assert "".join(found).encode() is not None, "no half characters"


BAD = [
    (b"", "it holds no text"),
    (b" \n\r\n\t", "it holds no text"),
    (b"***\n\n***\n", "it holds no text"),
    ("Bon.\r\nUn café".encode("latin-1"), "(byte 0xE9 at offset 12, in line 2, behind 'Un caf'): open it in an editor"),
    (codecs.BOM_UTF8 + b"\n\xff", "is not UTF-8 text (byte 0xFF at offset 4, in line 2)"),
    (codecs.BOM_UTF16_LE + b"a\0\n\0b", "is not UTF-16 text (byte 0x62 at offset 6, in line 2)"),
    (codecs.BOM_UTF16_LE + b"a\0\0\0", "it is no text, but the bytes of some program"),
    ("The sea".encode("utf-16-le"), "UTF-16 without its mark"),
    (b"one\0two", "a NUL at byte 3"),
    (bytes(100), "nothing but zeros"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"%PDF-1.7\n", "a PDF: open it, and save it as plain text"),
    (b"{\\rtf1 Hello}", "(RTF)"),
    (b" <!DOCTYPE html><p>", "a web page"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office"),
    (b"\x80\x02}q\x00", "torch"),
    (b"GGUF\x03\0\0\0", "a model (GGUF)"),
    (b"\x50\0\0\0\0\0\0\0" + b'{"vectors"', "safetensors"),
    (zipped("[Content_Types].xml", "word/document.xml"), "a Word document (.docx)"),
    (zipped("content.xml", first=b"application/vnd.oasis.opendocument.text"), "LibreOffice"),
    (zipped("a.xhtml", first=b"application/epub+zip"), "an e-book"),
    (zipped("a.txt"), "a packed file (zip)"),
]


@pytest.mark.parametrize(("data", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_what_is_no_text(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(InvalidFile, match=re.escape(message)) as caught:
        Corpus.read(path)
    assert str(caught.value).startswith(f"{path}: it ")


def test_words_that_other_files_begin_with_are_words() -> None:
    for text in ("GGUF is a format.", "ID3 tags", "%PDF is what it says", "PK means Peter Kay"):
        assert texts.parse(text.encode()) == [text]


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (tmp_path / "none.txt", f"{tmp_path}/a\0b"):
        with pytest.raises(InvalidFile, match="check the name"):
            Corpus.read(bad)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InvalidFile, match="no ordinary file"):
            Corpus.read(tmp_path / "pipe")
    monkeypatch.setattr(reading, "LARGEST", 10)
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("123456")
    assert Corpus.read(tmp_path / "a.txt").text == "123456"
    with pytest.raises(InvalidFile, match=r"b\.txt: with it, it is more than 10 characters"):
        Corpus.read(tmp_path / "a.txt", tmp_path / "b.txt")
    (tmp_path / "b.txt").write_text("12345678901")
    with pytest.raises(InvalidFile, match="larger than the 10 bytes"):
        Corpus.read(tmp_path / "b.txt")


# ---- folders


def test_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "book"
    names = ["chapter 10.md", "chapter 2.txt", "Chapter 1.MD", "b/1.markdown", ".hidden.txt", ".git/a.txt", "a.docx"]
    names.append("b/book.training/report.md")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"This is {name}.\n", "utf-8")
    (folder / "c.jsonl").write_text('{"text": "One."}\n{"text": "Two."}\n', "utf-8")
    (folder / "empty.txt").write_text("\n")
    (tmp_path / "secret.txt").write_text("A secret.")
    try:
        (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
        (folder / "again.txt").symlink_to(folder / "chapter 2.txt")
        (folder / "round").symlink_to(folder, target_is_directory=True)
    except OSError:
        pass  # this Windows account may not make links
    read = Corpus.read(folder)
    order = ["b/1.markdown", None, "Chapter 1.MD", "chapter 2.txt", "chapter 10.md"]
    expected = [f"This is {name}." if name else "One." for name in order]
    assert read.stories == (*expected[:2], "Two.", *expected[2:])
    assert Corpus.read(folder, folder / "chapter 2.txt", folder) == read, "named twice, read once"
    assert Corpus.read(folder / "b", folder / "chapter 2.txt").stories == (expected[0], expected[3])


def test_a_folder_without_texts(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_bytes(b"PK")
    with pytest.raises(InvalidFile, match=r"no texts in this folder; what is read in one: \.txt, \.md, .*\.jsonl"):
        Corpus.read(tmp_path)
    (tmp_path / "a.txt").write_text(" ")
    with pytest.raises(InvalidFile, match="holds no text"):
        Corpus.read(tmp_path)
    (tmp_path / "b.txt").write_bytes(b"a\xff")
    with pytest.raises(InvalidFile, match=r"b\.txt: it is not UTF-8"):
        Corpus.read(tmp_path)


# ---- datasets

DATASETS = [
    ({"text": "The sea.\r\nThe sky."}, "The sea.\nThe sky."),
    (
        {"messages": [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Ho"}]},
        "User: Hi\nAssistant: Ho",
    ),
    ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}]}, "User: Hi\nAssistant: Ho"),
    ({"messages": [{"role": "Emma", "content": None}, {"role": "emma", "content": "Ho"}]}, "Emma: Ho"),
    ({"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Look"}]}]}, "User: Look"),
    ({"instruction": "Add.", "input": "1, 2", "output": "3"}, "User: Add.\n1, 2\nAssistant: 3"),
    ({"instruction": "Sing.", "input": "", "output": "La", "text": None}, "User: Sing.\nAssistant: La"),
]


@pytest.mark.parametrize(("item", "text"), DATASETS)
def test_a_dataset(tmp_path: Path, item: dict[str, Any], text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps([item, {"text": ""}, {"text": "More."}], indent=1), "utf-8")
    assert Corpus.read(path).stories == (text, "More.")
    lines = tmp_path / "a.jsonl"
    lines.write_text(json.dumps(item) + "\n\n" + json.dumps({"text": "a\u2028b"}, ensure_ascii=False) + "\n", "utf-8")
    assert Corpus.read(lines).stories == (text, "a\u2028b")
    lines.write_text(json.dumps(item), "utf-8")
    assert Corpus.read(lines).stories == (text,)


@given(st.lists(TEXTS, min_size=1))
def test_any_texts_of_a_dataset_come_back(stories: list[str]) -> None:
    data = json.dumps([{"text": text} for text in stories]).encode()
    lines = "\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in stories).encode()
    assert texts.parse_dataset(data) == texts.parse_dataset(lines) == [plain(text) for text in stories]


@given(JSON)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        assert "".join(texts.parse_dataset(json.dumps(value).encode())).encode() is not None
    except InvalidFile as problem:
        assert str(problem)


WRONG = [
    ("", "it is empty"),
    ("[]", "its list is empty"),
    ("7", "it is no list, but a number"),
    ('{"entries": {}, "name": "x"}', "it is a SillyTavern World Info, and nothing in it can be used"),
    ('[{"text": "a"}, "b"]', "item 2: it is the text 'b'; what is read: "),
    ('[{"text": null}]', "item 1: it is an object with 'text' (null)"),
    ('[{"call": " a", "response": " b"}]', "which world info is trained with"),
    ('[{"messages": [{"content": "x"}]}]', "its turn 1 is an object with 'content' (a text), and no 'role' says whose"),
    ('[{"messages": [{"role": "user", "content": 7}]}]', "the 'content' of its turn 1 is no text, but a number"),
    ('[{"text": "a"},\n]', "it is no JSON (line 2, column 1: Expecting value; take out the comma before it)"),
    ('{"text": "a"}\n{"text": "b"\n', "line 2: it is no JSON"),
    ('[{"text": "cut \\ud83d"}]', "item 1: it holds half a character (\\ud83d)"),
    ("[" * 100_000, "nested too deep"),
    ('[{"text": 1' + "0" * 5000 + "}]", "it is no JSON that is read"),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message[:30] for _, message in WRONG])
def test_what_is_no_dataset(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, "utf-8")
    with pytest.raises(InvalidFile, match=re.escape(message)):
        Corpus.read(path)


def test_json_of_brackets_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_BRACKETS", 3)
    with pytest.raises(InvalidFile, match="more than the 3 brackets"):
        reading.items("[[],[],[]]")
