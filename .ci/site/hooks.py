"""What MkDocs is told of this project: where the package is, which pages stand outside of docs/, how links to them go.

The sources are written to be read where the code is, too; what differs on the site is made here.
"""

from __future__ import annotations

import importlib.util
import json
import posixpath
import re
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = ("CHANGELOG.md", "CONTRIBUTING.md")
"""Pages of the site that lie at the top of the checkout."""
BOOSTS = {"index.md": 2.0, "first-story.md": 2.0, "tab.md": 2.0, "benchmarks.md": 0.3, **dict.fromkeys(OUTSIDE, 0.2)}
"""Pages that a search names earlier or later than the number of their words would."""
STAGED = tempfile.TemporaryDirectory(prefix="soft-prompts-docs-")

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"), key=lambda path: path.stem != "text_generation")
"""The one that others lead on from is first, and stands for their folder."""

LINK = re.compile(r"(\]\(|src(?:set)?=\")([\w./-]+)")
PICTURE = re.compile(r'<picture>\s*<source [^>]*srcset="([^"]+)">\s*<img alt="([^"]*)" src="([^"]+)">\s*</picture>')


@event_priority(100)  # before mkdocstrings reads where the package is
def on_config(config: MkDocsConfig) -> MkDocsConfig:
    folder = Path(STAGED.name)
    if not any(folder.iterdir()):
        (folder / "package").mkdir()
        _types().stage(folder / "package")
    handlers = config.plugins["mkdocstrings"].config["handlers"]
    handlers["python"]["paths"] = [str(folder / "package")]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name in OUTSIDE:
        files.append(File.generated(config, name, content=(ROOT / name).read_text("utf-8")))
    for path in NOTEBOOKS:
        text = notebook(json.loads(path.read_text("utf-8")))
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    here = page.file.src_uri
    page.meta["search"] = {"boost": BOOSTS.get(here, 1.0)}
    text = LINK.sub(lambda found: found[1] + moved(found[2], here), markdown)
    return PICTURE.sub(_by_scheme, text)


def moved(target: str, here: str) -> str:
    """Where a link of the page `here` leads on the site; what is no file of the checkout stays as it is."""
    folder = posixpath.dirname(here) or ("" if here in OUTSIDE else "docs")
    path = posixpath.normpath(posixpath.join(folder, target))
    if not (ROOT / path).exists():
        return target
    if path == "README.md":
        path = "index.md"
    if path == "notebooks" and NOTEBOOKS:
        path = f"notebooks/{NOTEBOOKS[0].name}"
    there = path.removeprefix("docs/").replace(".ipynb", ".md")
    return posixpath.relpath(there, posixpath.dirname(here) or ".")


def notebook(content: dict[str, Any]) -> str:
    """A notebook with its outputs as a page."""
    return "\n\n".join(part for cell in content["cells"] for part in _cell(cell))


def _cell(cell: dict[str, Any]) -> list[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] != "code":
        return [source]
    return [f"```python\n{source}\n```", *filter(None, map(_output, cell["outputs"]))]


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    if "image/png" in data:
        return f"![What the cell above draws](data:image/png;base64,{''.join(data['image/png']).strip()})"
    text = "".join(output.get("text") or data.get("text/plain", ""))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""


def _by_scheme(found: re.Match[str]) -> str:
    """Two pictures, of which the site shows that of its own scheme, which a reader may change."""
    dark, words, light = found.groups()
    return f"![{words}]({light}#only-light)\n![{words}]({dark}#only-dark)"


def _types() -> ModuleType:
    """The neighbour that puts the package together from its two folders, by its path: its name is another's, too."""
    spec = importlib.util.spec_from_file_location("staging", ROOT / ".ci" / "types.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
