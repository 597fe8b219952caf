"""What the documents say is run: the README's Python, its commands, the links of every page."""

from __future__ import annotations

import re
import shlex
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt, cli, load

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def blocks(page: str, language: str) -> list[str]:
    # All of them, so that the end of one of another language is not taken for a beginning.
    found = re.findall(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


def test_the_readmes_python_runs_from_top_to_bottom(
    storyteller: tuple[Any, Any], story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_stories.txt").write_text(story, "utf-8")
    width = storyteller[0].get_input_embeddings().embedding_dim
    SoftPrompt("noir", np.full((4, width), 0.01)).save("soft_prompts/noir.safetensors")
    names: dict[str, Any] = {}
    python = blocks("README.md", "python")
    assert len(python) == 4
    for code in python:
        exec(compile(code, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "<<sp:noir>>The door opened and" in printed
    base, held_out = map(float, re.search(r"^([\d.]+) -> ([\d.]+)$", printed, re.MULTILINE).groups())  # type: ignore[union-attr]
    assert held_out < base
    assert (tmp_path / "soft_prompts" / "mine.safetensors").exists()


def test_the_page_on_training_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emma.json").write_text(blocks("docs/training.md", "json")[0], "utf-8")
    names: dict[str, Any] = {}
    for code in blocks("docs/training.md", "python"):
        exec(compile(code, "docs/training.md", "exec"), names)
    assert len(names["Facts"].read("emma.json").pairs) == 3
    printed = capsys.readouterr().out
    assert printed.startswith("4 ") and "soft prompt 8 " in printed
    assert (tmp_path / "soft_prompts" / "mira.safetensors").exists()


@pytest.mark.filterwarnings("ignore:'pin_memory':UserWarning")  # which is Trainer's default, also without a GPU
def test_the_page_on_huggingface_runs_from_top_to_bottom(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    from soft_prompts import load

    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_stories.txt").write_text("\n***\n".join([story] * 6), "utf-8")
    names: dict[str, Any] = {}
    python = blocks("docs/huggingface.md", "python")
    assert ["trl" in code for code in python] == [False, False, True]
    for code in python[:2]:
        exec(compile(code, "docs/huggingface.md", "exec"), names)
    assert len(load("soft_prompts/mine.safetensors")) == 20
    kept = sorted((tmp_path / "runs/mine/checkpoint-20").iterdir())
    told = re.findall(r"`([a-z_]+\.[a-z]+)`", "".join(blocks_of_table("docs/huggingface.md")))
    assert sorted(told) == [each.name for each in kept]
    assert 50_000 < sum(each.stat().st_size for each in kept) < 150_000, "the page says 0.1 MB"
    assert all(each.requires_grad for each in names["base"].parameters()), "closed"
    if find_spec("trl"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of other tools' packages
            exec(compile(python[2], "docs/huggingface.md", "exec"), names)
        assert (tmp_path / "runs/trl/checkpoint-3/model.safetensors").exists()


def blocks_of_table(page: str) -> list[str]:
    """The first column of the tables of a page."""
    return re.findall(r"^\|(.*?)\|", (ROOT / page).read_text("utf-8"), re.MULTILINE)


def test_the_page_in_python_runs_from_top_to_bottom(
    story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_stories.txt").write_text(story, "utf-8")
    names: dict[str, Any] = {}
    for code in blocks("docs/in-python.md", "python"):
        exec(compile(code, "docs/in-python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "<<sp:rain>>The door opened and" in printed and "<<sp:mine>><<sp:four>>It was late when" in printed
    assert "<<sp:rain:0.5>>The door opened and" in printed and "UUID:" in printed
    mine, four = (load(tmp_path / "soft_prompts" / f"{name}.safetensors") for name in ("mine", "four"))
    assert mine.metadata["author"] == "Ann" and four.metadata["fingerprint"] == mine.metadata["fingerprint"]


def test_the_readmes_commands_exist() -> None:
    lines = [line for block in blocks("README.md", "") for line in block.splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("soft-")]
    assert len(commands) >= 3
    installs = [
        line for block in blocks("README.md", "") for line in block.splitlines() if line.startswith("python install")
    ]
    # Who has a webui comes first: the demo and the tests come after.
    assert installs == [
        "python install.py webui /path/to/textgen",
        "python install.py ui",
        "python install.py demo",
        "python install.py train finetune neuromancer.txt --model model.gguf --name neuromancer",
        "python install.py test",
    ]
    commands += [shlex.split(line)[1:] for line in installs if "install.py train" in line]
    for command in commands:
        cli.parser().parse_args(command[1:])


@pytest.mark.parametrize("page", ["README.md", "docs/tags.md"])
def test_what_is_said_of_tags_is_so(page: str) -> None:
    from soft_prompts.tags import Tag, name_problem, parse, suggest_name

    readme = (ROOT / page).read_text("utf-8")
    rows = re.findall(r"^\| `(\S+)` \|", readme[readme.index("| you type |") :], re.MULTILINE)
    tags = [piece for row in rows for piece in parse(row) if isinstance(piece, Tag)]
    assert [tag.strength for tag in tags] == [1, 1, 0.7, 0, -1] and parse(rows[-1]) == ["<<sp:noir>>"]
    for name in ("noir", "people/emma", "Emma von Brück 2", "дождь", "a.b_c-d"):
        assert not name_problem(name)
    for name in ("emma's", "a, b", "x (2)", "salt & pepper", " noir", "noir."):
        assert name_problem(name) and not name_problem(suggest_name(name))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    pictures = re.findall(r'\bsrc(?:set)?="([^"]+)"', text)
    for target in [*re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text), *pictures]:
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_specification_holds_a_file_as_it_is_written() -> None:
    from soft_prompts.formats import native

    example = blocks("docs/format.md", "")[-1].splitlines()
    data = native.write(SoftPrompt("noir", [[0.5, -1.25], [3, 0]], metadata={"author": "Ann"}))
    header = "".join(line.strip() for line in example[1:-1])
    assert data == bytes.fromhex(example[0]) + header.encode() + b" " * 6 + bytes.fromhex(example[-1])


def test_the_version_is_in_one_place() -> None:
    import soft_prompts

    assert re.fullmatch(r"\d+\.\d+\.\d+", soft_prompts.__version__)
    assert not re.search(r"^version\s*=\s*\"", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
