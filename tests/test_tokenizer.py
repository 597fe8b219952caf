"""An attached tokenizer: padding, truncation, masks, templates and decoding with tags; text without tags untouched."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import ByT5Tokenizer

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.errors import UnsupportedInput
from soft_prompts.slots import FIRST_ID

P = SoftPrompt("p", np.ones((3, 32)), metadata={})
Q = SoftPrompt("q", np.zeros((2, 32)))
KINDS = ["bytes", "first", "always", "prepend", "unigram"]


@pytest.fixture(params=KINDS)
def attached(request: pytest.FixtureRequest, model: Any, tokenizer_of: Callable[[str], Any]) -> Iterator[Any]:
    tokenizer = tokenizer_of(request.param)
    with soft_prompts.attach(model, tokenizer, prompts=[P, Q], self_test=False):
        yield tokenizer


@pytest.fixture
def tagged(model: Any, tokenizer: Any) -> Iterator[Any]:
    with soft_prompts.attach(model, tokenizer, prompts=[P, Q], self_test=False):
        yield tokenizer


def count(ids: Any) -> int:
    return int((np.asarray(ids) >= FIRST_ID).sum())


def test_text_without_tags_is_untouched(attached: Any, tokenizer_of: Callable[[str], Any], story: str) -> None:
    plain = copy.deepcopy(attached)
    for options in (
        {},
        {"padding": True},
        {"truncation": True, "max_length": 7},
        {"return_tensors": "np", "padding": True},
    ):
        a, b = attached([story, "The sea <<sp:>>"], **options), plain([story, "The sea <<sp:>>"], **options)
        assert a.keys() == b.keys()
        assert all(np.array_equal(x, y) for key in a for x, y in zip(a[key], b[key], strict=True))
    offsets = attached("The sea", return_offsets_mapping=True)
    assert offsets == plain("The sea", return_offsets_mapping=True)
    assert offsets.tokens() == plain("The sea").tokens()
    assert attached.tokenize("The sea") == plain.tokenize("The sea")


def test_an_escaped_tag_is_its_text(attached: Any) -> None:
    plain = copy.deepcopy(attached)
    assert attached("The \\<<sp:p>> sea")["input_ids"] == plain("The <<sp:p>> sea")["input_ids"]
    assert attached("\\<<sp:nobody>>")["input_ids"] == plain("<<sp:nobody>>")["input_ids"]


@pytest.mark.parametrize(
    "text", ["The sea <<sp:p>> was<<sp:q>> grey.", "<<sp:p>>", "<<sp:p>><<sp:q>>, and", "a\n\n<<sp:q>>\nb"]
)
def test_decoding_shows_the_tags(attached: Any, text: str) -> None:
    ids = attached(text, add_special_tokens=False)["input_ids"]
    assert count(ids) == 3 * text.count("sp:p") + 2 * text.count("sp:q")
    assert attached.decode(ids).strip() == text.strip()
    with_bos = attached(text)["input_ids"]
    assert attached.decode(with_bos, skip_special_tokens=True).strip() == text.strip()
    assert attached.decode(with_bos).startswith("<s>")
    assert attached.batch_decode(torch.tensor([with_bos]), skip_special_tokens=True) == [
        attached.decode(with_bos, skip_special_tokens=True)
    ]


def test_decoding_in_pieces(tagged: Any) -> None:
    """Streams decode growing, cut and repeated runs of ids."""
    ids = tagged("<<sp:p>><<sp:p>>", add_special_tokens=False)["input_ids"]
    assert tagged.decode(ids) == "<<sp:p>><<sp:p>>"
    assert [tagged.decode(ids[:each]) for each in (1, 2, 3, 4)] == ["<<sp:p>>"] * 3 + ["<<sp:p>><<sp:p>>"]
    assert tagged.decode(ids[2:4]) == "<<sp:p>><<sp:p>>"
    assert tagged.decode(ids[0]) == "<<sp:p>>"
    assert tagged.decode([5, FIRST_ID + 900_000_000, 6]).count("<<sp:?>>") == 1
    assert tagged.convert_ids_to_tokens(ids[0]) == "<<sp:p>>"
    assert tagged.convert_ids_to_tokens([1, *ids[:2], 5], skip_special_tokens=True)[:2] == ["<<sp:p>>"] * 2
    assert len(tagged.tokenize("The<<sp:p>> sea")) == len(
        tagged("The<<sp:p>> sea", add_special_tokens=False)["input_ids"]
    )


def test_ids_that_only_the_model_has(tagged: Any) -> None:
    """Many models have more rows than their tokenizer has tokens, and may write them."""
    ids = tagged("<<sp:p>>", add_special_tokens=False)["input_ids"]
    sea = tagged(" sea", add_special_tokens=False)["input_ids"]
    for beyond in range(len(tagged), len(tagged) + 4):
        assert tagged.decode([*ids, beyond, *sea]) == "<<sp:p>>" + tagged.decode([beyond, *sea]) == "<<sp:p>> sea"


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_and_masks(tagged: Any, side: str) -> None:
    tagged.padding_side = side
    batch = tagged(
        ["<<sp:p>> sea", "The sea was grey <<sp:q>>", "no tag"],
        padding=True,
        return_tensors="pt",
        return_special_tokens_mask=True,
        return_length=True,
        pad_to_multiple_of=4,
    )
    ids, mask = batch["input_ids"], batch["attention_mask"]
    assert ids.dtype == torch.int64
    assert ids.shape == mask.shape
    assert ids.shape[1] % 4 == 0
    assert torch.equal(mask.bool(), ids != tagged.pad_token_id)
    assert torch.equal(batch["special_tokens_mask"].bool(), ids < 4)
    assert batch["length"].tolist() == mask.sum(dim=1).tolist()
    edge = ids[2, 0] if side == "left" else ids[2, -1]
    assert edge == tagged.pad_token_id
    longer = tagged("<<sp:p>>", padding="max_length", max_length=9)
    assert len(longer["input_ids"]) == 9
    assert sum(longer["attention_mask"]) == 4


@pytest.mark.parametrize("side", ["left", "right"])
def test_truncation_never_splits_a_tag(tagged: Any, side: str) -> None:
    tagged.truncation_side = side
    text = "The sea <<sp:p>> was grey <<sp:q>>."
    whole = tagged(text)["input_ids"]
    for limit in range(1, len(whole) + 2):
        ids = tagged(text, truncation=True, max_length=limit)["input_ids"]
        assert len(ids) <= limit
        assert ids[0] == tagged.bos_token_id
        assert count(ids) in (0, 2, 3, 5)
        assert limit < len(whole) or ids == whole


def test_shapes_of_the_answer(tagged: Any) -> None:
    assert isinstance(tagged("<<sp:p>>")["input_ids"][0], int)
    assert isinstance(tagged(["<<sp:p>>"])["input_ids"][0], list)
    assert tagged("<<sp:p>>", return_tensors="pt")["input_ids"].shape == (1, 4)
    assert tagged.encode("<<sp:p>>", return_tensors="np").shape == (1, 4)
    assert tagged.encode("<<sp:p>>", add_special_tokens=False) == tagged("<<sp:p>>")["input_ids"][1:]
    assert list(tagged("<<sp:p>>", return_attention_mask=False)) == ["input_ids"]
    assert tagged("<<sp:p>>", return_token_type_ids=True)["token_type_ids"] == [0] * 4
    with pytest.raises(ValueError, match="padding"):
        tagged(["<<sp:p>>", "The <<sp:q>> sea"], return_tensors="pt")


def test_chat_templates_pass_tags_through(tagged: Any) -> None:
    tagged.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    chat = [{"role": "system", "content": f"You are {P}."}, {"role": "user", "content": "Hello <<sp:q>>"}]
    assert count(tagged.apply_chat_template(chat, tokenize=True, return_dict=True)["input_ids"]) == 5
    assert "You are <<sp:p>>." in tagged.apply_chat_template(chat, tokenize=False)


def test_a_tokenizer_written_in_python_that_ends_every_text(model: Any) -> None:
    """ByT5's: no Rust inside, no BOS, an EOS behind every text."""
    tokenizer = ByT5Tokenizer(extra_ids=0)
    plain = copy.deepcopy(tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[P, Q], self_test=False):
        ids = tokenizer("The <<sp:p>> sea<<sp:q>>")["input_ids"]
        assert [each for each in ids if each < FIRST_ID] == plain("The  sea")["input_ids"]
        assert count(ids) == 5
        assert ids[-1] == tokenizer.eos_token_id
        assert tokenizer.decode(ids) == "The <<sp:p>> sea<<sp:q>></s>"
        assert tokenizer.decode(ids, skip_special_tokens=True) == "The <<sp:p>> sea<<sp:q>>"
        assert tokenizer("The <<sp:p>> sea", truncation=True, max_length=6)["input_ids"][-1] == tokenizer.eos_token_id
        assert tokenizer("no tag")["input_ids"] == plain("no tag")["input_ids"]
        assert type(pickle.loads(pickle.dumps(tokenizer))) is ByT5Tokenizer
        batch = tokenizer(["<<sp:p>>", "The sea"], padding=True, return_tensors="np")
        assert batch["attention_mask"].sum(axis=1).tolist() == [4, 8]
    assert type(tokenizer) is ByT5Tokenizer


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("<<sp:p>>",), {"return_offsets_mapping": True}, "return_offsets_mapping cannot be served"),
        (("<<sp:p>>",), {"return_overflowing_tokens": True}, "return_overflowing_tokens cannot be served"),
        ((["<<sp:p>>", "b"],), {"is_split_into_words": True}, "is_split_into_words cannot be served"),
        (("<<sp:p>>",), {"split_special_tokens": True}, "split_special_tokens cannot be served"),
        (("<<sp:p>>",), {"truncation": "only_second", "max_length": 2}, "no second text"),
        (("<<sp:p>>", "b"), {}, "a text pair cannot hold"),
        (("b", "<<sp:p>>"), {}, "a text pair cannot hold"),
        (([["<<sp:p>>", "b"]],), {}, "list of strings"),
    ],
)
def test_what_cannot_be_answered_is_refused(tagged: Any, arguments: Any, options: Any, message: str) -> None:
    with pytest.raises(UnsupportedInput, match=message):
        tagged(*arguments, **options)


def test_a_tokenizer_that_changes_while_attached(tagged: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tagged.add_special_tokens({"pad_token": "[PAD]"})
    tagged.add_tokens(["<emo>"])
    plain = copy.deepcopy(tagged)
    batch = tagged(["a<emo><<sp:p>>", "b"], padding=True)["input_ids"]
    assert batch[0][:-3] == plain("a<emo>")["input_ids"]
    assert batch[1] == plain("b", padding="max_length", max_length=len(batch[0]))["input_ids"]
    assert tagged.decode(batch[1], skip_special_tokens=True) == "b"
    assert tagged.decode(batch[0], skip_special_tokens=True) == "a<emo><<sp:p>>"
    tagged.backend_tokenizer.post_processor = TemplateProcessing(single="$A", special_tokens=[])
    assert tagged("a<<sp:p>>")["input_ids"][0] != tagged.bos_token_id


def test_a_renamed_prompt_is_read_by_its_new_name(tagged: Any) -> None:
    old, new = SoftPrompt("old", np.full((2, 32), 5.0)), SoftPrompt("new", np.full((2, 32), 5.0))
    assert tagged(old + "")["input_ids"] == tagged(new + "")["input_ids"]
    assert tagged.decode(tagged(new + "")["input_ids"], skip_special_tokens=True) == "<<sp:new>>"


def test_a_batch_of_texts_that_carry_different_prompts_of_one_name(tagged: Any) -> None:
    other = SoftPrompt("mine", np.full((4, 32), 2.0))
    mine = SoftPrompt("mine", np.full((2, 32), 3.0))
    one, two = tagged(["a" + other, "a" + mine])["input_ids"]
    assert (count(one), count(two)) == (4, 2)
    assert not set(one[-2:]) & set(two[-2:])


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.one_of(st.sampled_from(["<<sp:p>>", "<<sp:q:0.5>>", " ", "\\", "\n"]), st.text(max_size=8)), max_size=8
    )
)
def test_any_text_decodes_to_itself(tagged: Any, pieces: list[str]) -> None:
    text = "".join(pieces).encode("utf-8", "ignore").decode()
    wanted = "".join(each if isinstance(each, str) else str(each) for each in soft_prompts.parse(text))
    if "<s>" not in text and "pad" not in text and "unk" not in text:
        assert tagged.decode(tagged(text, add_special_tokens=False)["input_ids"]) == wanted
