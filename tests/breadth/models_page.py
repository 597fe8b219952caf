"""`said("llama", "LlamaForCausalLM", "equal", "")`: docs/models.md says so; DOCS_MODELS=1 writes it there instead."""

from __future__ import annotations

import os
import re
from pathlib import Path

import transformers

PAGE = Path(__file__).resolve().parents[2] / "docs" / "models.md"
RELEASE = ".".join(transformers.__version__.split(".")[:2])
"""The column: 5.23 for transformers 5.23.0."""
ABSENT = "-"


def rows() -> dict[str, list[str]]:
    """model type -> its cells, after the name: the class, what was found on each release, a note."""
    found = re.findall(r"^\| `([\w.-]+)` \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return {kind: [cell.strip() for cell in cells.split("|")] for kind, cells in found}


def column() -> int:
    """Where this release's cell stands in a row; raises AssertionError where the page has none for it."""
    heads = re.findall(r"^\| model type \|(.*)\|$", PAGE.read_text("utf-8"), re.MULTILINE)[0].split("|")
    names = [head.strip() for head in heads]
    assert f"transformers {RELEASE}" in names, f"docs/models.md has no column for transformers {RELEASE}: give it one"
    return names.index(f"transformers {RELEASE}")


def said(kind: str, name: str, outcome: str, note: str) -> None:
    """Raises AssertionError where the page says something else."""
    if os.environ.get("DOCS_MODELS"):
        return _write(kind, name, outcome, note)
    there = rows().get(kind, [])
    how = "DOCS_MODELS=1 pytest tests/breadth/test_architectures.py, on each release, writes the page"
    assert there, f"docs/models.md does not name {kind}: {how}"
    assert there[column()] == outcome, f"docs/models.md says {there[column()]!r} of {kind}: {how}"


def _write(kind: str, name: str, outcome: str, note: str) -> None:
    text, known, place = PAGE.read_text("utf-8"), rows(), column()
    cells = known.get(kind, [name, ABSENT, ABSENT, note])
    cells[place] = outcome
    cells[-1] = note or cells[-1]
    known[kind] = cells
    table = [f"| `{each}` | {' | '.join(known[each])} |".replace("|  |", "| |") for each in sorted(known)]
    head, tail = re.split(r"(?<=---\|\n)(?:\| `.*\n)*", text, maxsplit=1)
    PAGE.write_text(head + "\n".join(table) + "\n" + tail, "utf-8")
