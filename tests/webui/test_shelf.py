"""The library in the webui: what its rules forbid, what a prompt is like on its model, and a text as vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from soft_prompts import SoftPrompt, SoftPromptError, TextPrompt

Inside = Any  # the fixture of conftest.py


def test_what_the_shelf_does_is_in_the_list(inside: Inside, lamp: str) -> None:
    desk = inside.ours.desk
    assert [row.name for row in desk.rows()] == ["lamp"]
    file = desk.shelf.rename("lamp.safetensors", "light/lamp")
    desk.shelf.describe(file, description="A lamp in a tower.", author="Ann")
    row = desk.rows()[0]
    assert (row.name, row.description, row.author, row.verdict) == (
        "light/lamp", "A lamp in a tower.", "Ann", "fits",
    )  # fmt: skip
    gone = desk.shelf.discard(file)
    assert not desk.rows() and not desk.others(), "the trash is listed nowhere"
    desk.shelf.restore(gone.key)
    assert [row.name for row in desk.rows()] == ["light/lamp"]


def test_with_multi_user_nothing_is_changed(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = inside.ours.desk
    assert desk.forbids == ""
    monkeypatch.setattr(inside.shared.args, "multi_user", True, raising=False)
    assert "--multi-user" in desk.forbids
    monkeypatch.setattr(inside.shared.args, "multi_user", False, raising=False)
    monkeypatch.setattr(inside.shared.args, "gradio_auth", "ann:secret", raising=False)
    assert desk.forbids == "", "with a password, the webui lets its users do all of it"


def test_what_the_vectors_are_like(inside: Inside, lamp: str) -> None:
    """A prompt of a text's own embeddings is like the words of that text."""
    found = inside.ours.desk.resembles("lamp")
    assert "".join(found) == inside.LAMP
    with pytest.raises(SoftPromptError, match="no soft prompt 'lost'"):
        inside.ours.desk.resembles("lost")


def test_a_text_becomes_vectors_beside_it(inside: Inside) -> None:
    desk = inside.ours.desk
    desk.make("keeper", inside.LAMP)
    row = desk.bake("keeper")
    assert row.file == "keeper@storyteller.safetensors" and row.verdict == "fits" and row.method == "text"
    trained, text = inside.ours.library.variants("keeper")
    assert isinstance(trained, SoftPrompt) and text == TextPrompt("keeper", inside.LAMP.strip())
    assert np.array_equal(
        trained.vectors,
        SoftPrompt.from_text(text.text, inside.shared.model, inside.shared.tokenizer, name="keeper").vectors,
    )
    with pytest.raises(SoftPromptError, match="already"):
        desk.bake("keeper")
    inside.save("lamp", inside.LAMP)
    with pytest.raises(SoftPromptError, match="'lamp' is no text"):
        desk.bake("lamp")


def test_without_a_model_nothing_can_be_asked(inside: Inside) -> None:
    inside.ours.desk.make("keeper", inside.LAMP)
    inside.models.unload_model()
    for ask in (inside.ours.desk.resembles, inside.ours.desk.bake):
        with pytest.raises(SoftPromptError, match="The model is asked for that, and no model is loaded"):
            ask("keeper")


class Tiny:
    """A GGUF model's table, and no file."""

    name, width, rows = "tiny", 8, 5_000
    tokens = tuple(f"w{number}" for number in range(4_990))

    def __init__(self) -> None:
        self.table = np.random.default_rng(0).normal(size=(self.rows, self.width)).astype(np.float32)
        self.table[7] = 0
        self.most = 0

    def table_rows(self, ids: Any) -> Any:
        self.most = max(self.most, len(ids))
        return self.table[list(ids)]

    embed = table_rows


def test_nearest_tokens_of_a_gguf_model() -> None:
    from soft_prompts.errors import InvalidPrompt, Misfit
    from soft_prompts.fingerprint import judge
    from soft_prompts.hosts.llamacpp.neighbours import CHUNK, baked, nearest, readable

    model: Any = Tiny()
    wanted = [4_989, 0, CHUNK, 12]
    assert nearest(model, model.table[wanted] * np.float32(3)) == wanted
    assert model.most <= CHUNK, "more of the vocabulary was in memory than need be"
    assert nearest(model, model.table[[4_995]])[0] < len(model.tokens), "what lies behind the vocabulary has no name"
    with pytest.raises(Misfit, match="9 wide"):
        nearest(model, np.ones((1, 9), np.float32))
    assert readable(model, 3, lambda ids: " rain") == " rain"
    assert readable(model, 3, lambda ids: "\ufffd") == readable(model, 3, lambda ids: " ") == "w3"
    made = baked(model, TextPrompt("noir", "Rain."), [3, 4])
    assert np.array_equal(made.vectors, model.table[[3, 4]]) and judge(made, model).verdict == "fits"
    with pytest.raises(InvalidPrompt, match="no tokens"):
        baked(model, TextPrompt("noir", "Rain."), [])


def test_the_folder_is_the_writers_own(inside: Inside, lamp: str) -> None:
    """What goes wrong is told without saying where the webui lies."""
    with pytest.raises(SoftPromptError) as problem:
        inside.ours.desk.shelf.rename("lamp.safetensors", "../lamp")
    assert str(Path(inside.user_data)) not in str(problem.value)
