"""`story(item)`: one item of a JSON dataset, as the webui trains with, as a text.

| item | text |
|---|---|
| `{"text": ...}` | the text as it stands |
| `{"messages": [{"role": ..., "content": ...}]}` | `User: ...`, `Assistant: ...`, one turn under the other |
| `{"conversations": [{"from": ..., "value": ...}]}` | the same; `human` is the user, `gpt` the assistant |
| `{"instruction": ..., "input": ..., "output": ...}` | the same: the user says instruction and input |
"""

from __future__ import annotations

from typing import Any

from ...errors import InvalidFile
from .reading import found, whole

KNOWN = (
    '{"text": ...}, {"messages": [{"role": ..., "content": ...}]}, {"conversations": [{"from": ..., "value": ...}]} '
    'and {"instruction": ..., "input": ..., "output": ...}'
)
_NAMES = {"human": "User", "gpt": "Assistant"}


def story(item: Any) -> str:
    """The item's text, perhaps blank; raises InvalidFile with the bare fact where its shape is unknown."""
    return whole(_story(item)).replace("\r\n", "\n").replace("\r", "\n")


def _story(item: Any) -> str:
    if isinstance(item, dict):
        if isinstance(item.get("text"), str):
            return str(item["text"])
        for field, role, content in (("messages", "role", "content"), ("conversations", "from", "value")):
            if isinstance(item.get(field), list):
                return _dialogue([_turn(turn, number, role, content) for number, turn in enumerate(item[field], 1)])
        if isinstance(item.get("instruction"), str) and isinstance(item.get("output"), str):
            return _instructed(item)
        if "call" in item:
            raise InvalidFile("it is a call with its response, which world info is trained with, and no text")
    raise InvalidFile(f"it is {found(item)}; what is read: {KNOWN}")


def _dialogue(turns: list[tuple[str, str]]) -> str:
    return "\n".join(f"{role}: {content}" for role, content in turns if content)


def _turn(turn: Any, number: int, role: str, content: str) -> tuple[str, str]:
    if not isinstance(turn, dict) or not isinstance(turn.get(role), str) or not turn[role].strip():
        raise InvalidFile(f"its turn {number} is {found(turn)}, and no {role!r} says whose it is")
    name = " ".join(turn[role].split())
    return _NAMES.get(name, name[:1].upper() + name[1:]), _said(turn.get(content), number, content).strip()


def _said(value: Any, number: int, field: str) -> str:
    """A text, nothing (a turn that only calls a tool), or a list of parts of which some are texts."""
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, list):
        parts = [each.get("text") for each in value if isinstance(each, dict)]
        return "\n".join(each for each in parts if isinstance(each, str))
    raise InvalidFile(f"the {field!r} of its turn {number} is no text, but {found(value)}")


def _instructed(item: dict[str, Any]) -> str:
    more = item.get("input")
    asked = [item["instruction"].strip(), more.strip() if isinstance(more, str) else ""]
    return _dialogue([("User", "\n".join(filter(None, asked))), ("Assistant", item["output"].strip())])
