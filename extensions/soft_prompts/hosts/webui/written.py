"""`Written().remember(reply)`: what the model wrote itself, so that a tag in it is text until the writer touches it.

A model that has seen a tag can write one. In a chat's replies, and in a text that goes on behind a reply, such a tag is
read as the words that it is; edit the reply, and it is yours.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from ...tags import has_tags, join

MOST = 200
"""Replies with tags that are remembered, the latest ones; they are rare."""
SHORTEST = 40
"""Characters. A shorter reply may stand in a text by chance: the writer types tags, too."""


class Written:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._replies: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, reply: str) -> None:
        """A reply as the model has written it; most hold no tag, and cost nothing."""
        if has_tags(reply):
            with self._lock:
                self._replies[reply.strip()] = None
                self._replies.move_to_end(reply.strip())
                while len(self._replies) > MOST:
                    self._replies.popitem(last=False)

    def as_text(self, text: str, shortest: int = SHORTEST) -> str:
        """The text, in which the tags of remembered replies of at least so many characters are escaped."""
        if not self._replies or not has_tags(text):
            return text
        with self._lock:
            replies = [reply for reply in self._replies if len(reply) >= shortest]
        # The longest first: another may be its beginning.
        for reply in sorted(replies, key=len, reverse=True):
            if reply in text:
                text = join([reply]).join(text.split(reply))
        return text
