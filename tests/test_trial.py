"""Laws of writing side by side on a model of Transformers: the same luck for both, and what each word owes its text."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_prompts import SoftPrompt
from soft_prompts.errors import Misfit, UnknownPrompt, UnsupportedInput
from soft_prompts.hosts.drawing import Dice
from soft_prompts.hosts.hf import Attachment, attach
from soft_prompts.hosts.hf.trial import trial
from soft_prompts.hosts.protocol import Piece
from soft_prompts.slots import FIRST_ID

START = "Once upon a time there was"
KEEPER = " an old keeper who lived"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "keeper.txt").write_text(KEEPER, "utf-8")
    return tmp_path


def prompt(model: Any, name: str = "noir") -> SoftPrompt:
    width = model.get_input_embeddings()(torch.tensor([[1]])).shape[-1]
    return SoftPrompt(name, np.random.default_rng(7).normal(size=(3, width)).astype(np.float32))


@contextmanager
def attached_to(model: Any, tokenizer: Any, folder: Path) -> Iterator[Attachment]:
    with attach(model, tokenizer, folder, prompts=[prompt(model)]) as attached:
        yield attached


def columns(found: Iterator[tuple[int, Piece]]) -> tuple[list[Piece], list[Piece]]:
    kept = list(found)
    return [piece for number, piece in kept if number == 0], [piece for number, piece in kept if number == 1]


def text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def endless(model: Any) -> Any:
    """Without an end, so that every trial is as long as it may be."""
    model.generation_config.eos_token_id = None
    return model


class Spy(Dice):
    """Dice that give whole characters only, and remember them."""

    def __init__(self, tokenizer: Any) -> None:
        super().__init__(2, 1.0)
        self.given: list[int] = []
        ids = np.arange(len(tokenizer))
        self.whole = np.array([tokenizer.decode([each], skip_special_tokens=True).isascii() for each in ids])
        self.whole &= ~np.isin(ids, tokenizer.all_special_ids)

    def choose(self, place: int, ids: Any, logs: Any) -> int:
        kept = self.whole[: len(ids)].nonzero()[0]
        self.given.append(super().choose(place, ids[kept], logs[kept]))
        return self.given[-1]


# ---- the dice


def test_luck_belongs_to_the_token_and_its_place() -> None:
    logs = np.log(np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    ids = np.array([40, 30, 20, 10])
    turned = [Dice(5, 1).choose(place, ids[::-1], logs[::-1]) for place in range(50)]
    assert [Dice(5, 1).choose(place, ids, logs) for place in range(50)] == turned, "the order says nothing"
    assert [Dice(6, 1).choose(place, ids, logs) for place in range(50)] != turned
    assert all(Dice(5, 0).choose(place, ids, logs) == 10 for place in range(5))
    assert len({Dice(-1, 1).choose(place, ids, logs) for place in range(50)}) > 1, "any whole number is a seed"


def test_it_draws_as_the_model_says() -> None:
    logs = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    found = [Dice(1, 1).choose(place, np.arange(3), logs) for place in range(4000)]
    assert np.allclose(np.bincount(found) / 4000, [0.5, 0.3, 0.2], atol=0.03)
    cold = [Dice(1, 0.5).choose(place, np.arange(3), logs) for place in range(4000)]
    assert np.allclose(np.bincount(cold) / 4000, [25 / 38, 9 / 38, 4 / 38], atol=0.03)


def test_nearly_equal_chances_nearly_always_give_the_same_word() -> None:
    random = np.random.default_rng(0)
    logs = random.normal(size=5000).astype(np.float32) * 2
    other = logs + random.normal(size=5000).astype(np.float32) * 0.01
    one, two = ([Dice(3, 1).choose(n, np.arange(5000), each) for n in range(300)] for each in (logs, other))
    assert sum(a != b for a, b in zip(one, two, strict=True)) < 15


# ---- the laws


def test_equal_columns_are_equal(family_model: Any, tokenizer: Any, folder: Path) -> None:
    with attached_to(family_model, tokenizer, folder) as attached:
        left, right = columns(trial(attached, "<<sp:noir>>" + START, "<<sp:noir>>" + START, tokens=12, seed=3))
    assert left == right and text(left)
    assert all(piece.change == 0 for piece in left)


def test_a_texts_tag_is_its_words(
    tokenizer_of: Callable[[str], Any], storyteller: tuple[Any, Any], folder: Path
) -> None:
    model, tokenizer = storyteller
    with attached_to(model, tokenizer, folder) as attached:
        left, right = columns(
            trial(attached, f"{START}<<sp:keeper>> by the sea", f"{START}{KEEPER} by the sea", seed=1)
        )
    assert text(left) == text(right) and text(left)
    assert max(abs(piece.change) for piece in [*left, *right]) < 1e-3


def plain_logs(model: Any, ids: list[int]) -> torch.Tensor:
    """(vocabulary,): what comes behind these ids, by one computation without any cache."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
    return torch.log_softmax(logits[0, -1].float(), -1)


def expected(attached: Attachment, texts: Sequence[str], drawn: Sequence[int]) -> list[list[float]]:
    """The change of each token of both columns, computed plainly; drawn: of both in turn."""
    rows = [list(attached.tokenizer(each)["input_ids"]) for each in texts]
    found = []
    for number in (0, 1):
        written: list[int] = []
        changes = []
        for token in drawn[number::2]:
            own, other = (plain_logs(attached.model, rows[each] + written)[token] for each in (number, 1 - number))
            changes.append(float(own - other))
            written.append(token)
        found.append(changes)
    return found


WINDOWS = {"gemma2": {"sliding_window": 8}, "gemma3": {"sliding_window": 8}, "phi3": {"sliding_window": 8}}


@pytest.mark.parametrize("family", ["gpt2", "gpt_neo", "bloom", "opt", "falcon", "llama", "mamba", *WINDOWS])
def test_change_is_what_a_plain_computation_says(
    make: Callable[..., Any], tokenizer: Any, folder: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = endless(make(family, **WINDOWS.get(family, {})))
    spy = Spy(tokenizer)
    monkeypatch.setattr("soft_prompts.hosts.hf.trial.Dice", lambda seed, temperature: spy)
    texts = "<<sp:noir>>" + START, "The letter said: Dear"
    with attached_to(model, tokenizer, folder) as attached:
        found = columns(trial(attached, *texts, tokens=15))
        wanted = expected(attached, texts, spy.given)
    assert [[piece.change for piece in each] for each in found] == pytest.approx(np.array(wanted), abs=1e-3)
    assert np.abs(wanted).max() > 0.2, "nothing to see"


def test_what_keeps_nothing_is_read_anew(
    model: Any, tokenizer: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = "<<sp:noir>>" + START, START
    with attached_to(endless(model), tokenizer, folder) as attached:
        kept = columns(trial(attached, *texts, tokens=10))
        monkeypatch.setattr("soft_prompts.hosts.hf.trial._CACHES", ())
        anew = columns(trial(attached, *texts, tokens=10))
    assert [text(each) for each in kept] == [text(each) for each in anew]
    changes = [[piece.change for pieces in both for piece in pieces] for both in (kept, anew)]
    assert np.allclose(*changes, atol=1e-4)


# ---- the words


@pytest.mark.parametrize("kind", ["bytes", "prepend", "first", "always", "unigram"])
def test_pieces_are_the_text(
    tokenizer_of: Callable[[str], Any], make: Callable[..., Any], folder: Path, kind: str
) -> None:
    """Piece by piece the same as what is decoded at once, spaces and all, behind a word and behind a tag."""
    tokenizer, model = tokenizer_of(kind), endless(make("llama"))
    words = tokenizer("lived in a tower by the sea", add_special_tokens=False)["input_ids"]
    rows = iter([each for token in words for each in (token, token)])
    with attached_to(model, tokenizer, folder) as attached, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dice, "choose", lambda self, place, ids, logs: next(rows))
        found = columns(trial(attached, "who <<sp:noir>>", "an old keeper who", tokens=len(words)))
    whole = [*tokenizer("an old keeper who")["input_ids"], *words]
    after = str(tokenizer.decode(whole, skip_special_tokens=True)).split("who", 1)[1]
    assert [text(each) for each in found] == [after, after]


def test_half_characters_wait(model: Any, tokenizer: Any, folder: Path) -> None:
    # Four bytes, of which no two stand together in the tokenizer's merges; then half of another.
    ids = [
        *tokenizer("a🌧b", add_special_tokens=False)["input_ids"],
        *tokenizer("é", add_special_tokens=False)["input_ids"][:1],
    ]
    rows = iter([each for token in ids for each in (token, token)])
    with attached_to(endless(model), tokenizer, folder) as attached, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dice, "choose", lambda self, place, ids, logs: next(rows))
        left, right = columns(trial(attached, START, START, tokens=len(ids)))
    assert len(ids) == 7
    assert [piece.text for piece in left] == [piece.text for piece in right] == ["a", "🌧", "b"]


def test_a_column_ends_by_itself(model: Any, tokenizer: Any, folder: Path) -> None:
    end = tokenizer.eos_token_id
    drawn = iter([50, 60, end, 61, 62, 63, end])
    with attached_to(model, tokenizer, folder) as attached, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dice, "choose", lambda self, place, ids, logs: next(drawn))
        left, right = columns(trial(attached, START, "The sky", tokens=20))
    assert text(left) == tokenizer.decode([50])
    assert text(right) == tokenizer.decode([60, 61, 62, 63])
    assert next(drawn, None) is None


def test_an_empty_text_begins_with_nothing(model: Any, tokenizer: Any, folder: Path) -> None:
    with attached_to(endless(model), tokenizer, folder) as attached:
        left, right = columns(trial(attached, "<<sp:noir>>", "", tokens=4))
    assert left and right


# ---- manners


def random_states() -> tuple[Any, ...]:
    import random

    return random.getstate(), np.random.get_state()[1].tolist(), torch.random.get_rng_state().tolist()


def test_nothing_of_it_stays(model: Any, tokenizer: Any, folder: Path) -> None:
    with attached_to(endless(model), tokenizer, folder) as attached:
        model.train()
        # The first one makes what is made once.
        columns(trial(attached, "<<sp:noir>>" + START, START, tokens=2))
        before = random_states(), {name: sorted(vars(module)) for name, module in model.named_modules()}
        writing = trial(attached, "<<sp:noir>>" + START, START, tokens=50)
        next(writing)
        assert model.training and attached.slots._held
        writing.close()
        assert not attached.slots._held
        assert before == (random_states(), {name: sorted(vars(module)) for name, module in model.named_modules()})
        assert all(weight.grad is None for weight in model.parameters())


def test_others_come_between(model: Any, tokenizer: Any, folder: Path) -> None:
    """The lock is free between two tokens, and what others ask then changes nothing."""
    texts = "<<sp:noir>>" + START, START
    lock = threading.Lock()
    with attached_to(endless(model), tokenizer, folder) as attached:
        alone = columns(trial(attached, *texts, tokens=8, seed=4))
        found: list[tuple[int, Piece]] = []
        for each in trial(attached, *texts, tokens=8, seed=4, turn=lambda: lock):
            assert lock.acquire(blocking=False)
            model.generate(**tokenizer("The sea <<sp:noir>>", return_tensors="pt"), max_new_tokens=2)
            columns(trial(attached, "The sky", "The <<sp:noir>>", tokens=2, seed=9))
            lock.release()
            found.append(each)
    assert columns(iter(found)) == alone


def test_each_step_is_a_turn(model: Any, tokenizer: Any, folder: Path) -> None:
    turns: list[int] = []

    def turn() -> AbstractContextManager[None]:
        turns.append(1)
        return nullcontext()

    with attached_to(endless(model), tokenizer, folder) as attached:
        columns(trial(attached, START, "The sky", tokens=5, turn=turn))
    assert len(turns) == 5


def test_seeds_and_temperature(model: Any, tokenizer: Any, folder: Path) -> None:
    with attached_to(endless(model), tokenizer, folder) as attached:
        one, again, other = (columns(trial(attached, START, "The sky", seed=seed, tokens=20)) for seed in (1, 1, 2))
        assert one == again and one != other
        cold, colder = (columns(trial(attached, START, "The sky", seed=seed, temperature=0)) for seed in (1, 2))
        assert cold == colder


# ---- what cannot be


def test_it_says_what_is_wrong_at_once(model: Any, tokenizer: Any, tmp_path: Path) -> None:
    quiet: list[Any] = []
    wide = SoftPrompt("wide", np.ones((2, 99), np.float32))
    with attach(model, tokenizer, tmp_path, prompts=[wide], unresolved=lambda *each: quiet.append(each)) as attached:
        with pytest.raises(UnknownPrompt, match="'nowhere'"):
            trial(attached, "<<sp:nowhere>>The sky", "The sky")
        with pytest.raises(Misfit, match="99 wide"):
            trial(attached, "The sky", "<<sp:wide>>The sky")
        with pytest.raises(UnsupportedInput, match="reads 256 at the most: shorten the text, or ask for fewer"):
            trial(attached, "The sky. " * 100, "The sky")
    assert not quiet and not tokenizer("The sky")["input_ids"][0] >= FIRST_ID
