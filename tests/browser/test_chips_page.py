"""Tags in what the page shows, in a real browser: quiet chips that nobody has to fight."""

from __future__ import annotations

import sys
import time
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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


def test_tags_in_messages_are_chips(page: Page) -> None:
    assert until(lambda: len(page.all(".sp-chip")) == 3)
    assert chips(page) == [
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
    assert [text for text, _ in chips(page)] == ["<<sp:noir>>", "<<sp:fable>>"]
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
          const real = Object.getOwnPropertyDescriptor(Node.prototype, "nodeValue");
          let [count, read] = [0, 0];
          const get = function () { read += 1; return real.get.call(this); };
          Object.defineProperty(Node.prototype, "nodeValue", { ...real, get });
          const grow = () => {
            last.firstChild.appendData(" word");
            if ((count += 1) < 100) return requestAnimationFrame(grow);
            Object.defineProperty(Node.prototype, "nodeValue", real);
            done({ read, chips: document.querySelectorAll(".sp-chip").length });
          };
          grow();
        }, 3000));"""
    )
    assert took["chips"] == 303
    assert 0 < took["read"] < 400, "texts are read that did not change"


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
