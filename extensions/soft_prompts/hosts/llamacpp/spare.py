"""`spare_rows(model)`: rows of a vocabulary that no text is ever made of, and that may stand for something else.

They are told by what the file says of each token, never by their numbers.
"""

from __future__ import annotations

import re

from .model import GgufModel

_CONTROL, _USER_DEFINED, _UNUSED, _BYTE = 3, 4, 5, 6
"""ggml's token types."""

_RESERVED = re.compile(
    r"reserved|unused|\[pad\d+\]|<\|?pad_?\d+\|?>|dummy|placeholder|<\|?extra_?\d+\|?>|<\|?special_?\d+\|?>"
    r"|<special_\d+>|\[control_\d+\]",
    re.IGNORECASE,
)
"""What makers call tokens that are there for later. A control token with another name may mean something."""

_IMPOSSIBLE = (0xC0, 0xC1, *range(0xF5, 0x100))
"""Bytes that stand in no UTF-8 text."""


def spare_rows(model: GgufModel) -> tuple[int, ...]:
    """ids, those first which are surest never to be used; none that the file names for anything, or its templates."""
    taken = {value for key, value in model.values.items() if key.endswith("_token_id") and isinstance(value, int)}
    taken.update(model.values.get("tokenizer.ggml.eog_token_ids") or ())
    templates = "".join(str(text) for key, text in model.values.items() if key.startswith("tokenizer.chat_template"))
    found: tuple[list[int], ...] = ([], [], [])
    spellings = _impossible(str(model.values.get("tokenizer.ggml.model", "")))
    for each, (text, kind) in enumerate(zip(model.tokens, model.kinds, strict=True)):
        if each in taken or (text and text in templates):
            continue
        if kind == _UNUSED:
            found[0].append(each)
        elif kind in (_CONTROL, _USER_DEFINED) and _RESERVED.search(text):
            found[1].append(each)
        elif text in spellings and kind in spellings[text]:
            found[2].append(each)
    return tuple(each for part in found for each in part)


def _impossible(vocabulary: str) -> dict[str, tuple[int, ...]]:
    """How a vocabulary spells the bytes that are in no text -> the token types which that spelling has there."""
    if vocabulary == "gpt2":
        # Byte-level vocabularies spell a byte above 0xAD as the character of its number; docs of GPT-2's encoder.
        return {chr(each): (1, _BYTE) for each in _IMPOSSIBLE}
    return {f"<0x{each:02X}>": (_BYTE,) for each in _IMPOSSIBLE}
