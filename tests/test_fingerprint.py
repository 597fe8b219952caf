"""A fingerprint tells copies of a model, its relatives and strangers apart, whatever their type and size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from soft_prompts import SoftPrompt
from soft_prompts.errors import InvalidPrompt
from soft_prompts.fingerprint import KEY, Fingerprint, judge, sample_ids, similarity, take

RNG = np.random.default_rng(0)
# Real embeddings share a large common part; without one, strangers would be easier to tell than they are.
COMMON = RNG.normal(size=96) * 0.05
MATRIX = (RNG.normal(size=(500, 96)) * 0.1 + COMMON).astype(np.float32)
STRANGER = (RNG.normal(size=(500, 96)) * 0.1 + COMMON).astype(np.float32)


class Table:
    """An embedding matrix as a host shows it."""

    def __init__(self, matrix: np.ndarray) -> None:
        self._matrix = matrix
        self.rows, self.width = matrix.shape

    def embed(self, ids: Sequence[int]) -> np.ndarray:
        return self._matrix[list(ids)]


def q4_0(matrix: np.ndarray) -> np.ndarray:
    """Blocks of 32 numbers in 4 bits, as GGUF's Q4_0 rounds them."""
    blocks = matrix.reshape(-1, 32)
    largest = np.take_along_axis(blocks, np.abs(blocks).argmax(axis=1)[:, None], axis=1)
    scale = (largest / -8).astype(np.float16).astype(np.float32)
    return (np.clip(np.round(blocks / scale), -8, 7) * scale).reshape(matrix.shape)


def bfloat16(matrix: np.ndarray) -> np.ndarray:
    return (matrix.view(np.uint32) & 0xFFFF0000).view(np.float32)


@pytest.mark.parametrize(
    ("matrix", "verdict"),
    [
        (MATRIX, "fits"),
        (MATRIX.astype(np.float16).astype(np.float32), "fits"),
        (bfloat16(MATRIX), "fits"),
        (np.round(MATRIX / 0.004) * np.float32(0.004), "fits"),
        (q4_0(MATRIX), "fits"),
        (np.concatenate([MATRIX, MATRIX[:64]]), "fits"),
        (MATRIX[:480], "fits"),
        (MATRIX + RNG.normal(size=MATRIX.shape).astype(np.float32) * 0.03, "relative"),
        (STRANGER, "stranger"),
        (MATRIX * np.float32(np.sqrt(96)), "stranger"),
        (MATRIX[::-1].copy(), "stranger"),
        (MATRIX[:200], "stranger"),
        (MATRIX[:, :64], "width"),
    ],
)
def test_verdicts(matrix: np.ndarray, verdict: str) -> None:
    metadata = {KEY: take(Table(MATRIX)).to_text(), "base_model": "org/model"}
    fit = judge(SoftPrompt("noir", np.ones((2, 96)), metadata=metadata), Table(matrix))
    assert fit.verdict == verdict, fit
    assert fit.usable == (verdict in ("fits", "relative"))
    if verdict != "fits":
        assert "'noir'" in fit.reason and "trained on org/model" in fit.reason
    assert "similarity" not in fit.reason, "a number is for programs: fit.similarity"


def test_without_a_fingerprint_width_is_all_there_is() -> None:
    fit = judge(SoftPrompt("noir", np.ones((2, 96))), Table(MATRIX))
    assert fit.verdict == "unknown"
    assert fit.usable
    assert "no fingerprint" in fit.reason


def test_it_survives_its_text_form() -> None:
    made = take(Table(MATRIX), tokens=["the", "café ☂"])
    again = Fingerprint.from_text(made.to_text())
    assert (again.ids, again.tokens) == (made.ids, made.tokens)
    assert np.array_equal(again.sketch, made.sketch)
    assert similarity(again, Table(MATRIX)) > 0.9999
    assert len(made.to_text()) < 8000


def test_the_signs_never_change() -> None:
    # Files carry sketches made with them; another sequence would make strangers of all old files.
    made = take(Table(np.eye(8, dtype=np.float32)), sample=[0, 7])
    assert ((made.sketch > 0) @ (1 << np.arange(32, dtype=np.int64))).tolist() == SIGNS


SIGNS = [2502471731, 243694498]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "3",
        '{"ids":[1],"tokens":[],"sketch":"AAAA"}',
        '{"ids":[-1],"tokens":[],"sketch":""}',
        "[" * 10000,
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InvalidPrompt, match="fingerprint cannot be read"):
        Fingerprint.from_text(text)


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 32_000, 262_144])
def test_samples_are_spread_and_distinct(rows: int) -> None:
    ids = sample_ids(rows)
    assert len(set(ids)) == min(rows, 64)
    assert min(ids) >= 0
    assert max(ids) < rows


def test_zero_rows_are_passed_over() -> None:
    matrix = MATRIX.copy()
    matrix[::8] = 0
    fit = judge(SoftPrompt("x", np.ones((1, 96)), metadata={KEY: take(Table(matrix)).to_text()}), Table(matrix))
    assert fit.verdict == "fits"
    zeros = np.zeros_like(MATRIX)
    assert similarity(take(Table(zeros)), Table(zeros)) == 0
