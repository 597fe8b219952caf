"""`python -I tests/browser/flow.py docs/images/tab.webp`: a film of the way from an empty library to a story.

It drives `soft-prompts ui` with the embedded storyteller in a real browser, as a writer would, and says how long each
step took. Needs what the browser tests need.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import util
from io import BytesIO
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from soft_prompts import app, cli
from soft_prompts.demo import noir

WIDE, HIGH, SMALL = 1024, 768, 0.75
MOST = 3_000_000
"""Bytes of the film."""
DONE = '#sp-train-page [data-act="use"], #sp-train-page [data-act="again"], #sp-train-page [data-act="further"]'
"""Buttons of a training that has ended."""
OPENING = "The door opened and"


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent.parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


browser = _load("browser_page")
until = browser.until


class Film:
    """Pictures of a page, each for so many milliseconds."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.pictures: list[tuple[Any, int]] = []
        self.began = self.told = time.monotonic()

    def take(self, shown: int = 600) -> None:
        from PIL import Image

        picture = Image.open(BytesIO(self.page.driver.get_screenshot_as_png())).convert("RGB")
        size = int(picture.width * SMALL), int(picture.height * SMALL)
        self.pictures.append((picture.resize(size, Image.Resampling.LANCZOS), shown))

    def watch(self, seconds: float, every: float = 0.5, shown: int = 250) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.take(shown)
            time.sleep(every)

    def say(self, words: str) -> None:
        now = time.monotonic()
        print(f"{now - self.began:6.1f} s  {now - self.told:5.1f} s  {words}", flush=True)
        self.told = now

    def save(self, path: Path) -> int:
        """Its bytes; of many pictures of one scene, fewer where it would be too large."""
        first, *rest = [picture for picture, _ in self.pictures]
        durations = [shown for _, shown in self.pictures]
        for quality in (70, 50, 35, 20):
            first.save(path, save_all=True, append_images=rest, duration=durations, loop=0, quality=quality, method=6)
            if path.stat().st_size < MOST:
                break
        return path.stat().st_size


def flow(page: Any, film: Film, text: Path, steps: int) -> None:
    """An empty library, a training, a story."""
    film.take(1500)
    page.section("Train")
    page.click(".sp-card[data-kind=finetune]")
    film.take(1000)
    page.one("#sp-train-files input[type=file]").send_keys(str(text))
    assert until(lambda: "Understood" in page.text("#sp-train-understood"), 60)
    film.take(1200)
    film.say("a file is understood")
    page.js("document.querySelector('#sp-train-more button')?.click()")
    field = page.one("#sp-train-set-steps input, #sp-train-set-steps textarea")
    assert until(field.is_displayed)
    field.clear()
    field.send_keys(str(steps))
    page.click("#sp-train-start")
    assert until(lambda: "of " in page.text("#sp-train-progress"), 120)
    film.say("it trains")
    end = time.monotonic() + 600
    while not until(lambda: page.all(DONE), 1) and time.monotonic() < end:
        film.take(300)
    page.js("document.querySelector('#sp-train-page')?.scrollIntoView()")
    film.take(2500)
    film.say("it is trained, and its report is there")
    page.section("Library")
    page.js("document.querySelector('.sp-row')?.click()")
    assert until(lambda: page.text("#sp-details .sp-name"))
    film.take(1200)
    page.type("#sp-text", OPENING)
    page.js("const box = document.querySelector('#sp-text textarea'); box.focus(); box.setSelectionRange(0, 0)")
    page.click("#sp-insert")
    page.js("window.scrollTo(0, 0)")
    film.take(1000)
    page.click("#sp-go")
    assert until(lambda: len(page.value("#sp-text")) > len(OPENING) + 20, 60)
    film.watch(6)
    until(lambda: "Writing" not in page.text("#sp-state"), 60)
    film.take(3000)
    film.say("a story in one's own style")


@contextmanager
def chrome(folder: Path) -> Iterator[Any]:
    """As the tests have it."""
    import shutil

    from selenium import webdriver

    tests = _load("conftest")
    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, tests.BROWSERS)))
    for flag in (*tests.FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("film", type=Path, help="a .webp or a .gif")
    parser.add_argument("--steps", type=int, default=150, help="of the training (default: %(default)s)")
    parser.add_argument("--theme", choices=browser.THEMES, default="light")
    options = parser.parse_args()
    film_at = options.film.absolute()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.chdir(folder)  # so that the page names no more of the folder than a writer would
        text = folder / "noir.txt"
        text.write_text("\n\n".join(map(noir.story, [Random(0)] * 120)), "utf-8")
        host = app.alone(cli.parser().parse_args(["ui"])).start()
        with browser.served(app.blocks(host)) as url, chrome(folder) as driver:
            page = browser.Page(driver, url).open(options.theme, WIDE, HIGH)
            until(lambda: host.health().state == "ready", 60)
            film = Film(page)
            flow(page, film, text, options.steps)
        size = film.save(film_at)
    print(f"{options.film}: {len(film.pictures)} pictures, {size:,} bytes", flush=True)
    # A training's thread, the server's and the watch's are daemons.
    os._exit(0 if size < MOST else 1)


if __name__ == "__main__":
    main()
