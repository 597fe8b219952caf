"""The law: a prompt made of a text's own embeddings gives that text's logits and that text's continuation.

Every case compares a run over placeholders with a run over the plain ids that they stand for.
"""

from __future__ import annotations

import threading
from typing import Any

import accelerate
import peft
import pytest
import torch

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.slots import FIRST_ID

from .law import MIDDLE, PLACES, A, B, Pair, check_everywhere, logits


@pytest.fixture
def pair(model: Any, tokenizer: Any) -> Any:
    made = Pair(model, tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[made.prompt]):
        yield made


@pytest.fixture
def story_pair(storyteller: tuple[Any, Any]) -> Any:
    made = Pair(*storyteller)
    with soft_prompts.attach(*storyteller, prompts=[made.prompt]):
        yield made


def test_every_family_in_every_place(family_model: Any, tokenizer: Any) -> None:
    made = Pair(family_model, tokenizer)
    with soft_prompts.attach(family_model, tokenizer, prompts=[made.prompt]):
        check_everywhere(made)
        # A model that ignored its prompt would pass everything above.
        soft, plain = made.ids(PLACES["middle"])
        other = plain.clone()
        other[soft >= FIRST_ID] = 77
        assert not torch.allclose(logits(family_model, soft), logits(family_model, other), atol=1e-3)


def test_the_storyteller(story_pair: Pair) -> None:
    check_everywhere(story_pair)


def test_stories260k(stories260k: tuple[Any, Any]) -> None:
    made = Pair(*stories260k)
    with soft_prompts.attach(*stories260k, prompts=[made.prompt]):
        check_everywhere(made)


# The text says the tag's words in plain as well: what a penalty or a ban does to them is then the same in both runs.
ECHOED = (A, MIDDLE, B, "<<sp:p>>", B)


@pytest.mark.parametrize(
    "options",
    [
        {"repetition_penalty": 1.7},
        {"encoder_repetition_penalty": 1.7},
        {"no_repeat_ngram_size": 3},
        {"encoder_no_repeat_ngram_size": 4},
        {"prompt_lookup_num_tokens": 4, "eos_token_id": 2},  # transformers 5.6 needs one here
        {"num_beams": 4},
        {"num_beams": 4, "num_return_sequences": 3},
        {"do_sample": True, "num_return_sequences": 3, "temperature": 1.2},
        {"do_sample": True, "top_k": 0, "typical_p": 0.9, "min_p": 0.01},
        {"guidance_scale": 1.8},
        {"bad_words_ids": [[5], [6, 7]]},
        {"sequence_bias": {(20,): 3.0}},
        {"stop_strings": ["sea"]},
        {"cache_implementation": "static", "disable_compile": True},
        {"prefix_allowed_tokens_fn": lambda row, ids: [20, 21, 22, 77 + len(ids) % 7]},
    ],
    ids=lambda options: "+".join(options),
)
def test_every_way_to_generate(pair: Pair, options: dict[str, Any]) -> None:
    if "stop_strings" in options:
        options = {**options, "tokenizer": pair.tokenizer}
    pair.same(ECHOED, **options)
    if "encoder_no_repeat_ngram_size" not in options and "repetition_penalty" not in "".join(options):
        pair.same(PLACES["end"], **options)


@pytest.mark.parametrize("place", ["start", "middle", "end", "twice"])
def test_guidance_with_a_tagged_negative_prompt(pair: Pair, place: str) -> None:
    soft, plain = pair.ids(PLACES["middle"])
    against, plain_against = pair.ids(PLACES[place])
    options = {"max_new_tokens": 10, "do_sample": False, "guidance_scale": 2.0, "pad_token_id": 3, "eos_token_id": None}
    one = pair.model.generate(soft, negative_prompt_ids=against, **options)[:, soft.shape[1] :]
    two = pair.model.generate(plain, negative_prompt_ids=plain_against, **options)[:, soft.shape[1] :]
    assert torch.equal(one, two)
    assert one.max() < FIRST_ID


def test_padded_batches_with_different_tags(family_model: Any, tokenizer: Any) -> None:
    """Each row of a left-padded batch behaves as the same row of the plain batch."""
    tokenizer.padding_side = "left"
    texts = (A, " of the city under the water")
    one, two = (
        SoftPrompt.from_text(text, family_model, tokenizer, name=name) for text, name in zip(texts, "ab", strict=True)
    )
    with soft_prompts.attach(family_model, tokenizer) as attached:
        rows = [one + B, A + two + B + one, A + B]
        batch = tokenizer(rows, return_tensors="pt", padding=True)
        assert batch["attention_mask"].tolist() == (batch["input_ids"] != 3).int().tolist()
        plain = batch["input_ids"].clone()
        inner = {name: tokenizer_ids(tokenizer, text) for text, name in zip(texts, "ab", strict=True)}
        for place in (plain >= FIRST_ID).nonzero().tolist():
            slot = attached.slots.slot(int(plain[tuple(place)]))
            plain[tuple(place)] = inner[slot.tag.name][int(plain[tuple(place)]) - slot.ids.start]
        options = {
            "attention_mask": batch["attention_mask"],
            "max_new_tokens": 8,
            "do_sample": False,
            "pad_token_id": 3,
        }
        soft_out = family_model.generate(batch["input_ids"], **options)
        plain_out = family_model.generate(plain, **options)
    length = plain.shape[1]
    assert torch.equal(soft_out[:, length:], plain_out[:, length:])


def tokenizer_ids(tokenizer: Any, text: str) -> list[int]:
    from soft_prompts.hosts.hf.view import codec_of

    return codec_of(tokenizer).seams.inner(text)


def test_four_threads_with_mixed_padding(pair: Pair) -> None:
    """Tokenizing and generating overlap in threads; no vector strays from one into another."""
    pair.tokenizer.padding_side = "left"
    other = SoftPrompt.from_text(" of the city under the water", pair.model, pair.tokenizer, name="q")
    jobs: list[tuple[list[str], bool | str, int | None]] = [
        ([A + pair.prompt + B], False, None),
        ([A + other, pair.prompt + B + other], True, None),
        ([other + B, A + pair.prompt + B], "max_length", 40),
        ([B + other + A], "max_length", 33),
    ]

    def run(texts: list[str], padding: Any, length: int | None) -> list[list[int]]:
        batch = pair.tokenizer(texts, return_tensors="pt", padding=padding, max_length=length)
        made = pair.model.generate(**batch, max_new_tokens=6, do_sample=False, pad_token_id=3, eos_token_id=None)
        return made[:, batch["input_ids"].shape[1] :].tolist()  # type: ignore[no-any-return]

    wanted = [run(*job) for job in jobs]
    failures: list[object] = []

    def work(job: int) -> None:
        try:
            failures.extend(job for _ in range(12) if run(*jobs[job]) != wanted[job])
        except Exception as problem:  # whatever it is, it must reach the test's own thread
            failures.append(problem)

    threads = [threading.Thread(target=work, args=(job,)) for job in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("strength", [0.0, 0.35, 1.0, -1.5, 4.0])
def test_strength(pair: Pair, strength: float) -> None:
    """1 is the vectors, 0 the prompt's origin or else the mean of all token embeddings; between them lies a line."""
    embedding = pair.model.get_input_embeddings()
    own = SoftPrompt("own", pair.prompt.vectors, pair.prompt.vectors[::-1])
    vectors = torch.tensor(own.vectors)
    for prompt, origin in ((pair.prompt, embedding.weight.mean(dim=0)), (own, vectors.flip(0))):
        ids = pair.tokenizer(prompt.at(strength), return_tensors="pt", add_special_tokens=False)["input_ids"]
        torch.testing.assert_close(embedding(ids)[0], origin + strength * (vectors - origin), rtol=1e-5, atol=1e-5)


def test_half_precision(model: Any, tokenizer: Any) -> None:
    made = Pair(model.to(torch.bfloat16), tokenizer)
    with soft_prompts.attach(made.model, tokenizer, prompts=[made.prompt]):
        soft, plain = made.ids(PLACES["middle"])
        assert torch.equal(logits(made.model, soft), logits(made.model, plain))


# transformers 5.6 warns that the ids are on the CPU and the weights on "meta", as they must be.
@pytest.mark.filterwarnings("ignore:You are calling .generate:UserWarning")
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_offloaded_models(make: Any, tokenizer: Any, family: str) -> None:
    """With accelerate the weights are on "meta" between calls."""
    made = Pair(accelerate.cpu_offload(make(family), execution_device="cpu"), tokenizer)
    assert made.model.get_input_embeddings().weight.device.type == "meta"
    with soft_prompts.attach(made.model, tokenizer, prompts=[made.prompt]):
        soft, plain = made.ids(PLACES["twice"])
        torch.testing.assert_close(logits(made.model, soft), logits(made.model, plain), rtol=1e-5, atol=1e-5)
        made.same(PLACES["middle"])


# PEFT 0.21 reads an attribute that transformers 5.23 deprecates.
@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("targets", [["q_proj", "v_proj"], ["embed_tokens"]], ids=lambda targets: targets[0])
def test_models_with_a_lora(make: Any, tokenizer: Any, targets: list[str]) -> None:
    """attach finds the model inside PEFT's wrapper; also where the adapter changes the embeddings themselves."""
    torch.manual_seed(0)
    config = peft.LoraConfig(r=4, target_modules=targets, init_lora_weights=False, task_type="CAUSAL_LM")
    made = Pair(peft.get_peft_model(make("llama"), config), tokenizer)
    with soft_prompts.attach(made.model, tokenizer, prompts=[made.prompt]):
        soft, plain = made.ids(PLACES["twice"])
        torch.testing.assert_close(logits(made.model, soft), logits(made.model, plain), rtol=1e-5, atol=1e-5)
        made.same(PLACES["middle"], repetition_penalty=1.0)


def test_embeddings_called_by_themselves(pair: Pair) -> None:
    soft, plain = pair.ids(PLACES["twice"])
    embedding = pair.model.get_input_embeddings()
    assert torch.equal(embedding(soft), embedding(plain))
    assert torch.equal(pair.model.model(soft).last_hidden_state, pair.model.model(plain).last_hidden_state)
