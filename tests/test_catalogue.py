"""The catalogue: a library's files as panels list them, for whatever model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt
from soft_prompts.errors import InvalidFile, InvalidPrompt
from soft_prompts.fingerprint import Described, Fit
from soft_prompts.hosts.catalogue import Catalogue, score
from soft_prompts.library import Library


@dataclass
class Judge:
    """A model that takes all, and counts how often it is asked."""

    verdicts: dict[Any, Any] = field(default_factory=dict)
    asked: int = 0

    def fit(self, prompt: Described) -> Fit:
        self.asked += 1
        return Fit("fits", "")

    def tokens(self, text: str) -> int:
        return len(text.split())


def catalogue(folder: Path, judge: Judge | None = None) -> Catalogue:
    return Catalogue(Library(folder), lambda: "my library", lambda: (id(judge), judge))


def test_a_row_says_what_its_file_says(tmp_path: Path) -> None:
    said = {"author": "Ann", "method": "finetune", "base_model": "gpt2", "base": "1.331", "held_out": "1.159"}
    SoftPrompt("noir", np.ones((3, 4), np.float32), metadata=said).save(tmp_path / "noir.safetensors")
    (row,) = catalogue(tmp_path, Judge()).rows()
    assert (row.author, row.method, row.model, row.score) == ("Ann", "finetune", "gpt2", "1.33 -> 1.16")
    assert row.tokens == 3 and row.verdict == "fits"
    assert row.changed == pytest.approx((tmp_path / "noir.safetensors").stat().st_mtime)


@pytest.mark.parametrize(
    "said", [{}, {"base": "1"}, {"base": "x", "held_out": "1"}, {"base": "nan", "held_out": "1"},
             {"base": "1", "held_out": "inf"}, {"base": "-1", "held_out": "1"}],
)  # fmt: skip
def test_a_score_that_is_none_is_not_shown(said: dict[str, str]) -> None:
    assert score(said) == ""


def test_a_model_is_asked_once_for_each_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        SoftPrompt(name, np.ones((1, 4), np.float32)).save(tmp_path / f"{name}.safetensors")
    judge = Judge()
    listed = catalogue(tmp_path, judge)
    first = listed.rows()
    assert listed.rows() is first and judge.asked == 2
    SoftPrompt("three", np.ones((1, 4), np.float32)).save(tmp_path / "three.safetensors")
    listed._library.refresh()
    assert [row.name for row in listed.rows()] == ["one", "three", "two"] and judge.asked == 3


def test_without_a_model_the_rows_say_so(tmp_path: Path) -> None:
    (tmp_path / "noir.txt").write_text("Rain.")
    (row,) = catalogue(tmp_path).rows()
    assert row.verdict == "no model" and not row.usable


def test_made_of_a_sentence(tmp_path: Path) -> None:
    listed = catalogue(tmp_path / "new", Judge())
    row = listed.make("<<sp:noir>>", " Rain and neon. ")
    assert (row.name, row.file, row.verdict, row.tokens) == ("noir", "noir.txt", "text", 3)
    with pytest.raises(InvalidFile, match="there is a soft prompt 'noir' already: .* in my library"):
        listed.make("noir.txt", "Snow.")
    with pytest.raises(InvalidPrompt, match="a name has letters or digits"):
        listed.make("??", "Snow.")


def test_settings_that_were_set_aside_are_nothing_to_wonder_at(tmp_path: Path) -> None:
    for name in ("settings.json.unreadable1", "cover.png"):
        (tmp_path / name).write_text("x")
    listed = catalogue(tmp_path)
    assert not listed.rows() and list(listed.others()) == ["cover.png"]
