"""Stands in for the webui's `modules.api.tokens`: counting, encoding and decoding, without a hook."""

from __future__ import annotations

from typing import Any

from modules.text_generation import decode, encode


def token_count(prompt: str) -> dict[str, int]:
    return {"length": len(encode(prompt)[0])}


def token_encode(input: str) -> dict[str, Any]:
    tokens = encode(input)[0].tolist()
    return {"tokens": tokens, "length": len(tokens)}


def token_decode(tokens: list[int]) -> dict[str, str]:
    return {"text": decode(tokens)}
