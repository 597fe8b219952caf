"""Two thousand files for each reader that are nearly right: each is a soft prompt or an error of ours, in bounds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from soft_prompts.container import pack

from . import fuzz, hostile, native
from .measure import FREE, TIMES
from .trying import tried

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_nothing_breaks_a_reader(reader: str) -> None:
    found = tried(reader, 2_000)
    assert found.faults == []
    assert found.taken > 20, "some are right, or else nothing behind the first check is ever reached"
    assert found.refused > 500
    assert not hostile.CANARY.exists()


def test_nothing_breaks_the_native_reader() -> None:
    found = native.tried("native", 2_000)
    assert found.faults == []
    assert found.share > native.SHARE, "most are refused for what is in them, or taken"
    assert found.taken > 200 and found.refused > 500


def test_the_native_reader_keeps_to_its_memory_where_there_is_no_more() -> None:
    command = [sys.executable, "-X", "utf8", CHECKOUT / "benchmarks" / "fuzzing.py"]
    options = ["--only", "native", "--count", "300", "--seed", "1"]
    done = subprocess.run([*command, *options], capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    assert "| native | 300 |" in done.stdout


LARGE = """
import sys
from pathlib import Path
import soft_prompts
from soft_prompts import Library
path, more = Path(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    import resource
    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + more, held + more))
assert Library(path.parent).entries()[0].tokens == 1024
try:
    print(soft_prompts.load(path).vectors.shape)
except soft_prompts.SoftPromptError as problem:
    print(problem)
"""


@pytest.mark.parametrize(("number", "answer"), [(1.0, "(1024, 16384)"), (np.nan, "1024 of its 1024 vectors hold NaN")])
def test_a_large_file_takes_four_times_its_size(number: float, answer: str, tmp_path: Path) -> None:
    path = tmp_path / "large.safetensors"
    path.write_bytes(pack({"vectors": np.full((1024, 16_384), number, np.float16)}, {}))
    most = FREE + TIMES * path.stat().st_size
    command = [sys.executable, "-X", "utf8", "-c", LARGE, path, str(most)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer in done.stdout


def test_the_same_seed_gives_the_same_files() -> None:
    for reader in (*fuzz.READERS, "native"):
        inputs = native.inputs if reader == "native" else fuzz.inputs
        one, other, third = (inputs(reader, seed) for seed in (1, 1, 2))
        first = [next(one) for _ in range(50)]
        assert first == [next(other) for _ in range(50)] != [next(third) for _ in range(50)]
