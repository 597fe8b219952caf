"""The training section in a real browser, alone, over trainings in memory; and once on the storyteller itself.

Set PANEL_SCREENSHOTS to a folder, and it gets a picture of each state, light and dark.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import demo, panel
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.alone import Alone
from soft_prompts.trainer.runs import runs_of
from soft_prompts.trainer.tab import TrainSection

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


hosts, browser, fake = _load("panel_host"), _load("browser_page"), _load("train_host")
until = browser.until

START, STOP, PAUSE, GO_ON = "#sp-train-start", '[data-act="stop"]', '[data-act="pause"]', '[data-act="go_on"]'
RAIN = "It was raining. The neon sign over the bar was broken, and nobody told the truth. " * 20


class Page(browser.Page):  # type: ignore[misc, name-defined]
    """A browser on the training section."""

    def text(self, selector: str) -> str:
        return str(super().text(selector)).strip()

    def open(self, theme: str = "light", width: int = 1024, height: int = 1500) -> Page:
        super().open(theme, width, height)
        assert until(lambda: self.js("return !!window.softPrompts.train"))
        self.section("Train")
        assert until(lambda: self.all(".sp-card") and self.one(".sp-card").is_displayed())
        return self

    def choose(self, kind: str) -> None:
        self.click(f".sp-card[data-kind={kind}]")
        assert until(lambda: self.all(f'#sp-train-setup [data-kind="{kind}"]'))
        assert until(lambda: self.js("return document.querySelector(arguments[0]).ariaPressed === 'true'",
                                     f".sp-card[data-kind={kind}]"))  # fmt: skip

    def bring(self, *files: Path, block: str = "#sp-train-files") -> None:
        self.one(f"{block} input[type=file]").send_keys("\n".join(map(str, files)))

    def ready(self, file: Path, kind: str = "finetune") -> None:
        """A form in which only Start is missing."""
        self.choose(kind)
        self.bring(file)
        assert until(lambda: "Understood" in self.text("#sp-train-understood"))
        assert until(lambda: self.value("#sp-train-name") == file.stem)

    def says(self, words: str, where: str = "#sp-train-page") -> bool:
        return bool(until(lambda: words in self.text(where)))

    def seen(self, selector: str) -> bool:
        return bool(self.js("return !!document.querySelector(arguments[0])?.offsetParent", selector))


@pytest.fixture(scope="module")
def stage(driver: Any) -> Iterator[tuple[Any, Any, str]]:
    """A host, its trainings, and the address of their panel."""
    reason = "gradio is not installed: the host pins a build of its own"
    with hosts.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason)):
        host, trains = hosts.MemoryHost(), fake.MemoryTrains()
        with browser.served(panel.standalone(host, [TrainSection(lambda _: trains)])) as url:
            yield host, trains, url


@pytest.fixture
def host(stage: tuple[Any, Any, str]) -> Any:
    vars(stage[0]).update({**vars(hosts.MemoryHost()), "changes": stage[0].changes + 1, "shows": stage[0].shows})
    stage[0].forbids = ""
    return stage[0]


@pytest.fixture
def trains(stage: tuple[Any, Any, str], host: Any) -> Any:
    """The trainings as new, but never with a revision that a page has seen."""
    vars(stage[1]).update({**vars(fake.MemoryTrains()), "changes": stage[1].changes + 1})
    return stage[1]


@pytest.fixture
def page(driver: Any, stage: tuple[Any, Any, str], trains: Any) -> Page:
    return Page(driver, stage[2]).open()


@pytest.fixture
def rain(tmp_path: Path) -> Path:
    path = tmp_path / "rain.txt"
    path.write_text(RAIN)
    return path


def said(trains: Any, what: str) -> list[Any]:
    return [facts for each, facts in trains.asked if each == what]


# ---- from the files to the tag


def test_from_a_file_to_a_tag(page: Page, trains: Any, rain: Path) -> None:
    assert not page.seen("#sp-train-setup"), "before a start is chosen, three cards and nothing else"
    page.ready(rain)
    assert page.says("1 text, 1,640 characters") and page.says("It was raining")
    page.click(START)
    assert page.says("step 0 of 300", "#sp-train-progress")
    assert until(lambda: not page.seen("#sp-train-setup")), "the form is put away"
    (kind, name, files, pairs, settings) = said(trains, "plan")[0]
    assert (kind, name, pairs, settings) == ("finetune", "rain", None, {"tokens": "20"})
    assert [Path(each).name for each in files] == ["rain.txt"]

    trains.advance(120)
    assert page.says("step 120 of 300") and page.says("72 s left") and page.says("1,204 tokens/s")
    assert page.one("[role=progressbar]").get_attribute("aria-valuenow") == "40"
    assert page.js("return document.querySelectorAll('#sp-train-plot polyline').length") == 2
    assert page.text("#sp-train-previews").index("Step 100") < page.text("#sp-train-previews").index("Step 50")

    trains.advance(180)
    assert page.says("<<sp:rain>> is in the library", "#sp-train-others")
    assert page.seen(".sp-bars") and page.seen(".sp-scale")
    page.type("#sp-text", "The sky  was grey.")
    page.js("document.querySelector('#sp-text textarea').setSelectionRange(8, 8)")
    page.click('[data-act="insert"]')
    assert until(lambda: page.value("#sp-text") == "The sky <<sp:rain>> was grey.")
    assert page.says("Inserted into “Your text”.", ".sp-run")


@pytest.mark.parametrize(("kind", "shows", "hides"), [
    ("finetune", "#sp-train-files", "#sp-train-facts"),
    ("world-info", "#sp-train-facts", "#sp-train-set-questions"),
    ("distill", "#sp-train-files", "#sp-train-facts"),
])  # fmt: skip
def test_each_start_has_its_own_fields(page: Page, kind: str, shows: str, hides: str) -> None:
    page.choose(kind)
    page.click("#sp-train-more > button")
    assert until(lambda: page.seen(shows)) and not page.seen(hides)
    assert until(lambda: page.seen("#sp-train-set-lore") == (kind == "world-info"))
    assert page.seen("#sp-train-set-rows") == page.seen("#sp-train-set-questions") == (kind == "distill")
    assert page.seen("#sp-train-set-steps") and page.seen("#sp-train-set-from")
    assert page.all("#sp-train-tokens input:checked"), "one is chosen for the writer"


def test_facts_are_typed_into_the_table(page: Page, trains: Any) -> None:
    page.choose("world-info")
    fields = lambda: page.all("#sp-train-rows textarea")  # noqa: E731
    assert until(lambda: len(fields()) == 6 and fields()[0].is_displayed())
    time.sleep(0.5)  # what a choice gives is drawn once more when the files, here none, have been read
    fields()[0].send_keys("Emma wears")
    fields()[1].send_keys("a black suit")
    page.click("#sp-train-rows .sp-buttons button")
    assert until(lambda: len(fields()) == 8)
    page.driver.switch_to.active_element.send_keys("Emma owns")
    fields()[7].send_keys("a <b>cat</b>")
    page.all("#sp-train-rows input[type=checkbox]")[3].click()
    page.all("#sp-train-rows .sp-remove")[1].click()
    assert until(lambda: len(fields()) == 6)
    page.type("#sp-train-name", "emma-2")
    page.click(START)
    assert until(lambda: said(trains, "plan"))
    pairs = said(trains, "plan")[0][3]
    assert [(each.call, each.response, each.held_out) for each in pairs] == [
        ("Emma wears", "a black suit", False),
        ("Emma owns", "a <b>cat</b>", True),
    ]


def test_a_file_of_facts_fills_the_table(page: Page, tmp_path: Path) -> None:
    path = tmp_path / "town.json"
    rows = [{"call": f"House {number}", "response": "is <i>red</i>", "held_out": number == 1} for number in range(120)]
    path.write_text(json.dumps(rows))
    page.ready(path, "world-info")
    assert page.says("120 facts")
    assert until(lambda: len(page.all("#sp-train-rows tbody tr")) == 100)
    assert page.all("#sp-train-rows tbody input")[1].is_selected()
    page.all("#sp-train-rows .sp-buttons button")[1].click()
    assert until(lambda: len(page.all("#sp-train-rows tbody tr")) == 120)


# ---- what is wrong stands beside what it is about


@pytest.mark.parametrize(("name", "data", "kind", "words"), [
    ("picture.png", b"\x89PNG\x00\xff", "finetune", "picture.png: it is no text"),
    ("empty.txt", b"", "finetune", "empty.txt: it holds no text"),
    ("latin.txt", "Caf\xe9".encode("latin-1"), "distill", "latin.txt: it is no text in UTF-8"),
    ("story.txt", b"Once upon a time", "world-info", "story.txt: it holds no facts"),
])  # fmt: skip
def test_wrong_files(page: Page, trains: Any, tmp_path: Path, name: str, data: bytes, kind: str, words: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    page.choose(kind)
    page.bring(path)
    assert page.says(words, "#sp-train-read")
    assert until(lambda: not page.text("#sp-train-understood"))
    good = tmp_path / "good.json"
    good.write_text('[{"call": "a", "response": "b"}]')
    page.click("#sp-train-files button[aria-label*=lear], #sp-train-files button[aria-label*=emove]")
    assert until(lambda: not page.text("#sp-train-read")), "it is gone with the file"
    page.bring(good)
    assert page.says("Understood")
    assert not page.all(".toast-body.error"), "gradio's own red box says nothing"


def test_a_start_without_anything_says_what_is_missing(page: Page, trains: Any, rain: Path) -> None:
    page.choose("finetune")
    page.click(START)
    assert page.says("nothing to learn from yet", "#sp-train-read")
    page.bring(rain)
    assert page.says("Understood")
    page.type("#sp-train-name", "a*b")
    assert page.says("Try “a-b”", "#sp-train-named")
    page.click("#sp-train-more > button")
    page.type("#sp-train-name", "wet")
    assert until(lambda: not page.text("#sp-train-named"))
    page.type("#sp-train-set-steps", "many")
    page.click(START)
    assert page.says("Steps: “many” will not do", "#sp-train-tuned")
    page.type("#sp-train-set-steps", "40")
    page.click(START)
    assert until(lambda: trains.live)
    assert said(trains, "plan")[0][4] == {"tokens": "20", "steps": "40"}


def test_an_empty_table(page: Page) -> None:
    page.choose("world-info")
    page.type("#sp-train-name", "town")
    page.click(START)
    assert page.says("no fact yet", "#sp-train-paired")
    page.all("#sp-train-rows textarea")[0].send_keys("Emma wears")
    page.click(START)
    assert page.says("Row 1 has no response", "#sp-train-paired")


def test_a_taken_name_can_be_replaced(page: Page, trains: Any, rain: Path) -> None:
    page.ready(rain)
    assert not page.seen("#sp-train-replace")
    page.type("#sp-train-name", "noir")
    assert page.says("called “noir” already", "#sp-train-named") and until(lambda: page.seen("#sp-train-replace"))
    page.click(START)
    time.sleep(0.5)
    assert not said(trains, "start")
    page.click("#sp-train-replace input")
    page.click(START)
    assert until(lambda: said(trains, "start"))
    assert said(trains, "start")[0][1] is True


def test_a_failure_is_words(page: Page, trains: Any, rain: Path) -> None:
    page.ready(rain)
    trains.fail = SoftPromptError("The disk is full: free some space, then start again. <b>")
    page.click(START)
    assert page.says("The disk is full: free some space, then start again. <b>", "#sp-train-started")
    page.click(START)
    assert until(lambda: trains.live), "nothing that was filled in is lost"


# ---- before a start


def test_an_estimate_says_waiting_at_once_and_holds_up_nothing(page: Page, trains: Any, rain: Path) -> None:
    page.ready(rain)
    free = threading.Event()
    trains.wait = lambda: free.wait(20)
    try:
        begun = time.monotonic()
        page.click("#sp-train-estimate")
        assert until(lambda: "Waiting for the model" in page.text("#sp-train-estimated"))
        assert time.monotonic() - begun < 2, "the page says so itself"
        trains.put(fake.board_in("interrupted", "half"))
        assert page.says("half", "#sp-train-others"), "news come meanwhile"
        page.type("#sp-train-name", "a*b")
        assert page.says("Try “a-b”", "#sp-train-named")
    finally:
        free.set()
    assert page.says("About 12 min", "#sp-train-estimated")
    assert not trains.live


def test_a_double_click_starts_once(page: Page, trains: Any, rain: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.ready(rain)
    trains.wait = lambda: time.sleep(0.2)
    page.js("arguments[0].scrollIntoView({ block: 'center' })", page.one(START))
    ActionChains(page.driver).double_click(page.one(START)).perform()
    assert page.says("step 0 of 300")
    time.sleep(1.5)
    assert len(said(trains, "start")) == 1
    assert not page.text("#sp-train-started") and not page.text("#sp-train-read")


def test_consent(page: Page, trains: Any, rain: Path) -> None:
    trains.asks = "Download 2 GB of programs for it."
    trains.advice = "It is trained in a process of its own."
    trains.changes += 1
    page.ready(rain)
    assert page.says("in a process of its own", "#sp-train-advice") and until(lambda: page.seen("#sp-train-consent"))
    page.click(START)
    assert page.says("Please agree first", "#sp-train-started") and not trains.live
    page.click("#sp-train-consent input")
    page.click(START)
    assert until(lambda: trains.live)


def test_where_nothing_can_be_trained(page: Page, trains: Any, host: Any) -> None:
    host.forbids = "With --multi-user, files are not changed here."
    assert page.says("With --multi-user", "#sp-train-notice")
    assert until(lambda: not page.one(".sp-card").is_enabled())
    host.forbids = ""
    assert until(lambda: page.one(".sp-card").is_enabled()), "by itself"
    trains.reason = "No model is loaded: load one in the Model tab."
    assert page.says("load one in the Model tab", "#sp-train-notice")


# ---- while it runs


def test_pause_go_on_stop(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("training"))
    page.click(PAUSE)
    assert page.says("paused, the model is free") and trains.live.state == "paused"
    assert not page.all(PAUSE)
    page.click(GO_ON)
    assert until(lambda: page.all(PAUSE)) and trains.live.state == "training"
    page.click(STOP)
    assert page.says("You stopped it at step 120 of 300", "#sp-train-others")
    page.click(GO_ON)
    assert until(lambda: trains.live) and page.says("step 120 of 300")


def test_a_reload_in_mid_run(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("training"))
    assert page.says("step 120 of 300")
    trains.advance(10)
    page.open()
    assert page.says("step 130 of 300") and page.says("Step 100", "#sp-train-previews")
    page.click(PAUSE)
    assert until(lambda: trains.live.state == "paused")


def test_what_runs_is_marked_on_the_tab_from_the_library_too(page: Page, trains: Any) -> None:
    """After a reload the library is open; gradio measures its tabs by a second row, which nobody sees."""
    mark = """const tab = [...document.querySelectorAll('#sp-train-button')].find((each) => each.offsetParent);
        const look = getComputedStyle(tab, '::after');
        return [look.content, look.backgroundColor, tab.getBoundingClientRect().width]"""
    browser.Page.open(page)
    none, _, width = page.js(mark)
    trains.put(fake.board_in("training"))
    assert none == "none" and until(lambda: "a training runs" in page.js(mark)[0])
    assert page.js(mark)[2] == width, "nothing moves by it"
    running = page.js(mark)[1]
    trains.pause()
    assert until(lambda: "a training is paused" in page.js(mark)[0]) and page.js(mark)[1] != running
    trains.put(fake.board_in("done"))
    assert until(lambda: page.js(mark)[0] == "none")


def test_two_browsers(page: Page, trains: Any) -> None:
    first = page.driver.current_window_handle
    trains.put(fake.board_in("training"))
    assert page.says("step 120 of 300")
    page.driver.switch_to.new_window("tab")
    try:
        other = Page(page.driver, page.url).open()
        assert other.says("step 120 of 300")
        other.click(PAUSE)
        assert until(lambda: trains.live.state == "paused")
        page.driver.switch_to.window(first)
        assert page.says("paused, the model is free")
        page.click(STOP)
        # gradio 4 sends nothing from a window that nobody sees.
        assert until(lambda: trains.live is None)
        page.driver.switch_to.window(page.driver.window_handles[-1])
        assert other.says("You stopped it")
    finally:
        page.driver.switch_to.window(page.driver.window_handles[-1])
        page.driver.close()
        page.driver.switch_to.window(first)


def test_nothing_is_drawn_again_without_a_reason(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("done", "old"))
    trains.put(fake.board_in("training"))
    assert page.says("step 120 of 300") and page.says("old", "#sp-train-others")
    marks = {"progress": ".sp-live", "controls": ".sp-buttons", "others": ".sp-run", "cards": ".sp-card",
             "previews": ".sp-sample"}  # fmt: skip
    for name, selector in marks.items():
        page.js(f"document.querySelector('#sp-train-{name} {selector}').marked = true")
    kept = "return document.querySelector(arguments[0]).marked === true"
    time.sleep(2.5)
    assert all(page.js(kept, f"#sp-train-{name} {selector}") for name, selector in marks.items())
    trains.advance()
    assert page.says("step 121 of 300")
    stale = [name for name, selector in marks.items() if not page.js(kept, f"#sp-train-{name} {selector}")]
    assert "controls" not in stale and "others" not in stale and "cards" not in stale and "previews" not in stale


@pytest.mark.parametrize("width", [375, 1024])
def test_nothing_moves_while_it_runs(page: Page, trains: Any, width: int) -> None:
    trains.put(fake.stepped(fake.Board(fake.Plan("noir", "finetune", (), "rain.txt"), "training", steps=300)))
    page.open(width=width)
    assert page.says("step 1 of 300")
    tops = (
        "return ['#sp-train-controls', '#sp-train-plot', '#sp-train-previews', '#sp-train-cards'].map("
        "(each) => Math.round(document.querySelector(each).getBoundingClientRect().top + scrollY))"
    )
    before = page.js(tops)
    for step in (26, 51, 101, 299):
        trains.advance(step - trains.live.step)
        assert page.says(f"step {step} of 300")
        assert page.js(tops) == before, step
    # Also while a poll is on its way.
    assert all(page.js(tops) == before for _ in range(100))
    trains.change(state="paused")
    assert page.says("paused") and page.js(tops) == before
    trains.change(state="stopping")
    assert page.says("stopping") and page.js(tops) == before


def test_what_was_opened_stays_open(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("done", "newest", begun=9.0))
    trains.put(fake.board_in("done", "older", begun=2.0))
    assert until(lambda: len(page.all(".sp-run")) == 2)
    assert page.js("return [...document.querySelectorAll('.sp-run')].map((each) => each.open)") == [True, False]
    for summary in page.all(".sp-run > summary"):
        summary.click()
    trains.put(fake.board_in("done", "third", begun=1.0))
    assert until(lambda: len(page.all(".sp-run")) == 3)
    opened = "return [...document.querySelectorAll('.sp-run')].slice(0, 2).map((each) => each.open)"
    assert until(lambda: page.js(opened) == [False, True])


# ---- when it has ended


def test_interrupted_goes_on_or_is_forgotten(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("interrupted", "half", begun=5.0))
    trains.put(fake.board_in("failed", "broken", begun=6.0))
    assert page.says("interrupted") and page.says("The disk is full")
    page.click('.sp-run[data-state="failed"] [data-act="forget"]')
    assert page.says("Forget it for good?")
    assert "broken" in trains.made
    page.click('.sp-run[data-state="failed"] [data-act="forget"]')
    assert until(lambda: "broken" not in trains.made) and until(lambda: len(page.all(".sp-run")) == 1)
    if not page.seen('.sp-run[data-state="interrupted"] .sp-buttons'):
        page.click(".sp-run > summary")
    page.click('.sp-run[data-state="interrupted"] [data-act="go_on"]')
    assert until(lambda: trains.live and trains.live.plan.name == "half")


@pytest.mark.parametrize(("act", "further"), [("again", False), ("further", True)])
def test_once_more(page: Page, trains: Any, act: str, further: bool) -> None:
    trains.put(fake.board_in("done", "dusk"))
    fold = f'.sp-more:has([data-act="{act}"])'
    page.click(f"{fold} > summary")
    assert until(lambda: page.seen(f"{fold} .sp-new"))
    field = page.one(f"{fold} .sp-new")
    assert field.get_attribute("value") == "dusk-2"
    field.clear()
    field.send_keys("noir")
    page.click(f'[data-act="{act}"]')
    assert page.says("called “noir” already", "#sp-train-acted")
    time.sleep(0.8)
    field = page.one(f"{fold} .sp-new")
    field.clear()
    field.send_keys("dawn\n")
    assert until(lambda: trains.live and trains.live.plan.name == "dawn")
    assert said(trains, "again") == [("dusk", "dawn", further)]


def test_the_report_in_pictures(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("done", "emma-2", "world-info", report=fake.REPORT))
    assert page.says("It knows 2 of 3") and page.says("Pepper, and it") and page.says("right: Salt")
    widths = page.js("return [...document.querySelectorAll('.sp-track > span')].map((each) => each.offsetWidth)")
    assert widths[0] > widths[2] > widths[1] > widths[3] > 0
    page.click(".sp-more:has(p):not(:has(.sp-new)) > summary")
    assert page.says("On unrelated text its predictions move by 0.021")


# ---- everybody


def test_by_keys_alone(page: Page, trains: Any, rain: Path) -> None:
    from selenium.webdriver.common.keys import Keys

    page.js("document.querySelector('.sp-card[data-kind=finetune]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert until(lambda: page.seen("#sp-train-setup"))
    page.bring(rain)
    assert until(lambda: page.value("#sp-train-name") == "rain")
    page.js("document.querySelector('#sp-train-start').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert until(lambda: page.all(PAUSE))
    page.js("document.querySelector('[data-act=pause]').focus()")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.says("paused")
    assert until(lambda: page.js("return document.activeElement.dataset.act") == "go_on"), "the focus is not lost"


def test_a_screen_reader_is_told(page: Page, trains: Any) -> None:
    trains.put(fake.board_in("training"))
    assert until(lambda: "noir: training, 40 per cent" in page.js(
        "return document.querySelector('#sp-train-spoken').textContent"))  # fmt: skip
    assert page.one("#sp-train-spoken").get_attribute("aria-live") == "polite"
    bare = page.js(
        "return [...document.querySelectorAll('#sp-train-page button, #sp-train-page input, #sp-train-page textarea')]"
        ".filter((each) => each.offsetParent && !each.innerText.trim() && !each.ariaLabel && !each.labels?.length"
        " && each.type !== 'file').map((each) => each.outerHTML)"
    )
    assert not bare


@pytest.mark.parametrize("state", fake.STATES)
def test_hostile_texts_run_nothing(page: Page, trains: Any, state: Any) -> None:
    trains.put(fake.evil_board(state))
    trains.advice = fake.EVIL
    assert page.says("window.pwned")
    time.sleep(0.3)
    assert page.js("return window.pwned") is None
    assert not page.js("return document.querySelectorAll('#soft-prompts img, #soft-prompts script').length")


def test_the_page_is_quiet_and_steady(page: Page, trains: Any, rain: Path) -> None:
    """No complaint of ours in the console, and nothing wider than the window, on a phone too."""
    trains.put(fake.board_in("done", "emma-2", "world-info", report=fake.REPORT))
    trains.put(fake.board_in("training"))
    page.driver.get_log("browser")
    for width in browser.WIDTHS:
        page.open(width=width)
        page.choose("world-info")
        assert page.says("step 120 of 300")
        over = page.js(
            "const wide = document.documentElement.clientWidth;"
            "return [...document.querySelectorAll('#sp-train-page *')].filter((each) => each.offsetParent &&"
            " !each.closest('.sp-unseen') && each.getBoundingClientRect().right > wide + 1)"
            ".map((each) => each.id || each.className)"
        )
        assert not over, f"{width} pixels: {over}"
        cut = page.js(
            "return [...document.querySelectorAll('#sp-train-page :is(p, h4, span, button, label, th)')]"
            ".filter((each) => each.offsetParent && !each.closest('.sp-unseen') && !each.closest('svg') &&"
            " each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflow === 'hidden' &&"
            " getComputedStyle(each).display !== 'inline').map((each) => each.outerHTML.slice(0, 120))"
        )
        assert not cut, f"{width} pixels: {cut}"
    entries = [each["message"] for each in page.driver.get_log("browser")]
    assert not [each for each in entries if "soft" in each.lower() or "TypeError" in each], entries


# ---- the storyteller itself

STORY = "The rain did not stop. He lit a cigarette, and nobody in the bar told the truth. {} men had come and gone.\n\n"


@pytest.mark.slow
def test_from_a_file_to_a_story_on_the_storyteller(driver: Any, tmp_path: Path) -> None:
    library, story = tmp_path / "library", tmp_path / "rainy.txt"
    library.mkdir()
    story.write_text("".join(STORY.format(number) for number in range(60)))
    host = Alone(library, _storyteller).start()
    reason = "gradio is not installed: the host pins a build of its own"
    with hosts.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason)):
        app = panel.standalone(host, [TrainSection(runs_of)], writes=host)
        try:
            with browser.served(app) as url:
                _to_a_story(Page(driver, url).open(), host, story)
        finally:
            runs_of(host).close()
            host.close()


def _storyteller() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(demo.path())


def _to_a_story(page: Page, host: Any, story: Path) -> None:
    assert until(lambda: page.one(".sp-card").is_enabled(), 60), "the model is loaded"
    page.ready(story)
    page.click("#sp-train-more > button")
    for name, value in (("steps", "60"), ("preview-every", "20")):
        page.type(f"#sp-train-set-{name}", value)
    page.click("#sp-train-estimate")
    assert until(lambda: "About" in page.text("#sp-train-estimated"), 90), page.text("#sp-train-setup")
    page.click(START)
    assert until(lambda: "of 60" in page.text("#sp-train-progress"), 60), page.text("#sp-train-page")
    page.click(PAUSE)
    assert page.says("paused, the model is free")
    page.open()
    page.click(GO_ON)
    assert until(lambda: "Step 20" in page.text("#sp-train-previews"), 90), "samples after a reload in mid-run"
    assert until(lambda: "is in the library" in page.text("#sp-train-others"), 180), page.text("#sp-train-page")
    assert page.seen(".sp-bars") and page.seen(".sp-scale") and page.seen(".sp-mine")
    assert [row.name for row in host.rows()] == ["rainy"] and (Path(host.folder) / "rainy.safetensors").exists()
    page.click('[data-act="insert"]')
    assert until(lambda: page.value("#sp-text") == "<<sp:rainy>>")
    page.one("#sp-text textarea").send_keys("The door opened and")
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > 60, 60)
    assert until(lambda: host.last_request().uses, 60)
    (use,) = host.last_request().uses
    assert (use.tag, use.tokens, use.problem) == ("<<sp:rainy>>", 20, "")


# ---- pictures


def _chosen(kind: str) -> Callable[[Page, Any, Path], object]:
    def show(page: Page, trains: Any, rain: Path) -> None:
        if kind == "world-info":
            page.choose(kind)
            page.one("#sp-train-rows textarea").send_keys("Emma wears")
        else:
            page.ready(rain, kind)
        page.click("#sp-train-more > button")

    return show


def _wrong(page: Page, trains: Any, rain: Path) -> None:
    (rain.parent / "scan.png").write_bytes(b"\x89PNG\xff")
    page.choose("finetune")
    page.bring(rain.parent / "scan.png")
    page.type("#sp-train-name", "noir")


def _asking(page: Page, trains: Any, rain: Path) -> None:
    trains.advice = "llama.cpp cannot train, so it is done in a process of its own."
    trains.asks = "Download 2.1 GB of programs for it, once."
    page.ready(rain)


SHOWN: dict[str, Callable[[Page, Any, Path], object]] = {
    "cards": lambda page, trains, rain: None,
    "style": _chosen("finetune"),
    "facts": _chosen("world-info"),
    "squeeze": _chosen("distill"),
    "wrong": _wrong,
    "asking": _asking,
    "closed": lambda page, trains, rain: setattr(
        trains, "reason", "llama.cpp cannot train. Load the model with Transformers, or train it on another computer."
    ),
    "training": lambda page, trains, rain: trains.put(fake.board_in("training")),
    "preparing": lambda page, trains, rain: trains.put(fake.board_in("preparing")),
    "done": lambda page, trains, rain: trains.put(fake.board_in("done", "emma", "world-info", report=fake.REPORT)),
    "ended": lambda page, trains, rain: [trains.put(fake.board_in(each, each, begun=number))
                                         for number, each in enumerate(("stopped", "failed", "interrupted"))],
}  # fmt: skip


@pytest.mark.skipif("PANEL_SCREENSHOTS" not in os.environ, reason="PANEL_SCREENSHOTS names no folder for pictures")
@pytest.mark.parametrize("theme", browser.THEMES)
@pytest.mark.parametrize("width", [1024, 375])
@pytest.mark.parametrize("state", SHOWN)
def test_pictures(page: Page, trains: Any, rain: Path, theme: str, width: int, state: str) -> None:
    import gradio

    page.open(theme, width, 1500 if width > 600 else 2000)
    SHOWN[state](page, trains, rain)
    page.js("document.activeElement.blur(); scrollTo(0, 0)")
    time.sleep(2.2)
    folder = Path(os.environ["PANEL_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    name = f"gradio{gradio.__version__.partition('.')[0]}-{theme}-{width}-train-{state}.png"
    assert page.driver.save_screenshot(str(folder / name))
