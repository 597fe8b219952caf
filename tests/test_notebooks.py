"""The notebooks run on the storyteller, and what they show is what their code gives.

NOTEBOOKS=1 .venv/bin/python -I -m pytest tests/test_notebooks.py    writes their outputs anew
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MADE_OF = "soft_prompts_outputs_of"
"""In a notebook's metadata: the digest of the code that its outputs are of."""

pytestmark = [
    # What Jupyter's own parts say of each other's age, and of Windows.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client"),
    pytest.mark.filterwarnings("ignore:Proactor event loop:RuntimeWarning"),
]


def read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(book: Any) -> list[Any]:
    return [cell for cell in book.cells if cell.cell_type == "code"]


def digest(book: Any) -> str:
    return hashlib.sha256("\0".join(cell.source for cell in code(book)).encode()).hexdigest()[:16]


def executed(book: Any, folder: Path) -> Any:
    """A copy, run from the top in a Python of its own that begins in `folder`."""
    book = copy.deepcopy(book)
    client = nbclient.NotebookClient(
        book, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}, record_timing=False
    )
    client.execute()
    for cell in code(book):
        cell.outputs = as_seen(cell.outputs)
    return book


def as_seen(outputs: list[Any]) -> list[Any]:
    """What was printed piece by piece is one text, and a line that lives is what stood there last."""
    found: list[Any] = []
    for each in outputs:
        if each.output_type == "stream" and found and found[-1].get("name") == each.name:
            found[-1].text += each.text
        else:
            found.append(each)
    for each in found:
        if each.output_type == "stream":
            each.text = re.sub(r"[^\n]*\r(?=[^\n])", "", each.text)
    return found


def kinds(cell: Any) -> list[Any]:
    """What is to be seen of a cell, but for its numbers and words, and for what other releases say aside."""
    shown = as_seen([each for each in copy.deepcopy(cell.outputs) if each.get("name") != "stderr"])
    return [(each.output_type, each.get("name"), sorted(each.get("data", {}))) for each in shown]


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a notebook runs, and leaves nothing outside; one thread, as the stored outputs were made."""
    for name, value in {"IPYTHONDIR": tmp_path / "ipython", "JUPYTER_PLATFORM_DIRS": "1", "OMP_NUM_THREADS": "1",
                        "JUPYTER_RUNTIME_DIR": tmp_path / "runtime", "COLUMNS": "96",
                        "PYTHONWARNINGS": "ignore:IProgress not found"}.items():  # fmt: skip
        monkeypatch.setenv(name, str(value))
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, kernel: Path) -> None:
    book = read(path)
    made = executed(book, kernel)
    if os.environ.get("NOTEBOOKS"):
        keep(made, book, path)
        return
    assert not [each for cell in code(made) for each in cell.outputs if each.output_type == "error"]
    for cell, stored in zip(code(made), code(book), strict=True):
        assert kinds(cell) == kinds(stored), cell.source
        assert "varies" in cell.metadata.get("tags", []) or lines(cell) == lines(stored), cell.source


def lines(cell: Any) -> int:
    """How many lines of text a cell shows, if it shows but a word or a table: others depend on what a model writes."""
    texts = [each.text for each in cell.outputs if each.output_type == "stream"]
    return len("".join(texts).splitlines()) if "table(" in cell.source else 0


def keep(made: Any, book: Any, path: Path) -> None:
    for cell, before in zip(code(made), code(book), strict=True):
        if "varies" in cell.metadata.get("tags", []) and before.outputs:
            cell.outputs = before.outputs
    made.metadata = {**book.metadata, MADE_OF: digest(made)}
    nbformat.write(made, path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_can_be_read(path: Path) -> None:
    """It is valid, its outputs are those of its code, and nothing of whoever made them stands in it."""
    book, text = read(path), path.read_text("utf-8")
    nbformat.validate(book)
    assert book.metadata.get(MADE_OF) == digest(book), f"write the outputs anew: {__doc__}"
    assert [cell.execution_count for cell in code(book)] == list(range(1, len(code(book)) + 1))
    outputs = [each for cell in code(book) for each in cell.outputs]
    assert outputs and not any(each.output_type == "error" or each.get("name") == "stderr" for each in outputs)
    assert not re.search(r"/(home|root|work|tmp|Users)/|\d\d:\d\d:\d\d|0x[0-9a-f]{8}", text), (
        "a path, a time or an address"
    )
    assert len(text) < 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_one_cell_says_which_model(path: Path) -> None:
    """The first one; no other names a model, a device or a type for it."""
    first, *others = (cell.source for cell in code(read(path)))
    assert "MODEL, OPTIONS" in first and "demo.path()" in first and 'device_map": "auto"' in first
    assert "from_pretrained(MODEL, **OPTIONS)" in others[0]
    assert not any(re.search(r"demo\.path|cuda|\.to\(\"|device_map", each) for each in others)


def test_all_of_them_are_here() -> None:
    names = ["distillation", "finetune", "memory", "text_generation", "world_info"]
    assert [path.stem for path in NOTEBOOKS] == names
