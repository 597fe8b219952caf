"""`of_names(names)`, `of_json(value)`, ...: why a file of a known kind is of no use here; empty where it is not known.

It is told by how such files are made, so that a writer need not try one after the other.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

INVERSION = (
    "it is a textual inversion, made for the text encoder of a model that paints: no language model can use it, "
    "train a soft prompt instead"
)
LORA = "it is a LoRA, which changes a model's weights and has no vectors for a text: load it as a LoRA"
NOVELAI = "it is a NovelAI module, made for models that are not public: train a soft prompt on its text instead"
PREFIX = "it is prefix tuning, which has vectors for every layer of a model and none for a text: load it with PEFT"
P_TUNING = "it is P-tuning, whose vectors come out of a network that is trained with them: load it with PEFT"
_TRAIN = "train on it (in the tab: Train, Facts), or look what is in it with: soft-prompts import FILE"
BOOK = f"it is a lorebook: {_TRAIN}"
CARD = f"it is a character card: {_TRAIN}"
FACTS = "it is a dataset of calls and responses: train on it with: soft-prompts train world-info FILE"
CONFIG = "it says how a PEFT adapter was made, and holds no vectors: take the whole folder that it lies in"

_LORAS = re.compile(r"(^|\.)(lora|hada|lokr|oft|ia3|vera)_")
_INVERSIONS = ({"emb_params"}, {"clip_l", "clip_g"}, {"clip_l"}, {"clip_g"}, {"string_to_param", "string_to_token"})
_ADAPTERS = {
    "PROMPT_TUNING": "",
    "PREFIX_TUNING": PREFIX,
    "P_TUNING": P_TUNING,
    "LORA": LORA,
}


def of_names(names: Collection[str]) -> str:
    """By the names of its tensors."""
    if any(set(names) >= each for each in _INVERSIONS) or (len(names) == 1 and _is_placeholder(next(iter(names)))):
        return INVERSION
    if any(map(_LORAS.search, names)):
        return LORA
    if len(names) > 8:
        return f"it is a whole model, or a part of one ({len(names):,} tensors): put it into the folder for models"
    return ""


def of_pickle(data: bytes) -> str:
    """By the words in a pickle that may ask for more than is ever given to it."""
    if b"string_to_param" in data and b"string_to_token" in data:
        return INVERSION
    if b"moduleVersion" in data:
        return NOVELAI
    return ""


def of_json(value: Any) -> str:
    """By the keys of other tools' JSON."""
    if isinstance(value, list) and value and isinstance(value[0], dict) and {"call", "response"} <= set(value[0]):
        return FACTS
    if not isinstance(value, dict):
        return ""
    if "moduleVersion" in value:
        return NOVELAI
    if str(value.get("spec", "")).startswith("chara_card") or {"first_mes", "mes_example"} <= set(value):
        return CARD
    if "peft_type" in value:
        return of_adapter(value) or CONFIG
    return BOOK if isinstance(value.get("entries"), dict | list) or "lorebookVersion" in value else ""


def of_adapter(config: Mapping[str, Any]) -> str:
    """By the configuration of a PEFT folder."""
    kind = config.get("peft_type")
    if isinstance(kind, str) and kind in _ADAPTERS:
        return _ADAPTERS[kind]
    return f"it is a PEFT adapter of the kind {str(kind)[:40]!r}, and only PROMPT_TUNING has vectors for a text"


def _is_placeholder(name: str) -> bool:
    return name.startswith("<") and name.endswith(">")
