"""No block of code in a document is left out: each is run by a test that is named here, or its words are checked."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt, cli, load, parse
from soft_prompts.hosts.webui import deploy
from soft_prompts.tags import Tag
from soft_prompts.trainer.data import books

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]

# Page and language -> the test that runs the blocks, or looks at what they say. A new page gets its line here.
RUN = {
    ("README.md", "python"): "test_docs.py::test_the_readmes_python_runs_from_top_to_bottom",
    ("docs/commands.md", "text"): "test_commands_page.py::test_the_page_holds_what_help_says",
    ("docs/errors.md", "text"): "test_errors.py::test_the_page_prints_what_is_said",
    ("docs/first-story.md", "text"): "test_snippets.py::test_a_text_with_tags_is_one",
    ("docs/huggingface.md", "python"): "test_docs.py::test_the_page_on_huggingface_runs_from_top_to_bottom",
    ("docs/in-python.md", "python"): "test_docs.py::test_the_page_in_python_runs_from_top_to_bottom",
    ("docs/index.md", "python"): "test_snippets.py::test_short_snippets_run",
    ("docs/lorebook.md", "json"): "test_snippets.py::test_a_lorebook_is_one",
    ("docs/llamacpp.md", "python"): "llamacpp/test_page.py::test_the_programs_of_the_page",
    ("docs/llamacpp.md", "text"): "llamacpp/test_page.py::test_the_page_shows_what_export_says",
    ("docs/llamacpp.md", "yaml"): "test_starting.py::test_what_the_page_shows_is_what_is_written",
    ("docs/migrating.md", "python"): "test_migrating.py::test_each_counterpart_runs",
    ("docs/sharing.md", "python"): "test_snippets.py::test_short_snippets_run",
    ("docs/sillytavern.md", "json"): "test_snippets.py::test_json_is_json",
    ("docs/storyteller.md", "python"): "test_snippets.py::test_short_snippets_run",
    ("docs/training.md", "json"): "test_docs.py::test_the_page_on_training_runs_from_top_to_bottom",
    ("docs/training.md", "python"): "test_docs.py::test_the_page_on_training_runs_from_top_to_bottom",
    ("docs/vllm.md", "python"): "test_vllm.py::test_the_page_runs",
    ("docs/webui.md", "json"): "test_snippets.py::test_json_is_json",
}
# Blocks without a language that are no lines to type: how they begin -> what looks at them, or why nothing does.
NO_COMMANDS = {
    "It was late when ...": "what the demo wrote on one computer; another one rounds otherwise",
    "b8 00 00 00": "test_docs.py::test_the_specification_holds_a_file_as_it_is_written",
    '[\n  {"call": " Emma wears"': "writers/test_page.py::test_the_example_is_what_comes_out",
}
# Programs of others: how their lines begin -> why nothing of them is checked here.
FOREIGN = {
    "cd ": "a folder of the reader's",
    "jupyter notebook ": "a program of others, on a file of which test_notebooks.py runs each cell",
    "git clone ": "an address that the reader's page shows",
    "vllm serve ": "a server that needs a GPU; docs/vllm.md says that none was run",
}


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    text: str


def blocks() -> list[Block]:
    """Every fenced block, in lists too."""
    found = []
    for path in PAGES:
        for indent, language, text in re.findall(
            r"^( *)```(\w*)\n(.*?)^ *```$", path.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            plain = re.sub(f"^{indent}", "", text, flags=re.MULTILINE)
            found.append(Block(path.relative_to(ROOT).as_posix(), language, plain))
    return found


def lines() -> Iterator[tuple[str, str]]:
    """(page, line) of all that is to be typed, each program by itself."""
    for block in blocks():
        if block.language or any(block.text.startswith(begin) for begin in NO_COMMANDS):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            yield from ((block.page, part.strip()) for part in line.split(" && ") if part.strip())


def test_every_block_has_its_test() -> None:
    there = {(block.page, block.language) for block in blocks() if block.language}
    assert there == set(RUN), "say in RUN which test runs the blocks of a new page"
    for where in [*RUN.values(), *(each for each in NO_COMMANDS.values() if "::" in each)]:
        file, _, name = where.partition("::")
        assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8"), where


def test_code_is_fenced() -> None:
    """An indented block would be seen by nobody here."""
    for path in PAGES:
        outside = re.sub(r"^( *)```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        found = re.findall(r"\n\n( {4,}(?:soft-prompts|python|import|from|vllm|\$) .*)", outside)
        assert not found, f"{path.name}: {found}"


def check(line: str) -> None:
    """Fails where no such command, option, file or test is there."""
    words = shlex.split(line.replace("\\", "/"))
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)
    if any(line.startswith(begin) for begin in FOREIGN):
        return
    if "soft_prompts.trainer" in words:  # also behind accelerate and torchrun
        cli.parser().parse_args(["train", *words[words.index("soft_prompts.trainer") + 1 :]])
    elif words[0] == "soft-prompts":
        cli.parser().parse_args(words[1:])
    elif "install.py" in words:
        install(words[words.index("install.py") + 1 :])
    elif "pytest" in words:
        paths(words[words.index("pytest") + 1 :])
    elif "soft_prompts.demo.build" in words:
        assert '"--output"' in (ROOT / "extensions/soft_prompts/demo/build.py").read_text("utf-8")
    elif words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[(\w+)\]", line)
        assert all(f"\n{each} = [" in (ROOT / "pyproject.toml").read_text("utf-8") for each in extras), line
    elif words[0].endswith("/ruff"):
        assert words[1] in ("check", "format")
    else:
        script = next(word for word in words if word.endswith(".py"))
        known = (ROOT / script).read_text("utf-8")
        assert all(word in known for word in words if word.startswith("--")), line


def install(words: list[str]) -> None:
    what, *rest = words
    if what == "webui":
        deploy.parser().parse_args(rest)
    elif what in ("train", "ui"):
        cli.parser().parse_args([what, *(word for word in rest if word != "--yes")])
    elif what == "docs":
        assert all(word in (ROOT / ".ci/site/build.py").read_text("utf-8") for word in rest)
    else:
        assert what in ("demo", "test")
        paths(rest)


def paths(words: list[str]) -> None:
    for word in words:
        assert (ROOT / word).exists() or not word.startswith("tests"), word


@pytest.mark.parametrize(("page", "line"), sorted(set(lines())))
def test_what_is_to_be_typed_is_understood(page: str, line: str) -> None:
    check(line)


def test_a_line_that_is_wrong_is_seen() -> None:
    for line in (
        "soft-prompts lst",
        "soft-prompts train finetune x.txt --stpes 3",
        "python install.py webui x --nothing",
    ):
        with pytest.raises(SystemExit):
            check(line)
    for line in (
        "python install.py test tests/none.py",
        "python install.py docs --clsoe",
        "python benchmarks/tab.py --no",
    ):
        with pytest.raises(AssertionError):
            check(line)


# ---- what is named within a sentence


def spans() -> Iterator[tuple[str, str]]:
    for path in PAGES:
        text = re.sub(r"^( *)```.*?^ *```$", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`((?:soft-prompts|python install\.py) [^`]+)`", text):
            if span != "soft-prompts fingerprint 1":  # what is hashed, and no command
                yield path.name, " ".join(span.split())


def test_commands_in_sentences_exist() -> None:
    """Their words may be half of a line, but each command and option is one."""
    found = sorted(set(spans()))
    assert len(found) > 20
    for page, span in found:
        words = span.replace("python install.py", "soft-prompts").split()[1:]
        if words[0] in ("webui", "demo", "test", "docs"):
            continue
        parser: Any = cli.parser()
        for word in words:
            choices = next((each.choices for each in parser._actions if each.choices and each.nargs == "A..."), {})
            if choices:
                known = word in choices or word.isupper() or word == "..."
                assert known, f"{page}: {span}: there is no {word}"
                parser = choices.get(word, parser)
            elif word.startswith("--"):
                assert word in parser._option_string_actions or word == "--yes", f"{page}: {span}: there is no {word}"


# ---- what is run here


def test_short_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storyteller: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    width = storyteller[0].get_input_embeddings().embedding_dim
    SoftPrompt("noir", np.full((4, width), 0.01)).save("soft_prompts/noir.safetensors")
    here = [page for (page, language), where in RUN.items() if where.endswith("test_short_snippets_run")]
    for page in here:
        names: dict[str, Any] = {}
        for block in blocks():
            if (block.page, block.language) == (page, "python"):
                exec(compile(block.text, page, "exec"), names)
    assert "<<sp:noir>>The door opened and" in capsys.readouterr().out
    assert load("soft_prompts/noir.safetensors").metadata["licence"] == "CC BY 4.0"


def test_json_is_json() -> None:
    pages = [page for (page, _), where in RUN.items() if where.endswith("test_json_is_json")]
    found = [json.loads(block.text) for block in blocks() if block.language == "json" and block.page in pages]
    assert len(found) == 2


def test_a_lorebook_is_one() -> None:
    (text,) = [block.text for block in blocks() if (block.page, block.language) == ("docs/lorebook.md", "json")]
    book = books.book_of(json.loads(text))
    assert (
        book
        and book.kind == "SillyTavern World Info"
        and [each.name for each in book.entries] == ["Mira", "The bridge"]
    )


def test_a_text_with_tags_is_one() -> None:
    (text,) = [block.text for block in blocks() if (block.page, block.language) == ("docs/first-story.md", "text")]
    assert [each.name for each in parse(text) if isinstance(each, Tag)] == ["mine", "people/mira"]
