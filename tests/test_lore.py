"""A long text is read from whatever a corpus is read from, and questions from the shape of facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts.errors import InvalidFile
from soft_prompts.trainer.data import Lore, Pair


def test_reading(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("\nThe tower.\n***\nThe bell.\n", "utf-8")
    (tmp_path / "b.json").write_text('[{"text": "The keeper."}]', "utf-8")
    lore = Lore.read(tmp_path)
    assert lore == Lore("The tower.\n\nThe bell.\n\nThe keeper."), "breaks are no words"
    assert Lore.read(tmp_path / "a.txt", tmp_path / "b.json") == lore
    asked = [{"call": " The bell is", "response": [" iron", " old"]}, {"call": "The bell", "response": "rings"}]
    path = tmp_path / "asked.jsonl"
    path.write_text("\n".join(map(json.dumps, asked)), "utf-8")
    found = Lore.read(tmp_path / "a.txt", tmp_path / "b.json", questions=path)
    assert found.questions == (Pair(" The bell is", " iron"), Pair(" The bell is", " old"), Pair("The bell", "rings"))
    assert found.notes == ("question 2: call and answer run into one word; begin the answer with a space",)
    assert found.digest != lore.digest


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b'[{"call": " x"}]', b"\0"])
def test_bad_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_text("The tower.")
    (tmp_path / "b.json").write_bytes(content)
    with pytest.raises(InvalidFile, match=r"b\.json: "):
        Lore.read(tmp_path / "a.txt", questions=tmp_path / "b.json")
    with pytest.raises(InvalidFile, match=r"b\.json: "):
        Lore.read(tmp_path / "b.json")


@given(st.text(), st.text(min_size=1), st.text())
def test_a_digest_tells_text_and_questions_apart(text: str, call: str, response: str) -> None:
    lore = Lore(text, (Pair(call, response),))
    assert lore.digest == Lore(text, (Pair(call, response),)).digest
    assert len({lore.digest, Lore(text).digest, Lore(text + "x", lore.questions).digest}) == 3
    assert lore.digest != Lore(text, (Pair(call + response, ""),)).digest or not response
