"""What browser tests share: an app that is served from this process, and a page of it."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Found = TypeVar("Found")
WIDTHS = (375, 1024, 1920)
THEMES = ("light", "dark")
TABS = "[...document.querySelectorAll('#sp-tabs [role=tab]')]"


def until(ask: Callable[[], Found], seconds: float = 30) -> Found:
    """The first true answer; the last one where none came. What was drawn anew while it was asked is asked again."""
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= end
        try:
            if (answer := ask()) or late:
                return answer
        except Exception as problem:
            # By its name: where no browser is, there is no selenium, and these tests are read all the same.
            if late or type(problem).__name__ != "StaleElementReferenceException":
                raise
        time.sleep(0.05)


@contextmanager
def served(app: Any) -> Iterator[str]:
    """The address of a `gr.Blocks`, whose server runs in a thread of this process."""
    with warnings.catch_warnings():
        # gradio 4 tries ports with sockets that it does not close.
        warnings.simplefilter("ignore", ResourceWarning)
        _, url, _ = app.queue().launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
        gc.collect()
    try:
        yield str(url)
    finally:
        app.close()


class Page:
    """A browser on a panel that stands alone."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, theme: str = "light", width: int = 1024, height: int = 1500) -> Page:
        """Wide as a phone, too: a window has a least width, the page's own view has none."""
        view = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", view)
        self.driver.get(f"{self.url}?__theme={theme}")
        assert until(lambda: self.js("return !!window.softPrompts")), "the panel's script did not run"
        assert until(lambda: self.all(".sp-row, .sp-empty"))
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

    def value(self, block: str) -> str:
        code = "return document.querySelector(arguments[0])?.querySelector('textarea, input')?.value ?? ''"
        return str(self.js(code, block))

    def type(self, block: str, text: str) -> None:
        field = self.one(f"{block} textarea, {block} input")
        field.clear()
        field.send_keys(text)

    def click(self, selector: str) -> None:
        """Wherever it is on the page."""
        element = self.one(selector)
        self.js("arguments[0].scrollIntoView({ block: 'center' })", element)
        element.click()

    def settled(self, selector: str) -> float:
        """Where it is on the screen, once it has stayed there for a moment."""
        code, seen = "return document.querySelector(arguments[0]).getBoundingClientRect().top", [-1.0]

        def stays() -> bool:
            seen.append(float(self.js(code, selector)))
            time.sleep(0.3)
            return seen[-1] == seen[-2]

        until(stays)
        return seen[-1]

    def section(self, title: str) -> None:
        """Opens one of the panel's rooms."""
        code = f"return {TABS}.find((tab) => tab.innerText.trim() === arguments[0])"
        tab = until(lambda: self.js(code, title))
        assert tab, f"there is no tab {title}"
        self.js("arguments[0].click()", tab)

    def sections(self) -> list[str]:
        """Their titles; gradio keeps a second row of tabs, which nobody sees, to measure them."""
        code = f"return {TABS}.map((tab) => tab.innerText.trim())"
        return list(dict.fromkeys(each for each in self.js(code) if each))

    def complaints(self) -> list[str]:
        """What the browser's console holds of errors since it was asked last."""
        log = self.driver.get_log("browser")
        return [each["message"] for each in log if each["level"] == "SEVERE"]
