"""`compare(before, now, path)`: whether a training that goes on is the one that began."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidPrompt, TrainingError
from ..fingerprint import FITS, KEY, Fingerprint


def compare(before: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raises TrainingError with all that is another; path: of the state that was found."""
    flat = [_flat(before), _flat(now)]
    changed = [key for key in {**flat[0], **flat[1]} if not _same(key, flat[0].get(key), flat[1].get(key))]
    if changed:
        told = ", ".join(_change(key, flat[0].get(key), flat[1].get(key)) for key in changed)
        raise TrainingError(
            f"{path} is of another training ({told}): give the same again, or begin anew with --overwrite in place of "
            "--resume"
        )


def _same(key: str, before: Any, now: Any) -> bool:
    if key != KEY or before == now:
        return bool(before == now)
    # In another type or on another device the same model has another fingerprint, which is like it.
    try:
        return _alike(Fingerprint.from_text(before), Fingerprint.from_text(now)) >= FITS
    except (InvalidPrompt, TypeError):
        return False


def _alike(one: Fingerprint, other: Fingerprint) -> float:
    """Mean cosine of the rows of two fingerprints; 0 where they are of other tokens."""
    if (one.ids, one.tokens) != (other.ids, other.tokens):
        return 0.0
    rows, others = one.sketch.astype(np.float32), other.sketch.astype(np.float32)
    norms = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    return float(((rows * others).sum(axis=1)[norms > 0] / norms[norms > 0]).mean())


def _change(key: str, before: Any, now: Any) -> str:
    if key == KEY:
        return "the model's token embeddings are others"
    if key == "data":
        return "what it learnt from was something else"
    return f"{key} was {_short(before)} and is {_short(now)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:16]}...{text[-4:]}"


def _flat(table: dict[str, Any]) -> dict[str, Any]:
    plain = json.loads(json.dumps(table))
    settings = plain.pop("settings", {})
    return {**plain, **settings}
