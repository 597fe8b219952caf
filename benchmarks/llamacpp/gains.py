"""One prompt, both worlds: what a style gains on unseen texts, in Transformers and at each type of a GGUF."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from soft_prompts.hosts.llamacpp.client import Client

from ..common.tables import Section

KINDS = ("F32", "F16", "Q8_0", "Q4_0")
STEPS, ROWS = 100, 12
WAYS = {"lora": "LoRA", "mmproj": "projector"}


def gains(shared: Path, tests: Callable[[str], Any]) -> Iterator[Any]:
    """shared: a folder with stories260k, where there is one. tests: as for `speed`."""
    found = Section("Gain")
    if not tests("llama_server").FOUND:
        found.say("Not measured: LLAMA_SERVER names no llama-server, and none is on the PATH.")
        yield found
        return
    rows = []
    for subject in _subjects(tests("gain"), shared):
        measured = _measured(subject, tests)
        expected = float(measured["Transformers"])
        for kind, each in measured.items():
            share = float(each) / expected
            name = f"{subject.name}, {WAYS[subject.way]}"
            rows.append((name, kind, f"{each.without:.4f}", f"{each.prompt:.4f}", f"{float(each):.4f}", f"{share:.3f}"))
            if kind == "F32":
                found.most(f"{name}, F32: distance of the share from 1", abs(share - 1), 0.05)
    found.table(("", "type", "without", "with", "gain", "share of the gain in Transformers"), rows)
    found.say(
        f"Nats per token of {ROWS} rows of the test part; styles of 16 tokens that were trained in Transformers, in "
        f"float32, for {STEPS} steps. All matrices are of one type, with no calibration; keys and values in float32."
    )
    yield found


def _subjects(gain: Any, shared: Path) -> Iterator[Any]:
    style = gain.noir(STEPS)
    for way in WAYS:
        yield gain.storyteller(way, *style, rows=ROWS)
    if (shared / "models" / "stories260k").is_dir():
        yield gain.stories260k(shared, STEPS, ROWS)


def _measured(subject: Any, tests: Callable[[str], Any]) -> dict[str, Any]:
    """By type of the file; the places that are counted are the same for all."""
    gain, nats = tests("gain"), {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in KINDS:
            nats[kind] = _pair(subject, subject.write(folder, kind), tests)
    head = [int(subject.tokenizer.bos_token_id)]
    both = (None, subject.prompt)
    whole = {"Transformers": [gain.in_transformers(subject.model, head, each, subject.rows) for each in both], **nats}
    where = ~np.isnan(sum(np.add(*each) for each in whole.values()))
    assert where.mean() > 0.9, "the server read other tokens than were sent"
    return {kind: gain.Gain.of(*each, where) for kind, each in whole.items()}


def _pair(subject: Any, path: Path, tests: Callable[[str], Any]) -> list[Any]:
    """Without the prompt and with it."""
    client = Client(path, prompts=[subject.prompt], folder=path.parent)
    sidecar, server = client.prepare(), tests("llama_server")
    with server.llama_server(path, [*sidecar.flags, *server.EXACT]) as client.server.address:
        client.check()
        return [tests("gain").in_llamacpp(client, tag, subject.rows) for tag in ("", f"<<sp:{subject.prompt.name}>>")]
