"""The law in the webui: a soft prompt made of a text's own embeddings does what the text does, wherever it is typed."""

from __future__ import annotations

from typing import Any

import pytest

Inside = Any  # the fixture of conftest.py
LAMP = " and the old keeper lit the lamp in the tower"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone, and nobody knew where"
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@STREAM
@pytest.mark.parametrize(("before", "after"), [(BEFORE, AFTER), (" Once", AFTER), (BEFORE, ""), (" Once", "")], ids=str)
def test_notebook(inside: Inside, lamp: str, before: str, after: str, stream: bool) -> None:
    plain = inside.complete(before + LAMP + after, stream=stream)
    assert plain.strip()
    assert inside.complete(before + lamp + after, stream=stream) == plain
    assert inside.complete(before + lamp + after + lamp, stream=stream) == inside.complete(
        before + LAMP + after + LAMP, stream=stream
    )
    assert inside.said == []


MATRIX: dict[str, dict[str, Any]] = {
    "sampling": {"do_sample": True, "temperature": 0.9, "top_p": 0.9, "top_k": 50},
    "min_p": {"do_sample": True, "min_p": 0.05, "typical_p": 0.9, "tfs": 0.9, "top_a": 0.1},
    "dynamic": {"do_sample": True, "dynamic_temperature": True, "dynatemp_low": 0.5, "dynatemp_high": 1.5},
    "quadratic": {"do_sample": True, "smoothing_factor": 0.3, "top_n_sigma": 1.5},
    "temperature last": {"do_sample": True, "temperature": 1.3, "temperature_last": True, "min_p": 0.1},
    "epsilon": {"do_sample": True, "epsilon_cutoff": 3, "eta_cutoff": 3},
    "xtc": {"do_sample": True, "xtc_threshold": 0.05, "xtc_probability": 1},
    "mirostat": {"do_sample": True, "mirostat_mode": 2},
    "adaptive": {"do_sample": True, "adaptive_target": 0.3},
    "grammar": {"grammar_string": 'root ::= "yes " [a-z]+'},
    "eos banned": {"ban_eos_token": True},
    "tokens banned": {"custom_token_bans": "5,6,7"},
    "stop string": {"custom_stopping_strings": ["e"]},
    "static cache": {"static_cache": True},
    "prompt lookup": {"prompt_lookup_num_tokens": 3},
    "guidance": {"guidance_scale": 1.7, "negative_prompt": " The sun was shining"},
    "auto length": {"auto_max_new_tokens": True, "truncation_length": 60},
    # The range ends behind the soft prompt, which has words for the model and none for a penalty.
    "repetition": {"repetition_penalty": 1.5, "repetition_penalty_range": 8},
    "presence": {"presence_penalty": 1.5, "repetition_penalty_range": 8},
    "frequency": {"frequency_penalty": 1.5, "repetition_penalty_range": 8},
    "dry": {"dry_multiplier": 0.8, "repetition_penalty_range": 8},
}


@STREAM
@pytest.mark.parametrize("name", MATRIX)
def test_samplers(inside: Inside, lamp: str, name: str, stream: bool) -> None:
    if stream and name == "prompt lookup":
        pytest.skip("streamed prompt lookup differs from itself on plain text in the webui")
    changes = {**MATRIX[name], "stream": stream}
    plain = inside.complete(BEFORE + LAMP + AFTER, **changes)
    assert plain.strip()
    assert inside.complete(BEFORE + lamp + AFTER, **changes) == plain


@pytest.mark.parametrize(
    "penalty",
    [{"repetition_penalty": 1.4}, {"presence_penalty": 1.0}, {"frequency_penalty": 0.7},
     {"encoder_repetition_penalty": 1.3}, {"no_repeat_ngram_size": 1}, {"no_repeat_ngram_size": 3}],
    ids=lambda penalty: next(iter(penalty)),
)  # fmt: skip
def test_penalties_see_words_only(inside: Inside, penalty: dict[str, Any]) -> None:
    """Twenty vectors are no words: a prompt of many is punished no more than one of few."""
    inside.save("short", LAMP)
    inside.save("twice", LAMP)
    text = inside.complete(BEFORE + "<<sp:short>>" + AFTER, **penalty)
    assert text.strip()
    assert inside.complete(BEFORE + "<<sp:twice>>" + AFTER, **penalty) == text
    # Words that stand there anyway are punished as they are.
    if "ngram" not in next(iter(penalty)) and "frequency" not in next(iter(penalty)):
        doubled = BEFORE + LAMP + AFTER
        assert inside.complete(doubled + "<<sp:short>>" + AFTER, **penalty) == inside.complete(
            doubled + LAMP + AFTER, **penalty
        )


@STREAM
def test_negative_prompt(inside: Inside, lamp: str, stream: bool) -> None:
    plain = inside.complete(BEFORE, guidance_scale=2, negative_prompt=" Then" + LAMP, stream=stream)
    assert plain != inside.complete(BEFORE, stream=stream)
    assert inside.complete(BEFORE, guidance_scale=2, negative_prompt=" Then" + lamp, stream=stream) == plain
    assert [use.tag for use in inside.ours.last.uses] == ["<<sp:lamp>> in the negative prompt"]


MODES = ["chat", "chat-instruct", "instruct"]
OWN_BOS = "{{ bos_token }}{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
OWN_BOS += "{% if add_generation_prompt %}assistant:{% endif %}"


@STREAM
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("template", ["", OWN_BOS], ids=["the webui's template", "a template with a BOS"])
def test_chat(inside: Inside, lamp: str, mode: str, template: str, stream: bool) -> None:
    changes: dict[str, Any] = {"mode": mode, "stream": stream}
    if template:
        changes["instruction_template_str"] = template
    said = {tag: inside.reply(f"Tell me of the sea{tag}, please.", **changes) for tag in (LAMP, lamp)}
    assert said[LAMP].strip()
    assert said[lamp] == said[LAMP]
    assert [use.tokens for use in inside.ours.last.uses] == [len(inside.ours.library["lamp"])]


@pytest.mark.parametrize("where", ["context", "user_bio", "custom_system_message", "chat-instruct_command"])
def test_around_the_chat(inside: Inside, lamp: str, where: str) -> None:
    mode = "instruct" if where == "custom_system_message" else "chat-instruct"
    given = inside.state()[where] if where == "chat-instruct_command" else "It is night."
    said = {tag: inside.reply("Who are you?", mode=mode, **{where: f"It is so{tag}. {given}"}) for tag in (LAMP, lamp)}
    assert said[lamp] == said[LAMP] != ""
    assert inside.ours.last.uses[0].problem == ""


def history(tag: str, last: str = "") -> dict[str, Any]:
    rows = [["<|BEGIN-VISIBLE-CHAT|>", f"Welcome{tag}."], [f"Hello{tag}, who is there", last or f"It is I{tag}"]]
    return {"internal": rows, "visible": [row[:] for row in rows], "metadata": {}}


@pytest.mark.parametrize("way", [{}, {"regenerate": True}, {"_continue": True}], ids=["next", "regenerate", "continue"])
def test_greeting_and_history(inside: Inside, lamp: str, way: dict[str, bool]) -> None:
    said = {tag: inside.reply("" if way else "Go on", history=history(tag), **way) for tag in (LAMP, lamp)}
    assert said[lamp].replace(lamp, LAMP) == said[LAMP] != ""


def test_start_reply_with(inside: Inside, lamp: str) -> None:
    """The interface puts the beginning of a reply into the history and continues it."""
    said = {tag: inside.reply("", history=history("", f"So{tag}"), _continue=True) for tag in (LAMP, lamp)}
    assert said[lamp].removeprefix(f"So{lamp}") == said[LAMP].removeprefix(f"So{LAMP}") != ""


def test_impersonate(inside: Inside, lamp: str) -> None:
    def impersonated(tag: str) -> str:
        state = inside.state(history=history(tag))
        prompt = inside.chat.generate_chat_prompt("", state, impersonate=True)
        *_, last = inside.generation.generate_reply(prompt + f"Well{tag}", state, is_chat=True)
        return str(last)

    assert impersonated(lamp) == impersonated(LAMP) != ""


def test_counters(inside: Inside, lamp: str) -> None:
    tokens = inside.module("api.tokens")
    length = len(inside.ids(BEFORE + LAMP + AFTER))
    assert inside.generation.get_encoded_length(BEFORE + lamp + AFTER) == length
    assert tokens.token_count(BEFORE + lamp + AFTER) == {"length": length}
    assert tokens.token_encode(BEFORE + lamp + AFTER)["length"] == length
    assert inside.module("prompts").count_tokens(BEFORE + lamp + AFTER) == str(length)
    counted = inside.chat.count_prompt_tokens(f"Hello{lamp}", inside.state())
    assert counted == inside.chat.count_prompt_tokens(f"Hello{LAMP}", inside.state())
    ids = tokens.token_encode(BEFORE + lamp + AFTER)["tokens"]
    assert lamp in tokens.token_decode(ids)["text"]
    assert lamp in inside.generation.get_token_ids(BEFORE + lamp + AFTER)


@pytest.mark.parametrize("samplers", [False, True])
def test_logits(inside: Inside, lamp: str, samplers: bool) -> None:
    def view(tag: str) -> Any:
        state = inside.state(temperature=0.7, do_sample=True)
        return inside.module("logits").get_next_logits(BEFORE + tag, state, samplers, "", return_dict=True)

    assert view(lamp) == view(LAMP) != {}


@STREAM
def test_echo_and_logprobs(inside: Inside, lamp: str, stream: bool) -> None:
    completions = inside.module("api.completions")

    def answer(tag: str) -> Any:
        body = {"prompt": BEFORE + tag + AFTER, "max_tokens": 6, "echo": True, "logprobs": 3, "model": None, "n": 1}
        body |= inside.state(stream=stream) | {"suffix": "", "preset": None, "stop": None, "logit_bias": None}
        calls = completions.stream_completions if stream else completions.completions
        found = calls(dict(body))
        parts = list(found) if stream else [found]
        return [choice for part in parts for choice in part["choices"]]

    plain, soft = answer(LAMP), answer(lamp)
    assert "".join(each["text"] for each in soft).replace(lamp, LAMP) == "".join(each["text"] for each in plain)
    probabilities = [
        [each for choice in choices if choice["logprobs"] for each in choice["logprobs"]["token_logprobs"]]
        for choices in (plain, soft)
    ]
    tokens = [each for choice in soft if choice["logprobs"] for each in choice["logprobs"]["tokens"]]
    assert "".join(tokens).startswith(BEFORE + lamp)
    count = len(inside.ids(BEFORE + LAMP + AFTER))
    start = len(inside.ids(BEFORE))
    stop = start + len(inside.ours.library["lamp"])
    assert probabilities[1][start:stop] == [None] * (stop - start)
    assert probabilities[1][stop:count] == pytest.approx(probabilities[0][stop:count], abs=1e-4)
    assert probabilities[1][1:start] == pytest.approx(probabilities[0][1:start], abs=1e-4)
