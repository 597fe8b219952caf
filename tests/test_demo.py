"""The storyteller: its generator is deterministic, its files are small and sound, it is the yardstick of its card."""

from __future__ import annotations

import hashlib
import itertools
import random
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

import soft_prompts
from soft_prompts import demo
from soft_prompts.demo import __main__ as demonstration
from soft_prompts.demo import lore as lores
from soft_prompts.demo import measure, noir, stories, words

SIZE_LIMIT = 4_000_000
EVERY_KIND = dict.fromkeys(stories.LESSONS, 1.0)
NOIR_NAMES = rf"\b({'|'.join(noir.POOLS['surname'])})\b"
FILES = {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
STRANGE = (
    "",
    " ",
    "\n\n  two  spaces\tand a tab \r\n",
    "Zoë naïvely ate 12 crêpes — “why?”",
    "日本語 עברית العربية हिन्दी",
    "\U0001f9d9\u200d\U0001f409 e\u0301 \u0000 \ufeff \uffff",
    "<<sp:noir:0.5>> \\<<sp:x>>",
)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def worlds(number: int) -> list[lores.Lore]:
    return [lores.lore(random.Random(n), people=4, facts=5) for n in range(number)]


def test_training_text_is_the_same_everywhere() -> None:
    text = "".join(itertools.islice(stories.training_documents(0, mix=EVERY_KIND), 300))
    assert digest(text) == "5edb9e70274720d2"


@pytest.mark.parametrize("register", stories.REGISTERS)
def test_corpus_depends_on_register_and_seed_alone(register: str) -> None:
    text = stories.corpus(register, documents=5, seed=3)
    assert text == stories.corpus(register, documents=5, seed=3)
    assert text != stories.corpus(register, documents=5, seed=4)
    assert text.count("\n***\n") == 4
    assert "{" not in text and "  " not in text


def test_rare_register_is_rare() -> None:
    documents = list(itertools.islice(stories.training_documents(1), 2000))
    rare = sum(len(text) for text in documents if re.search(NOIR_NAMES, text))
    assert 0 < rare < 0.01 * sum(map(len, documents))


def test_rare_register_hardly_repeats_a_sentence() -> None:
    text = stories.corpus(stories.RARE, documents=200, seed=1)
    long = [sentence for sentence in re.split(r"(?<=[.?!])\s", text) if sentence.count(" ") > 4]
    assert len(set(long)) > 0.75 * len(long)


def test_answers_stand_in_the_lore() -> None:
    for world in worlds(50):
        assert world.questions
        for question in world.questions:
            assert question.answer.startswith(" ") and question.answer[1:] in world.text
            assert not question.call.endswith(" ")


def test_no_two_people_of_a_lore_share_a_value() -> None:
    for world in worlds(50):
        keys = [(fact.entity.kind, fact.attribute.key, fact.value) for fact in world.facts]
        assert len(set(keys)) == len(keys)


def test_every_value_comes_from_fifteen_or_more() -> None:
    rng = random.Random(0)
    for attribute in itertools.chain.from_iterable(lores.ATTRIBUTES.values()):
        assert len({attribute.draw(rng) for _ in range(1000)}) >= 15, attribute.key


def test_every_form_of_question_is_asked() -> None:
    assert {question.form for world in worlds(5) for question in world.questions} == set(lores.FORMS)


def test_pools_hold_no_word_twice() -> None:
    for name, pool in vars(words).items():
        if name.isupper() and isinstance(pool, tuple) and name != "SPARE":
            assert len(set(pool)) == len(pool), name


def test_model_files_are_few_and_small() -> None:
    files = list(demo.path().iterdir())
    assert {file.name for file in files} == FILES
    assert sum(file.stat().st_size for file in files) < SIZE_LIMIT


def test_loads_silently_in_float32(capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = transformers.AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
        tokenizer = transformers.AutoTokenizer.from_pretrained(demo.path())
    assert all(value.dtype == torch.float32 for value in model.parameters())
    assert model.config.max_position_embeddings >= 1024
    assert isinstance(tokenizer, transformers.PreTrainedTokenizerFast)
    assert "warn" not in "".join(capfd.readouterr()).lower()


def test_begins_with_one_bos(storyteller: tuple[Any, Any]) -> None:
    _, tokenizer = storyteller
    ids = tokenizer("Once upon a time").input_ids
    assert ids[0] == tokenizer.bos_token_id and ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer("Once", add_special_tokens=False).input_ids == tokenizer("Once").input_ids[1:]


@pytest.mark.parametrize("text", STRANGE)
def test_every_text_comes_back_whole(storyteller: tuple[Any, Any], text: str) -> None:
    _, tokenizer = storyteller
    ids = tokenizer(text).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.unk_token_id not in ids


def test_every_character_comes_back_whole(storyteller: tuple[Any, Any]) -> None:
    _, tokenizer = storyteller
    rng = random.Random(0)
    points = [rng.randrange(0x110000) for _ in range(3000)]
    text = "".join(chr(point) for point in points if not 0xD800 <= point < 0xE000)
    assert tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True) == text


def test_lore_in_the_context_is_recalled(storyteller: tuple[Any, Any]) -> None:
    found = measure.recall(*storyteller, measure.lores())
    assert found.questions >= 200
    assert found.lore_tokens >= 300
    assert found.without_lore <= 0.15
    assert found.with_lore >= 0.6
    assert found.nats_without_lore - found.nats_with_lore >= 0.4


def test_a_lore_in_other_words_helps_as_well(storyteller: tuple[Any, Any]) -> None:
    """Told with pronouns and in other phrasings than the questions use, a lore is recalled less, and still helps."""
    found = measure.recall(*storyteller, measure.lores(plain=False))
    assert found.with_lore > found.without_lore + 0.2
    assert found.nats_without_lore - found.nats_with_lore >= 0.4


def test_rare_register_is_badly_known(storyteller: tuple[Any, Any]) -> None:
    losses = measure.register_losses(*storyteller, documents=8)
    common = [losses[register] for register in stories.COMMON]
    assert losses[stories.RARE] > 1.8 * sum(common) / len(common)
    assert losses[stories.RARE] > 1.3 * max(common)


def test_the_demo_trains_saves_and_shows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "soft_prompts"
    path = demonstration.run(folder, "noir", steps=2)
    printed = capsys.readouterr().out
    made = soft_prompts.load(path)
    assert (path, len(made), made.metadata["base_model"]) == (folder / "noir.safetensors", 20, "storyteller")
    assert float(made.metadata["base"]) > float(made.metadata["held_out"]) - 0.1
    for words_ in ("step 2/2", "Trained in", f"Written: {path}", "<<sp:noir>>It was late", "nats a token", "Go on:"):
        assert words_ in printed, words_


def test_the_demo_writes_over_nothing_but_its_own(tmp_path: Path) -> None:
    theirs = soft_prompts.SoftPrompt("noir", [[1.0, 2.0]])
    theirs.save(tmp_path / "noir.safetensors")
    assert demonstration._free_name(tmp_path, "noir", "abc") == "noir-2"
    soft_prompts.SoftPrompt("noir", [[1.0]], metadata={"data": "abc"}).save(tmp_path / "noir-2.safetensors")
    assert demonstration._free_name(tmp_path, "noir", "abc") == "noir-2"
    assert demonstration._free_name(tmp_path, "noir", "other") == "noir-3"
    assert demonstration._free_name(tmp_path, "people/emma", "abc") == "people/emma"
