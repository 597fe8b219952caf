"""What the Try section answers and shows, without a browser: which texts are written, and in which words."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Piece, Row, Use
from soft_prompts.panel import trying_markup as markup
from soft_prompts.panel.trying_answers import LONGEST, SHORTEST, Asked, Desk, Trial, placed
from soft_prompts.panel.trying_markup import Side
from soft_prompts.tags import Tag, parse


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake = _load("panel_host")
NOIR, NOTHING = Side("noir"), Side()


class Text(HTMLParser):
    """The words of some HTML, and the classes of its words; raises for what a text must never become."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[tuple[str, str]] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ("div", "section", "h4", "span", "button", "ul", "li"), tag
        given = dict(attrs)
        assert not [name for name in given if name.startswith("on")]
        self.inside = (given.get("class") or "") if tag == "span" else ""

    def handle_data(self, data: str) -> None:
        self.words.append((self.inside, data))

    def of(self, name: str) -> str:
        return "".join(text for inside, text in self.words if name in inside.split())


@pytest.fixture
def host() -> Any:
    return fake.MemoryHost()


@pytest.fixture
def desk(host: Any) -> Desk:
    return Desk(host)


def last(changes: Iterator[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in changes:
        found |= each
    return {name: each["value"] for name, each in found.items()}


# ---- which texts


def test_the_prompt_stands_before_the_text_or_where_the_writer_wants_it() -> None:
    assert placed("The sky", NOIR) == "<<sp:noir>>The sky"
    assert placed("The sky", Side("noir", 0.5)) == "<<sp:noir:0.5>>The sky"
    assert placed("The sky", NOTHING) == "The sky"
    assert placed("The {tag}sky, {tag}and", NOIR) == "The <<sp:noir>>sky, <<sp:noir>>and"
    assert placed("The {tag}sky, {tag}and", NOTHING) == "The sky, and"
    assert placed("", NOIR) == "<<sp:noir>>"
    assert placed("<<sp:emma>>The sky", NOIR) == "<<sp:noir>><<sp:emma>>The sky"
    assert placed("<<sp:emma>>The {tag}", NOTHING) == "<<sp:emma>>The "


@given(st.text("\\a{}tg<:>sp ", max_size=12), st.text("\\a ", max_size=5))
def test_what_is_written_around_a_place_stays(before: str, after: str) -> None:
    """Also backslashes, which before a tag would make it a literal."""
    before = before.replace("{tag}", "")
    pieces = parse(placed(f"{before}{{tag}}{after}", NOIR))
    assert Tag("noir") in pieces
    at = pieces.index(Tag("noir"))
    assert (pieces[:at], pieces[at + 1 :]) == (parse(before), parse(after))


def test_both_columns_are_asked_for(host: Any, desk: Desk) -> None:
    asked = Asked(
        text="The {tag}sky", left="noir", left_strength=0.8, right="fable", seed=7, tokens=40, temperature=0.2
    )
    last(desk.write(asked))
    assert host.tries.asked == [("The <<sp:noir:0.8>>sky", "The <<sp:fable>>sky", 40, 7, 0.2)]


def test_empty_and_wild_fields_are_no_fault(host: Any, desk: Desk) -> None:
    nothing: Any = None
    last(desk.write(Asked(text=nothing, left=nothing, seed=nothing, tokens=nothing, temperature=nothing)))
    last(desk.write(Asked(left="noir", left_strength=nothing, tokens=9999, temperature=-3)))
    last(desk.write(Asked(tokens=-5, temperature=99)))
    assert host.tries.asked == [
        ("", "", 60, 0, 0.7), ("<<sp:noir>>", "", LONGEST, 0, 0.0), ("", "", SHORTEST, 0, 2.0),
    ]  # fmt: skip


# ---- how it goes


def test_it_waits_at_once_then_writes_then_has_done(host: Any, desk: Desk) -> None:
    host.tries.pause = 0.2
    began = time.monotonic()
    changes = desk.write(Asked(text="Rain.", left="noir"))
    first = next(changes)
    assert time.monotonic() - began < 0.1
    assert "Waiting for the model" in first["state"]["value"]
    assert "sp-running" in first["columns"]["value"]
    between = [each["state"]["value"] for each in changes]
    assert "Writing" in between[0] and "Done." in between[-1] and len(between) > 3


def test_everything_arrives(host: Any, desk: Desk) -> None:
    shown = last(desk.write(Asked(text="Rain.", left="noir")))
    text = Text(shown["columns"])
    assert text.of("sp-lead") == "Rain." * 2
    written = "".join(piece.text for both in host.tries.texts for piece in both)
    assert text.of("sp-tok") == written.replace("\u202e", "\\u202e")
    assert "sp-running" not in shown["columns"] and host.tries.closed == 1


def ended(host: Any) -> bool:
    """Whether the host's iterator comes to its end within some seconds."""
    until = time.monotonic() + 5
    while not host.tries.closed and time.monotonic() < until:
        time.sleep(0.01)
    return bool(host.tries.closed)


def test_stop_ends_it_also_while_it_waits(host: Any, desk: Desk) -> None:
    host.tries.lock.acquire()
    changes = desk.write(Asked(run="one", left="noir"))
    next(changes)
    threading.Timer(0.3, lambda: desk.stop(Asked(run="one"))).start()
    began = time.monotonic()
    assert "Stopped." in list(changes)[-1]["state"]["value"]
    assert time.monotonic() - began < 5
    host.tries.lock.release()
    assert ended(host), "the host's iterator goes on"


def test_the_second_of_two_clicks_is_nothing(host: Any, desk: Desk) -> None:
    asked = Asked(run="one", left="noir")
    first = desk.write(asked)
    next(first)
    assert list(desk.write(asked)) == [{}]
    assert "Done." in last(first)["state"]
    assert "Done." in last(desk.write(asked))["state"]
    assert len(host.tries.asked) == 2


def test_a_stop_that_comes_first_counts(host: Any, desk: Desk) -> None:
    """Both are on their way at once."""
    desk.stop(Asked(run="one"))
    host.tries.pause = 0.2
    assert "Stopped." in last(desk.write(Asked(run="one", left="noir")))["state"]
    assert ended(host)
    assert "Done." in last(desk.write(Asked(run="two", left="noir")))["state"]


def test_a_page_that_goes_ends_its_trial(host: Any, desk: Desk) -> None:
    host.tries.texts = [[Piece("a")] * 1000] * 2
    host.tries.pause = 0.05
    changes = desk.write(Asked(left="noir"))
    next(changes), next(changes)
    changes.close()  # type: ignore[attr-defined]
    assert ended(host)


def test_two_browsers_at_once(host: Any, desk: Desk) -> None:
    host.tries.pause = 0.02
    one, two = (desk.write(Asked(run=each, text=each, left="noir")) for each in ("One", "Two"))
    next(one), next(two)
    assert "Done." in last(two)["state"]
    assert "Done." in last(one)["state"]
    assert {asked[0] for asked in host.tries.asked} == {"<<sp:noir>>One", "<<sp:noir>>Two"}


def test_what_goes_wrong_stands_in_words(host: Any, desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    host.tries.fail = SoftPromptError("no soft prompt <b>'noir'</b>")
    assert "no soft prompt &lt;b&gt;&#x27;noir&#x27;" in last(desk.write(Asked(left="noir")))["state"]
    assert not caplog.records
    host.tries.fail = RuntimeError("out of memory")
    assert "RuntimeError: out of memory" in last(desk.write(Asked(left="noir")))["state"]
    host.tries.fail, host.tries.reason = None, "No model is loaded."
    shown = last(desk.write(Asked(left="noir")))
    assert "No model is loaded." in shown["state"] and "alert" in shown["state"]
    assert len(host.tries.asked) == 2


def test_a_trial_that_fails_in_the_middle_keeps_what_was_written() -> None:
    def breaks() -> Iterator[tuple[int, Piece]]:
        yield 0, Piece("It")
        raise SoftPromptError("the model has gone")

    trial = Trial(breaks)
    found: list[Any] = []
    with pytest.raises(SoftPromptError, match="has gone"):
        for _ in range(50):
            found += trial.news(0.1)
    assert trial.ended


def test_a_model_with_nothing_to_say(host: Any, desk: Desk) -> None:
    host.tries.texts = [[], []]
    assert "nothing to add" in last(desk.write(Asked(left="noir")))["state"]


# ---- what can be chosen


def names(change: dict[str, Any]) -> list[str]:
    return [value for _, value in change["choices"]]


def test_the_lists_hold_what_can_be_used_now(host: Any, desk: Desk) -> None:
    first = desk.poll(Asked())
    assert names(first["left"]) == names(first["right"]) == ["", "fable", "gibson", "noir", "people/emma", "slow-burn"]
    seen = first["seen"]["value"]
    assert desk.poll(Asked(seen=seen, left="noir")) == {}
    host.put(Row("late", "late.safetensors", 5, "fits", changed=9))
    later = desk.poll(Asked(seen=seen, left="noir"))
    assert "late" in names(later["left"]) and "value" not in later["left"], "what was chosen stays"


def test_the_default_is_what_was_used_last_then_the_newest(host: Any, desk: Desk) -> None:
    host.put(Row("late", "late.safetensors", 5, "fits", changed=9))
    first = desk.poll(Asked())
    assert first["left"]["value"] == "late" and "value" not in first["right"]
    host.request(Use("<<sp:gone>>", 3), Use("<<sp:gibson:0.5>>", 32), tokens=300)
    assert desk.poll(Asked())["left"]["value"] == "gibson"
    assert Desk(fake.MemoryHost(())).poll(Asked())["left"]["value"] == ""


def test_what_is_chosen_in_the_library_is_tried_next(desk: Desk) -> None:
    seen = desk.poll(Asked())["seen"]["value"]
    asked = Asked(seen=seen, left="fable", hint="<<sp:noir:0.5>>")
    found = desk.poll(asked)
    assert found["left"]["value"] == "noir" and found["left_strength"]["value"] == 0.5
    # Once, so that another choice here holds.
    assert desk.poll(replace(asked, hinted="<<sp:noir:0.5>>")) == {}
    assert "value" not in desk.poll(replace(asked, hint="<<sp:broken>>"))["left"]


def test_why_nothing_can_be_tried_is_said_before(host: Any, desk: Desk) -> None:
    seen = desk.poll(Asked())["seen"]["value"]
    host.tries.reason = "No model is loaded."
    assert "No model is loaded." in desk.poll(Asked(seen=seen, left="noir"))["reason"]["value"]


def test_another_seed_is_another(desk: Desk) -> None:
    assert len({desk.dice() for _ in range(5)}) > 1


# ---- what it looks like


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (NOIR, NOTHING, ("with noir", "without noir")),
        (NOTHING, Side("noir", 0.5), ("without noir", "with noir at 0.5")),
        (NOIR, Side("emma"), ("with noir", "with emma")),
        (NOIR, Side("noir", 0.5), ("with noir at 1", "with noir at 0.5")),
        (NOIR, NOIR, ("left", "right")),
        (NOTHING, NOTHING, ("left", "right")),
    ],
)
def test_columns_are_called_as_a_writer_calls_them(left: Side, right: Side, expected: tuple[str, str]) -> None:
    assert markup.labels((left, right)) == expected
    legend = "".join(text for _, text in Text(markup.legend((left, right))).words)
    for name in expected:
        assert f"likelier {'on the ' if name in ('left', 'right') else ''}{name}" in legend


def test_changes_are_said_in_words() -> None:
    names = "with noir", "without noir"
    assert markup.comparison(math.log(3.2), names) == "3.2 times likelier with noir"
    assert markup.comparison(-math.log(24), names) == "24 times likelier without noir"
    assert markup.comparison(0.1, names) == ""
    assert markup.comparison(-50, names) == "more than 1,000 times likelier without noir"
    assert markup.comparison(9, ("left", "right")) == "more than 1,000 times likelier on the left"
    assert [markup.level(each) for each in (0, 0.4, 0.41, -1.2, 2.31, -99)] == [0, 0, 1, 2, 3, 3]


def test_a_colour_means_the_same_in_both_columns() -> None:
    """Blue is what the left one's prompt makes likelier, whichever column it stands in."""
    texts = [[Piece("a", 2.0), Piece("b", -2.0), Piece("c", 0.1)], [Piece("d", 2.0), Piece("e", -2.0)]]
    found = dict((text, inside) for inside, text in Text(markup.columns((NOIR, NOTHING), texts)).words)
    assert [found[each] for each in "abcde"] == [
        "sp-tok sp-up2", "sp-tok sp-down2", "sp-tok", "sp-tok sp-down2", "sp-tok sp-up2",
    ]  # fmt: skip


def test_line_breaks_stay_and_long_beginnings_are_cut() -> None:
    html = markup.columns((NOIR, NOTHING), [[Piece("one\r\ntwo\n\n")], []], "x" * 999)
    assert Text(html).of("sp-tok") == "one\ntwo\n\n"
    assert Text(html).of("sp-lead") == "x" * markup.LEAD * 2


@given(st.text(max_size=40), st.text(max_size=40), st.floats(allow_nan=False))
def test_no_text_becomes_markup(name: str, text: str, change: float) -> None:
    sides = Side(name + fake.EVIL, 0.5), Side(text)
    html = markup.columns(sides, [[Piece(text + fake.EVIL, change)], [Piece(fake.EVIL + name, change)]], text)
    Text(html), Text(markup.legend(sides))
    assert "<script" not in html and "<img" not in html and "\u202e" not in html


def test_only_a_column_with_a_prompt_offers_its_tag() -> None:
    html = markup.columns((Side("noir", 0.5), NOTHING), [[Piece("a")], [Piece("b")]])
    assert html.count("Insert tag") == 1 and 'data-tag="&lt;&lt;sp:noir:0.5&gt;&gt;"' in html
    assert html.count(">Copy<") == 2
    assert ">Copy<" not in markup.columns((NOIR, NOTHING), [[], []])
