"""The pictures of the documentation: each part of the tab, light and dark, as a writer has it with the storyteller.

DOCS_PICTURES=docs/images keeps them; else they are made, and thrown away.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import pytest

from soft_prompts import app, cli
from soft_prompts.demo import noir

from .. import browser_page as browser
from .. import panel_host as fake

# gradio's server runs in threads of this process: what it says of its own dependencies is not ours.
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

WIDE, HIGH, SCALE = 1100, 740, 0.8
MOST = 60_000
"""Bytes of one picture."""
STEPS = 120
BEGUN = "The door opened and"


until = browser.until


class Shooting:
    """Takes each picture twice, light and dark, of the page as it stands."""

    def __init__(self, page: Any, place: Path) -> None:
        self.page, self.place = page, place
        self.taken: list[str] = []

    def __call__(self, name: str) -> None:
        # The bars of the window show nothing.
        self.page.js("document.documentElement.style.scrollbarWidth = 'none'")
        for theme in browser.THEMES:
            self.page.js("document.body.classList.toggle('dark', arguments[0])", theme == "dark")
            time.sleep(0.6)  # colours fade
            self._take(f"{name}-{theme}.png", theme)

    def _take(self, file: str, theme: str) -> None:
        from PIL import Image

        picture = Image.open(BytesIO(self.page.driver.get_screenshot_as_png())).convert("RGB")
        size = round(picture.width * SCALE), round(picture.height * SCALE)
        small = picture.resize(size, Image.Resampling.LANCZOS).quantize(96, dither=Image.Dither.NONE)
        small.save(self.place / file, optimize=True)
        self.taken.append(file)
        assert (self.place / file).stat().st_size < MOST
        assert (sum(picture.resize((1, 1)).getpixel((0, 0))) < 3 * 128) == (theme == "dark")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return Path(os.environ["DOCS_PICTURES"]).absolute() if "DOCS_PICTURES" in os.environ else tmp_path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The storyteller, in a folder in which the page names no more than a writer's would."""
    monkeypatch.chdir(tmp_path)
    with fake.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason="gradio is not installed")):
        host = app.alone(cli.parser().parse_args(["ui"])).start()
        yield host
        host.close()


def test_each_part_light_and_dark(driver: Any, place: Path, host: Any, tmp_path: Path) -> None:
    text = tmp_path / "noir.txt"
    text.write_text("\n\n".join(map(noir.story, [Random(0)] * 120)), "utf-8")
    with browser.served(app.blocks(host)) as url:
        page = browser.Page(driver, url).open("light", WIDE, HIGH)
        take = Shooting(page, place)
        host.make("harbour", "The harbour at night: ropes, salt, and a light on the other shore.")
        host.make("people/mira", "Mira is a baker in Oakham. She wears a red cloak and is afraid of owls.")
        for part in (training, library, trying, writing):
            part(page, take, text)
    whole = [f"{name}-{theme}.png" for name in PARTS for theme in browser.THEMES]
    assert sorted(take.taken) == sorted(whole)


PARTS = ("train", "training", "report", "library", "trying", "writing")


def training(page: Any, take: Shooting, text: Path) -> None:
    page.section("Train")
    page.click(".sp-card[data-kind=finetune]")
    page.one("#sp-train-files input[type=file]").send_keys(str(text))
    assert until(lambda: "Understood" in page.text("#sp-train-understood"), 60)
    top(page, "#sp-tabs")
    take("train")
    page.js("document.querySelector('#sp-train-more button')?.click()")
    field = page.one("#sp-train-set-steps input, #sp-train-set-steps textarea")
    assert until(field.is_displayed)
    field.clear()
    field.send_keys(str(STEPS))
    page.click("#sp-train-start")
    assert until(lambda: "Step 50" in page.text("#sp-train-previews"), 300), page.text("#sp-train-page")
    top(page, "#sp-train-progress")
    take("training")
    assert until(lambda: page.all("#sp-train-others .sp-bars"), 600), page.text("#sp-train-page")
    top(page, "#sp-train-others")
    take("report")


def library(page: Any, take: Shooting, text: Path) -> None:
    page.section("Library")
    page.js("[...document.querySelectorAll('.sp-row')].find((row) => row.innerText.includes('noir')).click()")
    assert until(lambda: page.text("#sp-details .sp-name").startswith("noir"))
    top(page, "#sp-library")
    take("library")


def trying(page: Any, take: Shooting, text: Path) -> None:
    page.section("Try")
    page.type("#sp-try-text", BEGUN)
    page.click("#sp-try-write")
    assert until(lambda: "Done." in page.text("#sp-try-state"), 120), page.text("#sp-try-state")
    top(page, "#sp-try-text")
    take("trying")


def writing(page: Any, take: Shooting, text: Path) -> None:
    top(page, "#sp-page")
    page.type("#sp-text", f"<<sp:noir:0.7>>{BEGUN} <<sp:people/mira>> came in. <<sp:nior>> The sea was ")
    assert until(lambda: "20" in page.text(".sp-cost") and "nior" in page.text(".sp-cost")), page.text(".sp-cost")
    page.one("#sp-text textarea").send_keys("<<sp:")
    assert until(lambda: page.all("#sp-choices [role=option]"))
    take("writing")


def top(page: Any, selector: str) -> None:
    """At the upper edge of the window."""
    page.js(
        "document.querySelector(arguments[0]).scrollIntoView({ block: 'start' }); window.scrollBy(0, -16)", selector
    )
