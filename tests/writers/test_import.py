"""`soft-prompts import` and `soft-prompts card`: what is shown, what is written, and that nothing else is."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import Library, SoftPrompt
from soft_prompts.cli import main
from soft_prompts.shelf import Shelf
from soft_prompts.trainer.carrying import arrivals
from soft_prompts.trainer.data import Facts
from soft_prompts.trainer.data.books import assets
from soft_prompts.trainer.data.books.envelope import opened

from .samples import SAMPLES, card, card_1, charx, novelai, png, world_info, written

Typed = Callable[..., tuple[int, str, str]]
NOIR = {"base_model": "gpt2", "licence": "CC0", "sample_base": "The door opened", "sample": "The door creaked"}


@pytest.fixture
def typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """`typed("import", "emma.png")` in a folder with a file of each tool: status, output, errors."""
    monkeypatch.chdir(tmp_path)
    for sample in SAMPLES:
        Path(sample.file).write_bytes(sample.data)
    Path("emma.png").write_bytes(png({"chara": card(), "ccv3": card(3)}))
    Path("v2.png").write_bytes(png({"chara": card()}))
    Path("v1.json").write_bytes(written(card_1(), 4))
    Path("worlds.json").write_bytes(written(world_info(), 4))
    SoftPrompt("noir", np.full((3, 8), 0.5, np.float32), metadata=NOIR).save("soft_prompts/noir.safetensors")

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def files() -> set[str]:
    return {each.as_posix() for each in Path().rglob("*") if each.is_file()}


# ---- import


def test_an_import_shows_what_it_found_and_writes_one_file(typed: Typed) -> None:
    before = files()
    status, out, _ = typed("import", "emma.png")
    assert status == 0 and files() - before == {"emma.facts.json"}
    assert "emma.png: Character Card V3 'Emma'" in out
    assert "Note: entry 'Killer': switched off." in out and "orders to the model" in out
    assert "Edit it as you like, then: soft-prompts train world-info emma.facts.json" in out
    assert Facts.read("emma.facts.json").pairs == Facts.read("emma.png").pairs
    items = json.loads(Path("emma.facts.json").read_text("utf-8"))
    assert items[0] == {"call": " Emma is", "response": " a detective from London", "entry": "Emma (description)"}
    assert {each["entry"] for each in items} >= {"Oakham", "The Black Gull", "Emma (mes_example)"}


def test_an_import_never_writes_over_what_was_edited(typed: Typed) -> None:
    typed("import", "emma.png", "--output", "edited.json")
    Path("edited.json").write_text("[]", "utf-8")
    status, out, err = typed("import", "emma.png", "--output", "edited.json")
    assert (status, out) == (1, "") and "edited.json exists already" in err
    assert Path("edited.json").read_text("utf-8") == "[]"
    assert typed("import", "emma.png", "--output", "edited.json", "--overwrite")[0] == 0


def test_several_files_become_one(typed: Typed) -> None:
    status, out, _ = typed("import", "emma.png", "oakham.lorebook", "--json", "--user", "Ann")
    lines = list(map(json.loads, out.splitlines()))
    assert status == 0 and [each.get("kind") for each in lines[:2]] == ["Character Card V3", "NovelAI lorebook"]
    assert [each["name"] for each in lines[1]["entries"]] == ["Oakham", "Killer"]
    assert lines[2]["written"] == "emma.facts.json" and lines[2]["pairs"] > lines[2]["held_out"] > 0
    assert "\nAnn: Do you ever sleep?" in json.loads(Path("emma.facts.json").read_text("utf-8"))[-1]["call"] or any(
        "\nAnn: " in each["call"] for each in json.loads(Path("emma.facts.json").read_text("utf-8"))
    )


def test_what_is_no_such_file_is_refused(typed: Typed) -> None:
    Path("plain.txt").write_text("Emma wears black.", "utf-8")
    Path("a.bin").write_bytes(b"\0\1")
    before = files()
    for name in ("plain.txt", "a.bin", "none.png"):
        status, out, err = typed("import", name)
        assert (status, out) == (1, "") and err.startswith(f"soft-prompts: {name}: ")
    assert files() == before


def test_what_a_model_wrote_is_marked_and_asked_about(tmp_path: Path) -> None:
    path = tmp_path / "facts.json"
    item = {"call": " Emma owns", "response": " a cat", "written_by": "gpt2, not yet reviewed"}
    path.write_text(json.dumps([{"call": " Emma is", "response": " tall"}, item]), "utf-8")
    assert Facts.read(path).notes == ("item 2: written by a model; read them, and take out 'written_by'",)


# ---- cards


@pytest.mark.parametrize("name", ["emma.png", "v2.png", "v1.json", "emma.charx", "emma.json"])
def test_a_prompt_rides_in_a_card_and_is_picked_up(typed: Typed, name: str) -> None:
    if name == "emma.json":
        Path(name).write_bytes(written(card(3, assets=[{"type": "emotion", "uri": "ccdefault:", "name": "x"}])))
    old = Path(name).read_bytes()
    target = f"{Path(name).stem} with noir{Path(name).suffix}"
    status, out, _ = typed("card", name, "--add", "noir")
    assert status == 0 and f"Written: {target}" in out and Path(name).read_bytes() == old
    envelope = opened(Path(target).read_bytes())
    assert envelope is not None and envelope.value["spec"] == "chara_card_v3"
    assert envelope.value["data"]["name"] == "Emma"
    listed = envelope.value["data"]["assets"]
    assert listed[-1]["type"] == "x_soft_prompt" and listed[0]["type"] in ("icon", "emotion")
    if name.endswith(".png"):
        assert envelope.values["chara"] == card(), "what old tools read is as it was"

    status, out, _ = typed("import", target, "--folder", "theirs", "--output", "x.json")
    assert status == 0 and "CC0" in out and "The door creaked" in out and "are not in it" in out
    assert Library("theirs")["noir"] == Library("soft_prompts")["noir"]
    assert dict(Library("theirs")["noir"].metadata)["licence"] == "CC0"
    typed("import", target, "--folder", "theirs", "--output", "x.json", "--overwrite")
    assert len(Library("theirs")) == 1, "the same prompt is not kept twice"


def test_a_card_is_shown_and_a_prompt_replaced(typed: Typed) -> None:
    assert "carries no soft prompt" in typed("card", "emma.png")[1]
    typed("card", "emma.png", "--add", "noir", "--output", "one.png")
    SoftPrompt("noir", np.ones((5, 8), np.float32)).save("soft_prompts/noir.safetensors")
    typed("card", "one.png", "--add", "noir", "--output", "two.png")
    status, out, _ = typed("card", "two.png", "--json")
    (prompt,) = json.loads(out)["prompts"]
    assert status == 0 and (prompt["tokens"], prompt["name"], prompt["problem"]) == (5, "noir", "")
    assert "not said: ask before you pass it on" in typed("card", "two.png")[1]


def with_asset(**asset: Any) -> bytes:
    return written(card(3, assets=[{"type": "x_soft_prompt", "name": "noir", "ext": "safetensors", **asset}]))


HOSTILE = [
    ({"uri": "https://example.com/x.safetensors"}, "nothing is fetched from there"),
    ({"uri": "file:///etc/passwd"}, "nothing is fetched from there"),
    ({"uri": "embeded://../../etc/passwd"}, "nothing is fetched from there"),
    ({"uri": "data:application/octet-stream;base64,%%"}, "its base64 is damaged"),
    ({"uri": "data:text/plain,hello"}, "it is not written as base64"),
    ({"uri": 7}, "nothing is fetched from there"),
    ({"uri": "data:;base64," + base64.b64encode(b"\x80\x02pickle").decode()}, "cannot be used"),
]


@pytest.mark.parametrize(("asset", "message"), HOSTILE, ids=[str(asset["uri"])[:20] for asset, _ in HOSTILE])
def test_what_is_no_prompt_in_a_card_is_said_and_never_kept(typed: Typed, asset: Any, message: str) -> None:
    Path("bad.json").write_bytes(with_asset(**asset))
    status, out, _ = typed("card", "bad.json")
    assert status == 0 and message in out
    assert typed("import", "bad.json", "--folder", "theirs")[0] == 0
    assert not Path("theirs").exists() or not len(Library("theirs"))


def test_a_packed_card_reads_its_own_files_alone() -> None:
    value = card(3, assets=[{"type": "x_soft_prompt", "name": "noir", "uri": "embeded://../../etc/passwd", "ext": "x"}])
    envelope = opened(charx(value))
    assert envelope is not None
    (found,) = assets.carried(envelope)
    assert not found.data and "without a '../../etc/passwd' in it" in found.problem


def test_only_cards_carry(typed: Typed) -> None:
    Path("soft_prompts/words.txt").write_text("A long night.", "utf-8")
    for words, message in (
        (("card", "worlds.json", "--add", "noir"), "worlds.json: it is no Character Card"),
        (("card", "oakham.md", "--add", "noir"), "oakham.md: it is no Character Card"),
        (("card", "emma.png", "--add", "words"), "'words' is a text"),
        (("card", "emma.png", "--add", "nor"), "did you mean 'noir'"),
    ):
        status, _, err = typed(*words)
        assert status == 1 and message in err, err


def test_a_soft_prompts_own_file_goes_into_the_library(typed: Typed) -> None:
    Path("theirs").mkdir()
    Path("gift.safetensors").write_bytes(Path("soft_prompts/noir.safetensors").read_bytes())
    status, out, _ = typed("import", "gift.safetensors", "--folder", "theirs")
    assert status == 0 and "for the model  gpt2" in out and "Into the library theirs: gift.safetensors" in out
    assert list(Library("theirs")) == ["gift"]


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf(Library("theirs"))
    shelf.carriers.add(arrivals)
    return shelf


def test_what_rides_in_a_card_is_brought_to_a_library_like_a_file_of_its_own(typed: Typed, shelf: Shelf) -> None:
    """As the panel's “Add a file …” asks for it, and a file that is dropped onto its list."""
    SoftPrompt("sea", np.ones((2, 4), np.float32)).save("soft_prompts/sea.safetensors")
    assert typed("card", "emma.png", "--add", "noir", "sea", "--output", "two.png")[0] == 0
    first, second = (shelf.look("two.png", "Emma.png", which) for which in (0, 1))
    assert (first.name, first.source, first.more, second.name, second.more) == ("noir", "Emma.png", 1, "sea", 0)
    assert first.metadata["base_model"] == "gpt2" and not first.problem
    assert shelf.take("two.png", "Emma.png", "theirs", 1) == "theirs.safetensors"
    assert list(Library("theirs")) == ["theirs"] and len(Library("theirs")["theirs"]) == 2


def test_a_card_that_carries_nothing_shows_the_way(typed: Typed, shelf: Shelf) -> None:
    assert "nor does it carry one; under “Train”" in shelf.look("emma.png").problem
    Path("bad.json").write_bytes(with_asset(uri=7))
    assert "nothing is fetched from there" in shelf.look("bad.json").problem
    Path("photo.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(60))
    assert "Train" not in shelf.look("photo.png").problem


def test_novelais_files_are_no_cards() -> None:
    assert assets.carried(opened(written(novelai()))) == []  # type: ignore[arg-type]


def test_show_says_what_one_should_know_before_one_passes_it_on(typed: Typed) -> None:
    status, out, _ = typed("show", "noir")
    assert status == 0 and "CC0" in out and "gpt2" in out
    assert "The texts that it was trained on are not in it" in out
    assert "without" in out and "The door opened" in out and "The door creaked" in out and "sample_base" not in out
    SoftPrompt("bare", np.ones((1, 8), np.float32)).save("soft_prompts/bare.safetensors")
    _, out, _ = typed("show", "bare")
    assert "not said: ask its author before you pass it on" in out and "the width is all that is known" in out


def test_a_model_writes_more_and_each_is_marked(
    typed: Typed, monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any], tokenizer: Any
) -> None:
    from soft_prompts.trainer import inventing

    make("llama", max_position_embeddings=2048).save_pretrained("tiny")
    tokenizer.save_pretrained("tiny")
    said = [
        " What does Emma own?\nAnswer: Emma owns a cat.\n\nQuestion:",
        " nothing",
        " Who?\nAnswer: a",
        " A?\nAnswer:",
    ]
    seen: list[str] = []

    def write(reader: Any, vectors: Any, starts: list[list[int]], *more: Any, **options: Any) -> list[list[int]]:
        seen.append(tokenizer.decode(starts[0]))
        return [tokenizer(each, add_special_tokens=False)["input_ids"] for each in said]

    monkeypatch.setattr(inventing, "write", write)
    status, out, _ = typed("import", "emma.png", "--ask", "--model", "tiny")
    assert status == 0 and "were written by the model, and are marked: read them before you train" in out
    made = [each for each in json.loads(Path("emma.facts.json").read_text("utf-8")) if "written_by" in each]
    assert [(each["call"], each["response"]) for each in made] == [("\nWhat does Emma own?\nEmma owns", " a cat")]
    assert made[0]["written_by"].endswith("not yet reviewed") and "held_out" not in made[0]
    assert "She wears a crisp black pantsuit" in seen[0] and seen[0].rstrip().endswith("Question:")
    assert any("written by a model" in note for note in Facts.read("emma.facts.json").notes)
