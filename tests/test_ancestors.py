"""What mkultra and prompt-tuner asked of themselves, as laws; and the faults that they were known for, which are gone.

Their tests ran on GPT-2 alone. Here they run on every family and every kind of tokenizer that the other tests have.
"""

from __future__ import annotations

import base64
import copy
import gc
import json
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import pipeline

import soft_prompts
from soft_prompts import Library, SoftPrompt, demo
from soft_prompts.errors import InvalidFile, Misfit
from soft_prompts.slots import FIRST_ID
from soft_prompts.trainer import Corpus, Facts, Finetune, Pair, Training, WorldInfo, from_text

from .conftest import SHARED

GOLDEN = Path(__file__).parent / "golden"
A, B, C = " 1 2 3", " 4 5 6", " 7 8 9"


def test_replaced_tokens_equal_embeddings(family_model: Any, tokenizer: Any) -> None:
    embedding = family_model.get_input_embeddings()
    with soft_prompts.attach(family_model, tokenizer, self_test=False):
        prompt = SoftPrompt.from_text(B, family_model, tokenizer, name="b")
        soft = tokenizer(A + prompt + C, return_tensors="pt")["input_ids"]
        plain = tokenizer(A + B + C, return_tensors="pt")["input_ids"]
        assert soft.shape == plain.shape and not torch.equal(soft, plain)
        assert torch.equal(embedding(soft), embedding(plain))
        assert torch.equal(family_model(soft).logits, family_model(plain).logits)


@pytest.mark.parametrize("kind", ["bytes", "first", "always", "prepend", "unigram"])
def test_the_tag_tokenises_to_its_length(model: Any, tokenizer_of: Callable[[str], Any], kind: str) -> None:
    tokenizer = tokenizer_of(kind)
    prompt = SoftPrompt.from_text(" a b c d e f g", model, tokenizer, name="letters")
    with soft_prompts.attach(model, tokenizer, prompts=[prompt], self_test=False):
        assert str(prompt) != " a b c d e f g"
        assert len(tokenizer.encode(str(prompt), add_special_tokens=False)) == len(prompt) > 1
        around = len(tokenizer.encode("The sea" + prompt + " was", add_special_tokens=False))
        both = [len(tokenizer.encode(each, add_special_tokens=False)) for each in ("The sea", "The sea was")]
        assert around == both[1] + len(prompt) and both[0] < both[1]


@pytest.mark.parametrize("options", [{"do_sample": False}, {"do_sample": True, "temperature": 50.0, "top_k": 0}])
def test_no_soft_token_is_ever_generated(family_model: Any, tokenizer: Any, options: dict[str, Any]) -> None:
    """Also where every token is about as likely as any other. Nothing has to be banned for that."""
    torch.manual_seed(0)
    family_model.generation_config.eos_token_id = None
    with soft_prompts.attach(family_model, tokenizer, self_test=False):
        prompt = SoftPrompt.from_text("The quick brown fox", family_model, tokenizer, name="fox")
        batch = tokenizer(prompt + " jumps over the lazy dog", return_tensors="pt")
        length = batch["input_ids"].shape[1]
        sized = {"min_length": length + 40, "max_length": length + 40, "max_new_tokens": None, "use_cache": True}
        written = family_model.generate(
            **batch, **sized, **options, num_return_sequences=4 if options["do_sample"] else 1
        )
        assert written.shape[1] == length + 40
        assert int(written[:, length:].max()) < family_model.config.vocab_size == family_model(**batch).logits.shape[-1]
        assert all(text.count("<<sp:fox>>") == 1 for text in tokenizer.batch_decode(written))
        [answer] = pipeline("text-generation", model=family_model, tokenizer=tokenizer)(
            prompt + " jumps", max_new_tokens=12, **options
        )
        assert answer["generated_text"].count("<<sp:") == 1


def test_the_loss_behind_a_prompt_is_the_loss_behind_its_words(family_model: Any, tokenizer: Any) -> None:
    with soft_prompts.attach(family_model, tokenizer, self_test=False):
        prompt = SoftPrompt.from_text(A, family_model, tokenizer, name="a")
        soft = tokenizer(prompt + B, return_tensors="pt")["input_ids"]
        plain = tokenizer(A + B, return_tensors="pt")["input_ids"]
        labels = plain.masked_fill(soft >= FIRST_ID, -100)
        assert torch.equal(family_model(soft, labels=soft).loss, family_model(plain, labels=labels).loss)
    assert not any(weight.grad is not None for weight in family_model.parameters())


def test_several_models_and_tokenizers_at_once(make: Callable[..., Any], tokenizer_of: Callable[[str], Any]) -> None:
    """There is no registry: each pair knows its own prompts, and a pair that goes leaves nothing behind."""
    kinds = [("gpt2", "bytes"), ("gpt_neo", "unigram"), ("gptj", "bytes"), ("gpt2", "bytes")]
    pairs = [(make(family), tokenizer_of(kind)) for family, kind in kinds]
    sizes = [(len(tokenizer), model.get_input_embeddings().num_embeddings) for model, tokenizer in pairs]
    attached = [soft_prompts.attach(*pair, self_test=False) for pair in pairs]
    prompts = [SoftPrompt.from_text(" The sea", *pair, name="test") for pair in pairs]
    rows = [
        tokenizer(prompt + " x", return_tensors="pt")["input_ids"]
        for prompt, (_, tokenizer) in zip(prompts, pairs, strict=True)
    ]
    for (model, tokenizer), ids in zip(pairs, rows, strict=True):
        plain = tokenizer(" The sea x", return_tensors="pt")["input_ids"]
        assert torch.equal(model(ids).logits, model(plain).logits)
    held = [set(ids[ids >= FIRST_ID].tolist()) for ids in rows]
    assert sum(map(len, held)) == len(set.union(*held)), "no id means two things"
    assert [(len(tokenizer), model.get_input_embeddings().num_embeddings) for model, tokenizer in pairs] == sizes
    gone = weakref.ref(pairs[0][0])
    attached.pop(0).close()
    del pairs[0], model, tokenizer
    gc.collect()
    assert gone() is None
    for each in attached:
        each.close()


def test_json_through_the_hands_of_its_inventors() -> None:
    """Step by step as they do it: their reader takes what we write, and we what stands inside of another file."""
    prompt = SoftPrompt("noir", np.arange(6).reshape(2, 3), metadata={"description": "rain", "uuid": "0123456789"})
    file = json.dumps({"additional_data": "The quick brown fox", "sp": prompt.to_json()})
    said = json.loads(json.loads(file)["sp"])
    tensor = pickle.loads(base64.b64decode(said["tensor"].encode("ascii")))
    assert tensor.shape == (1, 2, 3) and tensor.dtype == torch.float32 and (tensor[0].numpy() == prompt.vectors).all()
    assert said["metadata"] == {"name": "noir", "description": "rain", "uuid": "0123456789"}
    theirs = {"metadata": said["metadata"], "tensor": base64.b64encode(pickle.dumps(tensor.half(), 4)).decode()}
    assert SoftPrompt.from_json(json.dumps({"sp": json.dumps(theirs)})) == prompt


def test_a_file_alone() -> None:
    found = SHARED / "data" / "neuromancer_gpt2.json"
    if not found.exists():
        pytest.skip("the public sample is not beside this checkout")
    neuromancer = SoftPrompt.from_file(found)
    said = json.loads(found.read_text("utf-8"))["metadata"]
    assert (neuromancer.width, neuromancer.uuid) == (768, said["uuid"])
    assert neuromancer.about.startswith("neuromancer_gpt2 (") and said["description"] in neuromancer.about


# ---- faults


def test_a_second_prompt_keeps_its_uuid() -> None:
    """mkultra compared each uuid with itself, and gave every prompt but the first a new one."""
    text = (GOLDEN / "mkultra.json").read_text("utf-8")
    other = json.loads(text)
    other["metadata"]["uuid"] = "another"
    found = [SoftPrompt.from_json(each).uuid for each in (text, json.dumps(other), text)]
    assert found == [json.loads(text)["metadata"]["uuid"], "another", json.loads(text)["metadata"]["uuid"]]


class _Touch:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_no_pickle_is_run(tmp_path: Path) -> None:
    """mkultra unpickled what a stranger wrote into his JSON."""
    said = {"metadata": {}, "tensor": base64.b64encode(pickle.dumps(_Touch(tmp_path / "run"), 4)).decode()}
    with pytest.raises(InvalidFile, match="no soft prompt"):
        SoftPrompt.from_json(json.dumps(said))
    assert not (tmp_path / "run").exists()
    pickle.loads(base64.b64decode(said["tensor"]))  # type: ignore[arg-type]
    assert (tmp_path / "run").exists(), "the trap itself works"


def test_a_prompt_may_stand_where_it_likes_and_as_often() -> None:
    """KoboldAI and PEFT put one prompt at the very beginning, of every row of a batch the same one."""
    model, tokenizer = soft_prompts.from_pretrained(demo.path(), dtype="float32", self_test=False)
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "left"
    one, two = (
        SoftPrompt.from_text(each, model, tokenizer, name=each[:4].strip()) for each in (" Rain fell.", " Snow fell.")
    )
    rows = ["It was late." + one + " The", one + "It was late." + two + " The", "It was late. The"]
    words = ["It was late. Rain fell. The", " Rain fell.It was late. Snow fell. The", "It was late. The"]
    options = {"do_sample": False, "max_new_tokens": 12}
    soft, plain = (
        model.generate(**tokenizer(each, padding=True, return_tensors="pt"), **options)[:, -12:]
        for each in (rows, words)
    )
    assert torch.equal(soft, plain)


def test_ids_beyond_sixteen_bits(make: Callable[..., Any], tokenizer: Any) -> None:
    """KoboldAI and mtj-softtuner kept ids in 16 bits, so that those of a large vocabulary became others."""
    tokenizer.add_tokens([f"<{number}>" for number in range(66_000)])
    model = make("llama", vocabulary=66_400)
    word = f"<{66_000 - 1}>"
    place = tokenizer.convert_tokens_to_ids(word)
    assert place == 66_379 > 1 << 16
    rows = model.get_input_embeddings().weight.detach().numpy()
    prompt = SoftPrompt.from_text(word, model, tokenizer, name="last")
    assert np.array_equal(prompt.vectors, rows[[place]])
    training = Training(
        model, tokenizer, Finetune(Corpus(f"{word} The sea. " * 400)), tokens=4, steps=1, start=from_text(word)
    )
    assert np.array_equal(training.state.vectors.numpy(), rows[[place] * 4])
    assert {place} <= {int(each) for each in training.lesson.words}


def test_facts_longer_than_a_block_have_a_loss(model: Any, tokenizer: Any, story: str) -> None:
    """mkultra cut such rows before the answer, and a loss of no label is NaN."""
    pairs = Facts(tuple(Pair(story[start : start + 200], " a lamp") for start in (0, 50, 100)))
    training = Training(model, tokenizer, WorldInfo(pairs, keep=0), tokens=4, steps=2, block=16)
    steps = list(training)
    assert len(steps) == 2 and all(np.isfinite(step.loss) and not step.skipped for step in steps)


def test_a_prompt_of_another_width_is_told_why(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    """KoboldAI left it out of its menu without a word."""
    SoftPrompt("voyage", np.ones((3, 48))).to_file(tmp_path / "voyage.zip")
    library = Library(tmp_path)
    with soft_prompts.attach(model, tokenizer, library, self_test=False) as attached:
        assert [entry.name for entry in library.entries()] == ["voyage"]
        fit = attached.fit(library["voyage"])  # type: ignore[arg-type]
        assert not fit.usable and "48 wide" in fit.reason and "32 wide" in fit.reason
        with pytest.raises(Misfit, match="48 wide"):
            tokenizer("<<sp:voyage>>The bridge was silent.")


def test_a_model_is_left_as_it_was(model: Any, tokenizer: Any) -> None:
    """The ancestors were model classes of their own, with a larger vocabulary."""
    before = copy.deepcopy(model.state_dict())
    kept = set(vars(model)), type(model), type(tokenizer), len(tokenizer)
    with soft_prompts.attach(model, tokenizer):
        prompt = SoftPrompt.from_text(B, model, tokenizer, name="b")
        model.generate(**tokenizer(prompt + C, return_tensors="pt"), max_new_tokens=4, do_sample=False)
        assert len(tokenizer) == kept[3] and type(model) is kept[1]
    assert (set(vars(model)), type(model), type(tokenizer), len(tokenizer)) == kept
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
