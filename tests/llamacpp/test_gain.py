"""One prompt, both worlds: what is gained by a style that was trained in Transformers is gained in llama.cpp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gguf")

from soft_prompts import SoftPrompt
from soft_prompts.fingerprint import judge
from soft_prompts.hosts.llamacpp.client import Client

from ..conftest import SHARED
from .gain import Gain, Subject, in_llamacpp, in_transformers, noir, stories260k, storyteller
from .llama_server import EXACT, FOUND, llama_server
from .storyteller import WAYS

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]
STEPS, ROWS = 60, 8


@pytest.fixture(scope="module")
def style() -> tuple[SoftPrompt, str]:
    return noir(STEPS)


@pytest.mark.parametrize("way", WAYS)
def test_the_storyteller_s_style(style: tuple[SoftPrompt, str], way: str, tmp_path: Path) -> None:
    gains_the_same(storyteller(way, *style, rows=ROWS), tmp_path, 0.05)


@pytest.mark.skipif(not (SHARED / "models" / "stories260k").is_dir(), reason="../shared has no stories260k")
def test_a_real_model_s_style(tmp_path: Path) -> None:
    gains_the_same(stories260k(SHARED, STEPS, ROWS), tmp_path, 0.2)


def gains_the_same(subject: Subject, folder: Path, least: float) -> None:
    client = Client(subject.write(folder, "F32"), prompts=[subject.prompt], folder=folder)
    assert judge(subject.prompt, client.model).verdict == "fits"
    sidecar, tag = client.prepare(), f"<<sp:{subject.prompt.name}>>"
    assert sidecar.way == subject.way
    with llama_server(client.model.path, [*sidecar.flags, *EXACT]) as client.server.address:
        head = client.text.seams.head
        ours = [in_llamacpp(client, each, subject.rows) for each in ("", tag)]
    theirs = [in_transformers(subject.model, head, each, subject.rows) for each in (None, subject.prompt)]
    where = ~np.isnan(ours[0] + ours[1])
    assert where.mean() > 0.9
    found, expected = (Gain.of(*each, where) for each in (ours, theirs))
    assert float(expected) > least
    assert float(found) == pytest.approx(float(expected), rel=0.05)
    # Not on average alone: place by place.
    assert max(np.abs(mine - other)[where].max() for mine, other in zip(ours, theirs, strict=True)) < 0.01
