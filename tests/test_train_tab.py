"""The training section without a browser: what its events answer, that nothing becomes markup, and its pictures."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as Xml
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from soft_prompts import panel
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import Row
from soft_prompts.trainer import tab_form as form
from soft_prompts.trainer import tab_markup as markup
from soft_prompts.trainer.options import Parser, add_train
from soft_prompts.trainer.tab import TrainSection
from soft_prompts.trainer.tab_answers import DRAWN, EMPTY, LINES, Asked, Changes, Training, answer, paths
from soft_prompts.trainer.tab_curve import curve
from soft_prompts.trainer.tab_report import COSTS, place, report
from soft_prompts.trainer.tab_settings import ALL, KINDS, SETTINGS, settings_of
from soft_prompts.trainer.tab_wrong import Beside
from soft_prompts.trainer.trains import Trains
from soft_prompts.trainer.understanding import Understood


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


hosts, fake = _load("panel_host"), _load("train_host")
FACTS = json.dumps([["Emma wears", "a black suit", False], ["", "", False], ["Emma owns", "a cat", True]])


@pytest.fixture
def trains() -> Any:
    return fake.MemoryTrains()


@pytest.fixture
def host() -> Any:
    return hosts.MemoryHost()


@pytest.fixture
def training(trains: Any, host: Any) -> Training:
    return Training(trains, host)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "chandler.txt"
    path.write_text("It was raining, and nobody told the truth.")
    return str(path)


def style(text: str, **more: Any) -> Asked:
    """A form that is filled in."""
    return Asked(**{"kind": "finetune", "files": (text,), "name": "chandler", "tokens": "20", **more})


def button(trains: Any, act: str, name: str = "noir", **more: Any) -> Asked:
    return Asked(act=json.dumps({"act": act, "run": markup.key(trains.made[name]), **more}))


def line(changes: Changes, name: str) -> str:
    return str(changes[name]["value"])


def said(trains: Any, what: str) -> list[Any]:
    return [facts for each, facts in trains.asked if each == what]


# ---- the fake


def test_the_fake_can_be_asked_everything(trains: Any) -> None:
    assert all(hasattr(trains, name) for name in vars(Trains) if not name.startswith("_"))


def test_the_fake_goes_through_a_run(trains: Any) -> None:
    trains.start(trains.plan("finetune", "noir", [], None, {}))
    trains.advance(299)
    assert trains.live.step == 299 and len(trains.live.previews) == 5
    trains.advance()
    assert trains.made["noir"].state == "done" and trains.made["noir"].report


# ---- polling


def test_a_poll_answers_nothing_when_nothing_changed(training: Training, trains: Any) -> None:
    drawn = training.poll(Asked())
    assert set(drawn) == {*DRAWN, "seen"}
    trains.asked.clear()
    assert training.poll(Asked(seen=line(drawn, "seen"))) == {}
    assert not trains.asked, "the runs were listed to find out that nothing changed"


def test_a_step_draws_what_it_moves_and_nothing_else(training: Training, trains: Any) -> None:
    trains.put(fake.board_in("done", "old"))
    trains.put(fake.board_in("training"))
    drawn = training.poll(Asked())
    trains.advance()
    moved = training.poll(Asked(seen=line(drawn, "seen")))
    assert set(moved) == {"progress", "plot", "seen"}
    assert "step 121 of 300" in line(moved, "progress")


@pytest.mark.parametrize(
    "happens",
    [
        lambda trains, host: trains.advance(),
        lambda trains, host: trains.change(state="paused"),
        lambda trains, host: setattr(trains, "reason", "No model is loaded."),
        lambda trains, host: setattr(trains, "advice", "In a process of its own."),
        lambda trains, host: setattr(trains, "asks", "Download 2 GB."),
        lambda trains, host: setattr(host, "forbids", "Not with several users."),
    ],
)
def test_a_poll_answers_what_changed(
    training: Training, trains: Any, host: Any, happens: Callable[[Any, Any], object]
) -> None:
    trains.put(fake.board_in("training"))
    drawn = training.poll(Asked())
    happens(trains, host)
    assert set(training.poll(Asked(seen=line(drawn, "seen")))) - {"seen"}


def test_pages_that_were_overtaken_are_mended_by_the_next_poll(training: Training, trains: Any) -> None:
    trains.put(fake.board_in("training"))
    stale = training.poll(Asked())
    trains.advance(5)
    assert "step 125" in line(training.poll(Asked(seen=line(stale, "seen"))), "progress")
    assert set(training.poll(Asked(seen="no json"))) == {*DRAWN, "seen"}
    assert set(training.poll(Asked(seen="[1]"))) == {*DRAWN, "seen"}


# ---- the form


def test_choosing_a_start_gives_its_defaults(training: Training, host: Any) -> None:
    for kind, shown in KINDS.items():
        chosen = training.choose(Asked(kind=kind))
        assert shown.title in line(chosen, "about")
        assert chosen["tokens"]["value"] == shown.usual
        assert shown.usual in [value for _, value in chosen["tokens"]["choices"]]
        assert json.loads(line(chosen, "pairs")) == [["", "", False]] * 3
    names = [value for _, value in chosen["set-from"]["choices"]]
    assert names[0] == "" and "noir" in names and "broken" not in names, "only what does something here"
    assert line(training.choose(Asked(kind="hack")), "about") == ""


def test_files_are_understood_and_name_the_prompt(training: Training, text: str) -> None:
    read = training.read(style(text, name=""))
    assert "1 text, 42 characters" in line(read, "understood") and "It was raining" in line(read, "understood")
    assert line(read, "name") == "chandler" and line(read, "suggested") == "chandler"
    assert "name" not in training.read(style(text, name="mine", suggested="old")), "a name of the writer's own stays"
    assert line(training.read(style(text, name="old", suggested="old")), "name") == "chandler"
    assert line(training.read(style(text, files=())), "understood") == "", "the files were taken away"


def test_facts_fill_the_table(training: Training, tmp_path: Path) -> None:
    path = tmp_path / "emma.json"
    path.write_text('[{"call": "Emma wears", "response": "a suit", "held_out": true}]')
    read = training.read(style(str(path), kind="world-info", name=""))
    assert json.loads(line(read, "pairs")) == [["Emma wears", "a suit", True]]


@pytest.mark.parametrize(
    ("data", "words"), [(b"\xff\xfe\x00bin", "no text in UTF-8"), (b" \n", "holds no text"), (None, "That failed")]
)
def test_a_wrong_file_is_told_beside_the_files(
    training: Training, tmp_path: Path, data: bytes | None, words: str
) -> None:
    path = tmp_path / "wrong.bin"
    if data is not None:
        path.write_bytes(data)
    told = answer(training.read, style(str(path)), "read")
    assert words in line(told, "read") and line(told, "understood") == "", "it no longer says that it reads"


def test_names(training: Training, trains: Any) -> None:
    assert line(training.named(Asked(name="new")), "named") == ""
    assert line(training.named(Asked(name="")), "named") == ""
    assert "sp-taken" in line(training.named(Asked(name="noir")), "named"), "the box to replace it is shown by that"
    assert "people-emma" in line(answer(training.named, Asked(name="people*emma"), "named"), "named")
    trains.put(fake.board_in("interrupted", "half"))
    assert "already" in line(training.named(Asked(name="half")), "named")


def test_start_takes_what_was_filled_in(training: Training, trains: Any, text: str) -> None:
    values = {"steps": " 50 ", "seed": "3", "rows": "9", "from": "", "keep": "2", "opening": "Then"}
    begun = training.start(style(text, values=values))
    (kind, name, files, pairs, settings) = said(trains, "plan")[0]
    assert (kind, name, files, pairs) == ("finetune", "chandler", [Path(text)], None)
    assert settings == {"tokens": "20", "steps": "50", "seed": "3", "opening": "Then"}, (
        "rows and keep are not a style's"
    )
    assert "chandler" in line(begun, "progress")
    assert line(begun, "kind") == "" and begun["files"]["value"] is None, "the form is as new"
    assert {name: begun[name] for name in LINES} == {name: {"value": ""} for name in LINES}


def test_two_starts_are_one(training: Training, trains: Any, text: str) -> None:
    training.start(style(text))
    again = answer(training.start, style(text), "started")
    assert len(said(trains, "start")) == 1
    assert line(again, "started") == "", "the second click is told nothing bad"


def test_another_start_beside_a_run_is_told_so(training: Training, text: str) -> None:
    training.start(style(text))
    assert "is being trained" in line(answer(training.start, style(text, name="other"), "started"), "started")


def test_facts_are_taken_from_the_table(training: Training, trains: Any) -> None:
    training.start(Asked(kind="world-info", name="dusk", pairs=FACTS, tokens="24"))
    pairs = said(trains, "plan")[0][3]
    assert [(each.call, each.response, each.held_out) for each in pairs] == [
        ("Emma wears", "a black suit", False),
        ("Emma owns", "a cat", True),
    ]


def test_a_tenth_of_the_text_is_no_number(training: Training, trains: Any, text: str) -> None:
    training.start(style(text, kind="distill", tokens=KINDS["distill"].usual))
    assert said(trains, "plan")[0][4] == {}


def test_from_another_prompt_takes_its_tokens(training: Training, trains: Any, text: str) -> None:
    training.start(style(text, values={"from": "noir"}))
    assert said(trains, "plan")[0][4] == {"from": "noir"}
    both = answer(training.start, style(text, values={"from": "noir", "start": "Rain."}), "started")
    assert "choose one" in line(both, "tuned")


@pytest.mark.parametrize(
    ("change", "where", "words"),
    [
        ({"kind": ""}, "started", "Choose what to learn"),
        ({"files": ()}, "read", "nothing to learn from"),
        ({"name": " "}, "named", "needs a name"),
        ({"name": "a*b"}, "named", "Try “a-b”"),
        ({"name": "noir"}, "named", "already"),
        ({"values": {"steps": "many"}}, "tuned", "Steps: “many”"),
        ({"values": {"rate": "nan"}}, "tuned", "above 0"),
        ({"values": {"seed": "-1"}}, "tuned", "Seed"),
        ({"kind": "world-info"}, "paired", "no fact yet"),
        ({"kind": "world-info", "pairs": EMPTY}, "paired", "no fact yet"),
        ({"kind": "world-info", "pairs": "nonsense"}, "paired", "no fact yet"),
        ({"kind": "world-info", "pairs": '[["", "", false], ["a", " ", false]]'}, "paired", "Row 2 has no response"),
        ({"kind": "world-info", "pairs": '[["", "b", false]]'}, "paired", "Row 1 has no call"),
        ({"kind": "world-info", "pairs": '[["a", "b", true]]'}, "paired", "none to learn"),
    ],
)
def test_what_is_missing_is_told_beside_it(
    training: Training, trains: Any, text: str, change: dict[str, Any], where: str, words: str
) -> None:
    for act in (training.start, *([training.estimate] if words != "already" else [])):
        told = answer(act, style(text, **change), "started")
        assert words in line(told, where)
        shown = {name for name in LINES if told.get(name, {}).get("value")}
        assert shown == {where, "started"}, "also where one has pressed, far below"
        assert words in line(told, "started")
        assert line(told, "estimated") == "", "nobody waits any longer"
    assert not said(trains, "start")


def test_replacing(training: Training, trains: Any, text: str) -> None:
    assert "sp-taken" in line(answer(training.start, style(text, name="noir"), "started"), "named")
    training.start(style(text, name="noir", replace=True))
    assert [replaced for _, replaced, _ in said(trains, "start")] == [True]


def test_a_name_that_was_taken_meanwhile_is_told_beside_it(training: Training, trains: Any, text: str) -> None:
    trains.put(fake.board_in("done", "late"))
    assert "sp-taken" in line(answer(training.start, style(text, name="late"), "started"), "named")


def test_consent_comes_before_a_start(training: Training, trains: Any, text: str) -> None:
    trains.asks = "Download 2 GB of programs."
    assert "sp-consent" in line(training.poll(Asked()), "advice")
    told = answer(training.start, style(text), "started")
    assert "Download 2 GB" in line(told, "started") and not said(trains, "start")
    training.start(style(text, consent=True))
    assert [agreed for _, _, agreed in said(trains, "start")] == [True]


def test_what_a_file_was_made_from_can_be_learnt_on(training: Training, trains: Any, host: Any) -> None:
    assert "sp-file" not in line(training.poll(Asked()), "advice")
    assert training.learn_on(Asked(original="a/b")) and not said(trains, "learn on"), "there is nothing to choose"
    trains.original, trains.advice, trains.changes = "", "In a process of its own.", 9
    drawn = training.poll(Asked())
    assert "sp-file" in line(drawn, "advice") and line(drawn, "original") == ""
    after = training.learn_on(Asked(seen=line(drawn, "seen"), original=" a/b "))
    assert said(trains, "learn on") == ["a/b"] and line(after, "original") == "a/b"
    training.learn_on(Asked(original="a/b"))
    assert said(trains, "learn on") == ["a/b"], "what a poll has drawn is no choice"
    trains.fail = SoftPromptError("neither a folder nor a name")
    assert "neither" in line(answer(training.learn_on, Asked(original="x"), "tuned"), "tuned")
    host.forbids = "a guest"
    assert "a guest" in line(answer(training.learn_on, Asked(original="x"), "tuned"), "tuned")


def test_a_text_that_the_model_does_not_know_is_said_above_all_else(training: Training, trains: Any) -> None:
    board = fake.board_in("done")
    trains.put(board)
    assert "hardly knows" not in line(training.poll(Asked()), "others")
    trains.put(replace(board, report={**board.report, "warning": "It hardly knows such text: <b>"}))
    shown = line(training.poll(Asked()), "others")
    assert "It hardly knows such text: &lt;b&gt;" in shown and shown.index("hardly knows") < shown.index("sp-bars")


def test_forgetting_asks_first_and_says_what_stays(training: Training, trains: Any) -> None:
    trains.put(fake.board_in("done"))
    assert 'data-sure="The prompt stays. Forget this report?"' in line(training.poll(Asked()), "others")


@pytest.mark.parametrize("why", ["forbids", "reason"])
def test_what_is_forbidden_is_closed(training: Training, trains: Any, host: Any, text: str, why: str) -> None:
    trains.put(fake.board_in("interrupted"))
    setattr(host if why == "forbids" else trains, why, "Not here: load a model with Transformers.")
    drawn = training.poll(Asked())
    assert "load a model with Transformers" in line(drawn, "notice")
    assert line(drawn, "cards").count(" disabled") == 3
    for act, asked in ((training.start, style(text)), (training.estimate, style(text)),
                       (training.act, button(trains, "go_on"))):  # fmt: skip
        assert "Not here" in str(answer(act, asked, "started"))
    assert not {each for each, _ in trains.asked} & {"start", "plan", "estimate", "go_on"}


def test_an_estimate_starts_nothing(training: Training, trains: Any, text: str) -> None:
    assert "About 12 min" in line(training.estimate(style(text)), "estimated")
    assert not said(trains, "start")
    trains.fail = SoftPromptError("There is not enough memory.")
    assert "not enough memory" in line(answer(training.estimate, style(text), "started"), "started")


def test_a_fault_is_words(training: Training, trains: Any, text: str) -> None:
    trains.fail = ZeroDivisionError("oops")
    told = answer(training.start, style(text), "started")
    assert "ZeroDivisionError: oops" in line(told, "started") and line(told, "seen") == ""


# ---- the buttons of a run


def test_pause_go_on_stop(training: Training, trains: Any) -> None:
    trains.put(fake.board_in("training"))
    assert "paused" in line(training.act(button(trains, "pause")), "progress")
    assert "training" in line(training.act(button(trains, "go_on")), "progress")
    assert "stopped" in line(training.act(button(trains, "stop")), "others")
    assert [each for each, _ in trains.asked if each != "boards"] == ["pause", "go_on", "stop"]


def test_a_late_click_hits_nobody_else(training: Training, trains: Any) -> None:
    """The run has ended, and another one has begun, since the page was drawn."""
    trains.put(fake.board_in("done"))
    trains.put(fake.board_in("training", "other"))
    assert "has ended meanwhile" in line(answer(training.act, button(trains, "stop"), "acted"), "acted")
    assert trains.live.plan.name == "other"
    gone = answer(training.act, Asked(act='{"act": "stop", "run": "0"}'), "acted")
    assert "no longer there" in line(gone, "acted")
    assert "no longer there" in line(answer(training.act, Asked(act="{"), "acted"), "acted")


@pytest.mark.parametrize("act", ["again", "further"])
def test_once_more(training: Training, trains: Any, act: str) -> None:
    trains.put(fake.board_in("done", "dusk"))
    training.act(button(trains, act, "dusk", new="dusk-2"))
    assert said(trains, "again") == [("dusk", "dusk-2", act == "further")]
    assert trains.live.plan.name == "dusk-2"


@pytest.mark.parametrize(("new", "words"), [("noir", "already"), ("", "empty"), ("a*b", "Try")])
def test_once_more_wants_a_name(training: Training, trains: Any, new: str, words: str) -> None:
    trains.put(fake.board_in("done", "dusk"))
    assert words in line(answer(training.act, button(trains, "again", "dusk", new=new), "acted"), "acted")
    assert not trains.live


def test_going_on_asks_for_consent_where_a_start_does(training: Training, trains: Any) -> None:
    trains.asks = "Download 2 GB."
    trains.put(fake.board_in("interrupted"))
    assert "sp-agree" in line(training.poll(Asked()), "others")
    assert "Download 2 GB" in line(answer(training.act, button(trains, "go_on"), "acted"), "acted")
    training.act(button(trains, "go_on", agreed=True))
    assert said(trains, "go_on") == [("noir", True)]
    trains.pause()
    training.act(button(trains, "go_on"))
    assert trains.live.state == "training", "what runs already was agreed to"


def test_forget(training: Training, trains: Any) -> None:
    trains.put(fake.board_in("done"))
    assert line(training.act(button(trains, "forget")), "others") == ""


# ---- every state


@pytest.mark.parametrize("state", fake.STATES)
def test_every_state_has_words_and_only_buttons_that_act(training: Training, trains: Any, state: Any) -> None:
    board = trains.put(fake.board_in(state))
    parts = training.poll(Asked())
    shown = "".join(line(parts, name) for name in ("progress", "controls", "others"))
    assert markup.STATES[state][2] in shown
    acts = {json.dumps(each) for each in re.findall(r'data-act="(\w+)"', shown)}
    for act in acts:
        trains.put(board)
        asked = button(trains, json.loads(act), new="other")
        if json.loads(act) != "insert":
            answered = answer(training.act, asked, "acted")
            assert line(answered, "acted") == "", f"{act} does nothing when {state}"
            trains.made.pop("other", None)
    assert bool(acts) == (state not in ("stopping", "reporting"))
    assert ('role="progressbar"' in shown) == board.live
    assert markup.STATES.keys() == markup.ACTS.keys() == set(fake.STATES)


def test_a_run_without_a_step_has_nothing_to_insert() -> None:
    board = replace(fake.board_in("stopped"), step=0)
    assert "insert" not in markup.others([board])


def test_progress_tells_where_it_is() -> None:
    board = fake.board_in("training")
    bar = markup.progress(board)
    assert 'aria-valuenow="40"' in bar and "width:40.0%" in bar and "step 120 of 300" in bar
    assert "72 s left" in bar and "1,204 tokens/s" in bar
    assert "aria-valuenow" not in markup.progress(fake.board_in("waiting")), "nobody knows how far"
    assert "reading the text: 3 of 10" in markup.progress(fake.board_in("preparing"))


def test_a_screen_reader_is_told_every_tenth() -> None:
    board = fake.board_in("training")
    told = {markup.spoken(replace(board, step=step)) for step in range(120, 150)}
    assert told == {"<p>noir: training, 40 per cent</p>"}


def test_samples_stand_with_the_newest_first() -> None:
    shown = markup.previews(fake.board_in("training"))
    assert shown.index("Step 100") < shown.index("Step 50")
    assert "without" in shown and "with noir" in shown


# ---- others' words


class Reader(HTMLParser):
    """What a browser makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def drawn(training: Training) -> Iterator[str]:
    parts = training.poll(Asked())
    yield from (line(parts, name) for name in DRAWN)


def holds_nothing_foreign(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    assert not {"img", "script", "iframe", "object", "link", "style"} & set(reader.tags)
    assert not [name for name, _ in reader.attributes if name.startswith("on")]
    assert "\u202e" not in html
    return reader


@pytest.mark.parametrize("state", fake.STATES)
def test_hostile_texts_stay_text(training: Training, trains: Any, host: Any, state: Any) -> None:
    trains.put(fake.evil_board(state))
    trains.reason = trains.advice = trains.asks = fake.EVIL
    texts = [holds_nothing_foreign(each).text for each in drawn(training)]
    assert sum("window.pwned=1" in each for each in texts) >= 3
    host.forbids = fake.EVIL
    assert "window.pwned" in holds_nothing_foreign("".join(drawn(training))).text


def test_hostile_files_and_names_stay_text(training: Training, trains: Any) -> None:
    evil = fake.EVIL
    shown = form.understood(Understood("finetune", evil, (evil,), (), (evil,), evil, evil))
    assert holds_nothing_foreign(shown).text.count("<script>") == 3
    told = answer(training.named, Asked(name=evil), "named")
    assert "<script>" in holds_nothing_foreign(line(told, "named")).text
    trains.fail = SoftPromptError(evil)
    told = answer(training.read, style("x"), "read")
    assert "<script>" in holds_nothing_foreign(line(told, "read")).text


TAMPERED = some.recursive(
    some.none() | some.booleans() | some.floats() | some.text(max_size=4),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(
        ["lines", "answers", "notes", "verdict", "unrelated", "base", "held_out", "nats", "name", "right", "call"]
    ), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(some.dictionaries(some.sampled_from([*fake.REPORT]), TAMPERED))
def test_any_report_can_be_shown(found: dict[str, Any]) -> None:
    holds_nothing_foreign(report(found))
    markup.gist(found)


@given(some.text())
def test_any_page_can_ask(text: str) -> None:
    training = Training(fake.MemoryTrains(), hosts.MemoryHost())
    assert set(training.poll(Asked(seen=text))) == {*DRAWN, "seen"}
    assert line(answer(training.act, Asked(act=text), "acted"), "acted")
    assert answer(training.start, Asked(kind="world-info", name="x", pairs=text), "started")["paired"]


# ---- the pictures

NATS = some.floats(allow_nan=True, allow_infinity=True) | some.floats(0, 12)
HISTORY = some.lists(some.tuples(some.integers(1, 5000), NATS, some.none() | NATS), max_size=200)


def picture(html: str) -> Xml.Element:
    found = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert found
    return Xml.fromstring(found[0])


@given(HISTORY, some.integers(0, 5000))
def test_all_points_lie_in_the_box(history: Any, steps: int) -> None:
    drawing = picture(curve(history, steps))
    numbers = [
        float(each) for line in drawing.iter("polyline") for each in re.findall(r"[-\d.]+", line.get("points", ""))
    ]
    for path in drawing.iter("path"):
        numbers += [float(each) for each in re.findall(r"[-\d.]+", path.get("d", ""))]
    assert all(0 <= each <= 100 for each in numbers)
    assert drawing.get("role") == "img" and drawing.find("title") is not None and drawing.findtext("desc")


def test_a_curve_says_what_it_shows() -> None:
    words = curve(fake.board_in("training").history, 300)
    assert "at step 1" in words and "at its best, step 100" in words
    assert words.count("sp-mark") == 4, "each look at unseen text"
    assert "nats a token, less is better" in words and ">step<" in words and ">300<" in words


def test_a_curve_falls_to_the_right() -> None:
    history = [(number, 5.0 - number / 100, None) for number in range(1, 301)]
    line = picture(curve(history, 300)).find("polyline")
    assert line is not None
    points = [tuple(map(float, each.split(","))) for each in line.get("points", "").split()]
    assert points == sorted(points) and [y for _, y in points] == sorted(y for _, y in points)
    assert len(points) <= 160 and points[-1][0] == 100


def test_without_a_step_the_box_waits() -> None:
    assert "begins with the first step" in curve((), 300)


def test_bars_are_as_long_as_their_numbers() -> None:
    shown = report(fake.REPORT)
    assert [float(each) for each in re.findall(r"sp-track.*?width:([\d.]+)%", shown)] == [
        pytest.approx(100 * nats / 3.4, abs=0.06) for nats in (3.4, 1.9, 2.9, 1.21)
    ]
    assert "shorter is better" in shown and "64 % less" in shown
    assert shown.count("sp-mine") == 1


def test_facts_show_the_wrong_ones_first() -> None:
    shown = Reader()
    shown.feed(report(fake.REPORT))
    assert "It knows 2 of 3" in shown.text
    assert shown.text.index("Pepper") < shown.text.index("a black suit")
    assert "right: Salt" in shown.text


@given(some.floats(0, 5))
def test_the_pointer_stands_in_the_stretch_whose_words_are_marked(nats: float) -> None:
    shown = report({"unrelated": nats})
    edges = [0.0, *(place(most) for most, _ in COSTS[:-1]), 100.0]
    index = next(number for number, (most, _) in enumerate(COSTS) if nats <= most)
    assert edges[index] - 1e-9 <= place(nats) <= edges[index + 1] + 1e-9
    assert f'<span style="width:{edges[index + 1] - edges[index]:.1f}%" class="sp-here">{COSTS[index][1]}' in shown


def test_costs_are_those_of_the_command_line() -> None:
    from soft_prompts.trainer import reporting

    assert [most for most, _ in COSTS] == [most for most, _ in reporting._COSTS]
    assert math.isinf(COSTS[-1][0])


# ---- the settings are the command line's


def options(kind: str) -> set[str]:
    import argparse

    parser = Parser(prog="soft-prompts")
    add_train(parser.add_subparsers(), lambda options: None)
    (train,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    (kinds,) = [each for each in train.choices["train"]._actions if isinstance(each, argparse._SubParsersAction)]
    return set(kinds.choices[kind]._option_string_actions)


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_options_of_the_command_line(kind: str) -> None:
    known = options(kind)
    mine = {f"--{setting.key}" for setting in SETTINGS if kind in setting.kinds} | {"--tokens", "--from"}
    assert mine <= known
    others = {f"--{setting.key}" for setting in SETTINGS if kind not in setting.kinds}
    assert not others & known


@pytest.mark.parametrize("setting", [each for each in SETTINGS if each.check("x")], ids=lambda each: str(each.key))
def test_a_setting_is_checked_as_the_command_line_does(setting: Any) -> None:
    for text in ("1", "0", "-1", "0.5", "x", "nan", "inf", "1e3"):
        mine = not setting.check(text)
        try:
            parsed = accepts(setting.kinds[0], setting.key, text)
        except SystemExit:
            parsed = False
        assert mine == parsed, f"{setting.key}={text!r}"


def accepts(kind: str, key: str, text: str) -> bool:
    parser = Parser(prog="soft-prompts")
    add_train(parser.add_subparsers(), lambda options: None)
    parser.parse_args(["train", kind, "x", f"--{key}={text}"])
    return True


def test_a_wrong_setting_belongs_to_the_settings() -> None:
    with pytest.raises(Beside) as told:
        settings_of("finetune", "20", {"batch": "0"})
    assert told.value.line == "tuned"


def test_paths_of_what_gradio_hands_over() -> None:
    assert paths(None) == () and paths("a") == ("a",) and paths(["a", "b"]) == ("a", "b")


# ---- gradio builds it


# The host's gradio 4.37 builds its server the old way of FastAPI, which says so.
@pytest.mark.filterwarnings(r"ignore:\s+on_event is deprecated:DeprecationWarning")
def test_gradio_builds_it(trains: Any, host: Any) -> None:
    reason = "gradio is not installed: the host pins a build of its own"
    with hosts.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason)):
        host.put(Row("late", "late.txt", 3, "text"))
        section = TrainSection(lambda given: trains if given is host else pytest.fail("another host"))
        app = panel.standalone(host, [section])
        names = {each.elem_id for each in app.blocks.values() if getattr(each, "elem_id", None)}
        app.close()
    assert host.shelf.carriers, "cards may carry soft prompts"
    assert {"sp-train", "sp-train-page", "sp-train-start", "sp-train-estimate", "sp-train-files"} <= names
    assert {f"sp-train-set-{setting.key}" for setting in SETTINGS} <= names
    assert "sp-train-page" in panel.css([section]) and "softPrompts.train" in panel.js([section])
