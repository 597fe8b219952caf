"""How each part of the tab looks: at three widths, light and dark, nothing is cut off or kept from anybody.

Set PANEL_SCREENSHOTS to a folder, and it gets a small picture of each. axe-core is not part of this project: AXE_CORE
names its axe.min.js, which .ci/axe-core fetches.
"""

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
from soft_prompts.hosts.protocol import Request, Use
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


hosts, trainings, browser = _load("panel_host"), _load("train_host"), _load("browser_page")
until = browser.until

SECTIONS = ("Library", "Train", "Try")
OURS = ("#soft-prompts", "#sp-sheet")

CUT_OFF = """
const own = (each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
return [...document.querySelectorAll(arguments[0])].flatMap((part) => [...part.querySelectorAll("*")])
  .filter((each) => own(each) && each.checkVisibility({ visibilityProperty: true }) && each.clientWidth > 1)
  .filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).display !== "inline")
  .map((each) => `${each.tagName}.${each.className} ${each.scrollWidth} > ${each.clientWidth}: ${each.innerText}`)
"""
TOO_WIDE = """
const wide = document.documentElement.clientWidth;
return document.documentElement.scrollWidth <= wide ? [] :
  [...document.querySelectorAll("body *")].filter((each) => each.getBoundingClientRect().right > wide + 1)
    .slice(-5).map((each) => `${each.tagName}#${each.id}.${each.className}`)
"""
AXE = """
const done = arguments[arguments.length - 1];
axe.run({ include: arguments[0].map((each) => [each]) }, { resultTypes: ["violations"] })
  .then((found) => done(found.violations.filter((each) => ["serious", "critical"].includes(each.impact))
    .flatMap((each) => each.nodes.map((node) => `${each.id}: ${node.html.slice(0, 200)} ${node.any[0]?.message}`))))
"""
ELSEWHERE = ("favicon", "iframe-resizer", "fonts.g", "manifest.json", "/static/fonts", "huggingface.co")
"""What gradio's own page asks for, and may not get."""
THEIRS = ("upload-container",)
"""Elements of gradio's own whose names are not ours to give."""


class Writer:
    """Says a few words at a time."""

    def write(self, text: str, **how: Any) -> Iterator[str]:
        yield " and the rain came down."


@pytest.fixture(scope="module")
def stage(driver: Any) -> Iterator[tuple[Any, Any, str]]:
    with hosts.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason="gradio is not installed")):
        host, trains = hosts.MemoryHost(), trainings.MemoryTrains()
        host.kept = {"everywhere": {"noir": 0.7}}
        host.last = Request(
            812, (Use("<<sp:noir:0.7>>", 20, pinned=True), Use("<<sp:emma>>", problem="no such prompt")), 1
        )
        app = panel.standalone(host, [TrainSection(lambda _: trains)], writes=Writer())
        with browser.served(app) as url:
            yield host, trains, url


@pytest.fixture(params=browser.THEMES)
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=browser.WIDTHS)
def width(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def opened(driver: Any, url: str, section: str, theme: str, width: int) -> Any:
    """A section with as much to see as it has."""
    page = browser.Page(driver, url).open(theme, width)
    page.section(section)
    {"Library": library, "Train": training, "Try": trying}[section](page)
    return page


def library(page: Any) -> None:
    page.js("[...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes('noir')).click()")
    assert until(lambda: page.text("#sp-details .sp-name").startswith("noir"))


def training(page: Any) -> None:
    page.click(".sp-card")
    assert until(lambda: page.js("return !!document.querySelector('#sp-train-files')?.offsetParent"))


def trying(page: Any) -> None:
    assert until(lambda: page.js("return !!document.querySelector('#sp-try')?.offsetParent"))
    page.click("#sp-try-write")
    assert until(lambda: "Done." in page.text("#sp-try-state"))


@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_is_cut_off_and_nothing_fails(
    driver: Any, stage: tuple[Any, Any, str], section: str, theme: str, width: int
) -> None:
    # What the page before says of its end belongs to no part of this one.
    driver.get("about:blank")
    driver.get_log("browser")
    page = opened(driver, stage[2], section, theme, width)
    picture(page, f"{section.lower()}-{width}-{theme}.png")
    assert page.sections() == list(SECTIONS)
    assert not page.js(TOO_WIDE), "the page is wider than the window"
    assert not page.js(CUT_OFF, ", ".join(OURS))
    assert not [each for each in page.complaints() if not any(ours in each for ours in ELSEWHERE)]


@pytest.mark.parametrize("section", SECTIONS)
def test_axe_finds_nothing_serious(driver: Any, stage: tuple[Any, Any, str], section: str, theme: str) -> None:
    file = os.environ.get("AXE_CORE", "")
    if not file:
        pytest.skip("AXE_CORE names no axe.min.js: AXE_CORE=$(.ci/axe-core)")
    page = opened(driver, stage[2], section, theme, 1024)
    time.sleep(0.5)  # colours that fade in have their own contrast
    page.js(Path(file).read_text("utf-8"))
    found = driver.execute_async_script(AXE, list(OURS))
    found = [each for each in found if not any(name in each for name in THEIRS)]
    assert not found, "\n".join(found)


def picture(page: Any, name: str) -> None:
    """Of the part that is used, as high as it is."""
    if folder := os.environ.get("PANEL_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.driver.get_screenshot_as_file(str(Path(folder, name)))
