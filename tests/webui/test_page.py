"""The real webui in a real browser: a tag is inserted, a story is written, and what the writer then sees.

Needs TEXTGEN_WEBUI_DIR, TEXTGEN_WEBUI_PYTHON (with the webui's own build of gradio), selenium and Chromium. Set
PANEL_SCREENSHOTS to a folder, and it gets a picture of each state.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

REAL = os.environ.get("TEXTGEN_WEBUI_DIR", "")
pytestmark = [
    pytest.mark.webui,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not REAL, reason="TEXTGEN_WEBUI_DIR names no text-generation-webui"),
]
SETTINGS = (
    "temperature: 0.01\ntop_k: 1\nseed: 1\nmax_new_tokens: 20\nauto_max_new_tokens: false\npreset: null\nmode: chat\n"
)


def until(ask: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true answer; the last one where none came."""
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.1)
    return answer


class Page:
    """The webui's page, as a writer uses it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def shown(self, selector: str) -> list[Any]:
        # In one script, as below.
        code = "return [...document.querySelectorAll(arguments[0])].filter((each) => each.offsetParent)"
        return list(self.driver.execute_script(code, selector))

    def choose(self) -> None:
        """The first row of the list."""
        code = "const row = document.querySelector('.sp-row'); row?.click(); return Boolean(row)"
        assert until(lambda: self.driver.execute_script(code)), "the list is empty"

    def click(self, selector: str, words: str) -> None:
        # In one script: the page renders anew at any moment, and what was found a moment ago may be gone.
        code = """
            const shown = [...document.querySelectorAll(arguments[0])].filter((each) => each.offsetParent)
            const found = shown.find((each) => each.innerText.trim() === arguments[1])
            found?.click()
            return Boolean(found)
        """
        assert until(lambda: self.driver.execute_script(code, selector, words)), f"there is no {words!r}"

    def tab(self, name: str) -> None:
        self.click("button[role=tab], .tab-nav button", name)
        time.sleep(1)

    def press(self, name: str) -> None:
        self.click("button", name)

    def type(self, words: str) -> Any:
        """Into the notebook, in the place of what is there."""
        self.tab("Notebook")
        self.tab("Raw")
        box = until(lambda: self.shown("textarea"))[0]
        box.click()
        box.send_keys("\ue009", "a", "\ue000")
        box.send_keys(words)
        return box

    def set_number(self, label: str, value: str) -> str:
        """A field of the Parameters tab; gives what stood there."""
        self.tab("Parameters")
        code = """
            const label = [...document.querySelectorAll("label")].find((each) => each.innerText.includes(arguments[0]))
            const field = label?.querySelector("input")
            field?.select()
            return field?.value
        """
        was = until(lambda: self.driver.execute_script(code, label))
        self.driver.switch_to.active_element.send_keys(value, "\ue004")
        return str(was)

    def text(self) -> str:
        return str(self.driver.execute_script("return document.body.innerText"))

    def picture(self, name: str) -> None:
        if folder := os.environ.get("PANEL_SCREENSHOTS"):
            self.driver.save_screenshot(str(Path(folder) / f"webui-{name}.png"))


@pytest.fixture(scope="module")
def page(driver: Any, start: Callable[..., Any], stocked: Path) -> Iterator[Page]:
    (stocked / "settings.yaml").write_text(SETTINGS, "utf-8")
    with start(interface=True) as server:
        driver.get(f"http://127.0.0.1:{server.page}/?__theme=light")
        page = Page(driver)
        assert until(lambda: "Soft prompts" in page.text(), 120), "the tab is not there"
        yield page


def test_a_tag_goes_where_the_cursor_was_and_into_the_story(page: Page) -> None:
    box = page.type("Once upon a time there was a miller")
    page.tab("Soft prompts")
    assert until(lambda: "Tags work. 1 soft prompt is ready" in page.text())
    page.choose()
    assert until(lambda: "made for this model" in page.text())
    page.press("Insert")
    assert until(lambda: box.get_attribute("value").endswith("a miller<<sp:lamp>>"))
    page.picture("inserted")
    page.tab("Notebook")
    page.press("Generate")
    story = until(lambda: (text := box.get_attribute("value")).partition("<<sp:lamp>>")[2].strip() and text)
    assert story
    time.sleep(2)
    page.picture("story")
    page.tab("HTML")
    assert until(lambda: "a miller<<sp:lamp>>" in page.text()), "the HTML pane swallows the tag"
    page.tab("Soft prompts")
    assert until(lambda: "<<sp:lamp>>" in page.text().partition("Last request")[2])
    page.picture("last-request")


def test_a_wrong_name_is_a_toast(page: Page) -> None:
    page.type("Once <<sp:lampe>> upon")
    page.press("Generate")
    assert until(lambda: [each for each in page.shown(".toast-body, .toast-wrap") if "lampe" in each.text], 15)
    words = page.shown(".toast-body, .toast-wrap")[0].text
    assert "did you mean 'lamp'" in words and "user_data/soft_prompts" in words
    page.picture("toast")


def test_the_context_of_the_page_is_the_one_that_counts(page: Page, stocked: Path) -> None:
    (stocked / "soft_prompts" / "novel.txt").write_text("The sea and the snow. " * 600, "utf-8")
    page.tab("Soft prompts")
    listed = (
        "return [...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes('novel'))?.innerText"
    )
    assert until(lambda: "too long for this context" in (page.driver.execute_script(listed) or ""))
    was = page.set_number("Truncate the prompt", "16384")
    page.tab("Soft prompts")
    assert until(lambda: "plain text, any model" in page.driver.execute_script(listed))
    page.set_number("Truncate the prompt", was)
    (stocked / "soft_prompts" / "novel.txt").unlink()


def test_the_counter_shows_pins_too(page: Page) -> None:
    page.tab("Soft prompts")
    page.choose()
    page.press("Pin")
    assert until(lambda: "pinned everywhere" in page.text())
    box = page.type("It was lat")
    # The webui's counter asks for nothing while an answer is on its way: what is typed meanwhile is not counted.
    time.sleep(2)
    box.send_keys("e")
    time.sleep(2)
    counter = page.driver.execute_script("return document.querySelector('#notebook-token-counter').innerText").strip()
    page.press("Generate")
    page.tab("Soft prompts")
    assert until(lambda: f"a prompt of {counter} tokens" in page.text()), (counter, page.text())
    page.press("Unpin")
    assert until(lambda: "No longer pinned" in page.text())


def test_tags_can_be_read_in_a_chat(page: Page) -> None:
    page.tab("Chat")
    box = until(lambda: page.shown("#chat-input textarea"))[0]
    box.click()
    box.send_keys("Tell me of the <<sp:lamp>> and of `<<sp:lamp>>`\ue007")
    assert until(lambda: page.text().count("<<sp:lamp>>") >= 2)
    page.picture("chat")


def test_a_prompt_from_a_sentence_and_a_pin(page: Page) -> None:
    page.tab("Soft prompts")
    page.driver.execute_script("arguments[0].click()", until(lambda: page.shown("#sp-maker button"))[0])
    until(lambda: page.shown("#sp-maker input"))[0].send_keys("harbour")
    page.shown("#sp-maker textarea")[0].send_keys("The harbour smelled of tar.")
    page.picture("make")
    page.press("Make it")
    assert until(lambda: "<<sp:harbour>>" in page.text())
    assert until(lambda: "plain text, any model" in page.text())
    page.press("Pin")
    assert until(lambda: "pinned everywhere" in page.text())
    page.picture("pinned")
    page.press("Unpin")
    listed = "return document.querySelector('#sp-library').innerText"
    assert until(lambda: "pinned" not in page.driver.execute_script(listed))


def test_a_style_is_trained_while_the_webui_writes(page: Page, stocked: Path, tmp_path: Path) -> None:
    """From a file of the writer's to a story behind its tag, with a generation in between and a reload."""
    rain = tmp_path / "rain.txt"
    rain.write_text("It was raining. The lamp was out, and nobody in the harbour told the truth. " * 60, "utf-8")
    page.tab("Soft prompts")
    page.tab("Train")
    assert until(lambda: page.shown(".sp-card")), page.text()
    page.picture("train-starts")
    page.driver.execute_script("document.querySelector('.sp-card').click()")
    assert until(lambda: page.shown("#sp-train-setup")), "the form is not there"
    files = until(lambda: page.driver.find_elements("css selector", "#sp-train-files input[type=file]"))
    files[0].send_keys(str(rain))
    assert until(lambda: "Understood: 1 story" in page.text()), page.text()
    page.picture("train-form")
    page.press("Start")
    assert until(lambda: "step 1" in page.text(), 60)

    box = page.type("Once upon a time")
    page.press("Generate")
    assert until(lambda: len(box.get_attribute("value")) > len("Once upon a time") + 20, 60), "no turn for the writer"

    page.driver.refresh()
    assert until(lambda: "Soft prompts" in page.text(), 60)
    page.tab("Soft prompts")
    page.tab("Train")
    assert until(lambda: "Stop and keep the best" in page.text()), "the run is not the page's"
    page.picture("train-run")
    page.press("Stop and keep the best")
    assert until(lambda: (stocked / "soft_prompts" / "rain.safetensors").exists(), 60)
    assert until(lambda: "Stop and keep the best" not in page.text(), 60)
    page.picture("train-stopped")

    page.tab("Library")
    box = page.type("<<sp:rain>>It was late when")
    page.press("Generate")
    assert until(lambda: box.get_attribute("value").partition("late when")[2].strip(), 60)
    page.tab("Soft prompts")
    assert until(lambda: "<<sp:rain>>20 tokens" in page.text().partition("Last request")[2].replace("\n", ""))


def test_one_beginning_is_written_twice(page: Page) -> None:
    page.tab("Soft prompts")
    page.tab("Try")
    box = until(lambda: page.shown("#sp-try-text textarea"))[0]
    box.click()
    box.send_keys("It was late when")
    page.press("Write")
    words = "return document.querySelectorAll('#sp-try .sp-story .sp-tok').length"
    assert until(lambda: page.driver.execute_script(words) > 10, 60), page.text()
    page.picture("try")
