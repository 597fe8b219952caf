"""What the commands show fits the line it is shown on."""

from __future__ import annotations

import pytest

from soft_prompts.terminal import bar, columns, table

TEXT = "The door opened and a stranger came in from the rain, who said nothing at all for a long time. " * 3


@pytest.mark.parametrize("width", [40, 72, 80, 119])
def test_columns(width: int) -> None:
    shown = columns(("without", TEXT), ("with <<sp:noir>>", TEXT[::-1]), width)
    assert max(map(len, shown.splitlines())) <= width
    assert sorted(
        "".join(shown.replace("without", "").replace("with <<sp:noir>>", "").replace("-", "").split())
    ) == sorted("".join((TEXT + TEXT).split()))
    assert ("without" in shown.splitlines()[0] and "with <<sp:noir>>" in shown.splitlines()[0]) == (width >= 72)


def test_bar() -> None:
    assert bar(0, 10, "x", 60) == "[........................]   0 % x"
    assert bar(5, 10, "x", 60) == "[############............]  50 % x"
    assert bar(10, 10, "x" * 99, 60) == "[########################] 100 % " + "x" * 26


def test_table() -> None:
    assert (
        table([("name", "tokens"), ("noir", "20"), ("people/emma", "")])
        == "name         tokens\nnoir         20\npeople/emma"
    )
