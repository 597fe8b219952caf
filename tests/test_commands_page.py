"""docs/commands.md holds what `--help` says of every command; with DOCS_COMMANDS=1 this writes it there instead."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
from collections.abc import Iterator
from pathlib import Path

from soft_prompts import cli
from soft_prompts.hosts.webui import deploy

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "commands.md"
BEGIN = "<!-- from here on written by DOCS_COMMANDS=1 pytest tests/test_commands_page.py -->"


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers that do something, in the order of `--help`, aliases left out."""
    below = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not below:
        yield parser
    for action in below:
        for each in dict.fromkeys(action.choices.values()):
            yield from leaves(each)


def helped(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """What is said of one option, with the numbers that `%(default)s` stands for."""
    fields = {**vars(action), "prog": parser.prog}
    return cell((action.help or "") % fields) if action.help else ""


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def named(action: argparse.Action) -> str:
    """`--tokens N`, `--dtype auto|float32`, `TEXT ...`: as it is typed."""
    kind = "|".join(map(str, action.choices)) if action.choices else action.metavar or action.dest.upper()
    more = " ..." if action.nargs in ("+", "*") else ""
    value = "" if action.nargs == 0 else f"{kind}{more}"
    if isinstance(action, argparse.BooleanOptionalAction):
        value = ""
    if not action.option_strings:
        return value
    return ", ".join(f"{each} {value}".strip() for each in action.option_strings)


def usage(parser: argparse.ArgumentParser) -> str:
    shown = [each for each in parser._actions if not isinstance(each, argparse._HelpAction)]
    words = [named(each) for each in shown if not each.option_strings and each.nargs != "?"]
    words += [f"[{named(each)}]" for each in shown if not each.option_strings and each.nargs == "?"]
    words += [named(each) for each in shown if each.option_strings and each.required]
    return " ".join([parser.prog, *words, "[options]"])


def section(parser: argparse.ArgumentParser, title: str, words: str) -> str:
    lines = [f"## {title}", words, f"```text\n{usage(parser)}\n```"]
    rows = []
    for group in parser._action_groups:
        for action in group._group_actions:
            if not isinstance(action, argparse._HelpAction):
                rows.append(f"| `{named(action).replace('|', chr(92) + '|')}` | {helped(parser, action)} |")
    lines.append("\n".join(["| you type | for |", "|---|---|", *rows]))
    if parser.epilog:
        lines.append(" ".join(parser.epilog.split()))
    return "\n\n".join(lines)


def summaries(parser: argparse.ArgumentParser) -> dict[argparse.ArgumentParser, str]:
    """What the list of commands says of each, to whom its own description is not enough."""
    found = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {each.dest: each.help or "" for each in action._choices_actions}
            for name, each in action.choices.items():
                found |= {each: found.get(each) or said.get(name, ""), **summaries(each)}
    return found


def guide() -> str:
    """What `python install.py` says when it is not told what to do."""
    spec = importlib.util.spec_from_file_location("install_for_docs", ROOT / "install.py")
    assert spec and spec.loader
    install = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(install)
    return f"```text\n{install.GUIDE.strip()}\n```"


def written() -> str:
    whole = cli.parser()
    said = summaries(whole)
    parts = ["## python install.py", guide()]
    every = [*leaves(whole), deploy.parser()]
    for each in every:
        prog = f"python {each.prog}" if each.prog.startswith("install") else each.prog
        each.prog = prog
        words = each.description or f"{said[each][:1].upper()}{said[each][1:]}."
        parts.append(section(each, prog, "\n\n".join(map(cell, words.split("\n\n")))))
    return "\n\n".join(parts) + "\n"


def test_the_page_holds_what_help_says() -> None:
    head, marked, found = PAGE.read_text("utf-8").partition(BEGIN + "\n\n")
    assert marked
    if os.environ.get("DOCS_COMMANDS"):
        PAGE.write_text(head + marked + written(), "utf-8")
        return
    how = "DOCS_COMMANDS=1 pytest tests/test_commands_page.py writes the page"
    assert found == written(), how


def test_no_command_is_without_words() -> None:
    page = PAGE.read_text("utf-8")
    titles = re.findall(r"^## soft-prompts (.+)$", page, re.MULTILINE)
    assert {"list", "show", "try", "train finetune", "train world-info", "train distill", "ui"} <= set(titles)
    rows = [row for row in page.splitlines() if row.startswith("| `")]
    assert len(rows) > 100 and not [
        row for row in rows if row.endswith("|  |") and "CARD" not in row and "BOOK" not in row
    ]
