"""The panel in a real browser, alone, over the host in memory: what a writer clicks, and what then stands where.

Set PANEL_SCREENSHOTS to a folder, and it gets a picture of each state, light and dark.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import panel
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Health, Row, Use
from soft_prompts.panel import markup
from soft_prompts.tags import tag_for

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


class Page(browser.Page):  # type: ignore[misc, name-defined]
    """A browser on the panel."""

    def names(self) -> str:
        return self.text("#sp-library")

    def choose(self, name: str) -> None:
        code = "[...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes(arguments[0])).click()"
        assert until(lambda: name in self.names())
        self.js(code, name)
        assert until(lambda: self.text("#sp-details .sp-name").startswith(name))
        assert until(lambda: f"<<sp:{name}" in self.value("#sp-tag"))

    def strength(self, strength: float) -> None:
        field = self.one("#sp-strength input[type=number]")
        field.clear()
        field.send_keys(f"{strength}\t")

    def said(self, words: str) -> bool:
        return bool(until(lambda: words in self.text("#soft-prompts")))


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


def test_the_list_updates_itself_and_only_when_something_changed(page: Page, host: Any) -> None:
    assert until(lambda: "noir" in page.names())
    page.js("document.querySelector('.sp-row').marked = true")
    time.sleep(2.5)
    assert page.js("return document.querySelector('.sp-row').marked"), "it was drawn again without a reason"
    host.put(Row("late", "late.safetensors", 5, "fits", "", "It came while the page was open."))
    assert until(lambda: "late" in page.names())
    host.take("late.safetensors")
    assert until(lambda: "late" not in page.names())


def test_insert_at_the_cursor(page: Page) -> None:
    page.type("#sp-text", "The sky  was grey.")
    page.js("document.querySelector('#sp-text textarea').setSelectionRange(8, 8)")
    page.choose("noir")
    place = page.settled("#sp-pinning")
    page.one("#sp-insert").click()
    assert until(lambda: page.value("#sp-text") == "The sky <<sp:noir>> was grey.")
    assert page.said("Inserted into “Your text”.")
    assert abs(page.settled("#sp-pinning") - place) < 1, "what stands below is moved by the first tag"
    page.strength(0.7)
    page.js("document.querySelector('#sp-text textarea').setSelectionRange(0, 3)")
    page.one("#sp-insert").click()
    assert until(lambda: page.value("#sp-text") == "<<sp:noir:0.7>> sky <<sp:noir>> was grey."), page.value("#sp-text")
    page.driver.switch_to.active_element.send_keys("!")
    assert page.value("#sp-text").startswith("<<sp:noir:0.7>>! sky"), "the writer goes on behind the tag"


def test_insert_where_no_box_can_have_the_focus(page: Page) -> None:
    """As in the webui, where the chat's box lies in another tab."""
    page.type("#sp-text", "ab")
    page.js("const box = document.querySelector('#sp-text'); box.querySelector('textarea').setSelectionRange(1, 1);"
            "box.querySelector('textarea').blur(); box.style.display = 'none'")  # fmt: skip
    page.choose("noir")
    page.one("#sp-insert").click()
    assert until(lambda: page.value("#sp-text") == "a<<sp:noir>>b")


@pytest.mark.parametrize("strength", [1, 0.7, -4, 4, 0, -0.05, 2.5, 0.35])
def test_page_and_library_spell_tags_alike(page: Page, strength: float) -> None:
    spelled = page.js("return window.softPrompts.tag('<<sp:people/emma:0.5>>', arguments[0])", strength)
    assert spelled == str(tag_for("people/emma", strength))


def test_copy(page: Page) -> None:
    page.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite"]})
    page.choose("noir")
    page.one("#sp-copy").click()
    assert page.said("Copied.")
    assert page.driver.execute_async_script("navigator.clipboard.readText().then(arguments[0])") == "<<sp:noir>>"


def test_copy_without_a_clipboard(page: Page) -> None:
    """As over plain http from another machine; there the browser copies what is selected."""
    page.js("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page.js("document.execCommand = (what) => { window.copied = [what, document.activeElement.value]; return true; }")
    page.choose("noir")
    page.one("#sp-copy").click()
    assert page.said("Copied.") and page.js("return window.copied") == ["copy", "<<sp:noir>>"]


def test_the_report_is_copied_and_shown(page: Page, host: Any) -> None:
    assert not page.one("#sp-report").is_displayed()
    page.one("#sp-copy-report").click()
    assert until(lambda: page.value("#sp-report") == host.report())
    assert page.one("#sp-report").is_displayed()
    said = until(lambda: page.text("#sp-report-note"))
    assert said.startswith(("Report copied.", "The browser does not let it")), "whichever row is chosen"
    page.one("#sp-close-report").click()
    assert until(lambda: not page.one("#sp-report").is_displayed())


def test_pin_and_unpin(page: Page, host: Any) -> None:
    page.choose("noir")
    page.strength(0.7)
    assert until(lambda: page.value("#sp-tag") == "<<sp:noir:0.7>>")
    page.js("[...document.querySelectorAll('#sp-scope label')].find((each) => each.innerText.includes('Emma')).click()")
    page.one("#sp-pin").click()
    assert until(lambda: host.kept == {"character:Emma": {"noir": 0.7}})
    assert page.said("pinned for Emma at 0.7") and page.said("Pinned for Emma")
    page.one("#sp-unpin").click()
    assert until(lambda: host.kept == {"character:Emma": {}})
    assert until(lambda: not page.one("#sp-unpin").is_enabled())


def test_make(page: Page, host: Any) -> None:
    page.js("if (!document.querySelector('#sp-name')?.offsetParent) document.querySelector('#sp-maker button').click()")
    assert until(lambda: page.one("#sp-name").is_displayed())
    page.type("#sp-name", "storm/1")
    page.type("#sp-sentence", "The sea took the pier in one night.")
    page.one("#sp-make").click()
    assert until(lambda: page.text("#sp-details .sp-name").startswith("storm/1"))
    assert until(lambda: page.value("#sp-tag") == "<<sp:storm/1>>") and page.value("#sp-sentence") == ""
    assert until(lambda: "storm/1" in page.text(".sp-row[aria-pressed=true]"))
    assert until(lambda: "<<sp:storm/1>> is in the library" in page.text("#sp-near")), "beside Insert"
    time.sleep(1.5)
    assert "is in the library" in page.text("#sp-near"), "the news of it take it away"
    page.choose("noir")
    assert until(lambda: not page.text("#sp-near"))
    page.one("#sp-make").click()
    assert until(lambda: "needs a name and a sentence" in page.text("#sp-maker"))
    page.type("#sp-name", "x")
    assert until(lambda: "needs a name" not in page.text("#sp-maker")), "it may be right by now"


def test_the_master_switch(page: Page, host: Any) -> None:
    page.one("#sp-on input").click()
    assert until(lambda: not host.switched) and page.said("Soft prompts are switched off")
    assert page.names().count("switched off") == 6
    host.switch(True)
    assert until(lambda: page.one("#sp-on input").is_selected()), "another page turned it on"


def test_an_error_is_words(page: Page, host: Any) -> None:
    page.choose("noir")
    host.fail = SoftPromptError("The disk is full: free some space, then pin again. <b>")
    page.one("#sp-pin").click()
    assert page.said("The disk is full: free some space, then pin again. <b>")
    assert not page.all(".toast-body.error"), "gradio's own red box says nothing"


def test_find(page: Page, host: Any) -> None:
    assert not page.one("#sp-find").is_displayed(), "a short list needs no field"
    for number in range(markup.FIND_FROM):
        host.put(Row(f"n{number}", f"n{number}.txt", 3, "text"))
    assert until(lambda: page.one("#sp-find").is_displayed())
    page.type("#sp-find", "lighthouse")
    assert until(lambda: "noir" not in page.names()) and "people/emma" in page.names()


def test_what_needs_attention_is_one_click_away(page: Page, host: Any) -> None:
    for number in range(30):
        host.put(Row(f"n{number}", f"n{number}.txt", 3, "text"))
    assert until(lambda: "n29" in page.names())
    page.one(".sp-ailing").click()
    box, row = (
        page.js(
            "const box = document.querySelector(arguments[0]).getBoundingClientRect(); return [box.top, box.bottom]", it
        )
        for it in ("#sp-library", ".sp-row[data-ailing=yes]")
    )
    assert box[0] <= row[0] and row[1] <= box[1] + 1
    assert page.js("return document.activeElement.dataset.ailing") == "yes"


def test_rows_with_and_without_a_pin_are_as_high(page: Page, host: Any) -> None:
    heights = "return [...document.querySelectorAll('.sp-row')].slice(0, 4).map((row) => row.offsetHeight)"
    before = page.js(heights)
    host.pin("everywhere", "noir", 0.7)
    assert until(lambda: "pinned everywhere at 0.7" in page.names())
    assert page.js(heights) == before


def test_nothing_to_click_lies_under_the_toasts(page: Page) -> None:
    """The webui shows them over the right of the page's top."""
    page.driver.set_window_size(1280, 1000)
    edge = page.js("return document.querySelector('#sp-on').getBoundingClientRect().right")
    assert edge < 1280 - 460
    assert page.js("return document.querySelector('#sp-copy-report').getBoundingClientRect().top") > 400


def test_keys_choose_too(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    assert until(lambda: page.all(".sp-row"))
    page.js("document.querySelector('.sp-row').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    second = page.js("return document.activeElement.innerText")
    assert page.js("return document.activeElement === document.querySelectorAll('.sp-row')[1]")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert until(lambda: page.text("#sp-details .sp-name") and page.text("#sp-details .sp-name").split()[0] in second)


def test_strangers_files_run_nothing(page: Page, host: Any) -> None:
    host.state = Health("cannot", fake.EVIL, (fake.EVIL,))
    host.request(Use(fake.EVIL, 3), Use("<<sp:x>>", problem=fake.EVIL), tokens=10)
    host.pin("everywhere", fake.EVIL)
    assert until(lambda: "window.pwned" in page.text("#sp-last"))
    for row in page.all(".sp-row"):
        page.js("arguments[0].click()", row)
        time.sleep(0.15)
    assert page.js("return window.pwned") is None
    assert not page.js("return document.querySelectorAll('#soft-prompts img, #soft-prompts script').length")
    assert "${window.pwned=1}" in page.names(), "gradio 6 has templates in its HTML; this must stay text"


def test_the_page_is_quiet_and_steady(page: Page, host: Any) -> None:
    """No complaint of ours in the console, and nothing wider than the window, on a phone too."""
    page.choose("noir")
    for width in (375, 1024, 1920):
        page.open(width=width)
        page.choose("noir")
        over = page.js(
            "const wide = document.documentElement.clientWidth;"
            "return [...document.querySelectorAll('#soft-prompts *')].filter((each) => each.offsetParent &&"
            " each.getBoundingClientRect().right > wide + 1).map((each) => each.id || each.className)"
        )
        assert not over, f"{width} pixels: {over}"
    entries = [each["message"] for each in page.driver.get_log("browser")]
    assert not [each for each in entries if "soft" in each.lower() or "TypeError" in each], entries


STATES: dict[str, Callable[[Page, Any], object]] = {
    "library": lambda page, host: None,
    "chosen": lambda page, host: page.choose("noir"),
    "inert": lambda page, host: page.js(
        "[...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes('broken')).click()"
    ),
    "empty": lambda page, host: host.files.clear() or host.kept.clear() or setattr(host, "changes", host.changes + 1),
    "off": lambda page, host: host.switch(False),
    "cannot": lambda page, host: (
        setattr(host, "state", Health("cannot", "Not with llama.cpp yet.", ("Load it with Transformers.",)))
        or setattr(host, "changes", host.changes + 1)
    ),
}


@pytest.mark.skipif("PANEL_SCREENSHOTS" not in os.environ, reason="PANEL_SCREENSHOTS names no folder for pictures")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1024, 375])
@pytest.mark.parametrize("state", STATES)
def test_pictures(page: Page, host: Any, theme: str, width: int, state: str) -> None:
    import gradio

    host.pin("everywhere", "noir", 0.7)
    gone = Use("<<sp:gibsn>>", problem="Nothing in the library is called gibsn; did you mean gibson?")
    host.request(Use("<<sp:noir:0.7>>", 20, 1, True), Use("<<sp:people/emma>>", 24, 2), gone, tokens=1204)
    page.open(theme, width)
    STATES[state](page, host)
    time.sleep(2.5)
    folder = Path(os.environ["PANEL_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    name = f"gradio{gradio.__version__.partition('.')[0]}-{theme}-{width}-{state}.png"
    assert page.driver.save_screenshot(str(folder / name))
