"""The Try section in a real browser, over the host in memory: what a writer clicks, and what then stands there."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import panel
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Row
from soft_prompts.panel.trying_answers import WAITING

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
START = "The rain had stopped."
ELSEWHERE = ("favicon", "fonts.g", "manifest", "/static/fonts", "cdnjs")
"""What gradio's own page asks for, and may not get."""


class Page(browser.Page):  # type: ignore[misc, name-defined]
    """A browser on the Try section."""

    def open(self, theme: str = "light", width: int = 1024) -> Page:
        super().open(theme, width)
        assert until(lambda: self.js("return !!window.softPrompts?.colours")), "the section's script did not run"
        self.section("Try")
        assert until(lambda: self.js("return !!document.querySelector('#sp-try-page')?.offsetParent"))
        return self

    def pick(self, side: str, name: str) -> None:
        """By keyboard, as one may."""
        from selenium.webdriver.common.keys import Keys

        field = self.one(f"#sp-try-{side} input")
        field.click()
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(name + Keys.ENTER)
        assert until(lambda: self.value(f"#sp-try-{side}") == name)
        self.js("document.activeElement.blur()")
        assert until(lambda: not self.all("#sp-try-page input[aria-expanded=true]")), "the list stays open"

    def write(self, text: str = START) -> None:
        self.type("#sp-try-text", text)
        self.one("#sp-try-write").click()

    def story(self, side: str) -> str:
        code = "return [...document.querySelectorAll(arguments[0])].map((each) => each.textContent).join('')"
        return str(self.js(code, f".sp-col[data-side={side}] .sp-tok"))

    @property
    def bubble(self) -> str:
        """What stands beside a word, if it is seen."""
        code = "const it = document.querySelector('#sp-try-bubble.sp-on'); return it?.textContent ?? ''"
        return str(self.js(code))

    def word(self, side: str, text: str) -> Any:
        words = "[...document.querySelectorAll(arguments[0])]"
        code = f"return {words}.find((each) => each.textContent.trim() === arguments[1])"
        found = until(lambda: self.js(code, f".sp-col[data-side={side}] .sp-tok", text))
        assert found, f"{text} does not stand on the {side}"
        return found

    def said(self, words: str, where: str = "#sp-try-state") -> bool:
        return bool(until(lambda: words in self.text(where)))


@pytest.fixture(scope="module")
def stage(driver: Any) -> Iterator[tuple[Any, str]]:
    """A host and the address of its panel; gradio's server runs in a thread of this process."""
    reason = "gradio is not installed: the host pins a build of its own"
    importing = fake.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason))
    with importing:
        host = fake.MemoryHost()
        with browser.served(panel.standalone(host)) as url:
            yield host, url


@pytest.fixture
def host(stage: tuple[Any, str]) -> Any:
    """The host as new, but never with a revision that a page has seen."""
    host = stage[0]
    kept = {"changes": host.changes + 1, "shows": host.shows}
    vars(host).update({**vars(fake.MemoryHost()), **kept})
    return host


@pytest.fixture
def page(driver: Any, stage: tuple[Any, str], host: Any) -> Page:
    return Page(driver, stage[1]).open()


def test_with_and_without(page: Page, host: Any) -> None:
    page.pick("left", "noir")
    assert page.value("#sp-try-right") == "(no soft prompt)"
    page.write("The rain {tag}had stopped.")
    assert page.said("Done.")
    assert host.tries.asked == [("The rain <<sp:noir>>had stopped.", "The rain had stopped.", 60, 0, 0.7)]
    assert page.story("left").startswith(" It rained on the neon.\n<img src=x")
    assert page.story("right") == " The sun was out. Gulls cry"
    assert [page.text(f".sp-col[data-side={side}] h4") for side in ("left", "right")] == ["with noir", "without noir"]
    assert page.text(".sp-lead").startswith("The rain had stopped.")
    assert page.js("return window.pwned") is None


def test_two_prompts_at_two_strengths(page: Page, host: Any) -> None:
    page.pick("left", "noir")
    page.pick("right", "noir")
    field = page.one("#sp-try-right-strength input[type=number]")
    field.clear()
    field.send_keys("0.5\t")
    page.write()
    assert page.said("Done.")
    assert host.tries.asked[0][:2] == ("<<sp:noir>>" + START, "<<sp:noir:0.5>>" + START)
    assert page.text(".sp-col[data-side=right] h4") == "with noir at 0.5"


def test_without_a_prompt_there_is_no_strength(page: Page) -> None:
    page.pick("left", "noir")
    shown = "return document.querySelector(arguments[0]).offsetParent !== null"
    assert until(lambda: page.js(shown, "#sp-try-left-strength"))
    assert until(lambda: not page.js(shown, "#sp-try-right-strength"))
    page.pick("right", "fable")
    assert until(lambda: page.js(shown, "#sp-try-right-strength"))


def test_it_waits_at_once_and_stops_while_it_waits(page: Page, host: Any) -> None:
    with host.tries.lock:
        page.type("#sp-try-text", START)
        click = "document.querySelector('#sp-try-write').click()"
        assert page.js(f"{click}; return document.querySelector('#sp-try-state').innerText") == WAITING, "at once"
        assert until(lambda: host.tries.asked)
        assert page.said(WAITING)
        page.one("#sp-try-stop").click()
        assert page.said("Stopped.")
        assert page.story("left") == ""
    assert until(lambda: host.tries.closed == 1)
    page.one("#sp-try-write").click()
    assert page.said("Done.")


def test_it_streams_and_stops_in_the_middle(page: Page, host: Any) -> None:
    host.tries.texts = [[fake.Piece(f" {number}") for number in range(5000)]] * 2
    host.tries.pause = 0.1
    page.write()
    assert page.said("Writing")
    assert until(lambda: page.story("left").startswith(" 0 1 2 3 4 5"))
    page.one("#sp-try-stop").click()
    assert page.said("Stopped.")
    assert " 5" in page.story("left") and " 4999" not in page.story("left")
    assert until(lambda: host.tries.closed == 1)
    kept = page.story("left")
    time.sleep(0.5)
    assert page.story("left") == kept


def test_two_browsers_at_once(page: Page, host: Any) -> None:
    host.tries.texts = [[fake.Piece(f" {number}") for number in range(5000)]] * 2
    host.tries.pause = 0.1
    first = page.driver.current_window_handle
    page.pick("left", "noir")
    page.write("One.")
    page.driver.switch_to.new_window("tab")
    try:
        Page(page.driver, page.url).open()
        page.pick("left", "fable")
        page.write("Two.")
        assert page.said("Writing"), "it must not wait until the other page has done"
        assert len(host.tries.asked) == 2 and host.tries.closed == 0
        assert page.text(".sp-col h4") == "with fable"
        page.one("#sp-try-stop").click()
        assert page.said("Stopped.")
    finally:
        page.driver.close()
        page.driver.switch_to.window(first)
    assert page.text("#sp-try-state") == "Writing …", "the other page goes on"
    page.one("#sp-try-stop").click()
    assert page.said("Stopped.")
    assert page.text(".sp-col h4") == "with noir"
    assert {each[0] for each in host.tries.asked} == {"<<sp:noir>>One.", "<<sp:fable>>Two."}


def test_a_double_click_writes_once(page: Page, host: Any) -> None:
    from selenium.webdriver import ActionChains

    host.tries.texts = [[fake.Piece(f" {number}") for number in range(5000)]] * 2
    host.tries.pause = 0.1
    page.type("#sp-try-text", START)
    ActionChains(page.driver).double_click(page.one("#sp-try-write")).perform()
    assert page.said("Writing")
    page.one("#sp-try-stop").click()
    assert page.said("Stopped."), "the second click hides the first one's trial"
    time.sleep(0.5)
    assert len(host.tries.asked) == 1


def test_the_page_is_loaded_anew_in_the_middle(page: Page, host: Any) -> None:
    host.tries.texts = [[fake.Piece(f" {number}") for number in range(5000)]] * 2
    host.tries.pause = 0.1
    page.write()
    assert page.said("Writing")
    page.open()
    assert until(lambda: host.tries.closed == 1, 12), "nobody looks, and it goes on"
    host.tries.texts = fake.MemoryTries().texts
    page.write()
    assert page.said("Done.")


def test_numbers_by_pointer_and_by_keys(page: Page) -> None:
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.pick("left", "noir")
    page.write()
    assert page.said("Done.")
    ActionChains(page.driver).move_to_element(page.word("left", "neon")).perform()
    assert page.said("“neon”: 20 times likelier with noir", "#sp-try-word")
    assert page.bubble == "“neon”: 20 times likelier with noir"
    place = "const at = arguments[0].getBoundingClientRect(); return [at.left, at.top, at.right, at.bottom]"
    word, bubble = (page.js(place, each) for each in (page.word("left", "neon"), page.one("#sp-try-bubble")))
    assert 0 < bubble[1] - word[3] < 20 and abs(bubble[0] - word[0]) < 20, "it stands beside its word"
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    assert until(lambda: not page.bubble)
    page.word("right", "sun").click()
    assert page.said("“sun”: 4.1 times likelier with noir", "#sp-try-word") and page.bubble
    story = page.one(".sp-col[data-side=left] .sp-story")
    page.js("arguments[0].focus()", story)
    story.send_keys(Keys.HOME)
    assert page.said("“It”: about as likely in both", "#sp-try-word")
    story.send_keys(Keys.ARROW_RIGHT)
    assert page.said("“rained”: 3.7 times likelier with noir", "#sp-try-word")
    story.send_keys(Keys.ARROW_RIGHT + Keys.ARROW_LEFT)
    assert page.said("“rained”", "#sp-try-word")


def test_colours_can_go_and_are_never_alone(page: Page) -> None:
    page.write()
    assert page.said("Done.")
    code = "const look = getComputedStyle(arguments[0]); return [look.backgroundColor, look.textDecorationLine]"
    colour, line = page.js(code, page.word("left", "neon"))
    assert colour != "rgba(0, 0, 0, 0)" and "underline" in line
    assert page.text(".sp-legend").count("likelier") == 2
    page.one("#sp-try-colours input").click()
    assert until(lambda: page.js(code, page.word("left", "neon"))[0] == "rgba(0, 0, 0, 0)")
    assert page.js(code, page.word("left", "neon"))[1] == "none"
    page.one("#sp-try-colours input").click()
    assert until(lambda: page.js(code, page.word("left", "neon"))[0] == colour)


def test_copy_and_insert(page: Page) -> None:
    page.js("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
    page.pick("left", "noir")
    page.write()
    assert page.said("Done.")
    page.one(".sp-col[data-side=right] .sp-copy-text").click()
    assert page.said("Copied.", "#sp-try-note")
    assert page.js("return window.copied") == " The sun was out. Gulls cry"
    assert not page.all(".sp-col[data-side=right] .sp-insert-tag"), "without a prompt there is no tag"
    page.one(".sp-col[data-side=left] .sp-insert-tag").click()
    assert until(lambda: page.value("#sp-text") == "<<sp:noir>>")
    assert page.said("Inserted into “Your text”.", "#sp-try-note")


def test_seed_length_and_temperature(page: Page, host: Any) -> None:
    page.js("document.querySelector('#sp-try-more button').click()")
    assert until(lambda: page.all("#sp-try-dice") and page.one("#sp-try-dice").is_displayed())
    page.one("#sp-try-dice").click()
    assert until(lambda: page.value("#sp-try-seed") not in ("", "0"))
    for name, value in (("tokens", "100"), ("temperature", "0.3")):
        field = page.one(f"#sp-try-{name} input[type=number]")
        field.clear()
        field.send_keys(f"{value}\t")
    seed = int(page.value("#sp-try-seed"))
    page.write()
    assert page.said("Done.")
    assert host.tries.asked[-1][2:] == (100, seed, 0.3)


def test_what_cannot_be_is_said(page: Page, host: Any) -> None:
    host.tries.fail = SoftPromptError("<<sp:noir>> is 64 wide, and <b>this</b> model 4,096")
    page.write()
    assert page.said("<<sp:noir>> is 64 wide, and <b>this</b> model 4,096")
    host.tries.fail, host.tries.reason = None, "No model is loaded: load one in the Model tab."
    assert page.said("No model is loaded", "#sp-try-reason"), "also before anything is asked"
    page.one("#sp-try-write").click()
    assert page.said("No model is loaded")
    assert len(host.tries.asked) == 1


def test_files_come_and_go(page: Page, host: Any) -> None:
    host.put(Row("late", "late.safetensors", 5, "fits"))
    time.sleep(3)
    page.pick("left", "late")
    host.take("late.safetensors")
    time.sleep(3)
    assert page.value("#sp-try-left") == "late", "what was chosen stays until the writer chooses again"
    page.write()
    assert page.said("Done.")
    assert host.tries.asked[0][0] == "<<sp:late>>" + START


def test_what_is_chosen_in_the_library_is_tried_next(page: Page) -> None:
    page.section("Library")
    code = "[...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes('gibson')).click()"
    assert until(lambda: "gibson" in page.text("#sp-library"))
    page.js(code)
    assert until(lambda: page.value("#sp-tag") == "<<sp:gibson>>")
    page.section("Try")
    assert until(lambda: page.value("#sp-try-left") == "gibson")
    page.pick("left", "noir")
    time.sleep(2)
    assert page.value("#sp-try-left") == "noir", "a choice made here holds"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1024, 1920])
def test_at_every_width(page: Page, width: int, theme: str) -> None:
    page.open(theme, width)
    page.pick("left", "noir")
    page.write()
    assert page.said("Done.")
    assert page.js("return document.documentElement.scrollWidth <= document.documentElement.clientWidth"), "cut off"
    left, right = (page.one(f".sp-col[data-side={side}]").rect for side in ("left", "right"))
    assert (left["y"] < right["y"]) == (width == 375), "side by side, and on a phone one below the other"
    # The word of an accordion's arrow is turned by gradio, and so wider than it looks.
    shown = "[...document.querySelectorAll('#sp-try-page button:not(.label-wrap), #sp-try-page h4')]"
    cut = "each.offsetParent && each.scrollWidth > each.clientWidth + 1"
    code = f"return {shown}.filter((each) => {cut}).map((each) => each.innerText)"
    assert page.js(code) == []
    if folder := os.environ.get("PANEL_SCREENSHOTS"):
        page.word("left", "neon").click()
        page.driver.save_screenshot(str(Path(folder) / f"try-{theme}-{width}.png"))


def test_nothing_jumps_while_it_writes(page: Page, host: Any) -> None:
    """What stands above the columns stays where it is, from the click to the end."""
    host.tries.pause = 0.03
    page.write()
    where = "return [...document.querySelectorAll('#sp-try-write, #sp-try-text, #sp-try-state, #sp-try-columns')]" \
        ".map((each) => Math.round(each.getBoundingClientRect().top + scrollY))"  # fmt: skip
    places = [page.js(where)]
    while "Done." not in page.text("#sp-try-state"):
        places.append(page.js(where))
    assert len({tuple(each) for each in places}) == 1


def test_the_console_stays_quiet(page: Page) -> None:
    page.driver.get_log("browser")  # what other tests have left there
    page.open()
    page.write()
    assert page.said("Done.")
    entries = [each["message"] for each in page.driver.get_log("browser") if each["level"] == "SEVERE"]
    assert not [each for each in entries if not any(name in each for name in ELSEWHERE)], entries
