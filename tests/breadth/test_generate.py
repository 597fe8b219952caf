"""Every way of Transformers to generate gives with a soft prompt what it gives with the text that it stands for."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
import torch
import transformers
from transformers import (
    DynamicCache,
    GenerationConfig,
    GenerationMixin,
    TextIteratorStreamer,
    TextStreamer,
    WatermarkingConfig,
)

import soft_prompts

from ..conftest import make_model
from ..law import MIDDLE, PLACES, A, B, Pair

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

GREEDY = {"do_sample": False, "max_new_tokens": 10, "pad_token_id": 3, "eos_token_id": None}
FAMILIES = ["llama", "gpt2", "gemma3", "mamba"]
ECHOED = (A, MIDDLE, B, A, "<<sp:p>>", B)
"""The same stands there in plain, too: what a penalty or a ban does to words and their neighbours is alike in both."""
BY_WORDS = ("repetition penalty", "encoder repetition penalty", "n-gram ban", "encoder n-gram ban", "watermark")
"""Ways that ask which words were last: behind a tag at the end, whose vectors are no words, they are another way."""


@pytest.fixture(params=FAMILIES)
def pair(request: pytest.FixtureRequest, tokenizer: Any) -> Any:
    model = make_model(request.param)
    made = Pair(model, tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[made.prompt]):
        yield made


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "sampling": {"do_sample": True, "temperature": 0.9, "top_k": 20, "top_p": 0.9},
    "min-p and typical": {"do_sample": True, "min_p": 0.02, "typical_p": 0.9, "top_k": 0},
    "epsilon and eta": {"do_sample": True, "epsilon_cutoff": 3e-4, "eta_cutoff": 3e-4},
    "beams": {"num_beams": 4},
    "beams, sampled": {"num_beams": 3, "do_sample": True},
    "several sequences": {"do_sample": True, "num_return_sequences": 3},
    "no cache": {"use_cache": False},
    "guidance": {"guidance_scale": 1.7},
    "repetition penalty": {"repetition_penalty": 1.6},
    "encoder repetition penalty": {"encoder_repetition_penalty": 1.6},
    "n-gram ban": {"no_repeat_ngram_size": 3},
    "encoder n-gram ban": {"encoder_no_repeat_ngram_size": 4},
    "bad words": {"bad_words_ids": [[5], [6, 7]]},
    "suppressed": {"suppress_tokens": [5, 6], "begin_suppress_tokens": [7]},
    "sequence bias": {"sequence_bias": {(20,): 3.0, (21, 22): 2.0}},
    "at least so many": {"min_new_tokens": 8, "eos_token_id": 2},
    "ending": {"exponential_decay_length_penalty": (3, 1.2), "eos_token_id": 2},
    "forced end": {"forced_eos_token_id": 2},
    "watermark": {"watermarking_config": WatermarkingConfig(bias=2.5, context_width=1)},
    "watermark of the text": {"watermarking_config": WatermarkingConfig(bias=2.5, seeding_scheme="selfhash")},
    "stop strings": {"stop_strings": ["sea"]},
    "time limit": {"max_time": 100.0},
    "chunked prefill": {"prefill_chunk_size": 4},
    "static cache": {"cache_implementation": "static", "disable_compile": True},
    "prompt lookup": {"prompt_lookup_num_tokens": 4, "eos_token_id": 2},
    "allowed tokens": {"prefix_allowed_tokens_fn": lambda row, ids: [20, 21, 22, 77 + len(ids) % 7]},
    "renormalised": {"renormalize_logits": True, "remove_invalid_values": True, "do_sample": True},
}
NOT_WITH_A_STATE = ("prompt lookup", "chunked prefill", *(["static cache"] if transformers.__version__ < "5.7" else []))
"""Ways that mamba, which keeps a state and no cache of tokens, has with plain text neither."""


@pytest.mark.parametrize("way", WAYS)
def test_ways(pair: Pair, way: str) -> None:
    options = dict(WAYS[way])
    if "stop_strings" in options:
        options["tokenizer"] = pair.tokenizer
    if way in NOT_WITH_A_STATE and pair.model.config.model_type == "mamba":
        pytest.skip("it keeps a state, and no cache of tokens")
    pair.same(ECHOED, new=10, **options)
    if way not in BY_WORDS:
        pair.same(PLACES["end"], new=10, **options)


def test_scores_and_hidden_states(pair: Pair) -> None:
    options = {**GREEDY, "output_scores": True, "output_logits": True, "return_dict_in_generate": True}
    soft, plain = (
        pair.model.generate(ids, attention_mask=torch.ones_like(ids), **options) for ids in pair.ids(PLACES["middle"])
    )
    for one, two in zip([*soft.scores, *soft.logits], [*plain.scores, *plain.logits], strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)
    transitions = [
        pair.model.compute_transition_scores(each.sequences, each.scores, normalize_logits=True)
        for each in (soft, plain)
    ]
    torch.testing.assert_close(*transitions, rtol=1e-5, atol=1e-5)


def test_an_assistant_model(pair: Pair) -> None:
    if pair.model.config.model_type == "mamba":
        pytest.skip("its state cannot be taken back, so it takes no drafts")
    helper = make_model("llama", num_hidden_layers=1)
    pair.same(PLACES["middle"], assistant_model=helper, eos_token_id=2)


def test_a_growing_chat_on_one_cache(pair: Pair) -> None:
    """Ten turns: each time the cache of the last, and only what is new is read."""
    if pair.model.config.model_type == "mamba":
        pytest.skip("has a state, not a cache that grows")
    texts = [A + "<<sp:p>>" + B, *[f" So <<sp:p>> {number}." for number in range(9)]]
    answers: list[list[list[int]]] = []
    short = {**GREEDY, "max_new_tokens": 4}
    for form in (0, 1):
        cache, ids, said = DynamicCache(config=pair.model.config), torch.empty(1, 0, dtype=torch.long), []
        for text in texts:
            ids = torch.cat([ids, pair.ids([text])[form]], dim=1)
            made = pair.model.generate(ids, attention_mask=torch.ones_like(ids), past_key_values=cache, **short)
            said.append(made[0, ids.shape[1] :].tolist())
            ids = made
        answers.append(said)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("kind", [TextStreamer, TextIteratorStreamer])
def test_streamers(pair: Pair, kind: Any, capsys: Any) -> None:
    soft, plain = pair.ids(PLACES["middle"])
    spoken = []
    for ids in (soft, plain):
        streamer = kind(pair.tokenizer, skip_prompt=True)
        run = Thread(target=pair.model.generate, args=(ids,), kwargs={**GREEDY, "streamer": streamer})
        run.start()
        pieces = "".join(streamer) if kind is TextIteratorStreamer else ""
        run.join()
        spoken.append(pieces or capsys.readouterr().out)
    assert spoken[0] == spoken[1] != ""


def test_pipelines(pair: Pair) -> None:
    """One text, several, several answers, and a chat."""
    pair.tokenizer.chat_template = "{% for each in messages %}{{ each.content }}\n{% endfor %}"
    write = transformers.pipeline("text-generation", model=pair.model, tokenizer=pair.tokenizer)
    options = {"do_sample": False, "max_new_tokens": 8, "return_full_text": False, "pad_token_id": 3}
    tagged, plain = A + "<<sp:p>>" + B, A + MIDDLE + B
    assert write(tagged, **options) == write(plain, **options)
    assert write([tagged, tagged], **options) == write([plain, plain], **options)
    chats = [[{"role": "user", "content": text}] for text in (tagged, plain)]
    assert write(chats[0], **options)[0]["generated_text"] == write(chats[1], **options)[0]["generated_text"]
    assert write(tagged, **{**options, "return_full_text": True})[0]["generated_text"].startswith(tagged)


def test_compiled(tokenizer: Any) -> None:
    pair = Pair(make_model("llama"), tokenizer)
    compiled = torch.compile(pair.model, backend="eager", dynamic=True)
    with soft_prompts.attach(compiled, tokenizer, prompts=[pair.prompt]):
        soft, plain = pair.ids(PLACES["twice"])
        with torch.no_grad():
            torch.testing.assert_close(compiled(soft).logits, compiled(plain).logits, rtol=1e-5, atol=1e-5)
        made = [compiled.generate(ids, attention_mask=torch.ones_like(ids), **GREEDY) for ids in (soft, plain)]
    assert torch.equal(made[0][:, soft.shape[1] :], made[1][:, soft.shape[1] :])


def test_continuous_batching(tokenizer: Any) -> None:
    """Many requests that share their forward passes, with pages for a cache."""
    if not hasattr(GenerationMixin, "generate_batch"):
        pytest.skip("this release has none")
    model = make_model("llama")
    pair = Pair(model, tokenizer)
    with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt]):
        rows = [pair.ids(parts) for parts in PLACES.values()]
        config = GenerationConfig(max_new_tokens=8, do_sample=False, eos_token_id=2, pad_token_id=3)
        spoken = []
        for form in (0, 1):
            found = model.generate_batch(
                inputs=[row[form][0].tolist() for row in rows], generation_config=config, progress_bar=False
            )
            spoken.append([found[key].generated_tokens for key in sorted(found)])
        assert len(spoken[0]) == len(rows)
        assert sorted(spoken[0]) == sorted(spoken[1])
