"""docs/data.md says what is so: its table, its example, and its command line, from a card to a tag in a story."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from soft_prompts import Library, SoftPrompt
from soft_prompts.cli import main, parser
from soft_prompts.trainer.data import books
from soft_prompts.trainer.data.books import assets
from soft_prompts.trainer.data.drafts import drafts
from soft_prompts.trainer.data.drafts.file import written

from .samples import SAMPLES, card, png

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text("utf-8")
BLOCKS = re.findall(r"^```\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
MIRA = (
    "{{char}} lives in Oakham. She is a baker. She wears a red cloak. Her favourite food is apple pie. She is afraid "
    "of owls. Her brother is Jakob. She keeps a silver key."
)


def mira() -> bytes:
    """In the words that the storyteller knows."""
    nothing = dict.fromkeys(("personality", "scenario", "first_mes", "system_prompt"), "")
    talk = "<START>\n{{user}}: Where do you live?\n{{char}}: In Oakham, by the old mill."
    return png({"chara": card(2, **nothing, name="Mira", description=MIRA, mes_example=talk, character_book=None)})


def test_the_table_has_a_line_for_each_sample() -> None:
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| .+ \|$", PAGE.split("## What is read")[1].split("\n\n| `soft")[0], re.MULTILINE
    )
    assert rows[1:] == [(each.says, each.kind) for each in SAMPLES]
    fields = dict(re.findall(r"^\| (.+?) \| .+? \| (.+) \|$", PAGE, re.MULTILINE))
    for each in SAMPLES:
        for field in re.findall(r"`(\w+)`", fields[each.says]):
            assert field in ("ccv3",) or field.encode() in each.data or each.file.endswith((".png", ".charx")), field


def test_the_example_is_what_comes_out() -> None:
    book = books.book_of(card(3))
    assert book is not None
    made = json.loads(written(drafts(book).drafts))
    example = json.loads(next(block for block in BLOCKS if block.startswith("[")))
    assert example and all(item in made for item in example)


def test_its_commands_exist() -> None:
    lines = [line for block in BLOCKS for line in block.splitlines() if line.startswith("soft-prompts")]
    commands = [command for line in lines for command in line.split(" && ")]
    assert len(commands) == 6
    for command in commands:
        parser().parse_args(shlex.split(command)[1:])


def test_the_asset_is_as_the_page_says() -> None:
    assert (
        f"`{assets.TYPE}`" in PAGE and f"`{assets.ENDING}`" in PAGE and "data:application/octet-stream;base64," in PAGE
    )


@pytest.mark.slow
def test_from_a_card_to_a_tag_in_a_story(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mira.png").write_bytes(mira())
    (line,) = (line for block in BLOCKS for line in block.splitlines() if " && " in line)
    said = []
    for command in line.split(" && "):
        assert main(shlex.split(command)[1:]) == 0
        said.append(capsys.readouterr().out)
    assert "Written: mira.facts.json" in said[0]
    prompt = Library("soft_prompts")["mira"]
    assert isinstance(prompt, SoftPrompt) and len(prompt) == 16
    assert float(prompt.metadata["held_out"]) < float(prompt.metadata["base"])
    report = json.loads(Path("soft_prompts/mira.training/report.json").read_text("utf-8"))
    assert report["recall"] > report["lines"][0]["recall"] and report["recall"] >= 0.5
    assert "It answers" in said[1] and "Type <<sp:mira>> where you write" in said[1]
    assert "with <<sp:mira>>" in said[2] and "a red cloak" in " ".join(said[2].split())
