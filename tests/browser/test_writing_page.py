"""Where the writer writes, in a real browser: the list of names, and all of it together.

Set PANEL_SCREENSHOTS to a folder, and it gets a picture of each state, light and dark.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts.hosts.protocol import Health, Row

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


around = _load("writing_page")
NOTEBOOK, CHAT, CONTEXT, ALONE = around.NOTEBOOK, around.CHAT, around.CONTEXT, around.ALONE
fake, until, cost, chips = around.fake, around.until, around.cost, around.chips
stage, host, page, alone = around.stage, around.host, around.page, around.alone
Page = Any


@pytest.mark.parametrize("field", [NOTEBOOK, CHAT, CONTEXT, "#title input", "#title textarea"])
def test_a_name_is_chosen_by_keys(page: Page, field: str) -> None:
    if not page.all(field):
        pytest.skip("gradio 4 and 6 draw one-line boxes with different elements")
    page.type(field, "Rain, <<sp:")
    assert until(page.options)[:5] == ["fable", "gibson", "noir", "people/emma", "slow-burn"], "usable ones first"
    page.keys("no")
    assert until(lambda: page.options() == ["noir"])
    page.press("ENTER")
    assert page.value(field) == "Rain, <<sp:noir>>"
    assert not page.options()
    page.keys("!")
    assert page.value(field) == "Rain, <<sp:noir>>!", "the writer goes on behind the tag"


def test_enter_is_the_hosts_when_the_list_is_closed_and_ours_when_it_is_open(page: Page) -> None:
    page.type(CHAT, "Say <<sp:fab")
    assert until(page.options)
    page.press("ENTER")
    time.sleep(0.3)
    assert page.value(CHAT) == "Say <<sp:fable>>" and page.js("return window.seen") == []
    page.press("ENTER")
    assert until(lambda: page.js("return window.seen") == ["sent"])
    assert until(lambda: page.value(CHAT) == ""), "gradio's own Enter works, too"
    assert until(lambda: not page.all("#chat-input-row .sp-cost")), "the line goes with the text"


def test_escape_closes_the_list_and_only_then_reaches_the_host(page: Page) -> None:
    page.type(CHAT, "<<sp:")
    assert until(page.options)
    page.press("ESCAPE")
    assert not page.options() and page.js("return window.seen") == []
    page.keys("no")
    assert not page.options(), "it opened again for the tag that it was closed for"
    page.press("ESCAPE")
    assert page.js("return window.seen") == ["stopped"]
    page.press("ENTER")
    assert until(lambda: page.js("return window.seen") == ["stopped", "sent"])
    page.type(CHAT, "<<sp:")
    assert until(page.options), "another tag is another matter"


def test_arrows_move_and_tab_chooses(page: Page) -> None:
    page.type(NOTEBOOK, "<<sp:")
    assert until(lambda: page.chosen() == "fable")
    page.press("ARROW_DOWN")
    assert page.chosen() == "gibson"
    page.press("ARROW_UP")
    page.press("ARROW_UP")
    assert page.chosen() == page.options()[-1], "round and round"
    seen, list_ = page.box(".sp-option[aria-selected=true]"), page.box("#sp-choices")
    assert list_["top"] - 1 <= seen["top"] and seen["bottom"] <= list_["bottom"] + 1, "the marked one is in sight"
    for _ in range(3):
        page.press("ARROW_DOWN")
    page.press("TAB")
    assert page.value(NOTEBOOK) == "<<sp:noir>>"
    assert page.js("return document.activeElement === document.querySelector(arguments[0])", NOTEBOOK)


def test_a_name_is_chosen_by_mouse_and_undone_by_key(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    page.type(NOTEBOOK, "It was <<sp:gib")
    assert until(lambda: page.options() == ["gibson"])
    page.one(".sp-option").click()
    assert page.value(NOTEBOOK) == "It was <<sp:gibson>>"
    assert page.js("return document.activeElement === document.querySelector(arguments[0])", NOTEBOOK)
    page.keys(Keys.CONTROL, "z", Keys.NULL)
    assert page.value(NOTEBOOK).startswith("It was <<sp:") and ">>" not in page.value(NOTEBOOK)


def test_touch_chooses_too(page: Page) -> None:
    page.type(NOTEBOOK, "<<sp:gib")
    assert until(page.options)
    place = page.box(".sp-option")
    point = [{"x": place["x"] + 20, "y": place["y"] + 10}]
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": point})
    page.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})
    assert until(lambda: page.value(NOTEBOOK) == "<<sp:gibson>>")


def test_folders_and_middles_are_found_beginnings_first(page: Page, host: Any) -> None:
    host.put(Row("lemma", "lemma.txt", 3, "text"))
    host.put(Row("em", "em.txt", 3, "width", "64 wide, and this model has 4,096."))
    page.type(NOTEBOOK, "<<sp:em")
    assert until(lambda: page.options() == ["people/emma", "lemma", "em", "emma"], 6), page.options()
    more = page.text(".sp-option.sp-dim .sp-option-more")
    assert more == "64 wide, and this model has 4,096."


def test_a_file_that_was_dropped_a_moment_ago_is_offered(page: Page, host: Any) -> None:
    page.js("document.querySelector('#soft-prompts').style.display = 'none'")
    page.type(NOTEBOOK, "<<sp:lat")
    assert until(lambda: "No soft prompt is called “lat”." in page.text(".sp-foot"))
    host.put(Row("late", "late.safetensors", 5, "fits", "", "It came while the page was open."))
    assert until(lambda: page.options() == ["late"], 6), "while the list stood open"
    page.press("ENTER")
    assert page.value(NOTEBOOK) == "<<sp:late>>"


def test_without_a_match_no_key_is_taken(page: Page) -> None:
    page.type(CHAT, "<<sp:zzz")
    assert until(lambda: page.text(".sp-foot")) and not page.options()
    page.press("ENTER")
    assert until(lambda: page.js("return window.seen") == ["sent"])


def test_strengths(page: Page) -> None:
    page.type(NOTEBOOK, "<<sp:noir:")
    assert until(lambda: page.options() == ["0.5", "0.7", "1", "1.3"])
    page.keys("0.")
    assert until(lambda: page.options() == ["0.5", "0.7"])
    page.press("ARROW_DOWN")
    page.press("ENTER")
    assert page.value(NOTEBOOK) == "<<sp:noir:0.7>>"
    page.set(NOTEBOOK, "")
    page.type(NOTEBOOK, "<<sp:noir:0.85")
    assert until(lambda: page.options() == ["0.85"]), "any other one, too"
    page.press("TAB")
    assert page.value(NOTEBOOK) == "<<sp:noir:0.85>>"


def test_a_colon_takes_the_marked_name_on_to_its_strengths(page: Page) -> None:
    page.type(NOTEBOOK, "<<sp:gib")
    assert until(page.options)
    page.keys(":")
    assert until(lambda: page.options() == ["0.5", "0.7", "1", "1.3"])
    assert page.value(NOTEBOOK) == "<<sp:gibson:"


@pytest.mark.parametrize(
    ("before", "behind", "after"),
    [
        ("a <<sp:", ">> b", "a <<sp:gibson>> b"),
        ("a <<sp:", "noir>> b", "a <<sp:gibson>> b"),
        ("a <<sp:", "noir:0.7>> b", "a <<sp:gibson:0.7>> b"),
        ("a <<sp:", " and <<sp:noir>>", "a <<sp:gibson>> and <<sp:noir>>"),
        ("a <<sp:", " and so on", "a <<sp:gibson>> and so on"),
    ],
)
def test_a_tag_is_written_again(page: Page, before: str, behind: str, after: str) -> None:
    page.set(NOTEBOOK, before + behind, len(before))
    page.keys("gib")
    assert until(page.options), page.text(".sp-foot")
    page.press("ENTER")
    assert page.value(NOTEBOOK) == after


def test_the_list_closes_when_the_cursor_leaves(page: Page) -> None:
    page.type(NOTEBOOK, "a <<sp:n")
    assert until(page.options)
    page.press("HOME")
    assert until(lambda: not page.options())
    page.press("END")
    page.keys("o")
    assert until(page.options)
    page.js("document.querySelector(arguments[0]).focus()", CONTEXT)
    assert until(lambda: not page.options())


def test_a_literal_tag_needs_no_list(page: Page) -> None:
    page.type(NOTEBOOK, "\\<<sp:no")
    time.sleep(0.5)
    assert not page.options()


def test_the_list_is_a_combobox(page: Page) -> None:
    page.type(NOTEBOOK, "<<sp:no")
    assert until(page.options)
    field = page.one(NOTEBOOK)
    assert field.get_attribute("role") == "combobox" and field.get_attribute("aria-expanded") == "true"
    listed = page.one(f"#{field.get_attribute('aria-controls')}")
    assert listed.get_attribute("role") == "listbox" and listed.get_attribute("aria-label")
    marked = page.one(f"#{field.get_attribute('aria-activedescendant')}")
    assert marked.get_attribute("role") == "option" and marked.get_attribute("aria-selected") == "true"
    assert until(
        lambda: page.js("return document.querySelector('#sp-live').textContent") == "1 soft prompt to choose from"
    )
    page.press("ESCAPE")
    left = [name for name in page.js("return arguments[0].getAttributeNames()", field) if name.startswith("aria-")]
    assert not left and not field.get_attribute("role"), "a plain text box again"


def test_words_are_composed_in_peace(page: Page) -> None:
    """While an input method composes, its Enter ends the word, and its letters are not yet there."""
    page.js("document.querySelector(arguments[0]).focus()", NOTEBOOK)
    page.driver.execute_cdp_cmd("Input.insertText", {"text": "<<sp:"})
    assert until(page.options)
    taken = page.js(
        "const field = document.querySelector(arguments[0]);"
        "const enter = new KeyboardEvent('keydown', {key: 'Enter', keyCode: 229, isComposing: true, bubbles: true,"
        " cancelable: true}); return !field.dispatchEvent(enter)",
        NOTEBOOK,
    )
    assert not taken and page.options()
    page.driver.execute_cdp_cmd("Input.imeSetComposition", {"text": "gi", "selectionStart": 2, "selectionEnd": 2})
    assert len(page.options()) > 1, "it chose among half a word"
    page.driver.execute_cdp_cmd("Input.insertText", {"text": "gi"})
    assert until(lambda: page.options() == ["gibson"])


LONG = "The rain had not stopped for nine days, and nobody in the town said so any more. " * 30


@pytest.mark.parametrize("width", [1024, 375])
@pytest.mark.parametrize("text", ["", "a short line, ", "word " * 9, LONG, "x\n" * 60])
def test_the_list_stands_at_the_cursor(page: Page, width: int, text: str) -> None:
    """Below the line of the cursor or above it, and wholly within the window."""
    page.open(width=width, height=700)
    page.set(NOTEBOOK, text)
    page.type(NOTEBOOK, "<<sp:")
    assert until(page.options)
    place, field = page.box(".sp-box"), page.box(NOTEBOOK)
    caret = page.js("return window.softPrompts.caret(document.querySelector(arguments[0]), arguments[1])",
        NOTEBOOK, len(text) + 5)  # fmt: skip
    assert field["top"] <= caret["top"] and caret["bottom"] <= field["bottom"] + 1, "the cursor's line is in sight"
    assert field["left"] <= caret["left"] <= field["right"]
    assert abs(place["top"] - caret["bottom"] - 4) < 2 or abs(caret["top"] - 4 - place["bottom"]) < 2
    assert place["left"] >= 0 and place["right"] <= page.js("return document.documentElement.clientWidth")
    assert place["top"] >= 0 and place["bottom"] <= 700
    assert (
        abs(place["left"] - caret["left"]) < 2
        or place["right"] > page.js("return document.documentElement.clientWidth") - 10
    )


def test_the_cursor_is_found_where_the_browser_draws_it(page: Page) -> None:
    """A copy of the box made by the test has the same place for every word of a long text."""
    page.set(NOTEBOOK, LONG)
    wrong = page.js(
        """const field = document.querySelector(arguments[0]);
        field.scrollTop = 0;
        const style = getComputedStyle(field);
        const twin = document.createElement("div");
        for (const name of style) twin.style.setProperty(name, style.getPropertyValue(name));
        const at = field.getBoundingClientRect();
        Object.assign(twin.style, {position: "fixed", left: `${at.left}px`, top: `${at.top}px`, whiteSpace: "pre-wrap",
          width: `${at.width}px`, height: `${at.height}px`, boxSizing: "border-box", overflowY: "scroll", margin: 0});
        twin.textContent = field.value;
        document.body.append(twin);
        twin.style.width = `${at.width + field.clientWidth - twin.clientWidth}px`;
        const range = document.createRange();
        const wrong = [];
        for (let each = 0; each < field.value.length; each += 37) {
          if (field.value[each] === " ") continue;
          range.setStart(twin.firstChild, each);
          range.setEnd(twin.firstChild, each + 1);
          const [real, ours] = [range.getBoundingClientRect(), window.softPrompts.caret(field, each)];
          if (Math.abs(real.left - ours.left) > 1 || Math.abs(real.top - ours.top) > 1) wrong.push([each, real, ours]);
        }
        twin.remove();
        return wrong;""",
        NOTEBOOK,
    )
    assert not wrong


def test_the_list_follows_its_box_and_goes_with_it(page: Page) -> None:
    page.set(NOTEBOOK, "x\n" * 60)
    page.type(NOTEBOOK, "<<sp:")
    assert until(page.options)
    before = page.box(".sp-box")["top"]
    page.js("window.scrollBy(0, 60)")
    assert until(lambda: abs(page.box(".sp-box")["top"] - before + 60) < 2)
    page.js("document.querySelector(arguments[0]).scrollTop = 0", NOTEBOOK)
    assert until(lambda: not page.options()), "its line was scrolled out of sight"


def test_five_thousand_names_are_quick(page: Page, host: Any) -> None:
    for number in range(5000):
        row = Row(f"shelf {number % 50}/story {number}", f"{number}.txt", 7, "text", "", f"Of the number {number}.")
        host.files[row.file] = row
    host.changes += 1
    page.js("document.querySelector('#soft-prompts').style.display = 'none'")
    page.type(NOTEBOOK, "<<sp:")
    assert until(lambda: "50 of 5,009" in page.text(".sp-foot"), 20), page.text(".sp-foot")
    assert len(page.options()) == 50
    took = page.js(
        """const field = document.querySelector(arguments[0]);
        return ["s", "t", "o", "r", "y", " ", "4", "9", "9"].map((key) => {
          const start = performance.now();
          document.execCommand("insertText", false, key);
          document.querySelector(".sp-box").offsetHeight;
          return performance.now() - start;
        });""",
        NOTEBOOK,
    )
    assert page.options()[:1] == ["shelf 49/story 499"]
    assert min(took) < 50 and sorted(took)[len(took) // 2] < 200, took


# ---- all of it


def test_alone_too(alone: Page) -> None:
    alone.type(ALONE, "Rain. <<sp:no")
    assert until(lambda: alone.options() == ["noir"])
    alone.press("ENTER")
    assert alone.value(ALONE) == "Rain. <<sp:noir>>"
    assert until(lambda: cost(alone, "#sp-text") == "<<sp:noir>> 20 tokens - 20 of 4,096 tokens")


def test_the_names_are_sent_only_when_they_changed(page: Page, host: Any) -> None:
    page.js("window.named = 0; const told = window.softPrompts.named; window.softPrompts.named = (json) => {"
            " window.named += json !== window.told; window.told = json; told(json); }")  # fmt: skip
    page.js("document.querySelector(arguments[0]).focus()", NOTEBOOK)
    assert until(lambda: page.js("return window.named") == 1)
    lists = len(host.asked)
    time.sleep(2.2)
    page.js("document.querySelector(arguments[0]).focus()", CONTEXT)
    time.sleep(1)
    assert page.js("return window.named") == 1 and len(host.asked) == lists
    assert json.loads(page.js("return window.told"))["context"] == 4096


def test_strangers_files_run_nothing(page: Page, host: Any) -> None:
    host.put(Row("evil", "evil.txt", 3, "text", "", fake.EVIL))
    host.put(Row("evil2", "evil2.txt", 3, "stranger", fake.EVIL, fake.EVIL))
    host.state = Health("cannot", fake.EVIL)
    page.type(NOTEBOOK, "<<sp:evi")
    assert until(lambda: page.options() == ["evil", "evil2"], 6)
    page.press("ARROW_DOWN")
    page.press("ENTER")
    assert until(lambda: "window.pwned" in cost(page))
    page.js("document.querySelector('.message-body').innerHTML = '<p>&lt;&lt;sp:evil2&gt;&gt;</p>'")
    assert until(lambda: "onerror" in (page.one(".sp-chip").get_attribute("title") or ""))
    page.js("document.querySelector('.sp-chip').focus()")
    time.sleep(0.3)
    assert page.js("return window.pwned") is None
    assert not page.js("return document.querySelectorAll('.sp-writing img, .sp-writing script, .sp-chip img').length")


def test_the_page_is_quiet_and_steady(page: Page) -> None:
    """Nothing in the console, and nothing wider than the window, on a phone too."""
    for width in (375, 1024, 1920):
        page.open(width=width)
        page.set(NOTEBOOK, "<<sp:noir>> <<sp:nior>> <<sp:mistral-sea>> <<sp:people/emma:0.7>> " * 2)
        page.set(CHAT, "<<sp:noir>> <<sp:mistral-sea>>")
        page.type(NOTEBOOK, "<<sp:")
        assert until(page.options) and until(lambda: "Mistral" in cost(page))
        over = page.js(
            "const wide = document.documentElement.clientWidth;"
            "return [...document.querySelectorAll('.sp-box *, .sp-cost, .sp-cost *, .sp-chip')].filter((each) =>"
            " each.offsetParent && (each.getBoundingClientRect().right > wide + 1 ||"
            " each.getBoundingClientRect().left < 0)).map((each) => each.className)"
        )
        assert not over, f"{width} pixels: {over}"
    entries = [each["message"] for each in page.driver.get_log("browser")]
    ours = ("soft", "TypeError", "ReferenceError", "SyntaxError", "RangeError")
    assert not [each for each in entries if any(word in each for word in ours)], entries


STATES: dict[str, Callable[[Page], object]] = {
    "list": lambda page: page.type(NOTEBOOK, "Rain. <<sp:"),
    "strengths": lambda page: page.type(NOTEBOOK, "Rain. <<sp:noir:"),
    "none": lambda page: page.type(NOTEBOOK, "Rain. <<sp:zz"),
    "chat": lambda page: page.type(CHAT, "Say <<sp:"),
    "costs": lambda page: (
        page.set(CHAT, "Say <<sp:noir>> and <<sp:fable>>."),
        page.set(NOTEBOOK, "<<sp:noir>> <<sp:people/emma:0.7>> <<sp:nior>> <<sp:mistral-sea>>\n<<sp:noir and so"),
        page.js("document.querySelectorAll('.sp-chip')[1].focus()"),
    ),
    "warned": lambda page: page.set(CHAT, "Say <<sp:noir>> and <<sp:nior>>."),
}  # fmt: skip


@pytest.mark.skipif("PANEL_SCREENSHOTS" not in os.environ, reason="PANEL_SCREENSHOTS names no folder for pictures")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1024, 375])
@pytest.mark.parametrize("state", STATES)
def test_pictures(page: Page, theme: str, width: int, state: str) -> None:
    import gradio

    page.open(theme, width, 800)
    STATES[state](page)
    time.sleep(1.5)
    folder = Path(os.environ["PANEL_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    name = f"gradio{gradio.__version__.partition('.')[0]}-{theme}-{width}-writing-{state}.png"
    assert page.driver.save_screenshot(str(folder / name))
