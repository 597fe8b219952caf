"""Writing side by side in the webui: with its own model, in turns with everybody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from soft_prompts.errors import SoftPromptError, UnknownPrompt
from soft_prompts.hosts.protocol import Piece

Inside = Any  # the fixture of conftest.py
LAMP = " and the old keeper lit the lamp in the tower"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone"


def columns(found: Iterator[tuple[int, Piece]]) -> tuple[list[Piece], list[Piece]]:
    kept = list(found)
    return [piece for number, piece in kept if number == 0], [piece for number, piece in kept if number == 1]


def text(pieces: Sequence[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_a_prompt_of_a_text_is_that_text(inside: Inside) -> None:
    inside.save("lamp", LAMP)
    tries = inside.ours.desk.tries
    assert tries.reason == ""
    left, right = columns(tries.write(f"{BEFORE}<<sp:lamp>>{AFTER}", BEFORE + LAMP + AFTER, tokens=12, seed=4))
    assert text(left) == text(right) != ""
    assert max(abs(piece.change) for piece in [*left, *right]) < 1e-3
    left, right = columns(tries.write(f"{BEFORE}<<sp:lamp>>{AFTER}", BEFORE + AFTER, tokens=12, seed=4))
    assert max(abs(piece.change) for piece in left) > 0.1


def test_others_write_between_two_words(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    inside.save("lamp", LAMP)
    inside.models.last_generation_time = 0.0
    writing = inside.ours.desk.tries.write(f"{BEFORE}<<sp:lamp>>", BEFORE, tokens=40)
    assert not inside.shared.generation_lock.locked()
    next(writing)
    assert time.time() - inside.models.last_generation_time < 60, "the model is not idle"
    assert not inside.shared.generation_lock.locked()
    assert inside.complete(BEFORE)
    next(writing)
    writing.close()
    assert not inside.shared.generation_lock.locked()


def test_it_waits_for_the_lock(inside: Inside) -> None:
    found: list[Any] = []
    with inside.shared.generation_lock:
        writing = inside.ours.desk.tries.write(BEFORE, BEFORE, tokens=2)
        thread = threading.Thread(target=lambda: found.extend(writing))
        thread.start()
        time.sleep(0.3)
        assert not found
    thread.join(30)
    assert len(found) == 4


def test_what_cannot_be_says_why(inside: Inside) -> None:
    tries = inside.ours.desk.tries
    with pytest.raises(UnknownPrompt, match="nowhere"):
        tries.write("<<sp:nowhere>>The sky", "The sky")
    inside.ours.desk.switch(False)
    assert "switched off" in tries.reason
    with pytest.raises(SoftPromptError, match="switched off"):
        tries.write("The sky", "The sky")
    inside.ours.desk.switch(True)
    assert tries.reason == ""


def test_the_model_goes_in_the_middle_of_it(inside: Inside) -> None:
    tries = inside.ours.desk.tries
    writing = tries.write(BEFORE, BEFORE, tokens=40)
    next(writing)
    inside.models.unload_model()
    assert "No model is loaded" in tries.reason
    with pytest.raises(SoftPromptError, match="in the middle of it"):
        list(writing)
    with pytest.raises(SoftPromptError, match="No model is loaded"):
        tries.write(BEFORE, BEFORE)
