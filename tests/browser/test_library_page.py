"""The library's files in a real browser, over a folder on disk: each button, what it does to the disk and the screen.

Set PANEL_SCREENSHOTS to a folder, and it gets a picture of each state, light and dark.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt, panel
from soft_prompts.errors import SoftPromptError

# gradio's server runs in threads of this process: what it says of its own dependencies is not ours.
pytestmark = [pytest.mark.browser, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


GRADIOS = ("favicon", "manifest", "cdnjs.cloudflare.com", "fonts.googleapis.com", "fonts.gstatic.com")
"""What gradio's page would fetch from elsewhere or by its own names, and a machine without a network cannot."""


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent.parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


memory, fake, shared = _load("panel_host"), _load("shelf_host"), _load("browser_page")
until, tree = shared.until, fake.tree


class Page(shared.Page):  # type: ignore[misc, name-defined]
    """A browser on the library."""

    def choose(self, name: str) -> None:
        code = """const all = [...document.querySelectorAll(".sp-row")];
            const it = all.find((row) => row.innerText.includes(arguments[0])); it?.click(); return !!it"""
        assert until(lambda: self.js(code, name)), name
        assert until(lambda: self.text("#sp-details .sp-name").startswith(name)), name

    def unfold(self, block: str, inside: str) -> None:
        """Opens a fold, until what stands in it is there."""
        shown = "const it = document.querySelector(arguments[0]); return !!it && it.offsetParent !== null"
        if not self.js(shown, inside):
            self.click(f"{block} button")
        assert until(lambda: self.js(shown, inside)), f"{block} does not open"

    def bring(self, *paths: Path) -> None:
        """By the button, as a person's file dialog does."""
        self.one("#sp-bring input[type=file]").send_keys("\n".join(map(str, paths)))

    def drop(self, name: str, data: bytes) -> None:
        code = """const it = new DataTransfer(), where = document.querySelector("#sp-library");
            it.items.add(new File([new Uint8Array(arguments[1])], arguments[0]));
            for (const kind of ["dragover", "drop"])
              where.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: it}));"""
        self.js(code, name, list(data))

    def said(self, where: str, words: str) -> bool:
        return bool(until(lambda: words in self.text(where)))

    def shown(self, block: str) -> bool:
        """Asked at once, since what is drawn anew is another element."""
        return bool(self.js("return document.querySelector(arguments[0])?.offsetParent != null", block))

    def enabled(self, block: str) -> bool:
        code = """const it = document.querySelector(arguments[0]);
            return !(it.matches("button") ? it : it.querySelector("button") ?? it).disabled"""
        return bool(self.js(code, block))


@pytest.fixture(scope="module")
def stage(driver: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, str]]:
    """A host and the address of its panel; gradio's server runs in a thread of this process."""
    reason = "gradio is not installed: the host pins a build of its own"
    with memory.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason)):
        host = fake.DiskHost(tmp_path_factory.mktemp("first"))
        with shared.served(panel.standalone(host)) as url:
            yield host, url


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return fake.stock(tmp_path / "library")  # type: ignore[no-any-return]


@pytest.fixture
def host(stage: tuple[Any, str], folder: Path) -> Any:
    """The host as new, over this test's own folder, and never with a revision that a page has seen."""
    host = stage[0]
    kept = host.changes + 1
    vars(host).update({**vars(fake.DiskHost(folder)), "changes": kept})
    return host


def faults(page: Page) -> list[str]:
    """What the console holds of errors that are ours."""
    return [each for each in page.complaints() if not any(theirs in each for theirs in GRADIOS)]


@pytest.fixture
def page(driver: Any, stage: tuple[Any, str], host: Any) -> Iterator[Page]:
    driver.get_log("browser")
    page = Page(driver, stage[1]).open()
    yield page
    assert not faults(page)


# ---- the chosen file


def test_rename(page: Page, host: Any, folder: Path) -> None:
    host.pin("everywhere", "noir", 0.7)
    before = tree(folder)
    page.choose("noir")
    page.unfold("#sp-words", "#sp-rename")
    assert until(lambda: page.value("#sp-title-box") == "noir")
    page.type("#sp-title-box", "dark/rain")
    page.click("#sp-rename")
    assert page.said("#sp-filed", "It is <<sp:dark/rain>> now. Texts that say <<sp:noir>> no longer find it.")
    after = tree(folder)
    assert after["dark/rain.safetensors"] == before["noir.safetensors"] and "noir.safetensors" not in after
    assert after["dark/rain.training/report.txt"] == b"report"
    assert until(lambda: page.text("#sp-details .sp-name").startswith("dark/rain"))
    assert host.kept["everywhere"] == {"dark/rain": 0.7}
    time.sleep(1.5)
    assert "It is <<sp:dark/rain>> now" in page.text("#sp-filed"), "the news of it take it away"
    assert page.shown("#sp-take-back")
    page.type("#sp-title-box", "../rain")
    page.click("#sp-rename")
    assert page.said("#sp-filed", "cannot name a soft prompt") and tree(folder) == after
    assert not page.shown("#sp-take-back"), "nothing was changed, and nothing can be taken back"
    page.type("#sp-title-box", "rain")
    page.click("#sp-rename")
    assert page.said("#sp-filed", "It is <<sp:rain>> now") and page.shown("#sp-take-back")
    page.click("#sp-take-back")
    assert page.said("#sp-filed", "It is <<sp:dark/rain>> again.") and tree(folder) == after
    assert until(lambda: page.value("#sp-title-box") == "dark/rain") and not page.shown("#sp-take-back")


def test_describe(page: Page, host: Any, folder: Path) -> None:
    page.choose("noir")
    page.unfold("#sp-words", "#sp-describe")
    assert until(lambda: page.value("#sp-description") == "Rain and neon.")
    page.type("#sp-description", "Fog & <b>ash</b>.")
    page.type("#sp-author", "Zoë")
    page.click("#sp-describe")
    assert page.said("#sp-filed", "The file says so now.") and page.said("#sp-library", "Fog & <b>ash</b>.")
    found = host.library["noir"]
    assert (found.metadata["description"], found.metadata["author"]) == ("Fog & <b>ash</b>.", "Zoë")
    assert found.vectors.tolist() == [[1] * 4] * 3


def test_what_is_typed_is_not_drawn_over(page: Page, host: Any, folder: Path) -> None:
    page.choose("noir")
    page.unfold("#sp-words", "#sp-describe")
    page.type("#sp-description", "Half a sen")
    (folder / "late.txt").write_text("It came meanwhile.")
    assert page.said("#sp-library", "late")
    assert page.value("#sp-description") == "Half a sen"


def test_duplicate(page: Page, folder: Path) -> None:
    page.choose("people/emma")
    page.click("#sp-duplicate")
    assert page.said("#sp-filed", "This is the copy.")
    assert until(lambda: page.text("#sp-details .sp-name").startswith("people/emma-2"))
    files = tree(folder)
    assert files["people/emma-2@llama-3-8b.safetensors"] == files["people/emma@llama-3-8b.safetensors"]


def test_delete_undo_and_the_trash(page: Page, host: Any, folder: Path) -> None:
    before = tree(folder)
    page.choose("noir")
    page.click("#sp-discard")
    assert page.said("#sp-binned", "noir.safetensors lies in the trash.")
    assert "noir.safetensors" not in tree(folder) and "noir.training/report.txt" not in tree(folder)
    assert until(lambda: "<<sp:noir>>" not in page.text("#sp-library"))
    assert not page.shown("#sp-details"), "nothing is chosen any more"
    middle = "const at = document.querySelector(arguments[0]).getBoundingClientRect(); return at.top + at.height / 2"
    assert abs(page.js(middle, "#sp-binned .sp-said") - page.js(middle, "#sp-undo")) < 12, "in the same line"
    time.sleep(1.5)
    assert page.shown("#sp-undo"), "the news of it take it away"
    page.click("#sp-undo")
    assert until(lambda: tree(folder) == before) and page.said("#sp-filed", "It is back where it was.")
    assert until(lambda: page.text("#sp-details .sp-name").startswith("noir"))
    assert until(lambda: not page.shown("#sp-undo"))
    page.click("#sp-discard")
    assert page.said("#sp-binned", "lies in the trash")
    page.choose("sea")
    assert until(lambda: not page.shown("#sp-undo")), "one message at a time"
    page.unfold("#sp-trash", "#sp-trash .sp-back")
    page.click("#sp-trash .sp-back")
    assert until(lambda: tree(folder) == before) and page.said("#sp-trash", "Nothing was deleted.")


def double_click(page: Page, selector: str) -> None:
    from selenium.webdriver import ActionChains

    page.js("arguments[0].scrollIntoView({ block: 'center' })", page.one(selector))
    ActionChains(page.driver).double_click(page.one(selector)).perform()


def test_a_double_click_deletes_once(page: Page, host: Any, folder: Path) -> None:
    page.choose("sea")
    double_click(page, "#sp-duplicate")
    assert page.said("#sp-filed", "This is the copy.")
    page.choose("noir")
    double_click(page, "#sp-discard")
    assert page.said("#sp-binned", "noir.safetensors lies in the trash.")
    time.sleep(1)
    assert len(host.shelf.discarded()) == 1 and page.shown("#sp-undo")
    assert {name for name in tree(folder) if name.startswith("sea")} == {"sea.txt", "sea-2.txt"}
    page.choose("people/emma")
    # As a script, or two hands on two phones: both arrive.
    page.js("const it = document.querySelector('#sp-discard'); it.click(); it.click()")
    assert page.said("#sp-binned", "llama-3-8b.safetensors lies in the trash.")
    time.sleep(1)
    assert page.shown("#sp-undo") and len(host.shelf.discarded()) == 2


def test_undo_where_the_name_is_taken(page: Page, host: Any, folder: Path) -> None:
    page.choose("sea")
    page.click("#sp-discard")
    assert page.said("#sp-binned", "lies in the trash")
    (folder / "sea.txt").write_text("Mine.")
    assert page.said("#sp-library", "<<sp:sea>>")
    page.click("#sp-undo")
    assert page.said("#sp-binned", "sea.txt has the name of sea.txt by now: rename that one, then put this one back")
    assert tree(folder)["sea.txt"] == b"Mine."


def test_download(page: Page, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "fetched"
    target.mkdir()
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(target)})
    page.choose("people/emma")
    page.click("#sp-download")
    fetched = target / "emma@llama-3-8b.safetensors"
    assert until(fetched.exists), list(target.iterdir())
    assert until(lambda: fetched.read_bytes() == tree(folder)["people/emma@llama-3-8b.safetensors"])


def test_convert_a_text(page: Page, folder: Path) -> None:
    page.choose("noir")
    assert not page.shown("#sp-convert"), "there is nothing to convert"
    page.choose("sea")
    assert until(lambda: page.shown("#sp-convert"))
    assert page.text("#sp-convert").strip() == "Make vectors of this text"
    page.click("#sp-convert")
    assert page.said("#sp-filed", "This file holds the text's vectors")
    assert "sea@tiny.safetensors" in tree(folder) and "sea.txt" in tree(folder)


def test_an_unreadable_file_can_go(page: Page, folder: Path) -> None:
    page.choose("broken")
    assert page.said("#sp-details", "cut short")
    assert until(lambda: not page.enabled("#sp-duplicate"))
    assert not page.shown("#sp-acts")
    page.click("#sp-discard")
    assert page.said("#sp-binned", "broken.safetensors lies in the trash.") and "broken.safetensors" not in tree(folder)


def test_a_file_that_went_is_words(page: Page, folder: Path) -> None:
    page.choose("noir")
    page.js("setInterval = () => 0")
    (folder / "noir.safetensors").unlink()
    page.click("#sp-duplicate")
    assert page.said("#sp-shelf-page", "no longer there. Choose again in the list.") or not page.shown("#sp-details")


def test_a_full_disk_is_words(page: Page, host: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from soft_prompts import moving
    from soft_prompts.errors import InvalidFile

    def full(path: Path, data: bytes) -> None:
        problem = InvalidFile(f"{path} cannot be written")
        raise problem from OSError(28, "No space left on device")

    before = tree(folder)
    monkeypatch.setattr(moving, "write_atomically", full)
    page.choose("noir")
    page.click("#sp-duplicate")
    assert page.said("#sp-filed", "the disk is full (No space left on device): free some space") and (
        tree(folder) == before
    )
    page.choose("people/emma")
    assert until(lambda: not page.text("#sp-filed .sp-said").strip())
    page.click("#sp-discard")
    assert page.said("#sp-filed", "emma@llama-3-8b.safetensors: the disk is full") and tree(folder) == before


# ---- what is brought


def test_an_upload_is_shown_then_kept(page: Page, folder: Path, tmp_path: Path) -> None:
    before, brought = tree(folder), tmp_path / "Emma's lamp@llama.safetensors"
    brought.write_bytes(before["noir.safetensors"])
    page.bring(brought)
    assert page.said("#sp-offer", "Keep this file?")
    for words in ("3 tokens, 4 wide", "a/tiny", "Rain and neon.", "Ann", "The door was shut.", "hung in the rain"):
        assert words in page.text("#sp-offer")
    assert tree(folder) == before, "nothing is kept yet"
    assert until(lambda: page.value("#sp-keep-as") == "Emmas lamp"), page.value("#sp-keep-as")
    page.type("#sp-keep-as", "lamp")
    page.click("#sp-keep")
    assert page.said("#sp-filed", "It is in the library.")
    assert tree(folder) == {**before, "lamp@llama.safetensors": before["noir.safetensors"]}
    assert until(lambda: page.text("#sp-details .sp-name").startswith("lamp"))
    assert not page.shown("#sp-offer")


def test_a_dropped_file_goes_the_same_way_and_no_is_no(page: Page, folder: Path) -> None:
    before = tree(folder)
    page.drop("sea.txt", b"Another sea.")
    assert page.said("#sp-offer", "Another sea.") and page.said("#sp-offer", "There is a “sea” already")
    assert until(lambda: page.value("#sp-keep-as") == "sea-2")
    page.type("#sp-keep-as", "sea")
    page.click("#sp-keep")
    assert page.said("#sp-brought", "there is sea.txt already: choose another name") and tree(folder) == before
    assert page.shown("#sp-offer"), "it can still be kept"
    page.click("#sp-refuse")
    assert until(lambda: not page.shown("#sp-offer")) and tree(folder) == before
    page.drop("sea.txt", b"Another sea.")
    assert page.said("#sp-offer", "Another sea."), "the same file once more"


@pytest.mark.parametrize(
    ("called", "data", "words"),
    [
        ("noise.bin", bytes(range(256)) * 4, "it is"),
        ("cut.safetensors", b"\x40\0\0\0\0\0\0\0{\"vectors\"", "cut short"),
        ("photo.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "picture"),
        ("photo.safetensors", b"\x89PNG\r\n\x1a\n" + b"\0" * 64, "picture"),
        ("evil.pkl", b"\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x02os\x94\x8c\x06system\x94\x93\x94.", "it is"),
        ("evil.txt", b"\x80\x04\x95\xff\xfe", "pickle"),
    ],
)  # fmt: skip
def test_wrong_files_are_refused_in_words(
    page: Page, folder: Path, tmp_path: Path, called: str, data: bytes, words: str
) -> None:
    before = tree(folder)
    (tmp_path / called).write_bytes(data)
    page.bring(tmp_path / called)
    assert page.said("#sp-offer", "cannot be kept") and words in page.text("#sp-offer")
    assert not page.shown("#sp-keep") and page.text("#sp-refuse").strip() == "Close"
    assert not page.all(".toast-body.error"), "gradio's own red box says nothing"
    page.click("#sp-refuse")
    assert until(lambda: not page.shown("#sp-offer")) and tree(folder) == before


# ---- what the model is asked


def test_what_the_vectors_are_like(page: Page, host: Any) -> None:
    page.choose("noir")
    page.unfold("#sp-like", "#sp-look")
    page.click("#sp-look")
    assert until(lambda: "neon" in page.text("#sp-likeness") and "<b>" in page.text("#sp-likeness"))
    page.choose("people/emma")
    assert until(lambda: "neon" not in page.text("#sp-likeness")), "that was of another prompt"
    host.fail = SoftPromptError("No model is loaded: load one in the Model tab.")
    page.click("#sp-look")
    assert page.said("#sp-likeness", "No model is loaded: load one in the Model tab.")


def test_a_line_is_shown_while_others_are_answered(page: Page, host: Any) -> None:
    held = threading.Event()
    host.tries.wait = held.wait
    page.choose("noir")
    field = page.one("#sp-strength input[type=number]")
    field.clear()
    field.send_keys("0.7\t")
    assert until(lambda: page.value("#sp-tag") == "<<sp:noir:0.7>>")
    page.type("#sp-opening", "The sky")
    asked = time.monotonic()
    page.click("#sp-line")
    assert until(lambda: "Waiting for the model" in page.text("#sp-lines"), 5)
    assert until(lambda: bool(host.tries.asked)), time.monotonic() - asked
    page.click("#sp-pin")
    assert page.said("#sp-said", "Pinned everywhere"), "a story that is being written holds nobody up"
    held.set()
    assert until(lambda: "With <<sp:noir:0.7>>" in page.text("#sp-lines"))
    assert until(lambda: "The sky it rained <b>." in page.text("#sp-lines"))
    assert "The sky IT RAINED <B>." in page.text("#sp-lines")
    assert host.tries.asked == [("<<sp:noir:0.7>>The sky", "The sky")]
    host.tries.reason = "No model is loaded."
    page.click("#sp-line")
    assert until(lambda: "No model is loaded." in page.text("#sp-lines"))


# ---- where nothing may be changed, and two at once


def test_what_is_forbidden_is_disabled_with_its_reason(page: Page, host: Any, folder: Path) -> None:
    page.choose("noir")
    host.forbids = "the webui runs with --multi-user"
    assert page.said("#sp-shelf-page", "Files cannot be changed here: the webui runs with --multi-user.")
    page.unfold("#sp-words", "#sp-rename")
    page.unfold("#sp-maker", "#sp-make")
    for button in ("duplicate", "discard", "rename", "describe", "make", "upload"):
        assert until(lambda name=f"#sp-{button}": not page.enabled(name)), button
    assert page.enabled("#sp-download")
    assert page.said("#sp-file", "Files cannot be changed here") and page.said("#sp-maker", "cannot be changed here")
    before = tree(folder)
    page.drop("x.txt", b"x")
    time.sleep(1)
    assert not page.shown("#sp-offer") and tree(folder) == before


def test_two_browsers_at_once(page: Page, host: Any, folder: Path, other_driver: Any) -> None:
    other = Page(other_driver, page.url).open()
    page.choose("noir")
    other.choose("noir")
    page.unfold("#sp-words", "#sp-rename")
    page.type("#sp-title-box", "rain")
    page.click("#sp-rename")
    assert page.said("#sp-filed", "It is <<sp:rain>> now")
    assert until(lambda: "rain" in other.text("#sp-library") and "<<sp:noir>>" not in other.text("#sp-library"))
    assert until(lambda: not other.shown("#sp-details")), "what it had chosen is gone"
    other.choose("rain")
    other.click("#sp-discard")
    assert other.said("#sp-binned", "rain.safetensors lies in the trash.")
    assert until(lambda: not page.shown("#sp-details"))
    assert not page.shown("#sp-undo"), "what another one did is theirs to undo"
    page.drop("x.txt", b"From the first.")
    other.drop("y.txt", b"From the second.")
    assert page.said("#sp-offer", "From the first.") and other.said("#sp-offer", "From the second.")
    other.click("#sp-keep")
    page.click("#sp-keep")
    assert until(lambda: {"x.txt", "y.txt"} <= set(tree(folder)))
    assert tree(folder)["x.txt"] == b"From the first." and not faults(other)


# ---- a large library


def many(folder: Path, count: int = 30) -> None:
    for number in range(count):
        place = folder / ("songs" if number % 2 else "tales/old")
        SoftPrompt("x", np.ones((number % 7 + 1, fake.WIDTH))).save(place / f"n{number:02}.safetensors")


def pick(page: Page, block: str, words: str) -> None:
    """Of a drop-down, as a keyboard does it."""
    code = """const all = [...document.querySelectorAll("ul[role=listbox] li")];
        return all.find((each) => each.innerText.includes(arguments[0]))"""

    def offered() -> Any:
        # gradio 4 goes on showing what there was to choose when the list was opened.
        page.js("document.activeElement.blur()")
        page.click(f"{block} input")
        return until(lambda: page.js(code, words), seconds=3)

    found = until(offered)
    assert found, f"{block} has no {words}"
    page.js("arguments[0].dispatchEvent(new MouseEvent('mousedown', {bubbles: true}))", found)


def test_find_sort_and_folders(page: Page, folder: Path) -> None:
    assert not page.shown("#sp-find"), "a short list needs none of it"
    many(folder)
    assert until(lambda: page.shown("#sp-order") and page.shown("#sp-place"))
    names = "return [...document.querySelectorAll('.sp-row .sp-tag')].map((each) => each.innerText)"
    pick(page, "#sp-place", "songs (15)")
    assert until(lambda: len(page.js(names)) == 15) and all("songs/" in each for each in page.js(names))
    pick(page, "#sp-order", "Fewest tokens first")
    tokens = "return [...document.querySelectorAll('.sp-row .sp-tokens')].map((each) => parseInt(each.innerText))"
    assert until(lambda: page.js(tokens) == sorted(page.js(tokens)) and len(set(page.js(tokens))) > 1)
    page.type("#sp-find", "n1")
    assert until(lambda: len(page.js(names)) == 5)
    pick(page, "#sp-place", "All folders")
    assert until(lambda: len(page.js(names)) == 10)


# ---- looks


def test_nothing_is_wider_than_the_window(page: Page, host: Any, folder: Path, tmp_path: Path) -> None:
    many(folder)
    (folder / ("a-very-long-name-" * 9 + ".txt")).write_text("Long.")
    for width in shared.WIDTHS:
        page.open(width=width)
        page.choose("noir")
        page.unfold("#sp-words", "#sp-rename")
        page.unfold("#sp-like", "#sp-look")
        page.click("#sp-line")
        assert until(lambda: "With" in page.text("#sp-lines"))
        page.drop("x.txt", b"word " * 400)
        assert page.said("#sp-offer", "word word")
        over = page.js(
            "const wide = document.documentElement.clientWidth;"
            "return [...document.querySelectorAll('#soft-prompts *')].filter((each) => each.offsetParent &&"
            " each.getBoundingClientRect().right > wide + 1).map((each) => each.id || each.className)"
        )
        assert not over, f"{width} pixels: {over}"


def unlabelled(page: Page) -> list[str]:
    """Controls of the section that a screen reader could not name."""
    return list(
        page.js(
            """const within = (tag) => [...document.querySelectorAll(`#sp-shelf-page ${tag}`)];
            return ["button", "input", "textarea"].flatMap(within)
            .filter((each) => each.offsetParent && each.type !== "file" && !each.innerText?.trim()
                && !each.getAttribute("aria-label") && !each.labels?.length && !each.closest("label")
                && !each.getAttribute("aria-labelledby") && !each.title)
            .map((each) => each.outerHTML.slice(0, 120))"""
        )
    )


def test_every_control_has_a_name(page: Page, folder: Path) -> None:
    many(folder)
    page.choose("noir")
    page.unfold("#sp-words", "#sp-rename")
    page.unfold("#sp-like", "#sp-look")
    page.unfold("#sp-maker", "#sp-make")
    assert not unlabelled(page)


def show_chosen(page: Page, host: Any, folder: Path) -> None:
    page.choose("noir")
    page.unfold("#sp-words", "#sp-rename")
    page.unfold("#sp-like", "#sp-look")
    page.click("#sp-line")
    page.click("#sp-look")
    assert until(lambda: "neon" in page.text("#sp-likeness"))


def show_upload(page: Page, host: Any, folder: Path) -> None:
    page.drop("noir.safetensors", tree(folder)["noir.safetensors"])
    assert page.said("#sp-offer", "Keep this file?")


def show_refused(page: Page, host: Any, folder: Path) -> None:
    page.drop("photo.safetensors", b"\x89PNG\r\n\x1a\n" + b"\0" * 64)
    assert page.said("#sp-offer", "cannot be kept")


def show_deleted(page: Page, host: Any, folder: Path) -> None:
    page.choose("noir")
    page.click("#sp-discard")
    assert page.said("#sp-binned", "lies in the trash")
    page.unfold("#sp-trash", "#sp-trash .sp-back")


def show_forbidden(page: Page, host: Any, folder: Path) -> None:
    page.choose("sea")
    host.forbids = "the webui runs with --multi-user, where nobody changes files"
    assert page.said("#sp-file", "cannot be changed here")


STATES: dict[str, Callable[[Page, Any, Path], None]] = {
    "chosen": show_chosen,
    "upload": show_upload,
    "refused": show_refused,
    "deleted": show_deleted,
    "forbidden": show_forbidden,
    "many": lambda page, host, folder: many(folder),
}


@pytest.mark.skipif("PANEL_SCREENSHOTS" not in os.environ, reason="PANEL_SCREENSHOTS names no folder for pictures")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1024, 375])
@pytest.mark.parametrize("state", STATES)
def test_pictures(page: Page, host: Any, folder: Path, theme: str, width: int, state: str) -> None:
    import gradio

    page.open(theme, width, 2200)
    STATES[state](page, host, folder)
    time.sleep(2.5)
    target = Path(os.environ["PANEL_SCREENSHOTS"])
    target.mkdir(parents=True, exist_ok=True)
    name = f"gradio{gradio.__version__.partition('.')[0]}-{theme}-{width}-library-{state}.png"
    assert page.driver.save_screenshot(str(target / name))
