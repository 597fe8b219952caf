"""Two thousand files for each reader that are nearly right: each becomes entries, or is refused in words, in bounds."""

from __future__ import annotations

import pytest

from . import fuzz
from .trying import tried


@pytest.mark.parametrize("reader", fuzz.READERS)
def test_nothing_breaks_a_reader(reader: str) -> None:
    found = tried(reader, 2_000)
    assert found.faults == []
    assert found.taken > 200, "some are right, or else nothing behind the first check is ever reached"
    assert found.refused > 200


def test_the_same_seed_gives_the_same_files() -> None:
    for reader in fuzz.READERS:
        one, other, third = (fuzz.inputs(reader, seed) for seed in (1, 1, 2))
        first = [next(one) for _ in range(50)]
        assert first == [next(other) for _ in range(50)] != [next(third) for _ in range(50)]
