"""Files of the tools that writers use become entries, whatever is unknown, missing or of a wrong type in them."""

from __future__ import annotations

import base64
import codecs
import copy
import io
import json
import time
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import Corpus, Facts, Lore, books, writers
from soft_prompts.trainer.data.books import assets, rewriting, yaml
from soft_prompts.trainer.data.books import charx as packed
from soft_prompts.trainer.data.books import png as picture
from soft_prompts.trainer.data.books.envelope import opened
from soft_prompts.trainer.data.drafts import drafts, lore, stories

from .samples import (
    OAKHAM,
    SAMPLES,
    Sample,
    card,
    card_1,
    charx,
    chunk,
    kobold,
    novelai,
    old_webui,
    png,
    risu,
    scenario,
    united,
    webui,
    world_info,
    written,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
WHOLE = (card(3), card_1(), world_info(), novelai(), scenario(), kobold(), united(), old_webui(), risu())


def put(folder: Path, sample: Sample) -> Path:
    path = folder / sample.file
    path.write_bytes(sample.data)
    return path


def by_name(name: str) -> Sample:
    return next(each for each in SAMPLES if each.says == name)


# ---- every tool


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda each: each.says)
def test_each_tool_is_told_by_its_content(sample: Sample, tmp_path: Path) -> None:
    book = writers.book(put(tmp_path, sample))
    assert book is not None and book.kind == sample.kind
    assert tuple(each.name for each in book.entries) == sample.names
    assert not [each for each in book.entries if not each.text.strip()]
    town = next(each for each in book.entries if each.text == OAKHAM) if "Oakham" in sample.names else None
    assert town is None or {key.casefold() for key in town.keys} & {"oakham"}
    assert [each.name for each in book.entries if not each.enabled] == [
        each for each in sample.names if each == "Killer"
    ]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda each: each.says)
def test_each_is_trained_on_as_it_is(sample: Sample, tmp_path: Path) -> None:
    path = put(tmp_path, sample)
    facts = Facts.read(path)
    assert facts.pairs and facts.held_out and not facts.parts().learnt
    count = len(writers.book(path).used)  # type: ignore[union-attr]
    assert f"drafted from {count} {'entry' if count == 1 else 'entries'} of {sample.file}" in facts.notes[0]
    read = Lore.read(path)
    assert read.text.strip() and "{{char}}" not in read.text and "It was Jonas" not in read.text
    assert Corpus.read(path).stories
    if "Killer" in sample.names:
        assert any("entry 'Killer': switched off" in note for note in (*facts.notes, *read.notes))


def test_where_a_texts_place_is(tmp_path: Path) -> None:
    for value in WHOLE:
        book = books.book_of(value)
        assert book is not None
        for each in book.entries:
            found: Any = value
            for step in each.place:
                found = found[step]
            assert found == each.text


def test_the_newest_card_of_a_picture_counts() -> None:
    old, new = card(), card(3, name="Emma Vance")
    for texts in ({"chara": old, "ccv3": new}, {"ccv3": new, "chara": old}, {"CCV3": new, "Chara": old}):
        for how in (b"tEXt", b"zTXt", b"iTXt"):
            book = books.find(png(texts, how))
            assert book is not None and (book.kind, book.name) == ("Character Card V3", "Emma Vance")


def test_line_ends_marks_and_scripts(tmp_path: Path) -> None:
    texts = {
        "🦊 Ren": "🦊 Ren ist ein Fuchs 🏮.\r\nEr lacht.",
        "ليلى": "ليلى تعيش في القاهرة. هي لا تنام أبدا.",
        "霧": "霧は港の町です。雨が降る。",
    }
    value = {
        "entries": {
            str(n): {"comment": name, "key": [name], "content": text} for n, (name, text) in enumerate(texts.items())
        }
    }
    data = json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\r\n")
    for name, content in (
        ("bom.json", codecs.BOM_UTF8 + data.encode()),
        ("wide.json", data.encode("utf-16")),
        ("plain.json", data.encode()),
    ):
        (tmp_path / name).write_bytes(content)
        facts, read = Facts.read(tmp_path / name), Lore.read(tmp_path / name)
        assert all(word in read.text for word in ("🏮.\nEr lacht", "القاهرة", "港の町"))
        assert {pair.response for pair in facts.pairs} >= {" ein Fuchs 🏮", " في القاهرة", "港の町です"}
        assert any("questions are only made up in English" in note for note in facts.notes)


def test_what_is_skipped_is_said() -> None:
    value = {
        "entries": {
            "0": {"comment": "Emma", "content": 7},
            "1": {"comment": "Tower"},
            "2": "no entry",
            "3": {
                "comment": ["x"],
                "key": "a, b ,,a",
                "content": "The tower is old.",
                "order": "high",
                "disable": "no",
            },
            "4": {"key": None, "content": " ", "comment": None},
            "5": {"content": "Half \ud83d a fox is red.", "comment": "fox"},
        }
    }
    book = books.book_of(value)
    assert book is not None
    assert [(each.name, each.keys, each.order) for each in book.entries] == [("a", ("a", "b"), 0), ("fox", (), 0)]
    assert book.entries[1].text == "Half  a fox is red."
    assert book.skipped == (
        "entry 'Emma': its 'content' is a number",
        "entry 'Tower': it has no 'content'",
        "entry '2': it is no object with a 'content'",
        "entry '4': it is empty",
    )


def test_numbers_and_lists_of_wrong_types() -> None:
    entry = {"comment": "fox", "content": "A fox is red."}
    orders: list[Any] = [10**400, -(10**400), 1e308, float("inf"), float("nan"), True, "9", 2.9]
    book = books.book_of({"entries": {str(each): {**entry, "order": order} for each, order in enumerate(orders)}})
    assert book is not None
    assert [each.order for each in book.entries] == [1 << 40, -(1 << 40), 1 << 40, 0, 0, 0, 0, 2]
    for actions in (7, True, 1.5, "text", {"actions": 7}, {"actions": {"0": 7}}, [7]):
        book = books.book_of({**kobold(), "actions": actions})
        assert book is not None and book.stories == ("The fog came in at nine.",)


def test_halves_of_characters_alone_are_nothing() -> None:
    half = "\ud83d"
    entries = [{"name": half, "keys": [f"fox{half}", half], "content": "It is red."}, {"name": "b", "content": half}]
    book = books.book_of({"name": f"a{half} b", "entries": entries})
    assert book is not None and book.name == "a b"
    assert [(each.name, each.keys, each.text) for each in book.entries] == [("fox", ("fox",), "It is red.")]
    assert book.skipped == ("entry 'b': it is empty",)
    book = books.book_of({"spec": f"chara_card_v{half}", "data": {"name": half, "description": "It is red."}})
    assert book is not None and (book.kind, book.name) == ("Character Card V?", "")


def test_a_lorebook_may_have_data_of_its_own_beside_its_entries() -> None:
    book = books.book_of({"entries": [{"name": "fox", "content": "It is red."}], "data": {"color": 3}})
    assert book is not None and [each.name for each in book.entries] == ["fox"]


@pytest.mark.parametrize("mark", ["[]", '{"a":}'])
def test_what_could_not_be_written_back_is_refused_at_once(mark: str) -> None:
    begin, end = mark[:-1], mark[-1]
    for depth, good in ((90, True), (200, False), (900, False)):
        extra = begin * depth + "0" + end * depth
        data = written(world_info()).replace(b'"entries"', f'"extra": {extra}, "entries"'.encode(), 1)
        if not good:
            with pytest.raises(InvalidFile, match="more than 100 brackets within brackets"):
                books.find(data)
            continue
        envelope = opened(data)
        assert envelope is not None and json.loads(rewriting.rewritten(envelope, {})) == envelope.value


def test_an_indent_that_is_absurd_is_not_kept() -> None:
    data = written(world_info(), 1).replace(b"\n", b"\n" + b" " * 100_000, 1)
    envelope = opened(data)
    assert envelope is not None and len(rewriting.rewritten(envelope, {})) < 4 * len(written(world_info(), 4))


def test_doubled_keys_and_ten_thousand_entries(tmp_path: Path) -> None:
    one = '"content": "Town %d has a church and a mill."'
    lines = ", ".join(f'"{n}": {{"key": ["town {n}"], "key": ["Town {n}"], {one % n}}}' for n in range(10_000))
    path = tmp_path / "many.json"
    path.write_text(f'{{"entries": {{{lines}}}, "entries": {{{lines}}}}}', "utf-8")
    start = time.process_time()
    facts = Facts.read(path)
    assert time.process_time() - start < 20, "it is some seconds; what grows with the square of the entries is minutes"
    assert len(facts.pairs) == 30_000 and len(facts.held_out) == 10_000
    assert " Town 9999 has" in {pair.call for pair in facts.pairs}


# ---- what is no such file


CUT = [each for each in SAMPLES if each.file.endswith((".png", ".charx"))]


@pytest.mark.parametrize("sample", CUT, ids=lambda each: each.says)
def test_cut_files_are_refused_by_name(sample: Sample, tmp_path: Path) -> None:
    path = tmp_path / sample.file
    for size in range(9, len(sample.data) - 13, 64):
        path.write_bytes(sample.data[:size])
        with pytest.raises(InvalidFile) as caught:
            Facts.read(path)
        assert str(caught.value).startswith(f"{path}: ")


EMPTY: dict[str, Any] = {
    **{"name": 7, "description": None, "personality": [], "scenario": {}, "mes_example": 1, "first_mes": ""},
    **{"character_book": 3, "alternate_greetings": 0},
}
BAD = [
    ("a.png", png({}), "it is a picture (PNG) without a character in it"),
    ("a.png", png({"chara": "x"}), "its 'chara' is no object, but the text 'x'"),
    ("a.png", picture.with_texts(png({}), {"chara": b"%%%"}), "its 'chara': it is no JSON"),
    ("a.png", picture.with_texts(png({}), {"chara": b"a"}), "is damaged: get the card again"),
    ("a.charx", charx([1]), "its 'card.json' is no object, but a list"),
    ("a.json", written(card(2, **EMPTY)), "it is a Character Card V2, and nothing in it can be used"),
    ("a.json", written({"lorebookVersion": 6, "entries": [3]}), "be used (entry '1': it is no object"),
    ("a.yaml", b"- a\n- b\n", "it is YAML, but no character of the webui"),
    ("a.yaml", b'name: "Emma\n', "line 1: the text that begins with \" has no \" at its end"),
    ("a.yaml", b"name: Emma\nnonsense\n", "line 2: it is no YAML of names and texts"),
    ("a.json", written({"entries": {"0": {"content": "Yes."}}}), "no calls and responses could be drafted"),
    ("a.txt", b"Emma wears black.", "Pairs are written like"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "data", "message"), BAD, ids=[message[:40] for _, _, message in BAD])
def test_what_cannot_be_used_says_why(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidFile) as caught:
        Facts.read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ") and message in str(caught.value)


def test_what_is_packed_is_unpacked_within_bounds() -> None:
    bomb = zlib.compress(b" " * (9 << 20))
    end = chunk(b"IEND", b"")
    data = png({}).replace(end, chunk(b"zTXt", b"chara\0\0" + bomb) + end)
    with pytest.raises(InvalidFile, match="larger than the 8,388,608 bytes"):
        books.find(data)
    value = {**card(3), "x": " " * (9 << 20)}
    data = charx(value)
    with pytest.raises(InvalidFile, match="and 8,388,608 are read"):
        books.find(data)
    size = len(written(value)).to_bytes(4, "little")
    with pytest.raises(InvalidFile):
        books.find(data.replace(size, (1000).to_bytes(4, "little")))


def test_only_what_is_wanted_of_a_picture_is_unpacked() -> None:
    end, bomb = chunk(b"IEND", b""), zlib.compress(b" " * (7 << 20))
    bombs = b"".join(chunk(b"zTXt", b"Comment %d\0\0" % each + bomb) for each in range(20))
    data = png({"chara": card()}).replace(end, bombs + chunk(b"zTXt", b"Software\0\0damaged") + end)
    tracemalloc.start()
    book = books.find(data)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert book is not None and book.name == "Emma" and memory < 4 << 20


METHODS = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@pytest.mark.parametrize("method", METHODS)
def test_members_that_python_unpacks_without_a_bound_are_not_read(method: int) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("card.json", written(card(3)))
        file.writestr("bomb", b" " * (32 << 20), method)
    data = made.getvalue()
    # One that says that it is small is unpacked as far as it says, also on the way back.
    bomb = charx(card(3), bomb=b" " * (32 << 20)).replace((32 << 20).to_bytes(4, "little"), bytes([9, 0, 0, 0]))
    tracemalloc.start()
    with pytest.raises(InvalidFile, match="is packed as few tools can"):
        packed.member(data, "bomb")
    with pytest.raises(InvalidFile, match="is packed as few tools can"):
        packed.with_members(data, {"card.json": b"{}"})
    with pytest.raises(InvalidFile, match="cannot be unpacked"):
        packed.with_members(bomb, {"card.json": b"{}"})
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 4 << 20


def test_a_member_of_a_packed_card_that_stands_twice_is_written_once() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data in (("card.json", written(card(3))), ("a", b"old"), ("a", b"new")):
            file.writestr(name, data)
    new = packed.with_members(made.getvalue(), {"card.json": b"{}"})
    with zipfile.ZipFile(io.BytesIO(new)) as file:
        assert file.namelist() == ["a", "card.json"] and file.read("a") == b"new"


def test_soft_prompts_in_a_card_take_no_more_memory_than_its_file_is_large() -> None:
    places = [f"assets/x_soft_prompt/other/{each}.safetensors" for each in range(20)]
    listed = [{"type": "x_soft_prompt", "name": "noir", "uri": f"embeded://{place}"} for place in places]
    members = dict.fromkeys(places, b"\0" * (1 << 20))
    for named, read in ((listed, 8), (listed[:1] * 5000, 5000)):
        envelope = opened(charx(card(3, assets=named), **members))
        assert envelope is not None
        tracemalloc.start()
        found = assets.carried(envelope)
        memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) == len(named) and sum(bool(each.data) for each in found) == read and memory < 12 << 20
        assert all("larger than its file allows" in each.problem for each in found[read:])


def test_names_in_a_packed_card_are_no_paths() -> None:
    data = charx(card(3), **{"../../evil.txt": b"x", "/etc/evil": b"x"})
    book = books.find(data)
    assert book is not None and book.name == "Emma"
    assert packed.member(data, "../../evil.txt") == b"x", "it is only ever read, by its whole name"


# ---- properties


@st.composite
def changed(draw: Any) -> Any:
    """One of the samples, in which some values are others, or gone."""
    value = copy.deepcopy(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(1, 4))):
        place = value
        while isinstance(place, dict | list) and place:
            step = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            inner = place[step]
            if not isinstance(inner, dict | list) or not inner or draw(st.integers(0, 3)) == 0:
                if draw(st.booleans()):
                    place[step] = draw(JSON)
                elif isinstance(place, dict):
                    del place[step]
                break
            place = inner
    return value


@given(changed())
@settings(max_examples=100)
def test_any_change_is_read_or_refused(value: Any) -> None:
    try:
        book = books.book_of(value)
    except InvalidFile as problem:
        assert str(problem)
        return
    if book is None:
        return
    made = drafts(book)
    assert made == drafts(book), "the same book gives the same drafts"
    for each in made.drafts:
        assert each.pair.call.strip() and each.pair.response.strip()
        each.pair.call.encode(), each.pair.response.encode()
    assert all(isinstance(each, str) for each in (*lore(book), *stories(book), *made.notes))


@given(
    st.sampled_from(CUT),
    st.lists(st.tuples(st.integers(8, 4000), st.integers(0, 255)), max_size=6),
    st.integers(0, 4000),
)
@settings(max_examples=100)
def test_any_bytes_of_pictures_and_packed_cards(sample: Sample, changes: list[tuple[int, int]], size: int) -> None:
    data = bytearray(sample.data if size % 2 else sample.data[:size])
    for place, value in changes:
        if place < len(data):
            data[place] = value
    try:
        books.find(bytes(data))
    except InvalidFile as problem:
        assert str(problem)


@given(st.text(st.characters(codec="utf-8"), max_size=200))
@settings(max_examples=100)
def test_any_text_becomes_drafts_or_nothing(text: str) -> None:
    book = books.book_of(
        {"entries": {"0": {"comment": "Emma", "key": ["Emma"], "content": text or " "}}} if text.strip() else {}
    )
    if book is not None:
        for each in drafts(book).drafts:
            assert each.pair.call.strip() and each.pair.response.strip()


WORDS = st.text(st.sampled_from(list("ab:#'\"\\ \n\t-é😀{}[]|>,!&*~?%@`0")), max_size=30)


@given(
    st.dictionaries(st.sampled_from(["name", "context", "greeting", "user"]), WORDS, min_size=1),
    st.sampled_from([None, "|", ">", "'", '"']),
    st.sampled_from([20, 80, float("inf")]),
    st.booleans(),
)
@settings(max_examples=100)
def test_yaml_is_read_as_its_own_library_reads_it(
    texts: dict[str, str], style: str | None, width: float, wide: bool
) -> None:
    library = pytest.importorskip("yaml")
    source = library.dump(texts, sort_keys=False, default_style=style, width=width, allow_unicode=wide)
    wanted = {name: text for name, text in library.safe_load(source).items() if isinstance(text, str)}
    found = yaml.texts(source)
    assert {name: found[name] for name in wanted if name in found} == wanted


@given(st.text(max_size=120))
def test_any_yaml_is_read_or_refused(source: str) -> None:
    try:
        assert all(isinstance(each, str) for each in yaml.texts(source).values())
    except InvalidFile as problem:
        assert str(problem)


def test_yaml_of_the_webui() -> None:
    book = books.find(webui(), ".yaml")
    assert book is not None and book.stories == ('Hello,\n"stranger".',)
    assert book.entries[0].text.startswith("Emma is a detective from London.\nShe wears")
    nested = "name: Emma # who\ncontext: >\n  a\n  b\n\n  c\nextra:\n  - 1\n  - x: 2\nlist:\n- a\n- b\n"
    assert yaml.texts(f"{nested}more: {{a: 1}}\nplain: a\n  b\n") == {
        "name": "Emma",
        "context": "a b\nc\n",
        "plain": "a b",
    }


def test_a_picture_keeps_all_else() -> None:
    data = png({"chara": card(), "naidata": novelai()})
    new = picture.with_texts(data, {"chara": base64.b64encode(b"{}")})
    names = ("chara", "naidata")
    before = picture.texts(data, names)
    assert picture.texts(new, names) == {"chara": b"e30=", "naidata": before["naidata"]}
    assert new.startswith(data[:33]) and new.endswith(chunk(b"IEND", b""))
    assert picture.with_texts(new, {"chara": before["chara"]}).count(b"tEXt") == 2


NASTY = [
    " " * 200_000 + "b",
    "# a" + " " * 200_000 + "b\nEmma is tall.",
    "Mr. " * 50_000,
    "Emma and and " * 20_000,
    'x("' * 60_000,
    'x("a" + ' * 30_000,
    "a: " * 60_000,
    "[" * 100_000 + "] " * 50_000,
    "- " * 100_000,
    "Emma's " * 40_000,
    "x." * 100_000,
    "{{" * 100_000 + "}}" * 100_000,
    "<START>\n" * 30_000,
    "Emma:\n" * 30_000,
    "霧" * 200_000,
    "\n \n" * 60_000,
]


@pytest.mark.parametrize("text", NASTY, ids=[repr(text[:8]) for text in NASTY])
def test_no_text_keeps_the_patterns_busy(text: str) -> None:
    start = time.process_time()
    character = written({"name": "Emma", "description": text, "mes_example": text})
    for ending, data in ((".json", character), (".yaml", text.encode())):
        try:
            book = books.find(data, ending)
        except InvalidFile:
            continue
        if book is not None:
            drafts(book), lore(book), stories(book)
    prose = books.of_prose(f"# Emma\n{text}")
    assert prose is None or drafts(prose).notes is not None
    assert time.process_time() - start < 8, "it is a second at most; what grows with the square is hours"
