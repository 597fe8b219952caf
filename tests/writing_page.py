"""A page where a writer writes, for the browser: a chat box that Enter sends and Escape stops, a notebook, messages.

Around the panel it has the ids and the rules of the webui that matter there.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import panel

NOTEBOOK, CHAT, CONTEXT, ALONE = (
    "#textbox-notebook textarea", "#chat-input textarea", "#character-context textarea", "#sp-text textarea",
)  # fmt: skip


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake, browser = _load("panel_host"), _load("browser_page")
until = browser.until


# ---- a page as the webui's, of which only what matters here

AROUND = """
#chat-input-row { position: absolute !important; left: 50%; bottom: 0; transform: translateX(-50%);
  width: min(48rem, 96%) !important; margin: 0 0 16px; padding: 8px 12px; border: 1px solid gray; border-radius: 24px;
  background: var(--background-fill-primary); z-index: 5; }
#stage { position: relative; height: 300px; flex-wrap: nowrap; }
#chat-input textarea { max-height: 120px !important; }
#textbox-notebook span, #chat-input span { display: none; }
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


class Page(browser.Page):  # type: ignore[misc, name-defined]
    """A browser on such a page."""

    def open(self, theme: str = "light", width: int = 1024, height: int = 1100) -> Page:
        super().open(theme, width, height)
        assert until(lambda: self.js("return !!window.softPrompts?.chips")), "the panel's script did not run"
        assert until(lambda: self.js("return window.softPrompts.writing.arrived")), "the names did not arrive"
        return self

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


def cost(page: Page, field: str = "#textbox-notebook") -> str:
    return page.text(f"{field} .sp-cost").replace("\n", " / ")


def chips(page: Page) -> list[list[str]]:
    """(text, title) of each chip."""
    return list(
        page.js("return [...document.querySelectorAll('.sp-chip')].map((each) => [each.textContent, each.title])")
    )
