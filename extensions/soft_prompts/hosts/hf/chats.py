"""`with following(rows): ...`: a chat template writes plain text, and forgets which soft prompts its messages carried.

A chat is searched for them before it is written out; inside the block, the tokenizer gives them back to the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ...prompt import SoftPrompt, TaggedText

_rows: ContextVar[Sequence[Sequence[SoftPrompt]]] = ContextVar("soft_prompts_of_a_chat", default=())


def rows_of(conversation: Any, *besides: Any) -> list[list[SoftPrompt]]:
    """What each chat of a batch carries, of a single one the only row; besides: documents and such, of all of them."""
    shared = list(carried(besides))
    chats = conversation if _is_batch(conversation) else [conversation]
    return [[*carried(chat), *shared] for chat in chats]


def carried(value: Any) -> Iterator[SoftPrompt]:
    """The soft prompts in messages, however deep."""
    for each in leaves(value):
        yield from [each] if isinstance(each, SoftPrompt) else getattr(each, "prompts", {}).values()


def leaves(value: Any) -> Iterator[str | SoftPrompt]:
    """All texts and soft prompts in messages."""
    if isinstance(value, (str, SoftPrompt)):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from leaves(each)
    elif hasattr(value, "messages"):
        yield from leaves(value.messages)


def spelled(value: Any) -> Any:
    """`value` with the tag in the place of every soft prompt that stands where a text belongs."""
    if isinstance(value, SoftPrompt):
        return value + ""
    if isinstance(value, dict):
        return {key: spelled(each) for key, each in value.items()}
    return type(value)(map(spelled, value)) if type(value) in (list, tuple) else value


@contextmanager
def following(rows: Sequence[Sequence[SoftPrompt]]) -> Iterator[None]:
    """In this block and thread, `given_back` finds these prompts, a row for each text."""
    token = _rows.set(rows if any(rows) else ())
    try:
        yield
    finally:
        _rows.reset(token)


def given_back(text: Any) -> Any:
    """A text, or a batch of them, with the prompts of the chats that they were written from."""
    rows = _rows.get()
    if not rows:
        return text
    if isinstance(text, str):
        return TaggedText(text, rows[0])
    return [TaggedText(each, row) for each, row in zip(text, rows, strict=True)]


def _is_batch(conversation: Any) -> bool:
    first = conversation[0] if isinstance(conversation, (list, tuple)) and conversation else None
    return isinstance(first, (list, tuple)) or hasattr(first, "messages")
