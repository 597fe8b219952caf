"""Where the writer writes, in a real browser: the list of names, the line of costs, and the chips.

The page has what the webui has around the panel: a chat box at the window's foot, which Enter sends and Escape stops, a
notebook, and messages. Set PANEL_SCREENSHOTS to a folder, and it gets a picture of each state, light and dark.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import pytest

from soft_prompts import panel
from soft_prompts.hosts.protocol import Health, Room, Row
from soft_prompts.tags import Tag, parse

# gradio's server runs in threads of this process: what it says of its own dependencies is not ours.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

Found = TypeVar("Found")
NOTEBOOK, CHAT, CONTEXT, ALONE = (
    "#textbox-notebook textarea", "#chat-input textarea", "#character-context textarea", "#sp-text textarea",
)  # fmt: skip


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent.parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake = _load("panel_host")


def until(ask: Callable[[], Found], seconds: float = 15) -> Found:
    """The first true answer; the last one where none came."""
    end = time.monotonic() + seconds
    while not (answer := ask()) and time.monotonic() < end:
        time.sleep(0.05)
    return answer


# ---- a page as the webui's, of which only what matters here

AROUND = """
#chat-input-row { position: absolute !important; left: 50%; bottom: 0; transform: translateX(-50%);
  width: min(48rem, 96%) !important; margin: 0 0 16px; padding: 8px 12px; border: 1px solid gray; border-radius: 24px;
  background: var(--background-fill-primary); z-index: 5; }
#stage { position: relative; height: 300px; flex-wrap: nowrap; }
#chat-input textarea { max-height: 120px !important; }
#textbox-notebook textarea { height: 130px !important; overflow-y: auto !important; }
"""
LISTENERS = """
window.seen = [];
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.closest("#chat-input")) window.seen.push("sent");
  if (event.key === "Escape") window.seen.push("stopped");
});
"""
MESSAGES = (
    '<div class="chat" id="chat"><div class="messages"><div class="assistant-message"><div class="text">'
    '<div class="message-body"><p>Rain. &lt;&lt;sp:noir&gt;&gt; It fell on &lt;&lt;sp:people/emma:0.7&gt;&gt;.</p>'
    "<p>Not \\&lt;&lt;sp:noir&gt;&gt;, and &lt;&lt;sp:nobody&gt;&gt;</p><pre><code>&lt;&lt;sp:noir&gt;&gt;</code></pre>"
    "</div></div></div></div></div>"
)


def as_webui(gr: Any, host: Any) -> Any:
    """Text boxes with the webui's ids around the panel."""
    with gr.Blocks(title="As the webui", analytics_enabled=False) as blocks:
        gr.HTML(f"<style>{AROUND}{panel.css()}</style>")
        with gr.Column(elem_id="stage"):
            gr.HTML(MESSAGES)
            with gr.Row(elem_id="chat-input-row"):
                box = gr.MultimodalTextbox(label="", placeholder="Send a message", elem_id="chat-input")
        gr.Textbox(label="", lines=5, elem_id="textbox-notebook")
        gr.Textbox(label="Context", lines=3, elem_id="character-context")
        gr.Textbox(label="Title", max_lines=1, elem_id="title")
        with gr.Column():
            panel.build(host)
        box.submit(lambda sent: {"text": "", "files": []}, box, box)
        blocks.load(None, None, None, js=f"() => {{\n{LISTENERS}{panel.js()}\nreturn [];\n}}")
    return blocks


class Page:
    """A browser on such a page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, theme: str = "light", width: int = 1024, height: int = 1100) -> Page:
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.driver.get(f"{self.url}?__theme={theme}")
        assert until(lambda: self.js("return !!window.softPrompts?.chips")), "the panel's script did not run"
        assert until(lambda: self.js("return window.softPrompts.writing.arrived")), "the names did not arrive"
        return self

    def js(self, code: str, *values: Any) -> Any:
        return self.driver.execute_script(code, *values)

    def all(self, selector: str) -> list[Any]:
        return list(self.driver.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        found = until(lambda: self.all(selector))
        assert found, f"there is no {selector}"
        return found[0]

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0])?.innerText ?? ''", selector))

    def value(self, field: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).value", field))

    def set(self, field: str, text: str, at: int | None = None) -> None:
        """A text that is there already, with the cursor in it."""
        self.js(
            "const [field, text, at] = [document.querySelector(arguments[0]), arguments[1], arguments[2]];"
            "field.focus(); field.value = text; field.setSelectionRange(at, at);"
            "field.dispatchEvent(new Event('input', {bubbles: true}))",
            field, text, len(text) if at is None else at,
        )  # fmt: skip

    def type(self, field: str, text: str) -> None:
        self.js("document.querySelector(arguments[0]).focus()", field)
        self.keys(text)

    def keys(self, *keys: str) -> None:
        self.driver.switch_to.active_element.send_keys(*keys)

    def press(self, name: str) -> None:
        from selenium.webdriver.common.keys import Keys

        self.keys(getattr(Keys, name))

    def options(self) -> list[str]:
        code = "return [...document.querySelectorAll('.sp-option-name')].map((each) => each.textContent)"
        return list(self.js(code))

    def chosen(self) -> str:
        return self.text(".sp-option[aria-selected=true] .sp-option-name")

    def box(self, selector: str) -> dict[str, float]:
        return dict(self.js("return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector))


@pytest.fixture(scope="module")
def stage(driver: Any) -> Iterator[tuple[Any, str, str]]:
    """A host, and the addresses of a page as the webui's and of the panel alone."""
    reason = "gradio is not installed: the host pins a build of its own"
    importing = fake.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason))
    with importing as gradio:
        host = fake.MemoryHost()
        apps = [as_webui(gradio, host), panel.standalone(host)]
        urls = []
        with warnings.catch_warnings():
            # gradio 4 tries ports with sockets that it does not close.
            warnings.simplefilter("ignore", ResourceWarning)
            for app in apps:
                urls.append(app.queue().launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")[1])
            gc.collect()
        yield host, urls[0], urls[1]
        for app in apps:
            app.close()


@pytest.fixture
def host(stage: tuple[Any, str, str]) -> Any:
    """The host as new, but never with a revision that a page has seen."""
    host = stage[0]
    kept = {"changes": host.changes + 1, "shows": host.shows}
    vars(host).update({**vars(fake.MemoryHost()), **kept})
    return host


@pytest.fixture
def page(driver: Any, stage: tuple[Any, str, str], host: Any) -> Page:
    return Page(driver, stage[1]).open()


@pytest.fixture
def alone(driver: Any, stage: tuple[Any, str, str], host: Any) -> Page:
    return Page(driver, stage[2]).open()


# ---- the grammar

CASES = [
    "", "no tag", "<<sp:noir>>", "The sky, <<sp:noir:0.7>>and then", "<<sp:a>><<sp:b>>", "\\<<sp:x>>", "\\\\<<sp:x>>",
    "\\\\\\<<sp:x>>y", "a\\<<sp:x>>b<<sp:y>>c\\", "<<sp:>>", "<<sp: a>>", "<<sp:a >>", "<<sp:a b>>", "<<sp:a:>>",
    "<<sp:a:1>>", "<<sp:a:-0.5>>", "<<sp:a:0.125>>", "<<sp:a:0.135>>", "<<sp:a:-0.125>>", "<<sp:a:2.675>>",
    "<<sp:a:9>>",
    "<<sp:a:1.>>", "<<sp:a:.5>>", "<<sp:a:+1>>", "<<sp:a:1e3>>", "<<sp:a:0>>", "<<sp:a:-0>>", "<<sp:a:b>>",
    "<<sp:people/emma>>", "<<sp:a_b-c.d>>", "<<sp:a*b>>", "<<sp:a\nb>>", "<<sp:a\tb>>", "<<sp:<<sp:a>>>>", "<<sp:a",
    "<<sp:a <<sp:b>>", "<<SP:a>>", "<sp:a>", "<<sp:cafe\u0301>>", "<<sp:caf\u00e9>>", "<<sp:\u00e9\u0301>>",
    "<<sp:\u0939\u093f\u0928\u094d\u0926\u0940>>", "<<sp:\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645>>",
    "<<sp:\u65e5\u672c\u8a9e>>", "<<sp:\U0001f600>>", "<<sp:\U0001d504>>", "<<sp:\u00b2>>", "<<sp:\u2167>>",
    f"<<sp:{'a' * 200}>>", f"<<sp:{'a' * 201}>>", f"<<sp:{chr(0x1D504) * 200}>>", f"<<sp:{'<<sp:' * 40}a>>",
    f"<<sp:a:{'9' * 20}>>", f"<<sp:a:{'9' * 21}>>", f"<<sp:a:0.{'3' * 20}>>", f"<<sp:a:0.{'3' * 21}>>",
    "<<sp:a>>:0.5>>", "\\\\", "<<sp:a\u00a0b>>", "<<sp:\u00a0a>>", "<<sp:.>>", "<<sp:/>>",
    "<<sp:x>>\\<<sp:x>>\\\\<<sp:x>>",
]  # fmt: skip


def as_list(pieces: list[str | Tag]) -> list[Any]:
    return [[each.name, each.strength, each.text] if isinstance(each, Tag) else each for each in pieces]


def test_page_and_library_read_tags_alike(page: Page) -> None:
    read = page.js(
        "return arguments[0].map((text) => window.softPrompts.grammar.parse(text).map((each) =>"
        " typeof each === 'string' ? each : [each.name, each.strength, each.text]))",
        CASES,
    )
    meant = [as_list(parse(text)) for text in CASES]
    assert [pair for pair in zip(meant, read, strict=True) if pair[0] != pair[1]] == []


def test_every_half_hundredth_is_rounded_as_in_the_library(page: Page) -> None:
    texts = [f"<<sp:a:{sign}{number / 1000:.3f}>>" for sign in ("", "-") for number in range(5, 4005, 10)]
    code = "return arguments[0].map((text) => window.softPrompts.grammar.tags(text)[0].strength)"
    assert page.js(code, texts) == [piece.strength for text in texts for piece in parse(text) if isinstance(piece, Tag)]


# ---- the list of names


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
    assert sorted(took)[len(took) // 2] < 50 and max(took) < 250, took


# ---- the line of costs


def cost(page: Page, field: str = "#textbox-notebook") -> str:
    return page.text(f"{field} .sp-cost").replace("\n", " / ")


def test_the_line_says_what_the_tags_cost(page: Page, host: Any) -> None:
    assert not page.all(".sp-cost"), "no tag, no line"
    page.type(NOTEBOOK, "Rain. <<sp:noir>> and <<sp:people/emma:0.7>> ")
    words = "<<sp:noir>> 20 tokens · <<sp:people/emma:0.7>> 12 tokens - 32 of 4,096 tokens"
    assert until(lambda: cost(page) == words), cost(page)
    page.keys("<<sp:noir>>")
    assert until(lambda: "<<sp:noir>> 20 tokens \u00d7 2" in cost(page) and "52 of 4,096" in cost(page))
    assert until(lambda: "52 of 4,096" in page.js("return document.querySelector('#sp-live').textContent")), "read out"
    host.space = Room()
    host.changes += 1
    page.set(NOTEBOOK, "<<sp:noir>>")
    assert until(lambda: cost(page) == "<<sp:noir>> 20 tokens", 6), "of a context that is not known nothing is said"
    page.set(NOTEBOOK, "none")
    assert until(lambda: not page.all(".sp-cost"))


def test_the_line_is_there_for_a_text_that_the_page_wrote(page: Page) -> None:
    page.js("document.querySelector(arguments[0]).value = 'Rain. <<sp:noir>>'", CONTEXT)
    assert until(lambda: "20 tokens" in cost(page, "#character-context"))


def test_an_unknown_name_is_mended_by_a_button(page: Page) -> None:
    page.set(NOTEBOOK, "A <<sp:nior:0.7>> and then")
    assert until(lambda: "no soft prompt “nior”: did you mean noir?" in cost(page)), cost(page)
    page.one("#textbox-notebook .sp-mend").click()
    assert page.value(NOTEBOOK) == "A <<sp:noir:0.7>> and then"
    assert page.js("return document.querySelector(arguments[0]).selectionStart", NOTEBOOK) == len(page.value(NOTEBOOK))
    assert until(lambda: "did you mean" not in cost(page) and "20 tokens" in cost(page))
    assert not page.all("#textbox-notebook .sp-mend")


@pytest.mark.parametrize(
    ("text", "words", "mended"),
    [
        ("<<sp:emna>>.", "did you mean emma?", "<<sp:emma>>."),
        ("<<sp:GIBSON>>.", "did you mean gibson?", "<<sp:gibson>>."),
        ("<<sp:noir.safetensors>>.", "did you mean noir?", "<<sp:noir>>."),
        ("<<sp:burn slowly>>.", "the library has none of this name", None),
        ("<<sp:mistral-sea>>.", "Made for mistralai/Mistral-7B-v0.3", None),
        ("<<sp:noir:9>>.", "a strength lies between -4 and 4", None),
        ("<<sp:noir and then\n", "is not closed", "<<sp:noir>> and then\n"),
        ("<<sp:no*ir>>.", "is no tag: a name has letters", None),
        ("<<sp: and", "is not closed", None),
    ],
)
def test_what_keeps_a_tag_from_working(page: Page, text: str, words: str, mended: str | None) -> None:
    page.set(NOTEBOOK, text)
    page.js("document.querySelector(arguments[0]).blur()", NOTEBOOK)
    assert until(lambda: words in cost(page)), cost(page)
    if mended is None:
        assert not page.all("#textbox-notebook .sp-mend")
    else:
        page.one("#textbox-notebook .sp-mend").click()
        assert page.value(NOTEBOOK) == mended


def test_a_literal_tag_costs_nothing(page: Page) -> None:
    page.set(NOTEBOOK, "\\<<sp:noir>> and \\<<sp:nior>> and \\<<sp:half")
    page.js("document.querySelector(arguments[0]).blur()", NOTEBOOK)
    time.sleep(1)
    assert not page.all(".sp-cost")


def test_what_is_being_typed_is_not_complained_of(page: Page) -> None:
    page.type(NOTEBOOK, "a <<sp:no")
    time.sleep(1)
    assert not page.all(".sp-cost")
    page.press("ESCAPE")
    page.keys("ir, he said.\n")
    assert until(lambda: "is not closed" in cost(page))


def test_tags_that_do_not_fit_together(page: Page, host: Any) -> None:
    host.space = Room(100, 50)
    host.changes += 1
    page.set(NOTEBOOK, "<<sp:noir>><<sp:gibson>>")
    assert until(lambda: "together they need 52 tokens, and the context of 100 keeps 50" in cost(page), 6), cost(page)


def test_while_nothing_works_the_line_says_why(page: Page, host: Any) -> None:
    host.switch(False)
    page.set(NOTEBOOK, "<<sp:noir>>")
    assert until(lambda: "Soft prompts are switched off" in cost(page), 6)
    host.switch(True)
    host.state = Health("waiting", "No model is loaded.")
    host.put(Row("noir", "noir.safetensors", 20, "no model", "no model is loaded that could be asked"))
    page.js("window.softPrompts.writing.ask()")
    assert until(lambda: "No model is loaded." in cost(page), 6)
    assert "20 tokens" in cost(page) and "✕" not in cost(page), "the tag itself may be right"


@pytest.mark.parametrize("width", [375, 1024])
def test_the_line_moves_no_text_box(page: Page, width: int) -> None:
    """Below a box it takes room from what is below; the chat's box stands at the window's foot, and is not lifted."""
    page.open(width=width)
    row = "#chat-input-row"
    page.set(CHAT, "Say it now ...........")
    before = [page.box(each) for each in (NOTEBOOK, row, CHAT)]
    page.set(NOTEBOOK, "<<sp:noir>>")
    page.set(CHAT, "Say <<sp:noir>> ......")
    assert until(lambda: "20 tokens" in cost(page) and "20 tokens" in page.text("#chat-input-row .sp-cost"))
    assert [page.box(each) for each in (NOTEBOOK, row, CHAT)] == before
    page.set(CHAT, "Say <<sp:nior>> ......")
    assert until(lambda: "did you mean" in page.text("#chat-input-row .sp-cost"))
    assert page.box(row) == before[1]
    line = page.box("#chat-input-row .sp-cost")
    assert line["left"] >= 0 and line["right"] <= width


def test_a_long_line_at_the_windows_foot_stands_above_the_box(page: Page) -> None:
    page.open(width=375, height=352)
    page.set(CHAT, "<<sp:noir>>")
    page.set(CHAT, "<<sp:nior>> <<sp:mistral-sea>>")
    assert until(lambda: "Mistral" in page.text("#chat-input-row .sp-cost"))
    line, row = page.box("#chat-input-row .sp-cost"), page.box("#chat-input-row")
    assert line["bottom"] <= row["top"]
    page.js("document.querySelector('.sp-over .sp-mend').click()")
    assert page.value(CHAT) == "<<sp:noir>> <<sp:mistral-sea>>"


# ---- the chips

CHIPS = "return [...document.querySelectorAll('.sp-chip')].map((each) => [each.textContent, each.title])"


def test_tags_in_messages_are_chips(page: Page) -> None:
    assert until(lambda: len(page.all(".sp-chip")) == 3)
    assert page.js(CHIPS) == [
        ["<<sp:noir>>", "Soft prompt noir, 20 tokens"],
        ["<<sp:people/emma:0.7>>", "Soft prompt people/emma at strength 0.7, 12 tokens"],
        ["<<sp:nobody>>", "Soft prompt nobody: the library has none of this name"],
    ]
    chip = page.one(".sp-chip")
    assert chip.get_attribute("aria-label") == chip.get_attribute("title") and chip.get_attribute("role")
    assert page.text("pre") == "<<sp:noir>>" and not page.all("pre .sp-chip")


def test_chips_know_what_becomes_of_their_prompt(page: Page, host: Any) -> None:
    assert until(lambda: page.all(".sp-chip"))
    host.take("noir.safetensors")
    page.js("window.softPrompts.writing.ask()")
    assert until(lambda: "the library has none" in page.one(".sp-chip").get_attribute("title"), 6)


def test_what_is_copied_is_the_tag(page: Page) -> None:
    assert until(lambda: page.all(".sp-chip"))
    copied = page.js(
        "getSelection().selectAllChildren(document.querySelector('.message-body p')); return getSelection().toString()"
    )
    assert copied == "Rain. <<sp:noir>> It fell on <<sp:people/emma:0.7>>."


def test_a_chip_with_the_focus_says_what_it_is(page: Page) -> None:
    assert until(lambda: page.all(".sp-chip"))
    page.js("document.querySelectorAll('.sp-chip')[1].focus()")
    assert until(lambda: page.text(".sp-tip") == "Soft prompt people/emma at strength 0.7, 12 tokens")
    page.press("TAB")
    assert until(lambda: "nobody" in page.text(".sp-tip"))
    page.press("TAB")
    assert until(lambda: not page.all(".sp-tip"))


MORPH = """
// What the webui's morphdom does of a message, in small: unequal texts are written anew, children too many are removed.
const morph = (from, to) => {
  if (from.isEqualNode(to)) return;
  if (from.nodeType === Node.TEXT_NODE) { from.nodeValue = to.nodeValue; return; }
  const [old, now] = [[...from.childNodes], [...to.childNodes]];
  now.forEach((each, at) => {
    if (!old[at]) from.append(each);
    else if (old[at].nodeName !== each.nodeName) old[at].replaceWith(each);
    else morph(old[at], each);
  });
  old.slice(now.length).forEach((each) => each.remove());
};
window.morphdom = (from, html) => {
  const made = document.createElement("template");
  if (typeof html === "string") { made.innerHTML = html.trim(); html = made.content.firstChild; }
  morph(from, html);
};
"""


def test_chips_stand_still_while_an_answer_streams(page: Page) -> None:
    """With the webui's way to draw: the chip of one state is that of the next one, and keeps the focus."""
    page.driver.get("about:blank")
    added = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MORPH})
    try:
        page.open()
    finally:
        page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    assert until(lambda: page.all(".sp-chip"))
    page.js("window.chip = document.querySelector('.sp-chip'); window.chip.focus()")
    words = "It rained &lt;&lt;sp:noir&gt;&gt; all night, and then &lt;&lt;sp:fab"
    for end in ("", "le&gt;", "le&gt;&gt; came", "le&gt;&gt; came home"):
        html = f'<div class="message-body"><p>Rain. {words}{end}</p></div>'
        page.js(
            "return new Promise((done) => requestAnimationFrame(() => { window.morphdom(document.querySelector("
            "'.message-body'), arguments[0]); requestAnimationFrame(done); }))",
            html,
        )
    assert page.js("return window.chip.isConnected && document.activeElement === window.chip")
    assert [text for text, _ in page.js(CHIPS)] == ["<<sp:noir>>", "<<sp:fable>>"]
    assert page.text(".message-body") == "Rain. It rained <<sp:noir>> all night, and then <<sp:fable>> came home"


def test_chips_are_drawn_before_they_are_seen(page: Page) -> None:
    """However the page draws: a message that is written anew has its chips in the same frame."""
    seen = page.js(
        """const body = document.querySelector(".message-body");
        return new Promise((done) => requestAnimationFrame(() => {
          body.innerHTML = "<p>Then &lt;&lt;sp:noir&gt;&gt;</p>";
          Promise.resolve().then(() => Promise.resolve()).then(() => done(body.querySelectorAll(".sp-chip").length));
        }));"""
    )
    assert seen == 1


def test_streaming_costs_little(page: Page) -> None:
    """A long chat, of which one message grows by a word at a time."""
    took = page.js(
        """const messages = document.querySelector(".messages");
        for (let each = 0; each < 300; each += 1) {
          const made = document.createElement("div");
          made.className = "message-body";
          made.innerHTML = `<p>${"Some words of a story. ".repeat(40)}&lt;&lt;sp:noir&gt;&gt; and more.</p>`;
          messages.append(made);
        }
        const last = messages.lastElementChild.firstChild;
        return new Promise((done) => setTimeout(() => {
          const long = [];
          new PerformanceObserver((list) => long.push(...list.getEntries().map((each) => each.duration)))
            .observe({ type: "longtask" });
          let count = 0;
          const start = performance.now();
          const grow = () => {
            last.firstChild.nodeValue += " word";
            if ((count += 1) < 100) requestAnimationFrame(grow);
            else done({ all: performance.now() - start, long, chips: document.querySelectorAll(".sp-chip").length });
          };
          grow();
        }, 3000));"""
    )
    assert took["chips"] == 303
    assert took["all"] < 6000 and max(took["long"], default=0) < 200, took


def test_no_chip_where_the_writer_edits(page: Page) -> None:
    page.js(
        "const body = document.querySelector('.message-body');"
        'body.innerHTML = \'<textarea class="editing-textarea">&lt;&lt;sp:noir&gt;&gt;</textarea>'
        "<div contenteditable>&lt;&lt;sp:noir&gt;&gt;</div>'"
    )
    time.sleep(0.5)
    assert not page.all(".message-body .sp-chip")
    page.type(".editing-textarea", "<<sp:fab")
    assert until(lambda: page.options() == ["fable"]), "but the list is there, and the line"
    assert until(lambda: "20 tokens" in page.text(".message-body .sp-cost"))


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
