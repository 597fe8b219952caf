"""The check of the built documentation sees what is dead. `python install.py docs` builds and checks the real one."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def links() -> ModuleType:
    spec = importlib.util.spec_from_file_location("site_links", ROOT / ".ci" / "site" / "links.py")
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRONG = {
    '<a href="none.html">': "none.html leads nowhere",
    '<a href="other.html#none">': "other.html#none has no such anchor",
    '<a href="#none">': "#none has no such anchor",
    '<a href="http://example.org">': "is no https",
    '<img src="none.png">': "none.png leads nowhere",
    '<img src="https://example.org/a.png">': "would be fetched",
    '<script src="https://unpkg.com/x"></script>': "would be fetched",
    '<link rel="stylesheet" href="https://fonts.googleapis.com/css">': "would be fetched",
    "<p>It writes\n- stories\n- plays</p>": "stayed text",
    "<p>It has\n| a | b |</p>": "stayed text",
}
RIGHT = """<h1 id="top">Top</h1><p>One - or two; a|b.</p><a href="#top">a</a><a href="other.html#here">b</a>
<a href="./">c</a>
<a href="https://example.org">d</a><img src="a%20b.png#only-dark"><img src="data:image/png;base64,AA">
<link rel="canonical" href="https://example.org">"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "index.html").write_text(RIGHT, "utf-8")
    (tmp_path / "other.html").write_text('<p id="here">', "utf-8")
    (tmp_path / "404.html").write_text('<a href="/none.html">', "utf-8")
    (tmp_path / "a b.png").touch()
    return tmp_path


def test_a_site_that_is_whole(links: ModuleType, site: Path) -> None:
    assert links.problems(site) == []


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_dead_is_seen(links: ModuleType, site: Path, wrong: str) -> None:
    (site / "page.html").write_text(RIGHT + wrong, "utf-8")
    (problem,) = links.problems(site)
    assert problem.startswith("page.html: ") and WRONG[wrong] in problem


def test_every_page_can_be_reached() -> None:
    named = set(re.findall(r"[\w./-]+\.md", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]))
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} | {"CHANGELOG.md", "CONTRIBUTING.md"}
    notebooks = {f"notebooks/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert named == pages | notebooks
