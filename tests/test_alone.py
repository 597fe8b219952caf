"""The host of a panel that stands alone: a model that comes later, a folder, and writing with tags."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt
from soft_prompts.errors import InvalidFile, SoftPromptError, UnknownPrompt
from soft_prompts.hosts.alone import Alone
from soft_prompts.hosts.alone.turns import Turns
from soft_prompts.hosts.hf import text_prompt
from soft_prompts.hosts.protocol import EVERYWHERE, Pin

TEXT = "The door opened and"


@pytest.fixture
def alone(tmp_path: Path, storyteller: tuple[Any, Any]) -> Iterator[Alone]:
    """The storyteller, with one prompt that fits, one that does not, and a text."""
    library = tmp_path / "library"
    library.mkdir()
    text_prompt("Rain and neon. Nobody tells the truth.", *storyteller, name="noir").save(library / "noir.safetensors")
    SoftPrompt("tiny", np.ones((3, 4), np.float32)).save(library / "tiny.safetensors")
    (library / "sea.txt").write_text("The sea was grey, and the rope was wet.")
    host = Alone(library, lambda: storyteller).start()
    until(lambda: host.health().state == "ready")
    yield host
    host.close()


def until(ask: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ask():
        assert time.monotonic() < end
        time.sleep(0.01)


def told(host: Alone, text: str, **how: Any) -> str:
    return "".join(host.write(text, **{"tokens": 12, "temperature": 0.0, **how}))


def test_the_panel_is_there_before_the_model(tmp_path: Path, storyteller: tuple[Any, Any]) -> None:
    come = threading.Event()

    def load() -> tuple[Any, Any]:
        assert come.wait(20)
        return storyteller

    (tmp_path / "noir.txt").write_text("Rain.")
    host = Alone(tmp_path, load).start()
    assert host.health().state == "waiting" and "The storyteller is being loaded" in host.health().line
    assert [row.verdict for row in host.rows()] == ["no model"]
    assert "being loaded" in host.tries.reason and not host.lends.reason
    with pytest.raises(SoftPromptError, match="wait a moment"):
        host.lends.borrow()
    assert next(host.lends.waits()) is None, "a training waits for it"
    before, pieces = host.revision, host.write(TEXT, tokens=2)
    assert next(pieces) == "", "it waits"
    come.set()
    assert "".join(pieces) and not list(host.lends.waits())
    assert [row.verdict for row in host.rows()] == ["text"] and host.revision != before
    host.close()


@pytest.mark.parametrize(
    ("problem", "words"),
    [(InvalidFile("there is no folder x"), "there is no folder x"), (ValueError("odd"), "could not be loaded: odd"),
     (ModuleNotFoundError("no", name="torch"), "torch is needed .* pip install")],
)  # fmt: skip
def test_a_model_that_cannot_be_loaded_leaves_the_library(tmp_path: Path, problem: Exception, words: str) -> None:
    def load() -> tuple[Any, Any]:
        raise problem

    host = Alone(tmp_path, load, "x").start()
    with pytest.raises(SoftPromptError, match=words):
        list(host.write("Rain."))
    assert host.health().state == "cannot" and host.lends.reason
    assert host.make("noir", "Rain.").verdict == "no model"
    host.close()


def test_rows_and_health(alone: Alone) -> None:
    assert {row.name: row.verdict for row in alone.rows()} == {"noir": "fits", "sea": "text", "tiny": "width"}
    assert alone.health().line == "The storyteller is loaded. Tags work. 2 soft prompts are ready for it."
    assert "model: storyteller (llama), passed its self-test" in alone.report()


def test_files_are_watched(alone: Alone) -> None:
    before = alone.revision
    Path(alone.folder, "new.txt").write_text("Snow.")
    until(lambda: alone.revision != before and any(row.name == "new" for row in alone.rows()))


def test_tags_work_where_one_writes(alone: Alone) -> None:
    plain = told(alone, TEXT)
    behind = told(alone, f"<<sp:noir>>{TEXT}")
    assert plain and behind != plain
    (use,) = alone.last_request().uses
    assert use.tag == "<<sp:noir>>" and use.tokens > 3 and not use.problem
    assert alone.last_request().tokens > use.tokens
    assert told(alone, TEXT) == plain and not alone.last_request().uses


def test_what_is_pinned_stands_before_each_text(alone: Alone) -> None:
    behind = told(alone, f"<<sp:noir>>{TEXT}")
    alone.pin(EVERYWHERE.key, "noir")
    assert told(alone, TEXT) == behind and alone.pins(EVERYWHERE.key) == (Pin("noir"),)
    assert [use.pinned for use in alone.last_request().uses] == [True]
    alone.unpin(EVERYWHERE.key, "noir")
    assert told(alone, TEXT) != behind
    with pytest.raises(UnknownPrompt):
        alone.pin(EVERYWHERE.key, "nobody")


def test_switched_off_tags_are_left_out(alone: Alone) -> None:
    plain, warnings = told(alone, TEXT), list[str]()
    alone.on_warning(warnings.append)
    alone.switch(False)
    assert alone.health().state == "off" and "off" in alone.tries.reason
    assert told(alone, f"<<sp:noir>>{TEXT}") == plain
    assert alone.last_request().uses[0].problem and not warnings


def test_a_tag_that_means_nothing_is_left_out_with_words(alone: Alone) -> None:
    plain, warnings = told(alone, TEXT), list[str]()
    alone.on_warning(warnings.append)
    assert told(alone, f"<<sp:nour>>{TEXT}") == plain
    assert "did you mean 'noir'" in warnings[0]
    alone.pin(EVERYWHERE.key, "tiny")
    assert alone.left_out(EVERYWHERE.key, "tiny")
    told(alone, TEXT)
    assert "4 wide" in warnings[1] or "wide" in warnings[1]


def test_a_text_that_is_too_long_loses_its_beginning(alone: Alone) -> None:
    alone.pin(EVERYWHERE.key, "noir")
    assert told(alone, "<<sp:sea>>" + TEXT + " He waited for the rain." * 400)
    pinned, sea = alone.last_request().uses
    assert pinned.tokens and not sea.tokens and "cut off" in sea.problem
    assert alone.last_request().tokens <= alone.room().context - 12


def test_an_empty_text_is_a_beginning_too(alone: Alone) -> None:
    assert told(alone, "")


def test_the_same_seed_says_the_same(alone: Alone) -> None:
    how = {"temperature": 1.0, "tokens": 20}
    assert told(alone, TEXT, seed=3, **how) == told(alone, TEXT, seed=3, **how)
    assert told(alone, TEXT, seed=3, **how) != told(alone, TEXT, seed=4, **how)


def test_trials_lending_and_what_vectors_resemble(alone: Alone, storyteller: tuple[Any, Any]) -> None:
    pieces = list(alone.tries.write(f"<<sp:noir>>{TEXT}", TEXT, tokens=4))
    assert {column for column, _ in pieces} == {0, 1}
    assert alone.lends.borrow() == storyteller and alone.lends.way == "here"
    assert "".join(alone.resembles("noir")).strip().startswith("R")
    with pytest.raises(SoftPromptError, match="wide"):
        alone.resembles("tiny")


def test_a_text_becomes_vectors(alone: Alone) -> None:
    row = alone.bake("sea")
    assert (row.name, row.file, row.verdict, row.model) == ("sea", "sea@storyteller.safetensors", "fits", "storyteller")


def test_a_training_leaves_the_next_turn_to_who_waits(alone: Alone) -> None:
    """A step follows a step at once, and a writer's words come between them all the same."""
    ended, steps = threading.Event(), []

    def train() -> None:
        while not ended.is_set():
            with alone.lends.step():
                steps.append(time.sleep(0.01))

    training = threading.Thread(target=train)
    training.start()
    until(lambda: len(steps) > 2)
    before = len(steps)
    assert told(alone, TEXT, tokens=10)
    between = len(steps) - before
    ended.set()
    training.join()
    assert between <= 2 * 11, "each word waited for one step, or two"


def test_turns_go_in_the_order_of_asking() -> None:
    turns, order = Turns(), list[int]()

    def ask(number: int) -> None:
        with turns():
            order.append(number)

    threads = [threading.Thread(target=ask, args=[number]) for number in range(5)]
    with turns():
        for number, each in enumerate(threads):
            each.start()
            until(lambda number=number: len(turns._waiting) == number + 1)
    for each in threads:
        each.join()
    assert order == [0, 1, 2, 3, 4]
    with turns():
        pass
