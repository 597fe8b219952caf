"""No file runs anything, fills the memory, holds a reader up, or is followed out of its folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import soft_prompts
from soft_prompts import Library, SoftPrompt
from soft_prompts.errors import InvalidFile, SoftPromptError
from soft_prompts.formats import read

from . import build, hostile
from .measure import Outcome, measured, trials

CHECKOUT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-I", "-X", "utf8", str(CHECKOUT / "benchmarks" / "attacks.py"), "--json"]


def attempts(*readers: str) -> list[Outcome]:
    """How each hostile file fares in a process of its own, which has no torch in it and little memory to hide in."""
    only = [word for reader in readers for word in ("--only", reader)]
    done = subprocess.run([*COMMAND, *only], capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    return [Outcome(**json.loads(line)) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("reader", [*hostile.ATTACKS, "cut"])
def test_every_hostile_file_is_refused_in_time_and_in_bounds(reader: str) -> None:
    found = attempts(reader)
    assert len(found) == sum(1 for _ in trials([reader])) > 15
    assert [each for each in found if not each.within] == []


@pytest.mark.parametrize("name", ["a shell command", "Python code"])
def test_the_payloads_would_run_elsewhere(name: str, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    # Texts stand with their lengths, so that of the canary cannot just be put in the place of another.
    payloads = {
        "a shell command": b"cos\nsystem\n" + build.text(f"echo > {canary}") + b"\x85R",
        "Python code": b"cbuiltins\nexec\n" + build.text(f"open({str(canary)!r}, 'w')") + b"\x85R",
    }
    assert payloads[name][:12] == hostile.PAYLOADS[name][:12]
    unpickle = "import pickle, sys; pickle.loads(bytes.fromhex(sys.argv[1]))"
    data = build.program(payloads[name]).hex()
    subprocess.run([sys.executable, "-I", "-c", unpickle, data], check=True, timeout=60)
    assert canary.exists(), "Python's own unpickler runs it: the attack is a real one"


def test_a_state_that_is_not_needed_may_hold_anything() -> None:
    objects = build.npy(build.shaped("(1,)", "'|O'"), build.program(hostile.PAYLOADS["a shell command"]))
    prompt = read(hostile.mtj(tensor=build.ARRAY, opt_state=objects, step=objects), "x")
    assert isinstance(prompt, SoftPrompt) and prompt.vectors.sum() == 66
    assert not hostile.CANARY.exists()


def test_a_good_file_is_taken_by_the_same_measure(tmp_path: Path) -> None:
    good = {
        "zip": build.archive(hostile.entry()),
        "large": build.archive(build.large(b"tensor.npy", build.ARRAY), record=-1),
    }
    good |= {"torch": build.torch_zip(build.program(build.tensor()))}
    good |= {"older": build.torch_older(build.program(build.tensor())), "numpy": build.ARRAY}
    good |= {"mkultra": build.mkultra(build.program(build.tensor(held=hostile.inner())))}
    good |= {
        "safetensors": build.safetensors(hostile.ENTRY),
        "adapter": hostile.adapter(build.safetensors(hostile.ENTRY)),
    }
    for name, data in good.items():
        assert measured(("", name, data), tmp_path).reason == "", "or else no attack proves anything"


# ---- what is no ordinary file


def make_link(path: Path, target: str) -> None:
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this account may not make links")


ENDINGS = [".safetensors", ".json", ".zip", ".npy", ".pt", ".bin", ".mkusp", ".mtjsp"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_link_to_itself_or_to_nothing_is_refused(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"noir{ending}"
    for target in (str(path), str(tmp_path / "gone")):
        make_link(path, target)
        with pytest.raises(InvalidFile, match="noir"):
            soft_prompts.load(path)
        assert Library(tmp_path).entries()[0].problem
        path.unlink()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no devices in folders")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_device_or_a_pipe_is_never_opened(ending: str, tmp_path: Path) -> None:
    make_link(tmp_path / f"zero{ending}", "/dev/zero")
    os.mkfifo(tmp_path / f"pipe{ending}")

    def look() -> None:
        problems.extend(entry.problem for entry in Library(tmp_path).entries())
        for name in ("zero", "pipe"):
            with pytest.raises(InvalidFile, match="no ordinary file"):
                soft_prompts.load(tmp_path / f"{name}{ending}")
        done.set()

    problems: list[str] = []
    done = threading.Event()
    threading.Thread(target=look, daemon=True).start()
    assert done.wait(20), "a pipe that nobody writes to is waited for"
    assert problems == ["it is no ordinary file"] * 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no devices in folders")
@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
@pytest.mark.parametrize("target", ["/dev/zero", "gone", "."])
def test_links_in_a_peft_folder(name: str, target: str, tmp_path: Path) -> None:
    folder = tmp_path / "keeper"
    folder.mkdir()
    if name != "adapter_config.json":
        (folder / "adapter_config.json").write_bytes(hostile.CONFIG)
    make_link(folder / name, target)
    with pytest.raises(SoftPromptError):
        soft_prompts.load(folder)
    assert all(entry.problem for entry in Library(tmp_path).entries())
    with pytest.raises(SoftPromptError):
        Library(tmp_path)["keeper"]


def test_a_peft_folder_of_links_within_is_read(tmp_path: Path) -> None:
    # The Hub's cache keeps files by their hashes, and links to them.
    (tmp_path / "blob").write_bytes(build.safetensors({"prompt_embeddings": build.described([3, 4])}))
    folder = tmp_path / "keeper"
    folder.mkdir()
    (folder / "adapter_config.json").write_bytes(hostile.CONFIG)
    make_link(folder / "adapter_model.safetensors", "../blob")
    found: Any = Library(tmp_path)["keeper"]
    assert (found.vectors == np.arange(12).reshape(3, 4)).all()


def test_the_page_says_what_is_tried_now() -> None:
    page = (CHECKOUT / "docs" / "security.md").read_text("utf-8")
    said = {cells[1]: cells[2:6] for line in page.splitlines() if len(cells := line.split("|")) == 8}
    rows = {name.strip(): [each.strip() for each in cells] for name, cells in said.items()}
    counts = {reader: sum(1 for _ in trials([reader])) for reader in ("cut",)}
    counts |= {reader: len(attacks) for reader, attacks in hostile.ATTACKS.items()}
    for reader, count in {**counts, "all": sum(counts.values())}.items():
        tried, refused, seconds, memory = rows[reader]
        assert (int(tried), int(refused)) == (count, count), f"{reader}: run python benchmarks/attacks.py again"
        assert float(seconds) < 1 and float(memory) < 1000


def test_the_attacks_get_as_far_as_their_reader() -> None:
    begin = {"KoboldAI zip": b"PK\x03\x04", "mtj-softtuner state": b"PK\x03\x04", "torch, zip": b"PK\x03\x04"}
    begin |= {"PEFT": b"PK\x03\x04", "torch, older": build.MAGIC, "numpy": b"\x93NUMPY"}
    for reader, start in begin.items():
        strays = [name for name, make in hostile.ATTACKS[reader].items() if not make().startswith(start)]
        assert not strays or strays == ["no directory"], reader
