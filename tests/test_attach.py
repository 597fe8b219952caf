"""attach then close is identity; what cannot be served is refused with its reason, and nothing is left behind."""

from __future__ import annotations

import copy
import gc
import logging
import pickle
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import (
    AmbiguousPrompt,
    InvalidFile,
    InvalidPrompt,
    InvalidTag,
    Misfit,
    SoftPromptError,
    UnknownPlaceholder,
    UnknownPrompt,
    UnsupportedModel,
)
from soft_prompts.slots import FIRST_ID

from .law import TwiceReading


def state(model: torch.nn.Module, tokenizer: Any) -> dict[str, Any]:
    """Everything that could differ: attributes of every module, weights, flags; the tokenizer's class and state."""
    modules: dict[str, Any] = {}
    for name, module in model.named_modules():
        for key, value in vars(module).items():
            plain = key not in ("_parameters", "_modules", "_buffers", "_non_persistent_buffers_set")
            modules[f"{name}.{key}"] = repr(value) if plain else sorted(map(str, value))
    weights = {
        key: (id(value), value.requires_grad, value.clone()) for key, value in model.state_dict(keep_vars=True).items()
    }
    return {
        "class": type(model),
        "modules": modules,
        "weights": {key: (a, b) for key, (a, b, _) in weights.items()},
        "values": [value for *_, value in weights.values()],
        "tokenizer": (type(tokenizer), tokenizer.backend_tokenizer.to_str(), sorted(vars(tokenizer)), repr(tokenizer)),
        "embedding": (type(model.get_input_embeddings()), model.get_input_embeddings().num_embeddings),
    }


def assert_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(before.pop("values"), after.pop("values"), strict=True))
    assert before == after


@pytest.fixture
def prompt(model: Any, tokenizer: Any) -> SoftPrompt:
    return SoftPrompt.from_text(" a stranger came in", model, tokenizer, name="p")


def test_close_leaves_no_trace(family_model: Any, tokenizer: Any) -> None:
    family_model.train()
    before = state(family_model, tokenizer)
    prompt = SoftPrompt.from_text(" a stranger came in", family_model, tokenizer, name="p")
    assert_same(dict(before), state(family_model, tokenizer))
    attached = soft_prompts.attach(family_model, tokenizer, prompts=[prompt])
    assert state(family_model, tokenizer)["tokenizer"][0] is not before["tokenizer"][0]
    batch = tokenizer([prompt + " and", "The door"], return_tensors="pt", padding=True, truncation=True, max_length=9)
    family_model.eval().generate(**batch, max_new_tokens=3)
    family_model.train()
    tokenizer.decode(batch["input_ids"][0])
    attached.close()
    attached.close()
    assert_same(before, state(family_model, tokenizer))
    with pytest.raises(IndexError):
        family_model(torch.tensor([[FIRST_ID]]))


def test_an_exception_in_the_block_closes_too(model: Any, tokenizer: Any) -> None:
    before = state(model, tokenizer)
    with pytest.raises(ZeroDivisionError), soft_prompts.attach(model, tokenizer):
        raise ZeroDivisionError
    assert_same(before, state(model, tokenizer))


def test_copies_of_the_tokenizer_are_the_clean_original(
    model: Any, tokenizer: Any, prompt: SoftPrompt, tmp_path: Path
) -> None:
    original, plain = type(tokenizer), tokenizer("The door <<sp:p>>")["input_ids"]
    tokenizer.save_pretrained(tmp_path / "before")
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]):
        assert isinstance(tokenizer, original)
        assert max(tokenizer("The door <<sp:p>>")["input_ids"]) >= FIRST_ID
        tokenizer.save_pretrained(tmp_path / "attached")
        copies = [copy.deepcopy(tokenizer), *(pickle.loads(pickle.dumps(tokenizer, each)) for each in range(2, 6))]
        for each in [*copies, copy.copy(tokenizer)]:
            assert type(each) is original
            assert each("The door <<sp:p>>")["input_ids"] == plain
    for file in (tmp_path / "before").iterdir():
        assert file.read_bytes() == (tmp_path / "attached" / file.name).read_bytes()


def test_a_copy_of_the_model_generates_by_itself(model: Any, tokenizer: Any, prompt: SoftPrompt) -> None:
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]):
        copied = copy.deepcopy(model)
        with torch.no_grad():
            for weight in copied.parameters():
                weight.zero_()
        made = copied.generate(torch.tensor([[5]]), max_new_tokens=3, do_sample=False, pad_token_id=3)
        assert made[0, 1:].tolist() == [0] * 3


def test_a_second_attachment_is_refused(model: Any, tokenizer: Any, tokenizer_of: Callable[[str], Any]) -> None:
    with soft_prompts.attach(model, tokenizer):
        for other in (tokenizer, tokenizer_of("bytes")):
            with pytest.raises(UnsupportedModel, match=r"attached .* already: close\(\) that one first"):
                soft_prompts.attach(model, other)
    soft_prompts.attach(model, tokenizer).close()


def test_a_closed_model_can_be_freed(make: Any, tokenizer: Any) -> None:
    model = make("llama")
    soft_prompts.attach(model, tokenizer).close()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_encoder_decoder_models_are_refused(tokenizer: Any) -> None:
    config = transformers.T5Config(vocab_size=400, d_model=32, d_kv=8, d_ff=32, num_layers=1, num_heads=4)
    model = transformers.T5ForConditionalGeneration(config)
    with pytest.raises(UnsupportedModel, match="t5 is an encoder-decoder model: soft prompts are for causal"):
        soft_prompts.attach(model, tokenizer)


def test_the_self_test_refuses_a_model_that_reads_ids_elsewhere(make: Any, tokenizer: Any) -> None:
    model = make("llama")
    model.__class__ = TwiceReading
    before = state(model, tokenizer)
    with pytest.raises(UnsupportedModel, match="not supported for llama: its text embedding is not a single lookup"):
        soft_prompts.attach(model, tokenizer)
    assert_same(before, state(model, tokenizer))
    model.config._name_or_path = "/home/ann/models/keeper"
    with pytest.raises(UnsupportedModel, match=r"not supported for keeper \(llama\): "):
        soft_prompts.attach(model, tokenizer)
    soft_prompts.attach(model, tokenizer, self_test=False).close()


def test_the_self_test_asks_the_model_and_not_its_settings(model: Any, tokenizer: Any) -> None:
    model.generation_config.stop_strings = ["."]
    model.generation_config.repetition_penalty = 1.3
    soft_prompts.attach(model, tokenizer).close()
    assert model.generation_config.stop_strings == ["."]
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    with pytest.raises(UnsupportedModel, match="gives no numbers but NaN"):
        soft_prompts.attach(model, tokenizer)
    with pytest.raises(UnsupportedModel, match="llama: its self-test failed"):
        soft_prompts.attach(model.model, tokenizer)


def test_an_unreadable_fingerprint_does_not_hide_a_good_file(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    made = SoftPrompt.from_text(" a stranger came in", model, tokenizer, name="emma")
    made.save(tmp_path / "emma.safetensors")
    odd = SoftPrompt("emma", np.ones((2, 48)), metadata={"fingerprint": "junk"})
    odd.save(tmp_path / "emma@new.safetensors")
    with soft_prompts.attach(model, tokenizer, tmp_path) as attached:
        assert len(tokenizer("<<sp:emma>>")["input_ids"]) == 1 + len(made)
        same_width = SoftPrompt("odd", np.ones((2, 32)), metadata={"fingerprint": "junk"})
        assert attached.fit(same_width).verdict == "unknown"
        assert "soft prompt 'odd': its model fingerprint cannot be read" in attached.fit(same_width).reason


def test_wrapped_models(model: Any, tokenizer: Any, prompt: SoftPrompt) -> None:
    plain = SoftPrompt.from_text(" a stranger came in", model, tokenizer, name="p")
    compiled = torch.compile(model, backend="eager")
    with soft_prompts.attach(compiled, tokenizer, prompts=[plain]):
        soft = tokenizer("The door" + plain + " and", return_tensors="pt")["input_ids"]
        made = [each.generate(soft, max_new_tokens=3, do_sample=False, pad_token_id=3) for each in (model, compiled)]
        assert torch.equal(*made)
        with torch.no_grad():
            torch.testing.assert_close(compiled(soft).logits, model(soft).logits)


def test_the_library_and_given_prompts(model: Any, tokenizer: Any, prompt: SoftPrompt, tmp_path: Path) -> None:
    prompt.save(tmp_path / "file.safetensors")
    prompt.save(tmp_path / "same.safetensors")
    SoftPrompt("x", np.ones((2, 32))).save(tmp_path / "p.safetensors")
    (tmp_path / "note.txt").write_text(" a stranger came in\n")
    with soft_prompts.attach(model, tokenizer, tmp_path, prompts=[SoftPrompt("same", prompt.vectors)]) as attached:
        by_file, by_text = (tokenizer(each)["input_ids"] for each in ("<<sp:file>>", "<<sp:note>>"))
        assert len(by_file) == len(by_text) == 1 + len(prompt)
        assert tokenizer("<<sp:same>>")["input_ids"] == by_file  # one content, the same ids
        vectors = [attached.slots.vectors(np.array(each[1:])) for each in (by_file, by_text)]
        assert np.array_equal(*vectors)
        # What a text carries goes before the library.
        assert tokenizer(prompt + "")["input_ids"] == by_file
        assert tokenizer("<<sp:p>>")["input_ids"] != by_file
    with (
        soft_prompts.attach(model, tokenizer, Library(tmp_path), prompts=[prompt]),
        pytest.raises(AmbiguousPrompt) as e,
    ):
        tokenizer("<<sp:p>>")
    assert "another content: rename one" in str(e.value)
    with pytest.raises(AmbiguousPrompt):
        soft_prompts.attach(model, tokenizer, prompts=[prompt, SoftPrompt("p", np.ones((2, 32)))])
    assert type(tokenizer).__name__ == type(copy.deepcopy(tokenizer)).__name__


def test_the_variant_that_fits_is_taken(make: Any, tokenizer: Any, tmp_path: Path) -> None:
    models = [make("llama"), make("qwen3")]
    for number, each in enumerate(models):
        made = SoftPrompt.from_text(" a stranger came in", each, tokenizer, name="emma")
        made.save(tmp_path / f"emma@{number}.safetensors")
    (tmp_path / "emma.txt").write_text("Emma is tall.")
    for number, each in enumerate(models):
        with soft_prompts.attach(each, tokenizer, tmp_path) as attached:
            ids = tokenizer("<<sp:emma>>", add_special_tokens=False)["input_ids"]
            wanted = soft_prompts.load(tmp_path / f"emma@{number}.safetensors")
            assert np.array_equal(attached.slots.vectors(np.array(ids)), wanted.vectors)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("<<sp:gibsn>>", UnknownPrompt, "did you mean 'gibson'"),
        ("<<sp:nothing like it>>", UnknownPrompt, "put nothing like it.safetensors or .*An f-string keeps only"),
        ("<<sp:../../etc/passwd>>", UnknownPrompt, "points out of"),
        ("<<sp:wide>>", Misfit, "'wide' is 48 wide, but this model embeds tokens 32 wide.*not recorded.*retrain"),
        ("<<sp:stranger>>", Misfit, "for another model of the same width.*trained on qwen3.*allow_strangers=True"),
        ("<<sp:cut>>", InvalidFile, r"cut\.safetensors.*cut short"),
        ("<<sp:nan>>", InvalidFile, r"nan\.safetensors.*hold NaN"),
        ("<<sp:folder>>", InvalidFile, r"folder\.safetensors.*it is a folder"),
        ("<<sp:gibson:4.5>>", InvalidTag, "<<sp:gibson:4.5>>: a strength lies between -4 and 4"),
    ],
)
def test_bad_tags_have_their_own_message(
    text: str, error: type[SoftPromptError], message: str, model: Any, tokenizer: Any, make: Any, tmp_path: Path
) -> None:
    SoftPrompt("x", np.ones((2, 32))).save(tmp_path / "gibson.safetensors")
    SoftPrompt("x", np.ones((2, 48))).save(tmp_path / "wide.safetensors")
    SoftPrompt.from_text(" a", make("qwen3", vocabulary=390), tokenizer, name="x").save(
        tmp_path / "stranger.safetensors"
    )
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "gibson.safetensors").read_bytes()[:-9])
    broken = bytearray((tmp_path / "gibson.safetensors").read_bytes())
    broken[-4:] = b"\0\0\xc0\x7f"
    (tmp_path / "nan.safetensors").write_bytes(broken)
    (tmp_path / "folder.safetensors").mkdir()
    with soft_prompts.attach(model, tokenizer, tmp_path):
        with pytest.raises(error, match=message):
            tokenizer("The door " + text)
        tokenizer("The door <<sp:gibson>>")  # nothing was lost
    if "stranger" in text:
        with soft_prompts.attach(model, tokenizer, tmp_path, allow_strangers=True):
            tokenizer(text)


def test_without_a_library_the_message_says_how_to_give_prompts(model: Any, tokenizer: Any, prompt: SoftPrompt) -> None:
    with soft_prompts.attach(model, tokenizer), pytest.raises(UnknownPrompt, match=r"prompts=\[prompt\]"):
        tokenizer(f"{prompt} and")


def test_relatives_are_taken_with_a_warning(
    model: Any, tokenizer: Any, prompt: SoftPrompt, caplog: pytest.LogCaptureFixture
) -> None:
    with torch.no_grad():
        weight = model.get_input_embeddings().weight
        weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * weight.std() * 0.3
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]), caplog.at_level(logging.WARNING):
        tokenizer("<<sp:p>> <<sp:p>>")
        tokenizer("<<sp:p>>")
    assert [record.message for record in caplog.records if "relative" in record.message] == [caplog.records[0].message]


def test_from_text_says_what_it_is(storyteller: tuple[Any, Any]) -> None:
    made = SoftPrompt.from_text(" Once there was a keeper", *storyteller, name="a/b")
    assert made.metadata["base_model"] == "storyteller"
    assert made.metadata["method"] == "text"
    assert "/" not in made.metadata["base_model"]
    with pytest.raises(InvalidPrompt, match="has no tokens"):
        SoftPrompt.from_text("", *storyteller, name="x")


def test_from_pretrained(tmp_path: Path) -> None:
    from soft_prompts import demo

    (tmp_path / "note.txt").write_text(" a keeper who lived by the sea")
    model, tokenizer = soft_prompts.from_pretrained(demo.path(), tmp_path)
    batch = tokenizer("Once there was<<sp:note>>", return_tensors="pt")
    assert int(batch["input_ids"].max()) >= FIRST_ID
    text = tokenizer.decode(model.generate(**batch, max_new_tokens=4, do_sample=False)[0], skip_special_tokens=True)
    assert text.startswith("Once there was<<sp:note>>")


def test_ids_of_another_attachment_are_refused_by_one_that_has_none(
    model: Any, tokenizer: Any, make: Callable[..., Any], tokenizer_of: Callable[[str], Any]
) -> None:
    """On a GPU an id that no embedding has would end the process."""
    other = make("gpt2")
    with (
        soft_prompts.attach(model, tokenizer, self_test=False),
        soft_prompts.attach(other, tokenizer_of("bytes"), self_test=False),
    ):
        prompt = SoftPrompt.from_text("The sea", model, tokenizer, name="sea")
        ids = tokenizer(prompt + " x", return_tensors="pt")["input_ids"]
        for use in (other, other.generate, other.get_input_embeddings()):
            with pytest.raises(UnknownPlaceholder, match="belongs to another attachment"):
                use(ids)
