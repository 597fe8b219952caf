"""The panel without a browser: what its events answer, that no file becomes markup, and that gradio builds it."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from html.parser import HTMLParser
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest

from soft_prompts import panel
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.protocol import EVERYWHERE, Health, Host, Request, Row, Scope, Use, Verdict
from soft_prompts.panel import markup
from soft_prompts.panel.answers import LINES, Asked, Changes, Panel, answer
from soft_prompts.panel.library import LibrarySection
from soft_prompts.panel.parts import Wiring


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = _load("panel_host")
EMMA, CHAT = "character:Emma", "chat:20261125-08-09"


@pytest.fixture
def host() -> Any:
    return fake.MemoryHost()


def asked(host: Host, file: str = "", **more: Any) -> Asked:
    """What the page sends when the row of a file is chosen."""
    row = next((row for row in host.rows() if row.file == file), None)
    return Asked(key=markup.key(row) if row else "", **more)


def line(changes: Changes, name: str) -> str:
    return str(changes[name]["value"])


# ---- the fake is a host


def test_the_fake_is_a_host(host: Host) -> None:
    assert {row.verdict for row in host.rows()} | {"missing", "long", "off", "refused"} == set(get_args(Verdict))
    assert all(hasattr(host, name) for name in vars(Host) if not name.startswith("_"))


# ---- what the events answer


def test_a_poll_answers_nothing_when_nothing_changed(host: Any) -> None:
    drawn = Panel(host).poll(Asked())
    now = Asked(seen=drawn["seen"]["value"])
    host.asked.clear()
    assert Panel(host).poll(now) == {}
    assert not host.asked, "the whole library was listed to find out that nothing changed"


@pytest.mark.parametrize(
    "happens",
    [
        lambda host: host.put(Row("late", "late.txt", 3, "text")),
        lambda host: host.take("noir.safetensors"),
        lambda host: host.switch(False),
        lambda host: host.request(Use("<<sp:noir>>", 20), tokens=100),
        lambda host: setattr(host, "places", (EVERYWHERE, Scope("character:Ann", "for Ann"))),
    ],
)
def test_a_poll_answers_all_when_anything_changed(host: Any, happens: Callable[[Any], object]) -> None:
    before = Panel(host).poll(Asked())
    happens(host)
    after = Panel(host).poll(Asked(seen=before["seen"]["value"]))
    assert after and after["seen"] != before["seen"]
    assert {name for name in after if after[name] != before[name]} - {"seen"}


def test_an_overtaken_poll_is_mended_by_the_next(host: Any) -> None:
    """A poll that left before a row was chosen may arrive after it: the next one must not think all is drawn."""
    stale = Panel(host).poll(Asked())
    now = asked(host, "noir.safetensors", seen=stale["seen"]["value"])
    assert "noir" in line(Panel(host).poll(now), "detail")


def test_choosing_shows_the_row_and_its_tag(host: Any) -> None:
    shown = Panel(host).choose(asked(host, "people/emma@llama-3-8b.safetensors"))
    assert shown["tag"]["value"] == "<<sp:people/emma>>" and shown["strength"]["value"] == 1
    assert "lighthouse" in line(shown, "detail")


def test_two_files_of_one_name_are_two_rows(host: Any) -> None:
    host.put(Row("noir", "noir@other.safetensors", 9, "shadowed", "noir.safetensors is used."))
    assert "noir.safetensors is used" in line(Panel(host).choose(asked(host, "noir@other.safetensors")), "detail")
    assert "is used" not in line(Panel(host).choose(asked(host, "noir.safetensors")), "detail")


def test_pin_and_unpin(host: Any) -> None:
    page = asked(host, "noir.safetensors", scope=EMMA, strength=0.7)
    pinned = Panel(host).pin(page)
    assert host.kept == {EMMA: {"noir": 0.7}}
    assert "Pinned for Emma" in line(pinned, "said") and "for Emma at 0.7" in line(pinned, "detail")
    assert pinned["unpin"]["interactive"]
    assert Panel(host).choose(page)["tag"]["value"] == "<<sp:noir:0.7>>", "the pinned strength is the one shown"
    unpinned = Panel(host).unpin(page)
    assert host.kept == {EMMA: {}} and not unpinned["unpin"]["interactive"]


def test_a_pin_that_will_be_left_out_is_a_warning(host: Any) -> None:
    host.unfit["noir"] = "it needs 20 tokens"
    page = asked(host, "noir.safetensors", scope=EMMA, strength=0.7)
    pinned = Panel(host).pin(page)
    assert "Pinned for Emma, but it is left out now: it needs 20 tokens." in line(pinned, "said")
    assert "sp-fair" in line(pinned, "said") and "sp-good" not in line(pinned, "said")
    assert "pinned for Emma at 0.7 (left out)" in line(pinned, "library")
    assert "for Emma at 0.7 (left out)" in line(pinned, "detail")


def test_unpin_is_offered_where_it_is_pinned(host: Any) -> None:
    host.pin(EMMA, "noir")
    assert not Panel(host).scope(asked(host, "noir.safetensors"))["unpin"]["interactive"]
    assert Panel(host).scope(asked(host, "noir.safetensors", scope=EMMA))["unpin"]["interactive"]


def test_an_emptied_strength_is_the_default(host: Any) -> None:
    Panel(host).pin(asked(host, "noir.safetensors", strength=None))
    assert host.kept == {"everywhere": {"noir": 1.0}}


def test_a_scope_that_went_falls_back_to_everywhere(host: Any) -> None:
    host.places = (EVERYWHERE,)
    page = asked(host, "noir.safetensors", scope=CHAT)
    assert Panel(host).poll(page)["scope"] == {"choices": [("everywhere", "everywhere")], "value": "everywhere"}
    assert "no longer there" in line(answer(Panel(host).pin, page, "said"), "said")
    assert not host.kept


def test_a_pin_without_its_file_can_be_taken_away(host: Any) -> None:
    host.pin(EMMA, "lost")
    host.pin("everywhere", "lost")
    listed = line(Panel(host).poll(Asked()), "library")
    key = markup.key(Row("lost", "", 0, "missing"))
    assert key in listed and "pinned, but gone" in listed
    shown = Panel(host).choose(Asked(key=key))
    assert not shown["pin"]["interactive"] and shown["unpin"]["interactive"]
    Panel(host).unpin(Asked(key=key))
    Panel(host).unpin(Asked(key=key, scope=EMMA))
    assert key not in line(Panel(host).poll(Asked()), "library")


def test_make_chooses_what_it_made(host: Any) -> None:
    made = Panel(host).make(Asked(name=" storm ", sentence="The sea took the pier in one night.", find="noir"))
    assert host.files["storm.txt"].tokens == 8
    assert made["key"]["value"] == markup.key(host.files["storm.txt"]) and made["tag"]["value"] == "<<sp:storm>>"
    assert made["name"]["value"] == made["sentence"]["value"] == made["find"]["value"] == ""
    assert made["key"]["value"] in line(made, "library"), "the words to find must not hide it"


def test_what_was_made_is_said_beside_its_tag_until_another_is_chosen(host: Any) -> None:
    made = Panel(host).make(Asked(name="storm", sentence="Rain."))
    assert "storm&gt;&gt; is in the library" in line(made, "ready") and not line(made, "made")
    page = Asked(key=made["key"]["value"], fresh=made["fresh"]["value"])
    assert "ready" not in Panel(host).choose(page), "the page chooses it once more by itself"
    other = Panel(host).choose(replace(page, key=asked(host, "noir.safetensors").key))
    assert line(other, "ready") == "" == other["fresh"]["value"]


def test_the_next_act_takes_a_message_away(host: Any) -> None:
    page = asked(host, "noir.safetensors", name="storm", sentence="Rain.", on=True)
    for act in ("choose", "find", "scope", "pin", "unpin", "switch", "report", "make"):
        changes = answer(getattr(Panel(host), act), page, "said")
        assert set(LINES) <= set(changes), act
        assert sum(bool(line(changes, name)) for name in LINES) <= 1, act
    assert not set(LINES) & set(Panel(host).poll(page)), "a poll is no act"


def test_a_failed_poll_is_mended_by_the_next(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = Panel(host).poll(Asked())["seen"]["value"]
    with monkeypatch.context() as patch:
        patch.setattr(host, "rows", lambda: 1 / 0)
        failed = answer(Panel(host).poll, Asked(), "health")
    assert "ZeroDivisionError" in line(failed, "health") and failed["seen"]["value"] == ""
    assert Panel(host).poll(Asked(seen=""))["seen"]["value"] == now


@pytest.mark.parametrize(("name", "sentence"), [("", "words"), ("name", " "), ("", "")])
def test_make_says_what_is_missing(host: Any, name: str, sentence: str) -> None:
    said = line(answer(Panel(host).make, Asked(name=name, sentence=sentence), "made"), "made")
    assert "needs a name and a sentence" in said


def test_the_master_switch(host: Any) -> None:
    off = Panel(host).switch(Asked(on=False))
    assert not host.switched and not off["on"]["value"] and "switched off" in line(off, "health")


def test_while_it_is_off_everything_looks_off(host: Any) -> None:
    page = asked(host, "noir.safetensors")
    host.pin("everywhere", "noir")
    Panel(host).pin(page)
    off = Panel(host).switch(replace(page, on=False))
    assert line(off, "said") == "", "it stands nowhere now"
    listed = line(off, "library")
    assert "sp-good" not in listed and "sp-fair" not in listed and listed.count("switched off") == 6
    assert "0 usable now" in line(off, "count") and "switched off" in line(off, "detail")
    assert "cannot be used" in listed, "that is so all the same"
    assert "stands nowhere while" in line(Panel(host).pin(page), "said")


def test_what_has_no_room_is_not_green(host: Any) -> None:
    host.put(Row("novel", "novel.txt", 3584, "text"))
    page = asked(host, "novel.txt")
    shown = Panel(host).choose(page)
    assert "too long for this context" in line(shown, "detail") and "sp-good" not in line(shown, "detail")
    assert "it needs 3,584 tokens, and the context of 4,096 keeps 512" in line(shown, "library")
    host.space = replace(host.space, reply=511)
    assert "too long" not in line(Panel(host).choose(page), "library")
    host.space = replace(host.space, context=0)
    assert "too long" not in line(Panel(host).choose(page), "library"), "nobody knows"


def test_other_lengths_on_the_page_are_news(host: Any) -> None:
    now = Panel(host).poll(Asked(values=(1024,)))["seen"]["value"]
    assert not Panel(host).poll(Asked(seen=now, values=(1024,)))
    assert Panel(host).poll(Asked(seen=now, values=(2048,)))


def test_a_loader_that_cannot_is_not_called_no_model(host: Any) -> None:
    host.state = Health("cannot", "Not with llama.cpp yet.")
    host.files = {"x.txt": Row("x", "x.txt", 0, "no model", "no model is loaded that could be asked")}
    listed = line(Panel(host).poll(Asked()), "library")
    assert "not with this model" in listed and "no model is loaded" not in listed


def test_the_heading_counts_what_needs_attention(host: Any) -> None:
    host.strays = [f"{number}.png" for number in range(markup.MOST_NAMED + 1)]
    host.pin("everywhere", "lost")
    heading = line(Panel(host).poll(Asked()), "count")
    assert "11 files, 5 usable now" in heading and "3 need attention" in heading
    assert "6 other files are not soft prompts: 0.png, 1.png, 2.png, 3.png, 4.png, …" in heading
    host.files, host.strays, host.kept = {"a.txt": Row("a", "a.txt", 1, "unreadable")}, ["b.md"], {}
    heading = line(Panel(host).poll(Asked()), "count")
    assert "1 needs attention" in heading and "1 other file is not a soft prompt: b.md" in heading


def test_the_report(host: Any) -> None:
    assert Panel(host).report(Asked())["report"]["value"] == host.report()


def test_find(host: Any) -> None:
    found = line(Panel(host).find(Asked(find="LIGHTHOUSE emma")), "library")
    assert found.count("<li>") == 1 and "Vance" in found
    assert "Nothing here is called" in line(Panel(host).find(Asked(find="<b>")), "library")


def test_find_shows_with_a_long_list_only(host: Any) -> None:
    many = [replace(fake.ROWS[0], file=f"{number}.safetensors") for number in range(markup.FIND_FROM)]
    assert "sp-many" in markup.library(many, "", "")
    assert "sp-many" in markup.library(many, "", "7.safe"), "a field that vanishes while one types"
    assert "sp-many" not in markup.library(many[1:], "", "")


def test_a_huge_library_is_cut_and_says_so() -> None:
    rows = [Row(f"n{number}", f"{number}.txt", 3, "text") for number in range(markup.LONGEST + 70)]
    listed = markup.library(rows, "", "")
    assert listed.count("sp-row ") + listed.count('sp-row"') == markup.LONGEST and "70 more" in listed


def test_an_empty_library_says_how_to_begin() -> None:
    drawn = Panel(fake.MemoryHost(())).poll(Asked())
    assert "user_data/soft_prompts" in line(drawn, "library") and "from a sentence" in line(drawn, "library")


def test_what_cannot_be_used_stands_last(host: Any) -> None:
    listed = line(Panel(host).poll(Asked()), "library")
    assert listed.index("noir") < listed.index("broken.safetensors")


def test_the_last_request() -> None:
    uses = (Use("<<sp:noir>>", 20, 2, True), Use("<<sp:gibsn>>", problem="did you mean gibson?"))
    shown = markup.request(Request(1000, uses, 1.0))
    assert "20 of them (2.0 %)" in shown and "20 tokens (2.0 %), 2 times, pinned" in shown and "did you mean" in shown
    assert "No soft prompts" in markup.request(Request(1000, (), 1.0))
    alike = markup.request(
        Request(9, (Use("<<sp:a>>", problem="it is off"), Use("<<sp:b>>", problem="it is off")), 1.0)
    )
    assert alike.count("it is off") == 1 and "a&gt;&gt;" in alike and "b&gt;&gt;" in alike
    alike = markup.request(Request(9, (Use("<<sp:a>>", 3), Use("<<sp:b>>", 3)), 1.0))
    assert alike.count("3 tokens") == 2, "whose tokens they are"
    assert "Nothing yet" in markup.request(Request())
    assert "0 tokens (-)" in markup.request(Request(0, (Use("<<sp:x>>"),), 1.0)), "no division by an empty prompt"


# ---- errors are words


@pytest.mark.parametrize("act", ["pin", "unpin", "switch", "make", "report"])
def test_an_error_of_the_host_is_words(host: Any, act: str) -> None:
    host.fail = SoftPromptError("The disk is full: free some space, then try again.")
    page = asked(host, "noir.safetensors", name="storm", sentence="Rain.")
    changes = answer(getattr(Panel(host), act), page, "said")
    assert "The disk is full" in line(changes, "said") and 'role="alert"' in line(changes, "said")
    assert set(changes) == {*LINES, "seen"}, "the last message goes, and the next poll draws all"
    assert [name for name in LINES if line(changes, name)] == ["said"]


def test_a_fault_of_ours_is_words_and_in_the_log(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    host.fail = ZeroDivisionError("<b>oops</b>")
    said = line(answer(Panel(host).report, Asked(), "answer"), "answer")
    assert "ZeroDivisionError: &lt;b&gt;oops" in said and "Traceback" not in said
    assert "Traceback" in caplog.text


# ---- files are strangers


class Allowed(HTMLParser):
    """Fails at any tag or attribute that the panel does not write itself."""

    TAGS = (
        "div",
        "span",
        "p",
        "h3",
        "small",
        "b",
        "i",
        "ul",
        "ol",
        "li",
        "button",
        "details",
        "summary",
        "code",
        "dl",
        "dt",
        "dd",
    )
    ATTRIBUTES = ("class", "role", "type", "aria-hidden", "data-key", "data-pinned", "data-ailing", "data-native")

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag in self.TAGS, f"<{tag}>"
        for name, value in attributes:
            assert name in self.ATTRIBUTES, f"{tag} {name}={value!r}"
            assert "pwned" not in (value or "")


def pages(text: str) -> Iterator[str]:
    """Every piece of HTML, with the text at every place where text of others goes in."""
    row = Row(text, text, 3, "fits", text, text, text, text, text, text, text, 1.0)
    rows = [replace(row, verdict=verdict) for verdict in get_args(Verdict)]
    yield markup.library(rows, text, "")
    yield markup.library(rows, text, text)
    yield markup.library(rows, text, f"{text} nowhere")
    yield markup.library([], text)
    yield from (markup.details(each) for each in rows)
    yield markup.count(rows, text, [text])
    yield markup.heading(text)
    yield markup.health(Health("ready", text, (text,)))
    yield markup.request(Request(5, (Use(text, 3), Use(text, problem=text)), 1.0))
    yield from (markup.said(text, kind) for kind in get_args(markup.Kind))


@pytest.mark.parametrize(
    "text", [fake.EVIL, "<b>", "</ul></div>", '" onmouseover="pwned', "' x='", "\udcff", "\0\x1b\u202e"]
)
def test_nothing_of_a_file_is_markup(text: str) -> None:
    for page in pages(text):
        parser = Allowed()
        parser.feed(page)
        parser.close()
        assert all(each.isprintable() or each in markup.JOINERS for each in page), "it steers"
        page.encode("utf-8")


def test_joiners_and_scripts_stay_readable() -> None:
    assert markup.words("می‌روم 猫 a\nb") == "می‌روم 猫 a b"


def test_a_hostile_key_is_hex() -> None:
    keys = {markup.key(row) for row in fake.ROWS}
    assert len(keys) == len(fake.ROWS) and all(len(key) == 12 and int(key, 16) >= 0 for key in keys)


# ---- gradio

# The host's gradio 4.37 builds its server the old way of FastAPI, which says so.
builds = pytest.mark.filterwarnings(r"ignore:\s+on_event is deprecated:DeprecationWarning")


@pytest.fixture
def gradio() -> Iterator[Any]:
    reason = "gradio is not installed: the host pins a build of its own"
    with fake.gradio_without_warnings(lambda: pytest.importorskip("gradio", reason=reason)) as found:
        yield found


@builds
def test_gradio_builds_it_without_a_warning(gradio: Any, host: Any) -> None:
    """The host's fork answers an unknown keyword with a warning, so this is also the test of our keywords."""
    blocks = panel.standalone(host)
    ids = {getattr(block, "elem_id", None) for block in blocks.blocks.values()}
    assert {"soft-prompts", "sp-library", "sp-details", "sp-poll", "sp-tag", "sp-insert"} <= ids
    assert host.shows == [panel.toast]


@builds
def test_every_event_runs(gradio: Any, host: Any) -> None:
    """Each function behind an event, called as gradio does, gives one update for each output."""
    with gradio.Blocks() as blocks:
        LibrarySection().build(gradio, host)
    functions = [each for each in blocks.fns.values() if each.fn is not None and each.inputs]
    assert len(functions) == 26
    for each in functions:
        answered = each.fn(*[component.value for component in each.inputs])
        for updates in answered if inspect.isgenerator(answered) else [answered]:
            assert len(each.outputs) == (len(updates) if isinstance(updates, list) else 1)


@builds
def test_values_of_the_hosts_components_reach_its_scopes(gradio: Any, host: Any) -> None:
    with gradio.Blocks() as blocks:
        character = gradio.Textbox("Emma")
        host.context = lambda: [character]
        host.scopes = lambda *values: (
            (EVERYWHERE, Scope(f"character:{values[0]}", values[0])) if values else (EVERYWHERE,)
        )
        LibrarySection().build(gradio, host)
    rung, drawn = [each for each in blocks.fns.values() if each.fn is not None][:2]
    sent = [component.value for component in drawn.inputs]
    assert "character:Emma" in repr(drawn.fn(*sent))
    seen = Panel(host).poll(Asked(values=("Emma",)))["seen"]["value"]
    assert rung.fn(seen, *sent[1:], "word") == "word"
    sent[-1] = "Ada"
    assert rung.fn(seen, *sent[1:], "word") != "word"


@builds
def test_a_page_hears_of_news_by_another_word(gradio: Any) -> None:
    with gradio.Blocks() as blocks:
        asks, bell, news = gradio.Button(), gradio.Textbox(), gradio.Textbox()
        Wiring(gradio).polled(asks, bell, [news], lambda news: {"yes": True, "no": False}[news])
    ring = next(iter(blocks.fns.values())).fn
    assert ring("no", "word") == "word"
    assert ring("yes", "word") not in ("word", ring("yes", "word"))
    assert ring("fails", "word") != "word", "drawing says what is wrong"


@builds
def test_a_value_alone_is_no_update(gradio: Any) -> None:
    """For each update gradio builds a component."""
    given = Wiring(gradio).updates({"a": {"value": "x"}, "b": {"value": "y", "interactive": True}}, ["a", "b", "c"])
    assert given[0] == "x"
    assert given[1:] == [gradio.update(value="y", interactive=True), gradio.update()]


def test_a_toast_outside_of_an_event_does_nothing(gradio: Any, recwarn: pytest.WarningsRecorder) -> None:
    worker = threading.Thread(target=panel.toast, args=["<<sp:x>> is not there"])
    worker.start()
    worker.join()
    panel.toast("<<sp:x>> is not there")
    assert not recwarn.list


@pytest.mark.parametrize(("version", "shown"), [("4.37.2", "<<sp:x>>"), ("6.31.0", "&lt;&lt;sp:x&gt;&gt;")])
def test_a_toast_within_an_event(gradio: Any, monkeypatch: pytest.MonkeyPatch, version: str, shown: str) -> None:
    from gradio.context import LocalContext

    toasts: list[str] = []
    monkeypatch.setattr(gradio, "Warning", toasts.append)
    monkeypatch.setattr(gradio, "__version__", version)
    tokens = LocalContext.blocks.set(object()), LocalContext.event_id.set("1")
    panel.toast("<<sp:x>>")
    LocalContext.blocks.reset(tokens[0])
    LocalContext.event_id.reset(tokens[1])
    assert toasts == [shown]


def test_a_toast_never_raises(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "gradio", None)
    panel.toast("nobody can show this")
    assert "nobody can show this" in caplog.text


def test_assets() -> None:
    assert panel.js().isascii() or "“" in panel.js()
    assert "</script" not in panel.js() and "@container" not in panel.css()
    for rule in panel.css().split("}"):
        selector = rule.rpartition("{")[0].rpartition("*/")[2].strip()
        assert (
            not selector
            or selector.startswith("@media")
            or all(
                any(ours in each for ours in ("#soft-prompts", "#sp-", ".sp-"))
                for each in selector.rpartition("{")[2].split(",")
            )
        ), f"it would reach out of the panel: {selector}"


def test_no_selector_has_a_comma_within_brackets() -> None:
    """gradio 4 prefixes a host's styles by cutting selectors at their commas: half of one hides what it should not."""
    from soft_prompts.trainer.runs import runs_of
    from soft_prompts.trainer.tab import TrainSection

    whole = re.sub(r"/\*.*?\*/", "", panel.css([TrainSection(runs_of)]), flags=re.S)
    selectors = [each.strip() for each in re.findall(r"([^{}]+)\{", whole)]
    assert len(selectors) > 100
    assert [each for each in selectors if not each.startswith("@") and re.search(r"\([^()]*,", each)] == []


def test_no_section_takes_a_word_of_another_in_the_page() -> None:
    """All of them hang what they offer on window.softPrompts, where the last one would win without a sound."""
    from soft_prompts.trainer.runs import runs_of
    from soft_prompts.trainer.tab import TrainSection

    scripts = re.sub(r"(?m)^ *//.*$", "", panel.js([TrainSection(runs_of)]))
    hung = re.findall(r"(?:own|window\.softPrompts)\.(\w+) = ", scripts)
    for given in re.findall(r"(?s)Object\.assign\(window\.softPrompts, \{\n(.*?)\n  \}\);", scripts):
        hung += re.findall(r"(?m)^    (\w+)(?:,|:)", given)
    hung += re.search(r"window\.softPrompts = \{ (.*) \};", scripts)[1].split(", ")  # type: ignore[index]
    assert len(hung) > 20 and sorted(hung) == sorted(set(hung))
