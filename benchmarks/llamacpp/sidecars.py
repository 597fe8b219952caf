"""Sidecars of large vocabularies: seconds, memory and sizes, each in a process of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..common.tables import Section
from .shapes import SHAPES, WANTED, Shape, write

PROMPTS, TOKENS = 10, 32
STATUS = Path("/proc/self/status")


def sidecars(command: Path) -> Iterator[Any]:
    """`command` is the file that runs `probe`."""
    found = Section("Sidecars")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for shape in SHAPES:
            each = _probed(command, shape, Path(folder))
            rows.append(_row(shape, each))
            if shape is WANTED:
                found.most(f"{shape.name}: seconds for {PROMPTS} prompts of {TOKENS}", each["seconds"], 10)
                found.most(f"{shape.name}: peak of the process, in GB", each["peak"] / 1e9, 1)
    header = (
        "vocabulary",
        "header read",
        "prompts that fit",
        "as",
        "sidecar",
        "made in",
        "peak memory",
        "at strength 0.5",
    )
    found.table(header, rows)
    found.say(
        f"{PROMPTS} prompts of {TOKENS} tokens in a library, a fresh process, the file in the page cache. Made: from "
        "the path to the file on the disk, the header and the library read. At strength 0.5: another sidecar with "
        "all at this strength, of prompts that say nothing of their origin, which needs the mean of all embeddings; "
        "those that were trained here do say it."
    )
    yield found


def probe(gguf: str, library: str) -> None:
    """Print what one process needs for the sidecar of everything in a library, and for each prompt at strength 0.5."""
    from soft_prompts import Library
    from soft_prompts.hosts.llamacpp.client import Client
    from soft_prompts.hosts.llamacpp.model import GgufModel

    began = time.perf_counter()
    model = GgufModel.open(gguf)
    header = time.perf_counter() - began
    client = Client(model, library)
    sidecar = client.prepare()
    facts = {"header": header, "seconds": time.perf_counter() - began, "peak": _peak(), "way": sidecar.way}
    began = time.perf_counter()
    client.prepare(f"<<sp:{name}:0.5>>" for name in Library(library))
    weaker = {"weaker": time.perf_counter() - began, "weaker_peak": _peak()}
    size = sidecar.path.stat().st_size
    print(json.dumps({**facts, **weaker, "fit": len(sidecar.places), "size": size}))


def _probed(command: Path, shape: Shape, folder: Path) -> dict[str, Any]:
    gguf, library = write(shape, folder / "model.gguf"), folder / "library"
    _library(gguf, library)
    line = [sys.executable, "-I", str(command), "--probe", str(gguf), str(library)]
    printed = subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout
    gguf.unlink()
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def _library(gguf: Path, folder: Path) -> None:
    import numpy as np

    from soft_prompts import SoftPrompt
    from soft_prompts.fingerprint import KEY, take
    from soft_prompts.hosts.llamacpp.model import GgufModel

    model = GgufModel.open(gguf)
    folder.mkdir(exist_ok=True)
    chance, origin = np.random.default_rng(0), {KEY: take(model).to_text()}
    for number in range(PROMPTS):
        vectors = chance.standard_normal((TOKENS, model.width)).astype(np.float32) * 0.02
        SoftPrompt(f"p{number}", vectors, metadata=origin).save(folder / f"p{number}.safetensors")


def _row(shape: Shape, each: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(shape),
        f"{each['header']:.2f} s",
        str(each["fit"]),
        "LoRA" if each["way"] == "lora" else "projector",
        f"{each['size'] / 1e6:.1f} MB",
        f"{each['seconds']:.2f} s",
        f"{each['peak'] / 1e6:.0f} MB" if each["peak"] else "",
        f"{each['weaker']:.1f} s, {each['weaker_peak'] / 1e6:.0f} MB",
    )


def _peak() -> int:
    """Bytes that this process held at most; 0 where the system does not tell (Linux does)."""
    if not STATUS.exists():
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
