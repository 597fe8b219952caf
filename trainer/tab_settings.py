"""`settings_of(kind, values)`: what the form's fields mean to `soft-prompts train`, and which of them each kind has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .tab_wrong import Beside

STYLE, FACTS, DISTILL = "finetune", "world-info", "distill"
ALL = (STYLE, FACTS, DISTILL)
TENTH = "a tenth"
"""Of the text: as many tokens as are taken where none are asked for."""


@dataclass(frozen=True)
class Kind:
    """One plain start. bring: what it wants. usual: how many tokens it takes where nothing is said, in words."""

    title: str
    line: str
    bring: str
    tokens: tuple[tuple[str, str], ...]
    usual: str


KINDS: dict[str, Kind] = {
    STYLE: Kind(
        "A style from texts",
        "It learns how they are written: stories, chapters, letters, chats.",
        "Stories, chapters, letters or chats: plain text (.txt, .md), or datasets in JSON. A few pages are a "
        "beginning, a book is better.",
        (("8 · a hint", "8"), ("20 · usual", "20"), ("48 · much text", "48")),
        "20",
    ),
    FACTS: Kind(
        "Facts about a world or character",
        "It learns what is to be said where something comes up.",
        "Type the facts below, or give a file: a character card, a lorebook, or calls and responses in JSON. What is "
        "said of one thing in several ways is learnt best.",
        (("12 · a few facts", "12"), ("24 · usual", "24"), ("48 · many facts", "48")),
        "24",
    ),
    DISTILL: Kind(
        "Squeeze a long text into a few tokens",
        "It does the work of a lore or a summary that takes up too much context.",
        "The text that would stand in the context otherwise: plain text (.txt, .md).",
        (("a tenth of the text · usual", TENTH), ("16 · the least", "16"), ("64 · much to remember", "64")),
        TENTH,
    ),
}


@dataclass(frozen=True)
class Setting:
    """A field that is folded away. key: as `soft-prompts train` calls it. usual: what is taken where it is empty."""

    key: str
    label: str
    info: str
    usual: str = ""
    kinds: tuple[str, ...] = ALL
    check: Callable[[str], str] = lambda text: ""
    is_file: bool = False


def whole(text: str) -> str:
    """Why it is no whole number of 1 or more."""
    return "" if text.isdecimal() and int(text) > 0 else "it must be a whole number, 1 or more"


def count(text: str) -> str:
    """Why it is no whole number of 0 or more."""
    return "" if text.isdecimal() else "it must be a whole number, 0 or more"


def above(text: str) -> str:
    """Why it is no number above 0."""
    return "" if 0 < _number(text) < math.inf else "it must be a number above 0, as 0.4"


def share(text: str) -> str:
    """Why it is no number of 0 or more."""
    return "" if 0 <= _number(text) < math.inf else "it must be a number, 0 or more"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


SETTINGS = (
    Setting("steps", "Steps", "How long it learns at most; it ends early where nothing gets better.",
            "300 for a style, 400 for facts, 1,536 to 3,072 to squeeze", check=whole),
    Setting("rate", "Learning rate", "Higher is bolder, lower is steadier.", "as the kind needs it", check=above),
    Setting("batch", "Rows in a step", "More are steadier and slower.", "as the kind needs it", check=whole),
    Setting("seed", "Seed of the training", "Another number, other luck.", "0", check=count),
    Setting("preview-every", "Steps between two samples", "0 for none.", "50", check=count),
    Setting("opening", "How the samples begin", "The model goes on from here.", "The door opened and"),
    Setting("start", "Begin from a text", "What the prompt says before its first step.", "words of the model's own"),
    Setting("keep", "How much other texts are to stay as they are", "Lower knows the facts better and colours more.",
            "1", (FACTS,), share),
    Setting("rows", "Texts that the model writes to learn from", "More are better and slower.", "1,536 to 3,072",
            (DISTILL,), whole),
    Setting("held-out", "Facts to be asked, but not learnt (JSON)", "Shows whether it has understood.",
            kinds=(FACTS,), is_file=True),
    Setting("lore", "The same facts as a text", "To compare the soft prompt with.", kinds=(FACTS,), is_file=True),
    Setting("questions", "Questions about the text (JSON)", "Calls and responses, asked at the end.",
            kinds=(DISTILL,), is_file=True),
)  # fmt: skip
"""In the order of the form."""


def settings_of(kind: str, tokens: str, values: Mapping[str, str]) -> dict[str, str]:
    """The options that were filled in and belong to the kind; raises Beside where one is none."""
    found = {"tokens": tokens} if tokens and tokens != TENTH else {}
    for setting in SETTINGS:
        value = values.get(setting.key, "").strip()
        if not value or kind not in setting.kinds:
            continue
        if problem := setting.check(value):
            raise Beside("tuned", f"{setting.label}: “{value}” will not do, {problem}. Empty is as usual.")
        found[setting.key] = value
    if source := values.get("from", ""):
        if "start" in found:
            raise Beside("tuned", "Begin from a text, or from a soft prompt: choose one of them.")
        found["from"] = source
        found.pop("tokens", None)
    return found
