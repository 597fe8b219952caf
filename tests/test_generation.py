"""No placeholder reaches a sampler or comes out of one, whatever stands in the list; streams end as they began."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
    TextIteratorStreamer,
)

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import UnknownPlaceholder, UnsupportedInput
from soft_prompts.hosts.hf import Attachment
from soft_prompts.slots import FIRST_ID

OPTIONS: dict[str, Any] = {"max_new_tokens": 12, "do_sample": False, "pad_token_id": 3, "eos_token_id": None}


class Witness(LogitsProcessor):
    """Sees what samplers see, and changes nothing."""

    def __init__(self) -> None:
        self.largest = 0
        self.calls = 0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.largest = max(self.largest, int(input_ids.max()))
        self.calls += 1
        return scores


class Onlooker(StoppingCriteria):
    """Sees what criteria see, and never stops."""

    def __init__(self) -> None:
        self.largest = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        self.largest = max(self.largest, int(input_ids.max()))
        return torch.zeros(len(input_ids), dtype=torch.bool)


@pytest.fixture
def prompt(model: Any, tokenizer: Any) -> SoftPrompt:
    return SoftPrompt.from_text(" a stranger came in from the rain", model, tokenizer, name="p")


@pytest.fixture
def attached(model: Any, tokenizer: Any, prompt: SoftPrompt) -> Iterator[Attachment]:
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]) as made:
        yield made


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": True},
        {"num_beams": 3},
        {"prompt_lookup_num_tokens": 3, "eos_token_id": 2},
        {"guidance_scale": 1.5},
        {"repetition_penalty": 1.3},
    ],
    ids=lambda options: "+".join(options) or "greedy",
)
def test_processors_and_criteria_see_the_vocabulary_only(
    attached: Any, prompt: SoftPrompt, options: dict[str, Any]
) -> None:
    seen, stopped = Witness(), Onlooker()
    for text in ("The door" + prompt + " and", prompt + "", "The door" + prompt):
        batch = attached.tokenizer([text], return_tensors="pt")
        made = attached.model.generate(
            **batch,
            **{**OPTIONS, **options},
            logits_processor=LogitsProcessorList([seen]),
            stopping_criteria=StoppingCriteriaList([stopped]),
        )
        assert made[:, batch["input_ids"].shape[1] :].max() < 400
    assert seen.calls > 10
    assert max(seen.largest, stopped.largest) < 400


def test_a_replaced_class_method_is_obeyed(attached: Any, prompt: SoftPrompt, monkeypatch: pytest.MonkeyPatch) -> None:
    """text-generation-webui replaces the class's method on every load of a model."""
    original = type(attached.model)._get_logits_processor
    seen = Witness()

    def hijacked(self: Any, *args: Any, **kwargs: Any) -> Any:
        return LogitsProcessorList([*original(self, *args, **kwargs), seen])

    monkeypatch.setattr(type(attached.model), "_get_logits_processor", hijacked)
    attached.model.generate(**attached.tokenizer(prompt + " and", return_tensors="pt"), **OPTIONS)
    assert seen.calls == 12
    assert seen.largest < 400


def test_an_assistant_model_is_asked_in_its_own_vocabulary(attached: Any, prompt: SoftPrompt, make: Any) -> None:
    batch = attached.tokenizer("The door" + prompt + " and", return_tensors="pt")
    alone = attached.model.generate(**batch, **OPTIONS)
    assert torch.equal(alone, attached.model.generate(**batch, **OPTIONS, assistant_model=make("gpt2")))


def test_streams_show_tags_and_not_numbers(attached: Any, prompt: SoftPrompt) -> None:
    streamer = TextIteratorStreamer(attached.tokenizer)
    batch = attached.tokenizer("The door" + prompt + " and", return_tensors="pt")
    output = attached.model.generate(**batch, **OPTIONS, streamer=streamer)
    text = "".join(streamer)
    assert text.startswith("<s>The door<<sp:p>> and")
    assert text == attached.tokenizer.decode(output[0])


@pytest.mark.parametrize("change", ["delete", "replace", "rename"])
def test_a_change_while_a_stream_runs_counts_from_the_next_one(
    change: str, model: Any, tokenizer: Any, prompt: SoftPrompt, tmp_path: Path
) -> None:
    path = tmp_path / "p.safetensors"
    prompt.save(path)
    other = SoftPrompt.from_text(" the drowned market", model, tokenizer, name="p")
    with soft_prompts.attach(model, tokenizer, Library(tmp_path)) as attached:

        def tokens(text: str) -> Any:
            return attached.tokenizer(text, return_tensors="pt")

        text = "The door<<sp:p>> and"
        calm = model.generate(**tokens(text), **OPTIONS)
        after_three, changed = threading.Event(), threading.Event()

        class Pause(StoppingCriteria):
            count = 0

            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                self.count += 1
                if self.count == 3:
                    after_three.set()
                    assert changed.wait(20)
                return torch.zeros(len(input_ids), dtype=torch.bool)

        results: list[torch.Tensor] = []

        def stream() -> None:
            # Without a cache every step asks for the vectors again.
            made = model.generate(
                **tokens(text), **OPTIONS, use_cache=False, stopping_criteria=StoppingCriteriaList([Pause()])
            )
            results.append(made)

        running = threading.Thread(target=stream)
        running.start()
        assert after_three.wait(20)
        if change == "delete":
            path.unlink()
        elif change == "replace":
            other.save(path)
        else:
            path.rename(tmp_path / "q.safetensors")
        if change != "replace":
            with pytest.raises(soft_prompts.errors.UnknownPrompt):
                tokens(text)
        else:
            assert not torch.equal(tokens(text)["input_ids"], calm[:, : calm.shape[1] - 12])
        # Enough other prompts to push everything out that nothing holds.
        for number in range(8):
            attached.slots.place(torch.zeros(600_000, 32).numpy(), soft_prompts.Tag("x"), number)
        changed.set()
        running.join()
        assert torch.equal(results[0], calm)
        if change == "rename":
            assert torch.equal(model.generate(**tokens("The door<<sp:q>> and"), **OPTIONS)[:, -12:], calm[:, -12:])


def test_embeddings_and_tags_together_are_refused(attached: Any, prompt: SoftPrompt) -> None:
    batch = attached.tokenizer(prompt + " and", return_tensors="pt")
    embeds = attached.model.get_input_embeddings()(torch.tensor([[5, 6, 7]]))
    with pytest.raises(UnsupportedInput, match="inputs_embeds together with ids that hold soft prompts"):
        attached.model.generate(batch["input_ids"], inputs_embeds=embeds, **OPTIONS)
    # Each alone is served.
    attached.model.generate(inputs_embeds=embeds, **OPTIONS)
    attached.model.generate(torch.tensor([[5, 6, 7]]), inputs_embeds=embeds, **OPTIONS)


def test_a_strange_id_raises_and_never_becomes_another_vector(attached: Any, make: Any, tokenizer_of: Any) -> None:
    ids = torch.tensor([[1, FIRST_ID + 400_000_000, 5]])
    for call in (
        attached.model,
        attached.model.get_input_embeddings(),
        lambda each: attached.model.generate(each, **OPTIONS),
    ):
        attached.tokenizer("<<sp:p>>")
        with pytest.raises(UnknownPlaceholder, match="tokenize the text with the tokenizer that is attached"):
            call(ids)
    other_model, other_tokenizer = make("llama"), tokenizer_of("bytes")
    with soft_prompts.attach(other_model, other_tokenizer, prompts=[SoftPrompt("p", torch.ones(2, 32).numpy())]):
        mine, theirs = (each("<<sp:p>>", return_tensors="pt") for each in (attached.tokenizer, other_tokenizer))
        with pytest.raises(UnknownPlaceholder):
            other_model(**mine)
        with pytest.raises(UnknownPlaceholder):
            attached.model.generate(**theirs, **OPTIONS)


@pytest.mark.parametrize("change", ["replaced", "resized"])
def test_new_embeddings_are_hooked_at_once(attached: Any, prompt: SoftPrompt, change: str) -> None:
    ids = attached.tokenizer("The door" + prompt + " and", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before = attached.model(ids).logits
        if change == "replaced":
            new = torch.nn.Embedding.from_pretrained(attached.model.get_input_embeddings().weight.clone())
            attached.model.set_input_embeddings(new)
        else:
            attached.model.resize_token_embeddings(420, mean_resizing=False)
        assert torch.equal(attached.model(ids).logits[..., :400], before)
    attached.close()
    assert not attached.model.get_input_embeddings()._forward_hooks


def test_labels_leave_soft_vectors_out(attached: Any, prompt: SoftPrompt) -> None:
    ids = attached.tokenizer("The door" + prompt + " and", return_tensors="pt")["input_ids"]
    masked = ids.masked_fill(ids >= FIRST_ID, -100)
    assert torch.equal(attached.model(ids, labels=ids).loss, attached.model(ids, labels=masked).loss)


def test_a_failing_lookup_leaves_nothing_for_the_next(attached: Any, prompt: SoftPrompt) -> None:
    embedding = attached.model.get_input_embeddings()
    soft = attached.tokenizer("<<sp:p>>", return_tensors="pt", add_special_tokens=False)["input_ids"][:, :1]
    with pytest.raises(IndexError):
        embedding(torch.cat([soft, torch.tensor([[99_999]])], dim=1))
    assert torch.equal(embedding(torch.tensor([[5, 6]]))[0], embedding.weight[5:7])


def test_a_kept_generate_works_after_close_and_does_not_attach_again(attached: Any) -> None:
    generate, ids = attached.model.generate, torch.tensor([[1, 5, 6]])
    before = generate(ids, **OPTIONS)
    attached.close()
    assert torch.equal(generate(ids, **OPTIONS), before)
    assert not attached.model._forward_pre_hooks


def test_a_copied_model_is_as_safe(attached: Any, prompt: SoftPrompt) -> None:
    ids = attached.tokenizer("The door" + prompt + " and", return_tensors="pt")["input_ids"]
    options = {**OPTIONS, "encoder_repetition_penalty": 1.3, "repetition_penalty": 1.2}
    assert torch.equal(copy.deepcopy(attached.model).generate(ids, **options), attached.model.generate(ids, **options))


def test_a_candidate_generator_keeps_its_class_and_attributes(
    attached: Any, prompt: SoftPrompt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """generate asks its generator for both, and for more in every version."""
    seen: list[int] = []

    class Guess:
        requires_model_outputs = False

        def get_candidates(self, input_ids: torch.Tensor, *_: Any, **__: Any) -> Any:
            seen.append(int(input_ids.max()))
            return torch.cat([input_ids, torch.tensor([[7, 8]])], dim=1), None

        def update_candidate_strategy(self, input_ids: torch.Tensor, *_: Any) -> None:
            seen.append(int(input_ids.max()))

    monkeypatch.setattr(type(attached.model), "_get_candidate_generator", lambda self, **_: Guess())
    for text in ("The door and", "The door" + prompt + " and"):
        batch = attached.tokenizer(text, return_tensors="pt")
        plain = attached.model.generate(**batch, **OPTIONS)
        guessed = attached.model.generate(**batch, **OPTIONS, prompt_lookup_num_tokens=2)
        assert torch.equal(plain[0, -12:], guessed[0, batch["input_ids"].shape[1] :][:12])
        made = attached.model._get_candidate_generator(input_ids=batch["input_ids"])
        assert type(made) is Guess
        assert made.requires_model_outputs is False
    assert max(seen) < 400


def test_penalties_in_padded_rows_spare_what_only_padding_says(attached: Any, prompt: SoftPrompt) -> None:
    from soft_prompts.hosts.hf.generation import neutral_id, with_present

    soft = attached.tokenizer("<<sp:p>>", add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[3, 3, 1, *soft, 5], [1, *soft, 6, 7, 8]])
    assert with_present(ids, 0)[0].tolist() == [3, 3, 1, *[5] * len(soft), 5]
    assert with_present(torch.tensor([soft]), 9).tolist() == [[9] * len(soft)]
    attached.tokenizer.pad_token = attached.tokenizer.unk_token = attached.tokenizer.bos_token = "</s>"
    attached.model.config.vocab_size = len(attached.tokenizer)
    assert neutral_id(attached.model, attached.tokenizer) != attached.tokenizer.eos_token_id


def test_gradients_reach_weights_as_ever(attached: Any, prompt: SoftPrompt) -> None:
    batch = attached.tokenizer(prompt + " and she lit", return_tensors="pt")
    attached.model(**batch).logits.sum().backward()
    assert attached.model.get_input_embeddings().weight.grad.abs().sum() > 0
