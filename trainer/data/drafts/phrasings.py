"""`phrasings(statement)`: the calls behind which it is to be said, the plain one first."""

from __future__ import annotations

import re

from . import english
from .questions import topic
from .statements import Statement

_TALES = ("he asked", "she asked", "the stranger asked", "they asked")


def phrasings(statement: Statement, is_english: bool, number: int) -> list[str]:
    """As it stands in a text, as the answer to a question, in a conversation of a tale, and as something well known.

    number: of the statement, by which the words around it change.
    """
    start = " ".join(filter(None, (statement.before, statement.start)))
    plain = start if re.match(r"\W", start) or _is_wide(start) else f" {start}"
    if not is_english:
        return [plain, f"\n{statement.topic}\n{start}", f'\n"{start}']
    asked = statement.asked or topic(statement.topic)
    speaker = _TALES[number % len(_TALES)]
    verb = speaker if asked.endswith("?") else speaker.replace("asked", "said")
    tale = f'\n"{asked.rstrip(".") if asked.endswith("?") else asked[:-1] + ","}" {verb}.\n"{start}'
    if statement.before:
        return [plain, f"\n{asked}\n{start}", tale]
    return [plain, f"\n{asked}\n{start}", tale, f" As everybody knows, {_within(statement)}"]


def _within(statement: Statement) -> str:
    """As it stands behind other words."""
    start = statement.start
    return start[0].lower() + start[1:] if start.split()[0].lower() in english.OPENERS else start


def _is_wide(text: str) -> bool:
    return "\u3000" <= text[:1] <= "\u9fff" or "\uac00" <= text[:1] <= "\ud7af"
