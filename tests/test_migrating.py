"""docs/migrating.md: each counterpart of an ancestor's gesture is run, from the top of the page to its end."""

from __future__ import annotations

import base64
import json
import pickle
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from soft_prompts import SoftPrompt, TaggedText, cli, demo
from soft_prompts.formats import write_as

PAGE = Path(__file__).resolve().parents[1] / "docs" / "migrating.md"
FACTS = [
    {"call": " Emma wears", "response": " a crisp black pantsuit"},
    {"call": "\nWhat does Emma wear?\nEmma wears", "response": " a crisp black pantsuit"},
    {"call": " Emma's hair is", "response": " long and blonde"},
]
STORY = {
    "prompt": "The fog came in at nine.",
    "memory": "It always rains in Oakham.",
    "actions": [" It stayed."],
    "worldinfo": [{"key": "Mira", "content": "Mira wears a red cloak. Mira lives in Oakham."}],
}


def gestures() -> list[tuple[int, str]]:
    """(line, code) of each block of Python, and of each cell under "here" that begins with code."""
    found = []
    block: list[str] | None = None
    here = False
    for number, line in enumerate(PAGE.read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            if block is not None:
                found.append((number - len(block), "\n".join(block)))
            block = [] if line == "```python" else None
        elif block is not None:
            block.append(line)
        cells = (
            [cell.strip() for cell in re.split(r"(?<!\\)\|(?=\s|$)", line.strip().strip("|"))]
            if line.startswith("|")
            else []
        )
        here = here if cells else False
        if cells[-1:] == ["here"]:
            here = True
        elif here and (code := re.match(r"`([^`]+)`", cells[-1])):
            found.append((number, code[1]))
    return found


@pytest.fixture
def files(tmp_path: Path, story: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a reader of the page brings along, made for the storyteller."""
    monkeypatch.chdir(tmp_path)
    for folder in ("soft_prompts", "stories", "datasets", "sample_sps/finetune"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("alice.txt", "dataset.txt", "stories/one.txt"):
        (tmp_path / name).write_text(story * 2, "utf-8")
    (tmp_path / "datasets" / "wi_test.json").write_text(json.dumps(FACTS), "utf-8")
    (tmp_path / "story.json").write_text(json.dumps(STORY), "utf-8")
    width = json.loads((Path(demo.path()) / "config.json").read_text("utf-8"))["hidden_size"]
    vectors = np.random.default_rng(0).normal(0, 0.05, (5, width)).astype(np.float32)
    said = {
        "name": "neuromancer",
        "uuid": "6c2a5f9e-0000-4000-8000-000000000000",
        "epoch": 1623264377.7,
        "description": "Chiba",
    }
    tensor = base64.b64encode(pickle.dumps(torch.tensor(vectors)[None].half(), protocol=4)).decode()
    for place in ("sample_sps/finetune", "soft_prompts"):
        (tmp_path / place / "neuromancer_gpt2.json").write_text(json.dumps({"metadata": said, "tensor": tensor}))
    starfleet = SoftPrompt(
        "starfleet", vectors[:3], metadata={"author": "Ann", "supported": "Generic 6B", "description": "Space"}
    )
    (tmp_path / "soft_prompts" / "starfleet.zip").write_bytes(write_as("kobold", starfleet)["starfleet.zip"])
    states = {"opt_state": np.array([{}], dtype=object), "step": np.uint32(50), "loss": np.float32(2.5)}
    with (tmp_path / "my_softprompt.mtjsp").open("wb") as file:
        np.savez_compressed(file, tensor=vectors, **states)
    return tmp_path


@pytest.mark.slow
def test_each_counterpart_runs(files: Path, capsys: Any) -> None:
    names: dict[str, Any] = {}
    done = gestures()
    assert len(done) > 70
    for line, code in done:
        if code.startswith("soft-prompts "):
            words = shlex.split(code)[1:]
            if words[0] == "train" and "--steps" not in words:
                words += ["--steps", "2"]
            status = cli.main(words)
            assert status == 0, f"line {line}: {code}\n{capsys.readouterr().err}"
        else:
            exec(compile("\n" * (line - 1) + code, str(PAGE), "exec"), names)
    _what_it_came_to(files, names, capsys.readouterr().out)


def _what_it_came_to(files: Path, names: dict[str, Any], printed: str) -> None:
    """What the page says of some of them."""
    assert isinstance(names["sp"] + "She", TaggedText) and "<<sp:court>>She" in printed
    assert names["same"] == names["court"] and names["length"] == len(names["court"]) == len(names["sp"])
    assert names["prompt_len"] == len(names["tokenizer"].encode("She")) + names["length"]
    assert names["tag"] == "<<sp:court>>" and len(names["three"]) == 3
    assert names["logits"].shape[-1] == names["model"].config.vocab_size
    assert f"\nLength:      {len(names['court'])} tokens" in printed and "\nLength:      20 tokens" in printed
    assert "starfleet" in printed and '"starfleet"' in printed
    made = (
        "neuromancer.zip",
        "soft_prompts/neuromancer.safetensors",
        "my_softprompt.zip",
        "my_softprompt.json",
        "voyage.zip",
    )
    assert all((files / each).is_file() for each in made)
    assert json.loads((files / "my_softprompt.json").read_text("utf-8"))["metadata"]["description"] == "Baby shoes"
    for name in ("my_softprompt.zip", "my_softprompt.json"):
        assert (SoftPrompt.from_file(name).vectors == names["named"].vectors).all(), name
    assert len(names["both"]["input_ids"]) > 3 + names["length"]
    assert names["state"].metadata["steps"] == "50" and len(names["emma"]) == 8
    assert names["size"] == names["tweet"].vectors.size == 8 * names["tweet"].width
    assert (files / "soft_prompts" / "tweet" / "adapter_config.json").exists()
    kept = {each.name for each in (files / "soft_prompts" / "rabbit.training").iterdir()}
    assert {"curve.csv", "curve.png", "report.md"} <= kept


def test_every_ancestor_has_its_part() -> None:
    text = PAGE.read_text("utf-8")
    for name in ("mkultra", "prompt-tuner", "KoboldAI", "mtj-softtuner", "PEFT"):
        assert re.search(rf"^## .*{name}", text, re.MULTILINE), name
