"""The law of the seam on every kind of tokenizer: behind a tag stand the ids that the plain text has there."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.hosts.hf.view import Codec
from soft_prompts.slots import FIRST_ID
from soft_prompts.tags import parse

from .tokenizers_of import KINDS

pytestmark = pytest.mark.slow

MARK = [1_000_000_000, 1_000_000_001]
TAG = "<<sp:x>>"
BORDERS: dict[str, tuple[str, str]] = {
    "word, space": ("{w}", " {w}"),
    "space, word": ("{w} ", "{w}"),
    "word, word": ("{w}", "{w}"),
    "word, comma": ("{w}", ", {w}"),
    "full stop, space": ("{w}.", " {w}"),
    "word, bracket": ("{w}", ") {w}"),
    "bracket, word": ("{w} (", "{w}"),
    "quotation mark, word": ('{w} "', "{w}"),
    "word, line break": ("{w}", "\n{w}"),
    "line break, word": ("{w}\n", "{w}"),
    "two line breaks, word": ("{w}\n\n", "{w}"),
    "word, number": ("{w} ", "12 {w}"),
    "number, word": ("{w} 300", " {w}"),
    "word, dash": ("{w}", "-{w}"),
    "emoji, word": ("{w} 🌊", " {w}"),
    "word, emoji": ("{w}", " 🌊 {w}"),
    "Chinese, Chinese": ("{w} 海", "水 {w}"),
    "apostrophe": ("{w}", "'s {w}"),
}
"""What stands before a tag, and what behind it."""


@pytest.fixture(scope="module")
def tokenizer_made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    found: dict[str, Any] = {}

    def get(kind: str) -> Any:
        if kind not in found:
            found[kind] = KINDS[kind](tmp_path_factory.mktemp("tokenizer"))
        return found[kind]

    return get


def drawn(story: str, border: str, count: int = 300) -> list[tuple[str, str]]:
    """So many pairs of a text before the tag and one behind it."""
    lots, words = random.Random(border), story.split(" ")
    before, after = BORDERS[border]

    def some() -> str:
        start = lots.randrange(len(words) - 6)
        return " ".join(words[start : start + lots.randrange(1, 6)]).strip("\n")

    return [(before.format(w=some()), after.format(w=some())) for _ in range(count)]


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_border(kind: str, border: str, tokenizer_made: Callable[[str], Any], story: str) -> None:
    tokenizer = tokenizer_made(kind)
    codec = Codec(tokenizer)
    head, tail = codec.seams.head, codec.seams.tail
    exact = cases = 0
    for before, after in drawn(story, border):
        start = tokenizer(before, add_special_tokens=False)["input_ids"]
        whole = tokenizer(before + after, add_special_tokens=False)["input_ids"]
        if whole[: len(start)] != start:
            continue  # a token lies across the border: there is no seam that the plain text could have
        cases += 1
        ids = codec.seams.splice(parse(before + TAG + after), lambda tag: MARK).ids
        exact += ids == [*head, *start, *MARK, *whole[len(start) :], *tail]
    assert cases >= 30
    assert exact / cases >= 0.99, f"{exact} of {cases}"


@pytest.mark.parametrize("kind", KINDS)
def test_other_peoples_tokens(kind: str, tokenizer_made: Callable[[str], Any], model: Any) -> None:
    """Added before or after attach, they are read as in plain text, and our ids stay clear of them."""
    tokenizer = copy.deepcopy(tokenizer_made(kind))
    tokenizer.add_tokens(["<emo>"])
    prompt = SoftPrompt("x", np.ones((2, 32)))
    with soft_prompts.attach(model, tokenizer, prompts=[prompt], self_test=False):
        tokenizer.add_tokens(["<sad>"], special_tokens=True)
        mine = tokenizer.convert_tokens_to_ids(["<emo>", "<sad>"])
        ids = tokenizer(f"The sea <emo>{TAG} the key<sad>{TAG}.", add_special_tokens=False)["input_ids"]
        words = [each for each in ids if each < FIRST_ID]
        assert [each for each in words if each in mine] == mine
        assert words == tokenizer("The sea <emo> the key<sad>.", add_special_tokens=False)["input_ids"]
        assert len(ids) == len(words) + 4
        assert tokenizer.decode(ids).count(TAG) == 2


CHAT = (
    "{% for message in messages %}<s>{{ message.role }}\n{{ message.content }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)


@pytest.mark.parametrize("kind", KINDS)
def test_chats(kind: str, tokenizer_made: Callable[[str], Any], model: Any) -> None:
    """Tags in a chat's messages are placed as in the text that the template makes of it."""
    tokenizer = copy.deepcopy(tokenizer_made(kind))
    tokenizer.chat_template = CHAT
    chat = [{"role": "system", "content": f"You are {TAG}."}, {"role": "user", "content": f"{TAG} Who are you?"}]
    prompt = SoftPrompt("x", np.ones((2, 32)))
    with soft_prompts.attach(model, tokenizer, prompts=[prompt], self_test=False):
        written = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"]
        assert written.count(TAG) == 2
        assert ids == tokenizer(written, add_special_tokens=False)["input_ids"]
        assert sum(each >= FIRST_ID for each in ids) == 4
