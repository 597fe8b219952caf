"""`slots.place(vectors, tag, key)` gives the placeholder ids that stand for these vectors, for the life of the process.

Ids are above every vocabulary and below 2**31, come from one counter for all attachments, and are never used again for
other vectors, so that caches keyed by id stay right.
"""

from __future__ import annotations

import os
import random
import threading
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import SoftPromptError, UnknownPlaceholder
from .tags import Tag

FIRST_ID = 1_000_000_000
LAST_ID = 2**31 - 1
_FORKED = 1_500_000_000
"""Below it count processes that were started, above it those that were forked."""
BUDGET = 256 << 20
"""Bytes of vectors an attachment keeps before it lets go of those used longest ago."""


class _Counter:
    def __init__(self) -> None:
        self._next = FIRST_ID
        self._parent = False
        self._lock = threading.Lock()

    def take(self, count: int) -> range:
        with self._lock:
            if self._next + count > LAST_ID:
                raise SoftPromptError("this process has used up its placeholder ids: restart it")
            taken = range(self._next, self._next + count)
            self._next += count
            return taken

    @property
    def idle(self) -> bool:
        """Whether no id was given out in this process, or in one that came from it and may send ids back."""
        return self._next == FIRST_ID and not self._parent

    @property
    def is_child(self) -> bool:
        """Whether this process was forked."""
        return self._next >= _FORKED

    def in_parent(self) -> None:
        """After a fork: the workers of a loader tokenize for the model that is here."""
        self._parent = True

    def in_child(self) -> None:
        """After a fork: ids that go on from the parent's would stand for other vectors there."""
        self._lock = threading.Lock()
        last = LAST_ID - (1 << 24)
        if self._next < last:
            self._next = random.SystemRandom().randrange(max(self._next, _FORKED), last)


_counter = _Counter()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_parent=_counter.in_parent, after_in_child=_counter.in_child)


@dataclass(eq=False)
class Slot:
    """ids: one for each of the vectors, (tokens, width) float32. tag: how the writer last called them."""

    key: Hashable
    ids: range
    vectors: NDArray[np.float32]
    tag: Tag


class Slots:
    """Which vector owns which id, for one attachment; width: of every vector. Safe to use from several threads."""

    def __init__(self, width: int, budget: int = BUDGET) -> None:
        self.width = width
        self._most_rows = max(4096, budget // (4 * width))
        self._lock = threading.RLock()
        self._by_key: OrderedDict[Hashable, Slot] = OrderedDict()
        self._held: dict[Hashable, int] = {}
        self._gone: deque[tuple[range, Tag]] = deque(maxlen=4096)
        self._index: list[Slot] = []
        self._starts: NDArray[np.int64] = np.zeros(0, np.int64)

    @property
    def idle(self) -> bool:
        """Whether no id can come, this attachment's or another's: a hook that sees it returns at once."""
        return _counter.idle

    def find(self, key: Hashable, tag: Tag | None = None) -> Slot | None:
        """The slot of `key`, if its vectors are still here; counts as a use, and from now on it reads as `tag`."""
        with self._lock:
            slot = self._by_key.get(key)
            if slot is not None:
                self._by_key.move_to_end(key)
                slot.tag = tag or slot.tag
            return slot

    def place(self, vectors: NDArray[np.float32], tag: Tag, key: Hashable) -> Slot:
        """The slot of `key`, made when there is none; vectors: (tokens, width), which must not change any more."""
        with self._lock:
            if (known := self.find(key, tag)) is not None:
                return known
            self._make_room(len(vectors))
            slot = self._by_key[key] = Slot(key, _counter.take(len(vectors)), vectors, tag)
            # Ids only grow, so the order in which slots are made is the order of their ids.
            self._index = [each for each in self._index if each.key in self._by_key] + [slot]
            self._starts = np.array([each.ids.start for each in self._index], np.int64)
            return slot

    def vectors(self, ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """(len(ids), width) for placeholder ids; raises UnknownPlaceholder for an id that is not this attachment's."""
        vectors = np.empty((len(ids), self.width), np.float32)
        with self._lock:
            places = np.searchsorted(self._starts, ids, side="right") - 1
            for place in np.unique(places):
                mine = places == place
                slot = self.slot(int(ids[mine].max()))
                vectors[mine] = slot.vectors[ids[mine] - slot.ids.start]
        return vectors

    def slot(self, placeholder: int) -> Slot:
        """Whose id this is; raises UnknownPlaceholder."""
        with self._lock:
            place = int(np.searchsorted(self._starts, placeholder, side="right")) - 1
            if place < 0 or placeholder not in self._index[place].ids:
                raise self._lost(placeholder)
            return self._index[place]

    def name(self, placeholder: int) -> str:
        """The tag that an id is of, as text; "<<sp:?>>" for one that is not here, since a text with a gap is worth more
        than none where only reading is asked for."""
        try:
            return str(self.slot(placeholder).tag)
        except UnknownPlaceholder:
            return "<<sp:?>>"

    def runs(self, ids: Iterable[int]) -> Iterator[list[int] | str]:
        """Ids as what they say, in turn: runs of ids of the vocabulary, and the name of each tag once."""
        run: list[int] = []
        last = None
        for each in ids:
            if each < FIRST_ID:
                run.append(each)
            elif last is None or each != last + 1 or self._begins(each):
                if run:
                    yield run
                yield self.name(each)
                run = []
            last = each
        if run:
            yield run

    def _begins(self, placeholder: int) -> bool:
        try:
            return self.slot(placeholder).ids.start == placeholder
        except UnknownPlaceholder:
            return False

    @contextmanager
    def hold(self, ids: Iterable[int]) -> Iterator[None]:
        """While the block runs, the vectors of these ids stay, whatever else is placed; raises UnknownPlaceholder."""
        with self._lock:
            keys = {self.slot(each).key for each in ids}
            for key in keys:
                self._held[key] = self._held.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for key in keys:
                    self._held[key] -= 1
                    if not self._held[key]:
                        del self._held[key]

    def _make_room(self, count: int) -> None:
        rows = count + sum(len(slot.ids) for slot in self._by_key.values())
        for key in [each for each in self._by_key if each not in self._held]:
            if rows <= self._most_rows:
                break
            slot = self._by_key.pop(key)
            self._gone.append((slot.ids, slot.tag))
            rows -= len(slot.ids)

    def _lost(self, placeholder: int) -> UnknownPlaceholder:
        for ids, tag in self._gone:
            if placeholder in ids:
                return UnknownPlaceholder(
                    f"id {placeholder} stood for {tag}, whose vectors made room for others: tokenize the text again"
                )
        if placeholder >= _FORKED and not _counter.is_child:
            return UnknownPlaceholder(
                f"id {placeholder} was given out by a worker, which has its own: tokenize the text in the process that "
                "runs the model (num_workers=0)"
            )
        return UnknownPlaceholder(
            f"id {placeholder} belongs to another attachment, or to none: tokenize the text with the tokenizer that is "
            "attached to this model"
        )
