"""SoftPrompt is frozen data with content equality; TaggedText carries prompts through `+` and never mixes two up."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import soft_prompts
from soft_prompts import SoftPrompt, Tag, TaggedText, TextPrompt, parse
from soft_prompts.errors import AmbiguousPrompt, InvalidFile, InvalidPrompt, InvalidTag

GOLDEN = Path(__file__).parent / "golden"


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


def test_embeddings_say_which_model_they_are_for(model: Any, tokenizer: Any) -> None:
    rows = model.get_input_embeddings().weight[:3]
    mine = SoftPrompt.from_embeddings(rows, name="mine", model=model, tokenizer=tokenizer)
    text = SoftPrompt.from_text("The sea", model, tokenizer, name="text")
    assert mine.metadata["fingerprint"] == text.metadata["fingerprint"]
    with pytest.raises(InvalidPrompt, match="have a gradient: SoftPrompt.from_embeddings takes them"):
        SoftPrompt("mine", rows)


def test_one_name_with_two_contents_is_refused() -> None:
    with pytest.raises(AmbiguousPrompt, match="'noir'.*another name") as refused:
        prompt() + " and " + prompt(value=2)
    assert all(each.digest[:8] in str(refused.value) for each in (prompt(), prompt(value=2))), "to tell them apart"
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


# ---- from and to other programs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_embeddings_of_another_program(dtype: torch.dtype) -> None:
    tensor = torch.tensor([[[0.5, -1.25], [3, 0]]], dtype=dtype, requires_grad=True)
    for given in (tensor, tensor[0], tensor.detach().float().numpy(), [[0.5, -1.25], [3, 0]]):
        made = SoftPrompt.from_embeddings(given, name="noir", metadata={"author": "Ann"})
        assert made == SoftPrompt("noir", [[0.5, -1.25], [3, 0]]) and made.metadata == {"author": "Ann"}
    with torch.no_grad():
        tensor.zero_()
    assert made.vectors.any(), "a copy"
    for wrong in (torch.ones(2, 3, 4), torch.ones(3), [[1], [1, 2]]):
        with pytest.raises(InvalidPrompt, match="vectors"):
            SoftPrompt.from_embeddings(wrong, name="noir")


def test_json_is_read_and_written_as_its_inventors_do() -> None:
    text = (GOLDEN / "mkultra.json").read_text("utf-8")
    made = SoftPrompt.from_json(text)
    assert made == SoftPrompt.from_file(GOLDEN / "mkultra.json") == SoftPrompt.from_bytes(text.encode())
    assert made.name == json.loads(text)["metadata"]["name"] and made.uuid == json.loads(text)["metadata"]["uuid"]
    again = SoftPrompt.from_json(made.to_json())
    assert again == made and again.metadata == made.metadata and again.name == made.name
    story = json.dumps({"actions": ["It rained."], "sp": made.to_json()})
    for inside in (story, json.loads(story)["sp"], json.dumps(story)):
        assert SoftPrompt.from_json(inside, name="mine") == made
        assert SoftPrompt.from_json(inside, name="mine").name == "mine"


def test_every_kind_of_file_by_its_name(tmp_path: Path) -> None:
    noir = SoftPrompt("noir", np.eye(3, 4), metadata={"description": "rain"})
    for name in ("noir.safetensors", "noir.json", "noir.zip", "noir.npy", "noir"):
        for content in (noir, dataclasses.replace(noir, vectors=-noir.vectors)):  # what is there is replaced
            content.to_file(tmp_path / "deep" / name)
            read = SoftPrompt.from_file(tmp_path / "deep" / name)
            assert read == content and read.name == "noir", name
        if name != "noir":
            assert SoftPrompt.from_bytes((tmp_path / "deep" / name).read_bytes(), "x") == content
    with pytest.raises(InvalidFile, match="noir.pt: this name says no kind that is written"):
        noir.to_file(tmp_path / "noir.pt")


def test_a_name_that_no_tag_can_have_is_brought_into_shape() -> None:
    noir = SoftPrompt("noir", np.eye(3, 4))
    said = json.loads(noir.to_json())
    said["metadata"]["name"] = "Emma's (GPT-2), 2nd"
    assert SoftPrompt.from_json(json.dumps(said)).name == "Emmas -GPT-2- 2nd"
    said["metadata"] = {}
    assert SoftPrompt.from_json(json.dumps(said)).name == "unnamed"
    with pytest.raises(InvalidPrompt, match=r"'a\*b' cannot name"):
        SoftPrompt.from_json(noir.to_json(), name="a*b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("noir.json", "'noir.json' is no JSON: for the name of a file there is SoftPrompt.from_file"),
        ("{}", "2 bytes are no soft prompt: it is JSON without"),
        ('{"tensor": "!"}', "no base64"),
    ],
)
def test_json_that_holds_no_prompt(text: str, message: str) -> None:
    with pytest.raises(InvalidFile, match=message):
        SoftPrompt.from_json(text)


def test_what_it_says_of_itself() -> None:
    golden = SoftPrompt.from_file(GOLDEN / "mkultra.json")
    assert golden.about.splitlines() == [
        "mkultra (2021-06-09 18:46)",
        "Length:      3 tokens, 4 wide",
        f"UUID:        {golden.uuid}",
        "Made for:    not said",
        "Description: By the sea \u2602",
    ]
    assert str(golden) == "<<sp:mkultra>>", "printed, a prompt is its tag"
    noir = SoftPrompt("noir", np.eye(3, 4), metadata={"description": "<script>", "base_model": "gpt2"})
    assert noir.about.startswith("noir\n") and "Made for:    gpt2" in noir.about
    assert "<script>" not in noir._repr_html_() and "&lt;script&gt;" in noir._repr_html_()
    # Without one that came with it, the same content has the same uuid on every machine.
    assert noir.uuid == dataclasses.replace(noir, name="x", metadata={}).uuid == "4c3cebd2-a1e6-5890-b900-2c59822024e8"
    assert noir.uuid != SoftPrompt("noir", np.zeros((3, 4))).uuid


def test_from_file_is_load(tmp_path: Path) -> None:
    prompt().save(tmp_path / "noir.safetensors")
    assert SoftPrompt.from_file(tmp_path / "noir.safetensors") == soft_prompts.load(tmp_path / "noir.safetensors")
    with pytest.raises(InvalidFile, match="nothing.json"):
        SoftPrompt.from_file(tmp_path / "nothing.json")
