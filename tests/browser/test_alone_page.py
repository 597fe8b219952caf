"""The tab by itself in a real browser, with the embedded storyteller: what a writer without a webui does first."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import app, demo
from soft_prompts.hosts.alone import Alone

# gradio's server runs in threads of this process: what it says of its own dependencies is not ours.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent.parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake, browser = _load("panel_host"), _load("browser_page")
until = browser.until


class Stage:
    """An app whose model comes when it is let in."""

    def __init__(self, folder: Path) -> None:
        self.come = threading.Event()
        self.host = Alone(folder, self._loaded).start()

    def _loaded(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        assert self.come.wait(60)
        model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype="float32").eval()
        return model, AutoTokenizer.from_pretrained(demo.path())


@pytest.fixture(scope="module")
def stage(driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, str]]:
    folder = tmp_path_factory.mktemp("library")
    (folder / "noir.txt").write_text("Rain and neon. Nobody tells the truth.")
    importing = fake.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason="gradio is not installed"))
    with importing:
        stage = Stage(folder)
        with browser.served(app.blocks(stage.host)) as url:
            yield stage, url
        stage.come.set()
        stage.host.close()


@pytest.fixture
def page(driver: Any, stage: tuple[Stage, str]) -> Any:
    """Opened, with an empty sheet and nothing pinned."""
    page = browser.Page(driver, stage[1]).open()
    page.js("localStorage.clear()")
    for pin in stage[0].host.pins("everywhere"):
        stage[0].host.unpin("everywhere", pin.name)
    return page.open()


def length(page: Any, tokens: int) -> None:
    """How much is written at once, folded away."""
    if not page.js("return document.querySelector('#sp-length')?.offsetParent"):
        page.click("#sp-how button")
    field = page.one("#sp-length input[type=number]")
    assert until(field.is_displayed)
    field.clear()
    field.send_keys(f"{tokens}\t")


def ended(page: Any) -> bool:
    return "Writing" not in page.text("#sp-state")


def test_before_the_model_is_there_the_page_says_so_and_waits(stage: tuple[Stage, str], page: Any) -> None:
    """The first test of this file: from then on the model is there."""
    assert until(lambda: "The storyteller is being loaded" in page.text("#soft-prompts"))
    page.type("#sp-text", "The door opened and")
    page.click("#sp-go")
    assert until(lambda: "It begins by itself" in page.text("#sp-state"), 5)
    stage[0].come.set()
    assert until(lambda: len(page.value("#sp-text")) > 40, 60) and until(lambda: ended(page))
    assert page.value("#sp-text").startswith("The door opened and")
    assert until(lambda: "The storyteller is loaded. Tags work." in page.text("#soft-prompts"))


def test_writing_with_a_tag_and_taking_it_back(page: Any, stage: tuple[Stage, str]) -> None:
    page.type("#sp-text", "<<sp:noir>>The sky over")
    length(page, 20)
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > 30) and until(lambda: ended(page))
    (use,) = stage[0].host.last_request().uses
    assert use.tag == "<<sp:noir>>" and use.tokens and not use.problem
    assert until(lambda: "a prompt of" in page.text("#sp-last"))
    page.click("#sp-back")
    assert until(lambda: page.value("#sp-text") == "<<sp:noir>>The sky over")
    page.click("#sp-back")
    assert until(lambda: "nothing to take back" in page.text("#sp-state"))


def test_stop(page: Any) -> None:
    page.type("#sp-text", "Once upon a time")
    length(page, 400)
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > 20)
    page.click("#sp-stop")
    assert until(lambda: page.text("#sp-state") == "Stopped."), page.text("#sp-state") + page.value("#sp-text")
    time.sleep(0.3)
    there = page.value("#sp-text")
    time.sleep(1)
    assert page.value("#sp-text") == there, "it goes on"
    # After a stop it writes again; another text, as the first may have come to its end.
    length(page, 20)
    page.type("#sp-text", "The sea")
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > 10), page.text("#sp-state")
    assert until(lambda: ended(page))


def test_the_keyboard_goes_on_too(page: Any) -> None:
    length(page, 20)
    page.type("#sp-text", "The sea")
    page.one("#sp-text textarea").send_keys("\ue008\ue007")  # Shift and Enter, as in every text box of gradio
    assert until(lambda: len(page.value("#sp-text")) > 10) and until(lambda: ended(page))


def test_a_pin_stands_before_what_is_written(page: Any, stage: tuple[Stage, str]) -> None:
    stage[0].host.pin("everywhere", "noir")
    length(page, 20)
    page.type("#sp-text", "The sea")
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > 10) and until(lambda: ended(page))
    assert until(lambda: "pinned" in page.text("#sp-last"))


def test_a_tag_that_means_nothing_is_said_as_a_toast(page: Any) -> None:
    length(page, 20)
    page.type("#sp-text", "<<sp:nour>>The sea")
    page.click("#sp-go")
    assert until(lambda: "did you mean" in page.text("body")) and until(lambda: ended(page))
    assert until(lambda: len(page.value("#sp-text")) > 20), "it was left out, and the text goes on"


def test_the_sheet_is_kept_over_a_reload(page: Any) -> None:
    page.type("#sp-text", "A story that nobody shall lose.")
    time.sleep(1)
    page.open()
    assert until(lambda: page.value("#sp-text") == "A story that nobody shall lose.")


def test_two_windows_write_at_once(page: Any, driver: Any, stage: tuple[Stage, str]) -> None:
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    second = driver.current_window_handle
    other = browser.Page(driver, stage[1]).open()
    for window, text in ((first, "The king"), (second, "The queen")):
        driver.switch_to.window(window)
        length(page, 60)
        page.type("#sp-text", text)
    for window in (first, second):
        driver.switch_to.window(window)
        page.click("#sp-go")
    assert until(lambda: len(other.value("#sp-text")) > 30) and until(lambda: ended(other))
    assert other.value("#sp-text").startswith("The queen")
    driver.close()
    driver.switch_to.window(first)
    assert until(lambda: len(page.value("#sp-text")) > 30) and page.value("#sp-text").startswith("The king")
