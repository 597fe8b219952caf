r"""The grammar of tags: parse and join are inverse, literals survive, and what only looks like a tag stays text."""

from __future__ import annotations

import itertools
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from soft_prompts.tags import Tag, has_tags, join, name_problem, parse, suggest_name, tag_for

LIVELY = st.lists(st.sampled_from(["<<sp:", ">>", "x", "noir", "\\", ":", "0.7", " ", "<", ">", "é", "/", "\n", ".."]))


@given(st.one_of(st.text(), LIVELY.map("".join)))
@example("\\\\\\<<sp:x>>\\")
def test_join_undoes_parse(text: str) -> None:
    assert join(parse(text)) == text


@given(st.one_of(st.text(), LIVELY.map("".join)))
def test_parse_undoes_join(text: str) -> None:
    pieces = parse(text)
    assert parse(join(pieces)) == pieces
    # Also without the writer's own spelling of tags.
    bare = [Tag(piece.name, piece.strength) if isinstance(piece, Tag) else piece for piece in pieces]
    assert parse(join(bare)) == bare


@given(LIVELY.map("".join))
def test_pieces_are_canonical(text: str) -> None:
    pieces = parse(text)
    assert "" not in pieces
    assert not any(isinstance(a, str) and isinstance(b, str) for a, b in itertools.pairwise(pieces))
    assert has_tags(text) == (pieces != [text] and text != "")


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("<<sp:noir>>", [Tag("noir")]),
        ("The sky, <<sp:noir:0.7>>and then", ["The sky, ", Tag("noir", 0.7), "and then"]),
        ("a <<sp:a>><<sp:b>> b", ["a ", Tag("a"), Tag("b"), " b"]),
        ("<<sp:people/emma:-1.25>>", [Tag("people/emma", -1.25)]),
        ("<<sp:Ночь 2>>", [Tag("Ночь 2")]),
        ("<<sp:हिन्दी>>", [Tag("हिन्दी")]),
        ("<<sp:x:1.0>>", [Tag("x")]),
        ("<<sp:x:9>>", [Tag("x", 9)]),
        ("<<sp:../../etc/passwd>>", [Tag("../../etc/passwd")]),
        ("<<<sp:x>>>", ["<", Tag("x"), ">"]),
        ("<<sp:a<<sp:b>>", ["<<sp:a", Tag("b")]),
        ("\\<<sp:x>>", ["<<sp:x>>"]),
        ("\\\\<<sp:x>>", ["\\", Tag("x")]),
        ("C:\\dir", ["C:\\dir"]),
        ("", []),
    ],
)
def test_parse(text: str, pieces: list[str | Tag]) -> None:
    assert parse(text) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "<< sp:x >>",
        "<<sp:>>",
        "<<sp: x>>",
        "<<sp:x >>",
        "<<SP:x>>",
        "<<sp:x",
        "<<sp:a\nb>>",
        "<<sp:a*b>>",
        "<<sp:x:>>",
        "<<sp:x:high>>",
        "<<sp:x:٣>>",
        "<<sp:" + "x" * 201 + ">>",
        "<sp:x>",
    ],
)
def test_what_only_looks_like_a_tag_stays_text(text: str) -> None:
    assert parse(text) == [text]
    assert not has_tags(text)


def test_names_are_composed() -> None:
    assert parse("<<sp:" + unicodedata.normalize("NFD", "é") + ">>") == [Tag("é")]


@pytest.mark.parametrize(
    ("strength", "text"),
    [(1, "<<sp:x>>"), (0.7, "<<sp:x:0.7>>"), (-2, "<<sp:x:-2>>"), (0, "<<sp:x:0>>"), (0.333, "<<sp:x:0.33>>")],
)
def test_a_tag_is_written_short(strength: float, text: str) -> None:
    assert str(tag_for("x", strength)) == text


def test_hostile_texts_take_no_time() -> None:
    started = time.monotonic()
    for text in ("\\" * 200_000, "<<sp:" * 40_000, "<<sp:" + "a" * 200_000, "\\<<sp:x>>" * 20_000, "<" * 200_000):
        assert join(parse(text)) == text
    assert time.monotonic() - started < 20  # quadratic would be hours


@pytest.mark.parametrize("name", ["noir", "people/emma", "Ночь 2", "a.b-c_d", "मीरा", "v1.5"])
def test_good_names(name: str) -> None:
    assert name_problem(name) == ""
    assert suggest_name(name) == name


@pytest.mark.parametrize(
    "name", ["", "..", "a/../b", "/etc/passwd", "a//b", "a*b", " a", "a ", "a.", "x" * 300, "a:b", "a\nb", "e\u0301"]
)
def test_bad_names_say_why_and_have_a_suggestion(name: str) -> None:
    assert name_problem(name)
    assert name_problem(suggest_name(name)) == ""


@given(st.text())
def test_every_suggestion_is_a_name(text: str) -> None:
    assert name_problem(suggest_name(text)) == ""
