"""Writing side by side over llama-server's protocol: by a stub that keeps to it, and by a real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts import SoftPrompt
from soft_prompts.errors import SoftPromptError, UnknownPrompt, UnsupportedInput
from soft_prompts.hosts.llamacpp.client import Client
from soft_prompts.hosts.llamacpp.trial import Likely, answered, check_length, ends_of, question, trial
from soft_prompts.hosts.protocol import Piece

from .llama_server import EXACT, FOUND, llama_server
from .storyteller import WAYS, loaded, write_storyteller

LAMP = " and the old keeper lit the lamp in the tower"
START = "Once upon a time there was a miller"
END = 2
VOICE = [b" the", b" sea", b" was", b" \xc3\xa9", b".", b"!"]
"""What the stub's model can say, from token 10 on."""


class Stub:
    """A model of six words, of which a soft prompt (token 1000) makes the second much likelier."""

    def __init__(self, told: int = 6) -> None:
        self.told, self.asked = told, [[0]]

    def __call__(self, ids: Sequence[int]) -> list[Likely]:
        self.asked.append(list(ids))
        return self.chances(ids)[: self.told]

    def chances(self, ids: Sequence[int]) -> list[Likely]:
        random = np.random.default_rng(len(ids) + sum(each for each in ids if each < 1000))
        scores = random.normal(size=len(VOICE)) + np.eye(len(VOICE))[1] * (3 if 1000 in ids else 0)
        logs = scores - np.log(np.exp(scores).sum())
        found = [Likely(10 + each, VOICE[each], float(logs[each])) for each in range(len(VOICE))]
        return sorted(found, key=lambda each: -each.log)


def columns(found: Iterator[tuple[int, Piece]]) -> tuple[list[Piece], list[Piece]]:
    kept = list(found)
    return [piece for number, piece in kept if number == 0], [piece for number, piece in kept if number == 1]


def text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


# ---- the protocol


def test_equal_columns_are_equal() -> None:
    left, right = columns(trial([[5, 6], [5, 6]], Stub(), [END], tokens=11, seed=3))
    assert left == right and text(left) and all(piece.change == 0 for piece in left)


def test_change_is_own_less_other() -> None:
    stub, rows = Stub(), [[5, 1000, 6], [5, 6]]
    found = columns(trial(rows, stub, [END], tokens=20, seed=3, temperature=1))
    assert text(found[0]) != text(found[1])
    for number, pieces in enumerate(found):
        own, other = list(rows[number]), list(rows[1 - number])
        for piece in pieces:
            token = 10 + VOICE.index(piece.text.encode())
            logs = [next(each.log for each in stub.chances(ids) if each.token == token) for ids in (own, other)]
            assert piece.change == pytest.approx(logs[0] - logs[1])
            own.append(token)
            other.append(token)
    assert max(abs(piece.change) for pieces in found for piece in pieces) > 1


def test_what_the_server_does_not_tell_counts_as_its_last() -> None:
    own, other = [Likely(1, b"a", -0.1), Likely(2, b"b", -3)], [Likely(3, b"c", -0.2), Likely(2, b"b", -5)]
    (piece,) = columns(trial([[7], [8]], lambda ids: own if ids == [7] else other, [END], tokens=1, temperature=0))[0]
    assert piece == Piece("a", pytest.approx(-0.1 + 5))


def test_a_column_ends_by_itself_and_half_a_character_is_left_out() -> None:
    says = {0: [(10, b"a"), (END, b"")], 1: [(11, b"b"), (12, b"c"), (13, b"\xc3")]}

    def likeliest(ids: Sequence[int]) -> list[Likely]:
        spoken = says[ids[0]][len(ids) - 1 :]
        return [Likely(spoken[0][0] if spoken else 13, spoken[0][1] if spoken else b"\xc3", -1.0)]

    left, right = columns(trial([[0], [1]], likeliest, [END], tokens=3))
    assert (text(left), text(right)) == ("a", "bc")


def test_turns_are_short_and_closing_ends_it() -> None:
    stub, turns = Stub(), []

    class Turn:
        def __enter__(self) -> None:
            turns.append(len(stub.asked))

        def __exit__(self, *_: object) -> None:
            turns.append(len(stub.asked))

    writing = trial([[5, 1000], [5]], stub, [END], tokens=40, turn=Turn)
    next(writing)
    assert len(turns) == 2 and turns[1] - turns[0] <= 8
    writing.close()
    assert len(stub.asked) == turns[1]


def test_questions_and_answers() -> None:
    assert question([1, 2]) == {
        "prompt": [1, 2], "n_predict": 1, "cache_prompt": True, "stream": False, "samplers": [], "n_probs": 100,
        "post_sampling_probs": False,
    }  # fmt: skip
    told = [{"id": 5, "token": "a", "bytes": [97], "logprob": -0.5}, {"id": 6, "token": "", "bytes": [], "logprob": -2}]
    answer = {"content": "a", "completion_probabilities": [{"id": 5, "top_logprobs": told}]}
    assert answered(answer) == [Likely(5, b"a", -0.5), Likely(6, b"", -2.0)]
    assert answered(answer, banned=(5,)) == [Likely(6, b"", -2.0)]
    for broken in ({}, {"error": {"message": "too long"}}, {"completion_probabilities": []}):
        with pytest.raises(SoftPromptError, match="too long|tells of no probabilities"):
            answered(broken)
    with pytest.raises(UnsupportedInput, match="context of 16"):
        check_length([[1] * 10, [1]], 7, 16)
    check_length([[1] * 10, [1]], 7, None)


def test_ends_are_those_of_the_file() -> None:
    values = {"tokenizer.ggml.eos_token_id": 2, "tokenizer.ggml.eot_token_id": 7}
    model: Any = SimpleNamespace(values=values, tokens=("a", "<|im_end|>", "</s>"))
    assert ends_of(model) == {1, 2, 7}


# ---- a real server


@pytest.fixture(scope="module", params=WAYS)
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    library = tmp_path_factory.mktemp("trial") / "library"
    library.mkdir()
    SoftPrompt.from_text(LAMP, *loaded(), name="lamp").save(library / "lamp.safetensors")
    vectors = np.random.default_rng(3).standard_normal((9, 160)).astype(np.float32) * 0.3
    SoftPrompt("noir", vectors).save(library / "noir.safetensors")
    file = write_storyteller(library.parent, request.param)
    found = Client(file, library)
    with llama_server(file, [*found.prepare().flags, *EXACT], 512, 2) as address:
        found.server.address = address
        yield found


real = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]


def marked(test: Any) -> Any:
    for mark in real:
        test = mark(test)
    return test


@marked
def test_a_prompt_of_a_text_is_that_text(client: Client) -> None:
    left, right = columns(client.trial(f"{START}<<sp:lamp>> by", f"{START}{LAMP} by", tokens=14, seed=5))
    assert text(left) == text(right) and len(text(left)) > 20
    assert max(abs(piece.change) for piece in [*left, *right]) < 0.02


@marked
def test_it_writes_what_transformers_writes(client: Client) -> None:
    """The same dice on both hosts: the same words, and the same change."""
    from soft_prompts.hosts.hf import attach
    from soft_prompts.hosts.hf.trial import trial as trial_here

    texts = f"<<sp:noir>>{START}", START
    there = columns(client.trial(*texts, tokens=12, seed=8))
    with attach(*loaded(), client.library) as attached:
        here = columns(trial_here(attached, *texts, tokens=12, seed=8))
    assert [text(each) for each in there] == [text(each) for each in here]
    # Beside images a text is sent as letters, which the server may read as other tokens than those that were drawn.
    same = None if client.sidecar and client.sidecar.way == "lora" else 5
    pairs = [pair for both in zip(there, here, strict=True) for pair in list(zip(*both, strict=True))[:same]]
    off = [abs(one.change) - abs(other.change) for one, other in pairs]
    # What the server does not tell of is as likely as the last that it tells of: the change is larger, if anything.
    assert max(off) < 0.05 and sum(each > -0.05 for each in off) >= 0.9 * len(off)
    assert max(abs(piece.change) for pieces in here for piece in pieces) > 0.3


@marked
def test_what_cannot_be(client: Client) -> None:
    with pytest.raises(UnknownPrompt):
        client.trial("<<sp:nowhere>>The sky", "The sky")
    with pytest.raises(UnsupportedInput, match="context of 512"):
        client.trial("The sky. " * 300, "The sky")
