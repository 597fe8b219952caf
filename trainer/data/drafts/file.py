"""`written(drafts)`: a file of calls and responses as `Facts.read` takes it, one pair a line, to be edited."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..pairs import BY

if TYPE_CHECKING:
    from . import Draft


def written(made: Sequence[Draft]) -> bytes:
    """JSON, in which each pair also says of which entry it was made."""
    lines = [json.dumps(_item(each), ensure_ascii=False) for each in made]
    return ("[\n  " + ",\n  ".join(lines) + "\n]\n").encode()


def _item(draft: Draft) -> dict[str, Any]:
    item: dict[str, Any] = {"call": draft.pair.call, "response": draft.pair.response}
    if draft.held_out:
        item["held_out"] = True
    item["entry"] = draft.entry
    return item | ({BY: draft.by} if draft.by else {})
