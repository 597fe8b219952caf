"""The sheet of a panel that stands alone, without a browser: what grows on it, and what is said below it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import app, cli
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Health
from soft_prompts.panel.sheet import Pen, Sheet, stopped, taken_back


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake = _load("panel_host")


class Writer:
    """Says what it is told to say; an exception among it is raised."""

    def __init__(self, *pieces: Any) -> None:
        self.pieces = pieces
        self.asked: dict[str, Any] = {}

    def write(self, text: str, **how: Any) -> Iterator[str]:
        self.asked = {"text": text, **how}
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


def test_the_text_grows_piece_by_piece() -> None:
    writer = Writer(" fell", " down.")
    steps = list(Sheet(fake.MemoryHost(), writer).go_on("Rain", 0.5, 40, 7))
    assert [text for text, _, _ in steps] == ["Rain fell", "Rain fell down.", "Rain fell down."]
    assert "Writing" in steps[0][1] and "Writing" not in steps[-1][1]
    assert {before for _, _, before in steps} == {"Rain"}
    assert writer.asked == {"text": "Rain", "tokens": 40, "seed": 7, "temperature": 0.5}


def test_without_a_seed_each_time_is_another() -> None:
    seeds = set()
    for given in (0, 0, None):
        writer = Writer("x")
        list(Sheet(fake.MemoryHost(), writer).go_on("Rain", seed=given))  # type: ignore[arg-type]
        seeds.add(writer.asked["seed"])
    assert len(seeds) == 3 and 0 not in seeds


def test_a_tag_that_the_model_writes_is_words() -> None:
    *_, (text, _, _) = Sheet(fake.MemoryHost(), Writer("<<sp:", "noir>>")).go_on("<<sp:noir>>Rain ")
    assert text == "<<sp:noir>>Rain \\<<sp:noir>>"


def test_it_says_at_once_that_the_model_is_waited_for() -> None:
    host = fake.MemoryHost()
    host.state = Health("waiting", "The storyteller is being loaded.")
    first, *rest = Sheet(host, Writer("", "", " fell")).go_on("Rain")
    assert "begins by itself" in first[1] and [text for text, _, _ in rest] == ["Rain fell", "Rain fell"]


@pytest.mark.parametrize(
    ("problem", "words"), [(SoftPromptError("no <room>"), "no &lt;room&gt;"), (ValueError("odd"), "please report it")]
)
def test_what_goes_wrong_is_said_and_nothing_is_lost(problem: Exception, words: str) -> None:
    *_, (text, line, before) = Sheet(fake.MemoryHost(), Writer(" fell", problem)).go_on("Rain")
    assert text == "Rain fell" and before == "Rain" and words in line and 'role="alert"' in line


def test_a_model_that_says_nothing() -> None:
    *_, (text, line, _) = Sheet(fake.MemoryHost(), Writer()).go_on("Rain")
    assert text == "Rain" and "nothing to add" in line


def test_stopped_it_says_so_with_the_next_word() -> None:
    pen, writer = Pen(), Writer(" fell", " down.", " And up.")
    going = Sheet(fake.MemoryHost(), writer).go_on("Rain", pen=pen)
    assert next(going)[0] == "Rain fell" and "Stopped" in stopped(pen)
    assert [(text, "Stopped" in line) for text, line, _ in going] == [("Rain fell", True)]
    again = Sheet(fake.MemoryHost(), writer).go_on("Rain", pen=pen)
    assert [text for text, _, _ in again][-1] == "Rain fell down. And up.", "what was stopped before does not count"


def test_each_page_has_its_own_pen() -> None:
    mine, yours = copy.deepcopy(Pen()), copy.deepcopy(Pen())
    held = mine.take()
    yours.take()
    assert held()


def test_taken_back() -> None:
    assert taken_back("Rain fell", "Rain")[0] == "Rain"
    assert taken_back("Snow", "Rain")[0] == "Snow" and "nothing to take back" in taken_back("Snow", "Rain")[1]
    assert "nothing to take back" in taken_back("Rain", "Rain")[1]


# ---- the command


def test_the_command_says_all_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app, "find_spec", lambda name: None if name in ("gradio", "torch") else object())
    assert cli.main(["ui"]) == 1
    said = capsys.readouterr().err
    assert "gradio and torch are needed to show the tab: pip install 'soft-prompts[train,ui]'" in said


def test_a_port_that_is_taken_is_said() -> None:
    class Blocks:
        def queue(self) -> Any:
            return self

        def launch(self, **how: Any) -> Any:
            assert how["server_name"] == "127.0.0.1" and not how["share"]
            raise OSError("Cannot find empty port")

    with pytest.raises(SoftPromptError, match="port 80 is taken: choose another"):
        app.launched(Blocks(), 80, browser=False)


def test_the_options_reach_the_host(tmp_path: Path) -> None:
    options = cli.parser().parse_args(["ui", "--folder", str(tmp_path), "--model", "gpt2", "--dtype", "float32"])
    host = app.alone(options)
    assert host.folder == str(tmp_path) and "The model gpt2 is being loaded" in host.health().line
    assert host.lends.model_words() == ["--model", "gpt2", "--dtype", "float32"] and options.browser
