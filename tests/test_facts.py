"""Calls and answers are read with their spaces, and split so that what is asked was not trained on."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import Fact, Facts, Pair, pairs

ANCESTORS = Path(__file__).resolve().parents[2] / "shared" / "data" / "wi_test.json"
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
PAIRS = st.builds(Pair, TEXTS, TEXTS)
# Few calls and answers, so that facts of several calls and calls of several answers come up.
FEW = st.builds(Pair, st.sampled_from([*"abcdefghijkl", "A", "b."]), st.sampled_from([*"12345", " 1.", "2 "]))
VALUES = st.none() | st.booleans() | st.integers() | st.text(st.characters()) | st.lists(st.text(), max_size=2)
FIELDS = st.sampled_from(["call", "response", "responses", "held_out", "note"])


def file(folder: Path, content: Any, name: str = "facts.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def item(pair: Pair) -> dict[str, str]:
    return {"call": pair.call, "response": pair.response}


def calls(part: tuple[Pair, ...]) -> set[str]:
    return {pairs.key(pair.call) for pair in part}


# ---- reading


def test_the_shape_of_the_ancestors(tmp_path: Path) -> None:
    content = [
        {"call": " Emma wears", "response": " a crisp black pantsuit"},
        {"call": " Emma is", "response": [" kind", " cold"], "responses": [" British"], "comment": "ignored"},
        {"call": " Emma's arms", "responses": " hold guns"},
        {"call": " Emma dresses in", "response": " a crisp black pantsuit", "held_out": True},
    ]
    facts = Facts.read(file(tmp_path, content))
    assert facts.facts == (
        Fact(" Emma wears", (" a crisp black pantsuit",)),
        Fact(" Emma is", (" kind", " cold", " British")),
        Fact(" Emma's arms", (" hold guns",)),
    )
    assert facts.held_out == (Pair(" Emma dresses in", " a crisp black pantsuit"),)
    assert facts.notes == ()
    lines = "\n\n".join(map(json.dumps, content))
    assert Facts.read(file(tmp_path, lines, "facts.jsonl")) == facts
    apart = file(tmp_path, [{**content[3], "held_out": False}], "asked.json")
    assert Facts.read(file(tmp_path, content[:3]), apart) == facts
    assert Facts.read(file(tmp_path, content[:3]), held_out=str(apart)).digest == facts.digest
    assert facts.digest != dataclasses.replace(facts, held_out=()).digest


@pytest.mark.skipif(not ANCESTORS.exists(), reason="shared/ is not here")
def test_the_file_of_the_ancestors() -> None:
    facts = Facts.read(ANCESTORS)
    assert (len(facts.pairs), len(facts.facts), facts.notes, facts.parts().learnt) == (9, 8, (), True)
    assert facts.text.splitlines()[2] == "Emma wears a crisp black pantsuit."


def test_a_text_of_the_facts_has_a_sentence_a_line() -> None:
    answers = [" tall", " tall.", " tall! ", ' "tall."', " so..."]
    facts = Facts(tuple(Pair(" Emma is", each) for each in answers))
    assert facts.text.splitlines() == [
        *("Emma is tall.", "Emma is tall.", "Emma is tall!", 'Emma is "tall."', "Emma is so...")
    ]


@given(st.lists(PAIRS, min_size=1, unique=True))
def test_any_pairs_come_back_with_their_spaces(given_pairs: list[Pair]) -> None:
    data = json.dumps(list(map(item, given_pairs))).encode()
    lines = "\n".join(json.dumps(item(pair), ensure_ascii=False) for pair in given_pairs).encode("utf-16")
    for found in (pairs.parse(data), pairs.parse(lines)):
        assert [each.pair for each in found] == given_pairs
        assert [each.number for each in found] == [*range(1, len(given_pairs) + 1)]


@given(st.lists(st.dictionaries(FIELDS, VALUES) | VALUES) | VALUES)
def test_any_json_is_read_or_refused(value: Any) -> None:
    try:
        found, _ = pairs.tidy(pairs.parse(json.dumps(value).encode()))
    except InvalidFile as problem:
        assert str(problem)
    else:
        assert found and all(each.pair.call.strip() and each.pair.response.strip() for each in found)


@given(st.binary())
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with pytest.raises(InvalidFile):
        pairs.parse(data)  # no bytes that are found by chance are pairs


GOOD = {"call": " Emma wears", "response": " a suit"}
BAD = [
    ([GOOD, {"response": " a suit"}], "item 2: it has no \"call\": it is an object with 'response' (a text)"),
    ([{"call": " ", "response": " a suit"}], 'item 1: its "call" is empty'),
    ([{"call": 7, "response": " a suit"}], 'item 1: its "call" is a number'),
    (
        [{"call": " Emma wears", "respones": " x"}],
        "its call ' Emma wears' has no \"response\": it is an object with 'call'",
    ),
    ([GOOD, {"call": " Emma is", "response": ""}], "item 2: the answer to its call ' Emma is' is empty"),
    ([{"call": " Emma is", "response": []}], "the answer to its call ' Emma is' is empty"),
    ([{"call": " Emma is", "response": [" tall", None]}], "the answer to its call ' Emma is' is null"),
    ([{**GOOD, "held_out": "yes"}], "item 1: its \"held_out\" is the text 'yes'; write true or false"),
    ([[" Emma wears", " a suit"]], 'item 1: it is a list, and no pair like {"call"'),
    ([{"prompt": "Emma", "x": 1}], "'prompt' (a text), 'x' (a number), and no pair like {\"call\""),
    ({"entries": {"0": {"content": " "}}}, "it is a SillyTavern World Info, and nothing in it can be used (entry '0'"),
    ([{"entries": {"0": {"content": "Emma is tall."}}}], "item 1: it is a lorebook, whose entries are texts"),
    ("Emma wears a suit", "it is no JSON (line 1, column 1: Expecting value). Pairs are written like [{"),
    ('"x"', "it is no list, but the text 'x'. Pairs are written like [{"),
    ("", "it is empty. Pairs are written like"),
    ([{**GOOD, "held_out": True}], "all its items are held out"),
    ([{"call": " \ud83d", "response": " x"}], "item 1: it holds half a character"),
]


@pytest.mark.parametrize(("content", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_what_is_wrong_is_said_with_its_item(tmp_path: Path, content: Any, message: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(InvalidFile, match=re.escape(message)) as caught:
        Facts.read(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_what_is_no_file_of_pairs(tmp_path: Path) -> None:
    (tmp_path / "latin.json").write_bytes('[{"call": " é'.encode("latin-1"))
    (tmp_path / "picture.json").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    cases = {"latin.json": "byte 0xE9 at offset 12", "picture.json": "a picture", "": "a folder", "x": "check the name"}
    for name, message in cases.items():
        with pytest.raises(InvalidFile, match=message):
            Facts.read(tmp_path / name)
        with pytest.raises(InvalidFile, match=message):
            Facts.read(file(tmp_path, [GOOD]), held_out=tmp_path / name)


# ---- notes


def test_slips_are_noted(tmp_path: Path) -> None:
    content = [
        GOOD,
        {"call": " Emma's job", "response": "spy"},
        GOOD,
        {"call": " Emma is ", "response": "tall"},
        {"call": " Emma's job:", "response": "\nspy"},
        {"call": "エマは", "response": "背が高い"},
    ]
    facts = Facts.read(file(tmp_path, content))
    assert len(facts.pairs) == 5
    assert facts.notes == (
        "item 3: said before, and dropped",
        "item 2: call and answer run into one word; begin the answer with a space",
        "item 4: the call ends with a space, which models seldom read; begin the answer with it",
    )
    assert facts == Facts(facts.pairs), "notes are no content"


def test_many_slips_are_one_note(tmp_path: Path) -> None:
    facts = Facts.read(file(tmp_path, [{"call": f"Call {'x' * number}", "response": "y"} for number in range(1, 10)]))
    assert facts.notes == (
        "items 1, 2, 3, 4, 5, 6 and 3 more: call and answer run into one word; begin the answer with a space",
    )


def test_what_is_trained_on_cannot_be_held_out(tmp_path: Path) -> None:
    content = [GOOD, {**GOOD, "response": " boots", "held_out": True}, {**GOOD, "call": " She wears", "held_out": True}]
    asked = [{"call": "emma wears:", "response": " a hat"}, {"call": " Emma eats", "response": " fish"}]
    facts = Facts.read(file(tmp_path, content), file(tmp_path, asked, "asked.json"))
    assert facts.pairs == (Pair(" Emma wears", " a suit"),), "what is to be learnt stays"
    assert facts.held_out == (Pair(" She wears", " a suit"), Pair(" Emma eats", " fish"))
    same, guess = "not held out, since the same call is also trained on", "held out, but no item that is trained on has"
    assert [note.partition(";")[0] for note in facts.notes] == [
        f"item 2: {same}; take it out of either".partition(";")[0],
        f"held-out item 1: {same}",
        f"held-out item 2: {guess} this answer",
    ]


# ---- three parts


def paraphrased(*counts: int) -> Facts:
    return Facts(
        tuple(Pair(f" {fact}{call}", f" {fact}") for fact, count in enumerate(counts) for call in range(count))
    )


def test_calls_of_one_answer_are_one_fact() -> None:
    pair = [Pair("a", "It is red."), Pair("b", " it  is Red"), Pair("c", "it is red!"), Pair("d", "blue")]
    parts = Facts(tuple(pair)).parts()
    assert (parts.train, parts.validation, parts.test) == ((pair[0], pair[3]), (pair[1],), (pair[2],))
    assert not parts.learnt


def test_facts_of_two_calls_give_one_to_either_in_turn() -> None:
    parts = paraphrased(2, 1, 2, 2).parts()
    assert [pair.call for pair in parts.test] == [" 01", " 31"]
    assert [pair.call for pair in parts.validation] == [" 21"]
    assert [pair.call for pair in parts.train] == [" 00", " 10", " 20", " 30"]
    alone = paraphrased(2, 1).parts()
    assert alone.validation == alone.train and len(alone.test) == 1


def test_where_nothing_can_be_spared_all_is_learnt_by_heart() -> None:
    facts = paraphrased(1, 1, 1)
    parts = facts.parts()
    assert parts.learnt
    assert parts.train == parts.validation == parts.test == facts.pairs


def test_a_call_of_several_answers_stays_with_all() -> None:
    both = (Pair("a", "1"), Pair("a", "2"), Pair("b", "1"), Pair("c", "2"))
    assert calls(Facts(both).parts().train) == {"a"}
    assert Facts((Pair("a", "1"), Pair("a", "2"), Pair("b", "1"), Pair("b", "2"))).parts().learnt


@pytest.mark.parametrize("count", [1, 5, 6, 9])
def test_held_out_calls_are_divided(count: int) -> None:
    asked = tuple(Pair(f"asked {number}", " 0") for number in range(count))
    taught = paraphrased(3, 2, 1)
    parts = dataclasses.replace(taught, held_out=asked).parts()
    assert not parts.learnt
    if count < 6:
        assert parts.test == asked
        assert [pair.call for pair in parts.validation] == [" 02", " 11"]
        assert set(parts.train) | set(parts.validation) == set(taught.pairs)
        assert dataclasses.replace(paraphrased(1, 1), held_out=asked).parts().validation == paraphrased(1, 1).pairs
    else:
        assert parts.train == taught.pairs
        assert parts.validation == asked[2::3]
        assert set(parts.test) == set(asked) - set(parts.validation)


@given(st.lists(FEW, min_size=1, unique=True), st.lists(FEW, unique=True))
def test_parts_share_no_call_and_every_answer_is_taught(taught: list[Pair], asked: list[Pair]) -> None:
    facts = Facts(tuple(taught), tuple(asked))
    parts = facts.parts()
    assert parts == Facts(tuple(taught), tuple(asked)).parts()
    assert {pairs.key(pair.response) for pair in parts.train} == {pairs.key(pair.response) for pair in taught}
    assert parts.train and parts.validation and parts.test
    assert parts.learnt == (parts.test == parts.train)
    if not parts.learnt:
        assert not calls(parts.test) & (calls(parts.train) | calls(parts.validation))
    if parts.validation != parts.train:
        assert not calls(parts.validation) & calls(parts.train)
    used = {*parts.train, *parts.validation, *parts.test}
    assert used >= set(taught) and used <= {*taught, *asked}
