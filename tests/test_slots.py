"""Slots give every vector an id for life: the same content the same ids, never an id twice, never another vector."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from soft_prompts.errors import UnknownPlaceholder
from soft_prompts.slots import FIRST_ID, LAST_ID, Slots, _Counter
from soft_prompts.tags import Tag


def block(value: float, tokens: int = 4, width: int = 3) -> np.ndarray:
    return np.full((tokens, width), value, np.float32) + np.arange(tokens, dtype=np.float32)[:, None] / 10


def test_ids_are_above_every_vocabulary_and_stable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soft_prompts.slots._counter", _Counter())  # as in a process that begins
    slots = Slots(3)
    assert slots.idle
    a, b = slots.place(block(1), Tag("a"), "a"), slots.place(block(2), Tag("b"), "b")
    assert not slots.idle and not Slots(3).idle, "ids of one attachment may be shown to another"
    assert FIRST_ID <= a.ids.start < a.ids.stop <= b.ids.start < LAST_ID
    assert slots.place(block(1), Tag("a"), "a") is a
    assert slots.find("a") is a
    assert slots.find("c") is None
    assert slots.slot(b.ids[1]).tag == Tag("b")


def test_vectors_come_back_in_the_order_asked_for() -> None:
    slots = Slots(3)
    placed = {key: slots.place(block(key, tokens=key + 1), Tag(f"p{key}"), key) for key in range(40)}
    ids = np.array([placed[7].ids[3], placed[0].ids[0], placed[39].ids[-1], placed[7].ids[0]])
    assert np.array_equal(slots.vectors(ids), [block(7, 8)[3], block(0)[0], block(39, 40)[-1], block(7)[0]])


def test_two_attachments_share_no_id() -> None:
    one, two = Slots(3), Slots(3)
    a, b = one.place(block(1), Tag("a"), "a"), two.place(block(1), Tag("a"), "a")
    assert not set(a.ids) & set(b.ids)
    for place in (one.vectors, two.vectors):
        other = b if place == one.vectors else a
        with pytest.raises(UnknownPlaceholder, match="another attachment"):
            place(np.array(other.ids))
    with pytest.raises(UnknownPlaceholder):
        Slots(3).vectors(np.array([FIRST_ID]))


def test_what_was_used_longest_ago_makes_room() -> None:
    slots = Slots(3, budget=0)  # the least: 4,096 rows
    first = slots.place(block(0, 1000), Tag("first"), "first")
    second = slots.place(block(1, 1000), Tag("second"), "second")
    slots.place(block(2, 2000), Tag("third"), "third")
    slots.find("first")
    slots.place(block(3, 1000), Tag("fourth"), "fourth")
    with pytest.raises(UnknownPlaceholder, match="stood for <<sp:second>>.*tokenize the text again"):
        slots.vectors(np.array(second.ids))
    assert np.array_equal(slots.vectors(np.array(first.ids)), block(0, 1000))
    again = slots.place(block(1, 1000), Tag("second"), "second")
    assert again.ids.start > second.ids.stop


def test_what_is_held_stays() -> None:
    slots = Slots(3, budget=0)
    held = slots.place(block(0, 2000), Tag("held"), "held")
    with slots.hold([held.ids[5]]):
        for key in range(6):
            slots.place(block(key, 2000), Tag("x"), key)
        assert np.array_equal(slots.vectors(np.array(held.ids)), block(0, 2000))
    slots.place(block(9, 4000), Tag("x"), "last")
    with pytest.raises(UnknownPlaceholder), slots.hold(held.ids):
        pass


def test_threads_never_see_a_wrong_vector() -> None:
    slots = Slots(3, budget=0)
    wrong: list[object] = []

    def work(seed: int) -> None:
        for turn in range(150):
            key = (seed * 7 + turn * 13) % 40
            slot = slots.place(block(key, 300), Tag("x"), key)
            try:
                with slots.hold(slot.ids[:1]):
                    if not np.array_equal(slots.vectors(np.array(slot.ids)), block(key, 300)):
                        wrong.append(key)
            except UnknownPlaceholder:
                pass  # another thread needed the room in between; that is said, not hidden

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


FORK = """
import os
import numpy as np
from soft_prompts.errors import UnknownPlaceholder
from soft_prompts.slots import FIRST_ID, Slots
from soft_prompts.tags import Tag

slots, (read, write) = Slots(1), os.pipe()
assert slots.idle
before = slots.place(np.zeros((2, 1), np.float32), Tag("before"), "before").ids if {before} else None
if not os.fork():
    os.write(write, b"%d" % slots.place(np.ones((2, 1), np.float32), Tag("child"), "child").ids.start)
    os._exit(0)
os.wait()
child = int(os.read(read, 20))
assert not slots.idle, "the child's ids may come here"
mine = slots.place(np.ones((2, 1), np.float32), Tag("mine"), "mine").ids
assert child not in mine and mine.start == (before.stop if before else FIRST_ID)
try:
    slots.vectors(np.array([child]))
except UnknownPlaceholder as problem:
    print("refused" if "num_workers=0" in str(problem) else problem)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("before", [True, False])
def test_what_a_fork_gave_out_is_nothing_else_here(before: bool) -> None:
    """The workers of a loader that tokenizes: their ids are refused by name, and never stand for other vectors."""
    code = FORK.replace("{before}", str(before))
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "refused\n", done.stderr
