"""SoftPrompt is frozen data with content equality; TaggedText carries prompts through `+` and never mixes two up."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

from soft_prompts import SoftPrompt, Tag, TaggedText, TextPrompt, parse
from soft_prompts.errors import AmbiguousPrompt, InvalidPrompt, InvalidTag


def prompt(name: str = "noir", value: float = 1.0, tokens: int = 3, width: int = 4) -> SoftPrompt:
    return SoftPrompt(name, np.full((tokens, width), value))


def test_vectors_are_a_read_only_float32_copy() -> None:
    given = np.ones((3, 4), np.float64)
    made = SoftPrompt("noir", given)
    given[:] = 7
    assert made.vectors.dtype == np.float32
    assert (made.vectors == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        made.vectors[0, 0] = 2
    with pytest.raises(TypeError):
        made.metadata["x"] = "y"  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.name = "other"  # type: ignore[misc]


def test_equality_is_of_content() -> None:
    assert prompt() == prompt("other")
    assert prompt() != prompt(value=2)
    assert prompt(tokens=2, width=6) != prompt(tokens=3, width=4)
    assert prompt() != SoftPrompt("noir", prompt().vectors, origin=prompt().vectors)
    assert len({prompt(), prompt("other"), prompt(value=2)}) == 2
    assert prompt() != "noir"


def test_as_the_user_types_it() -> None:
    noir = prompt()
    assert (len(noir), noir.width, str(noir), repr(noir)) == (
        3,
        4,
        "<<sp:noir>>",
        "SoftPrompt('noir', 3 tokens, 4 wide)",
    )
    assert noir + " rain" == "<<sp:noir>> rain"
    assert "rain " + noir == "rain <<sp:noir>>"
    assert noir.at(0.7) + "x" == "<<sp:noir:0.7>>x"
    assert f"{noir} x" == "<<sp:noir>> x"


def test_tagged_text_carries_its_prompts() -> None:
    noir, sea = prompt(), prompt("sea", 2)
    text = "A " + noir + " b " + sea + "!"
    assert isinstance(text, TaggedText)
    assert dict(text.prompts) == {"noir": noir, "sea": sea}
    assert dict((noir + sea).prompts) == {"noir": noir, "sea": sea}
    assert dict(TaggedText(text).prompts) == dict(text.prompts)
    for copied in (copy.copy(text), copy.deepcopy(text), pickle.loads(pickle.dumps(text))):
        assert copied == text
        assert dict(copied.prompts) == dict(text.prompts)
    assert not hasattr(f"{text}", "prompts")


def test_a_backslash_before_a_prompt_stays_a_backslash() -> None:
    text = "C:\\tales\\" + prompt() + " rain"
    assert parse(text) == ["C:\\tales\\", Tag("noir"), " rain"]


def test_only_texts_and_prompts_can_be_added() -> None:
    for wrong in (lambda: None + prompt(), lambda: prompt() + 3, lambda: sum([prompt(), prompt()])):
        with pytest.raises(TypeError):
            wrong()  # type: ignore[no-untyped-call]


def test_one_name_with_two_contents_is_refused() -> None:
    with pytest.raises(AmbiguousPrompt, match="'noir'.*another name"):
        prompt() + " and " + prompt(value=2)
    assert prompt() + prompt() == "<<sp:noir>><<sp:noir>>"


def test_copies_are_equal() -> None:
    noir = SoftPrompt("noir", np.ones((2, 3)), np.zeros((2, 3)), {"author": "me"})
    for copied in (copy.deepcopy(noir), pickle.loads(pickle.dumps(noir)), dataclasses.replace(noir, name="x")):
        assert copied == noir
        assert copied.metadata == noir.metadata


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.ones(3), r"shape \(3,\), not \(tokens, width\)"),
        (np.ones((0, 4)), r"\(0, 4\).*tokens go from 1"),
        (np.ones((4, 0)), "width from 1"),
        (np.ones((20_000, 1)), "16,384"),
        (np.array([[1, np.nan], [1, 1]]), "1 of its 2 vectors hold NaN"),
        (np.array([[np.inf, 1]]), "NaN or infinity"),
        ([["a"]], "no table of numbers"),
        ([[1], [1, 2]], "no table of numbers"),
    ],
)
def test_vectors_no_prompt_can_have(vectors: object, message: str) -> None:
    with pytest.raises(InvalidPrompt, match=message):
        SoftPrompt("noir", vectors)  # type: ignore[arg-type]


def test_other_fields_no_prompt_can_have() -> None:
    with pytest.raises(InvalidPrompt, match=r"'a\*b' cannot name.*Use 'a-b'"):
        SoftPrompt("a*b", np.ones((1, 1)))
    with pytest.raises(InvalidPrompt, match="origin is"):
        SoftPrompt("a", np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(InvalidPrompt, match="str -> str"):
        SoftPrompt("a", np.ones((1, 2)), metadata={"steps": 3})  # type: ignore[dict-item]
    with pytest.raises(InvalidPrompt, match="str -> str"):
        SoftPrompt("a", np.ones((1, 2)), metadata={"note": "\ud800"})
    with pytest.raises(InvalidTag, match="between -4 and 4"):
        prompt().at(5)
    with pytest.raises(InvalidTag):
        prompt().at(float("nan"))
    with pytest.raises(InvalidPrompt, match="is empty"):
        TextPrompt("a", " \n")
