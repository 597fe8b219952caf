"""The line under a text box, in a real browser: what tags cost, what keeps them from working, and the grammar."""

from __future__ import annotations

import sys
import time
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts.hosts.protocol import Health, Room, Row
from soft_prompts.tags import Tag, parse

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


# ---- the line of costs


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
        ("<<sp:noir:0,5>>.", "is no tag: a strength has a dot", "<<sp:noir:0.5>>."),
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
    page.set(CHAT, "Say it now")  # in any font one line, as what follows
    before = [page.box(each) for each in (NOTEBOOK, row, CHAT)]
    page.set(NOTEBOOK, "<<sp:noir>>")
    page.set(CHAT, "<<sp:noir>>")
    assert until(lambda: "20 tokens" in cost(page) and "20 tokens" in page.text("#chat-input-row .sp-cost"))
    assert [page.box(each) for each in (NOTEBOOK, row, CHAT)] == before
    page.set(CHAT, "<<sp:nior>>")
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


def test_a_box_as_high_as_the_window_makes_room_for_its_line(page: Page) -> None:
    """As the webui's notebook: else the page would scroll for the line, and what stands below be out of sight."""
    page.js(
        "for (const each of ['#stage', '#character-context', '#title', '#soft-prompts'])"
        " document.querySelector(each).style.display = 'none';"
        "const look = document.createElement('style'); document.body.append(look); const high = (height) => {"
        " look.textContent = `#textbox-notebook textarea { height: ${height}px !important; }`; };"
        "high(3000); const page = document.scrollingElement; high(3000 - page.scrollHeight + page.clientHeight)"
    )
    page.set(NOTEBOOK, "x\n" * 60)
    size = "const root = document.scrollingElement; return root.scrollHeight - root.clientHeight"
    assert page.js(size) <= 0
    before = page.box(NOTEBOOK)
    page.set(NOTEBOOK, "x\n" * 60 + "<<sp:noir>> <<sp:nior>>")
    assert until(lambda: "did you mean" in cost(page))
    after = page.box(NOTEBOOK)
    assert page.js(size) <= 0 and after["height"] < before["height"] and after["top"] == before["top"]
    page.set(NOTEBOOK, "x\n" * 60)
    assert until(lambda: not page.all(".sp-cost")) and page.box(NOTEBOOK) == before
