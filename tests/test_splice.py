"""The text after a tag gets the ids it would have had in the whole text, for tokenizers of every kind of border."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from soft_prompts.errors import UnsupportedModel
from soft_prompts.hosts.hf.view import Codec
from soft_prompts.splice import Seams, Spliced, truncate
from soft_prompts.tags import Tag, parse

KINDS = {"bytes": 1.0, "first": 1.0, "always": 1.0, "prepend": 1.0, "unigram": 0.99}
MARK = [1_000_000_000, 1_000_000_001]


def splice(codec: Codec, text: str, specials: bool = True) -> list[int]:
    return codec.seams.splice(parse(text), lambda tag: MARK, specials).ids


@pytest.mark.parametrize("kind", KINDS)
def test_text_after_a_tag_is_encoded_as_in_the_whole(kind: str, tokenizer_of: Callable[[str], Any], story: str) -> None:
    tokenizer = tokenizer_of(kind)
    codec = Codec(tokenizer)
    exact = cases = 0
    for cut in range(1, len(story) - 1):
        before, after = story[:cut], story[cut : cut + 60]
        head, whole = tokenizer(before)["input_ids"], tokenizer(before + after)["input_ids"]
        if whole[: len(head)] != head:
            continue  # a token lies across the cut: no seam that text could have there
        cases += 1
        exact += splice(codec, f"{before}<<sp:x>>{after}") == head + MARK + whole[len(head) :]
    assert cases > 100
    assert exact / cases >= KINDS[kind], f"{exact} of {cases}"


@pytest.mark.parametrize("kind", KINDS)
def test_specials_come_once_and_tags_anywhere(kind: str, tokenizer_of: Callable[[str], Any]) -> None:
    codec = Codec(tokenizer_of(kind))
    assert splice(codec, "<<sp:x>>") == [1, *MARK]
    assert splice(codec, "<<sp:x>>", specials=False) == MARK
    assert splice(codec, "<<sp:x>><<sp:x>>") == [1, *MARK, *MARK]
    for text in ("<<sp:x>> the sea", "the sea <<sp:x>>", "the <<sp:x>> sea <<sp:x>>."):
        ids = splice(codec, text)
        assert ids.count(1) == 1
        assert ids[0] == 1
        assert ids.count(MARK[0]) == text.count("sp:x")


@pytest.mark.parametrize("kind", KINDS)
def test_inner_ids_are_those_after_a_tag(kind: str, tokenizer_of: Callable[[str], Any]) -> None:
    codec = Codec(tokenizer_of(kind))
    for text in (" the sea", "the sea", ", and", "\n\nDear Emma"):
        assert (
            codec.seams.inner(text) == splice(codec, f"The door opened<<sp:x>>{text}")[-len(codec.seams.inner(text)) :]
        )


def test_llama_2_needs_an_anchor_and_gpt_2_does_not(tokenizer_of: Callable[[str], Any]) -> None:
    assert not Codec(tokenizer_of("bytes")).seams.anchored
    assert Codec(tokenizer_of("prepend")).seams.anchored


def test_a_tokenizer_that_breaks_special_tokens_is_refused() -> None:
    with pytest.raises(UnsupportedModel, match="special token whole"):
        Seams(lambda text, specials: [ord(each) for each in text], "<|sp|>", 999)


def test_every_tag_is_placed_by_its_own_name() -> None:
    def encode(text: str, specials: bool) -> list[int]:
        ids = [999 if each == "¤" else ord(each) for each in text]
        return [1, *ids, 2] if specials else ids

    places = {"a": range(10**9, 10**9 + 2), "b": range(2 * 10**9, 2 * 10**9 + 3)}
    seams = Seams(encode, "¤", 999)
    made = seams.splice(["x", Tag("b"), Tag("a"), "y"], lambda tag: places[tag.name])
    assert made == Spliced([1, 120, *places["b"], *places["a"], 121, 2], ((2, 5), (5, 7)), 1, 1)


ROW = Spliced([1, 11, 12, *MARK, 13, 14, 2], ((3, 5),), 1, 1)


@pytest.mark.parametrize(
    ("side", "limit", "ids", "spans"),
    [
        ("left", 8, ROW.ids, ((3, 5),)),
        ("left", 6, [1, *MARK, 13, 14, 2], ((1, 3),)),
        ("left", 5, [1, 13, 14, 2], ()),
        ("left", 3, [1, 14, 2], ()),
        ("left", 2, [1, 2], ()),
        ("left", 1, [1], ()),
        ("right", 7, [1, 11, 12, *MARK, 13, 2], ((3, 5),)),
        ("right", 6, [1, 11, 12, *MARK, 2], ((3, 5),)),
        ("right", 5, [1, 11, 12, 2], ()),
        ("right", 0, [], ()),
    ],
)
def test_truncation_keeps_a_tag_whole_or_not_at_all(side: str, limit: int, ids: list[int], spans: Any) -> None:
    cut = truncate(ROW, limit, side)
    assert cut.ids == ids
    assert len(cut.ids) <= limit
    assert cut.spans == spans


def test_the_word_before_a_tag_is_its_anchor() -> None:
    """Of a tokenizer that marks how words go on, and writes nothing of spaces."""
    pieces = re.compile(r"\w+|[^\w\s]")
    ids: dict[str, int] = {}

    def encode(text: str, specials: bool) -> list[int]:
        found: list[int] = []
        for match in pieces.finditer(text):
            word = match.group()
            halves = [word[:3], "##" + word[3:]] if len(word) > 3 else [word]
            found += [ids.setdefault(each, len(ids) + 10) for each in halves]
        return [1, *found, 2] if specials else found

    def words(text: str) -> list[str]:
        spliced = Seams(encode).splice(parse(text), lambda tag: MARK).ids
        names = {number: word for word, number in ids.items()}
        return [names.get(each, "*") for each in spliced if each > 2]

    assert words("the <<sp:x>>sea") == ["the", "*", "*", "sea"]
    assert words("the (<<sp:x>>sea") == ["the", "(", "*", "*", "sea"]
    assert words("the<<sp:x>>sea") == ["the", "*", "*", "##sea"]
    assert words(" \n<<sp:x>>sea") == ["*", "*", "sea"]
    assert words("<<sp:x>>, sea")[2:] == [",", "sea"]
