"""The law on every architecture of this release of Transformers, and docs/models.md says what came of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import transformers

import soft_prompts
from soft_prompts import SoftPrompt
from soft_prompts.errors import UnsupportedModel
from soft_prompts.hosts.hf.injection import Injection
from soft_prompts.slots import FIRST_ID

from ..law import PLACES, Pair, logits
from . import models_page
from .shapes import KINDS, NAMES, small

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # not ours: each architecture has its own

NOT_TRIED = {
    "dots3_note": "with pictures and sound; its text model is `dots3_note_text`",
    "gemma3n": "with pictures and sound, for which it needs timm; its text model is `gemma3n_text`",
    "gemma4_assistant": "drafts for another model, and does not run alone",
    "gemma4_unified_assistant": "drafts for another model, and does not run alone",
    "musicgen": "writes sound: see below",
    "musicgen_melody": "writes sound: see below",
}
REFUSED = {
    "blt": "self-test failed",
    "cpmant": "its text embedding is not a single lookup|self-test failed .*must match the size",
    "prophetnet": "self-test failed .*position_ids",
    "xlstm": "self-test failed .*wrong shape",
}
NOTES = {
    "blt": "reads bytes in patches",
    "cpmant": "puts tokens of its own before the text, within its embedding",
    "prophetnet": "Transformers itself cannot generate with it and a cache",
    "xlstm": "Transformers itself cannot generate with it and a cache",
}
NEARLY = "but for its layers"
"""What the page says of models whose layers look token ids up as well."""


@pytest.mark.parametrize("kind", KINDS)
def test_the_law(kind: str, tokenizer: Any) -> None:
    if kind in NOT_TRIED:
        return models_page.said(kind, NAMES[kind], "not tried", NOT_TRIED[kind])
    model = small(kind)
    try:
        pair = Pair(model, tokenizer)
        with soft_prompts.attach(model, tokenizer, prompts=[pair.prompt]) as attached:
            outcome = NEARLY if attached.remark else "equal"
            (check_nearly if attached.remark else check)(pair)
    except UnsupportedModel as refusal:
        assert kind in REFUSED, refusal
        assert re.search(REFUSED[kind], str(refusal))
        outcome = "refused"
    models_page.said(kind, type(model).__name__, outcome, NOTES.get(kind, ""))


def check(pair: Pair) -> None:
    """The law at three places, in one pass and word by word, with and without a cache; and the vectors are heard."""
    for place in ("start", "middle", "end"):
        soft, plain = pair.ids(PLACES[place])
        softly, plainly = logits(pair.model, soft), logits(pair.model, plain)
        assert torch.isfinite(plainly).all()
        torch.testing.assert_close(softly, plainly, rtol=1e-5, atol=float(1e-5 * plainly.abs().max()))
        other = plain.clone()
        other[soft >= FIRST_ID] = 77
        assert not torch.allclose(softly[:, -1], logits(pair.model, other)[:, -1], rtol=0, atol=1e-4)
        for cache in (True, False):
            pair.same(PLACES[place], new=6, use_cache=cache)


def check_nearly(pair: Pair) -> None:
    """Where layers read ids, too: the vectors are heard, and a cache makes no difference."""
    for place in ("start", "middle", "end"):
        soft, plain = pair.ids(PLACES[place])
        other = plain.clone()
        other[soft >= FIRST_ID] = 77
        assert not torch.allclose(logits(pair.model, soft), logits(pair.model, plain), rtol=0, atol=1e-4)
        assert not torch.allclose(logits(pair.model, soft), logits(pair.model, other), rtol=0, atol=1e-4)
        options = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 3, "attention_mask": torch.ones_like(soft)}
        cached, whole = (pair.model.generate(soft, use_cache=use, **options) for use in (True, False))
        assert torch.equal(cached, whole) and cached[:, soft.shape[1] :].max() < FIRST_ID


def test_the_page_names_no_model_that_is_not_there() -> None:
    place = models_page.column()
    there = {kind for kind, cells in models_page.rows().items() if cells[place] != models_page.ABSENT}
    assert there == set(KINDS)


SOUND = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64, "pad_token_id": 3}


def codebooks() -> Any:
    return transformers.MusicgenForCausalLM(transformers.MusicgenDecoderConfig(**SOUND))


def encoder_decoder() -> Any:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 400}
    return transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, decoder_start_token_id=3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (codebooks, "not supported for musicgen_decoder: it has no single embedding"),
        (encoder_decoder, "t5 is an encoder-decoder model"),
    ],
)
def test_what_is_no_causal_language_model_is_refused(make: Any, message: str, tokenizer: Any) -> None:
    with pytest.raises(UnsupportedModel, match=message):
        soft_prompts.attach(make(), tokenizer)


def test_a_model_whose_layers_read_ids_is_taken_with_a_remark(
    tokenizer: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small("gemma4_text")
    prompt = SoftPrompt.from_text("a stranger came in", model, tokenizer, name="p")
    with soft_prompts.attach(model, tokenizer, prompts=[prompt]) as attached:
        assert attached.remark.startswith("each of its layers has token embeddings of its own")
        assert "gemma4_text: each of its layers" in caplog.text
    # Where the vectors do not arrive, what else its layers read is no excuse.
    monkeypatch.setattr(Injection, "_after_embedding", lambda *_: None)
    with pytest.raises(UnsupportedModel, match="not a single lookup"):
        soft_prompts.attach(model, tokenizer)
