"""`probe(post, sidecar, media)`: does a running server do what its sidecar says? Tried, not believed.

Two rows of every sidecar hold the embeddings of two ordinary tokens, others in every sidecar. A prompt with these rows
must be followed by what follows the tokens themselves, and by something else than what follows no such tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedModel
from .mmproj import images
from .sidecar import Sidecar
from .text import Post

BEFORE, BEHIND = "The", "."
_SHOWN = 32
_AGREED = 0.2
"""Of log probabilities of what both hold likely: quantised models differ by some hundredths from themselves."""


def probe(post: Post, sidecar: Sidecar, media: str = "") -> float:
    """The largest difference found; raises UnsupportedModel, with the reason, where the sidecar does not work.

    media: what the server calls the place of an image.
    """
    # A word behind the vectors, because llama.cpp answers no prompt that ends with an image.
    opening, word = _ids(post, BEFORE, True), _ids(post, BEHIND, False)
    times = max(1, sidecar.side**2 // len(sidecar.told))
    told, places = sidecar.told * times, sidecar.probe * times
    if len(told) % sidecar.side**2:
        told, places = told * sidecar.side**2, places * sidecar.side**2
    expected = next_tokens(post, [*opening, *told, *word], sidecar.told[0])
    without = next_tokens(post, [*opening, *word], sidecar.told[0])
    if sidecar.way == "lora":
        found = next_tokens(post, [*opening, *places, *word], sidecar.told[0])
    else:
        pictures = images(places, sidecar.side, sidecar.patch)
        prompt = {"prompt_string": f"{BEFORE}{media * len(pictures)}{BEHIND}", "multimodal_data": pictures}
        found = next_tokens(post, prompt, sidecar.told[0])
    difference = _difference(expected, found)
    if difference > _AGREED or _difference(expected, without) <= difference:
        raise UnsupportedModel(
            f"this llama-server does not do with soft prompts what it should: behind two known vectors it writes "
            f"otherwise than behind the tokens that they stand for (by {difference:.2f} in log probability). Another "
            "version of llama.cpp may; your models and prompts are not at fault"
        )
    return difference


def _ids(post: Post, text: str, add_special: bool) -> list[int]:
    return [int(each) for each in post("/tokenize", {"content": text, "add_special": add_special})["tokens"]]


def next_tokens(post: Post, prompt: Any, word: int, shown: int = _SHOWN) -> Mapping[int, float]:
    """Log probability of each of the likeliest next tokens, as the model has them, before anything is done to them.

    word: an ordinary token, which is written then. A server says nothing where its first token is half a character.
    """
    asked = {"prompt": prompt, "n_predict": 1, "n_probs": shown, "temperature": 0, "stream": False}
    answer = post("/completion", {**asked, "logit_bias": [[word, 100.0]], "cache_prompt": False})
    try:
        found = answer["completion_probabilities"][0]["top_logprobs"]
        return {int(each["id"]): float(each["logprob"]) for each in found}
    except (KeyError, IndexError, TypeError) as problem:
        said = answer.get("error", answer) if isinstance(answer, Mapping) else answer
        raise UnsupportedModel(f"this llama-server does not say what it holds likely: {said}") from problem


def _difference(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """Over the likelier half of one, where the other lists it; all of it where they hardly share any."""
    likely = sorted(one, key=lambda each: one[each], reverse=True)[: _SHOWN // 2]
    shared = [each for each in likely if each in other]
    if 2 * len(shared) < len(likely):
        return math.inf
    return max(abs(one[each] - other[each]) for each in shared)
