"""The webui host's rooms that need no webui: budgets, shelters, settings, display, gates, the API's middleware."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soft_prompts.errors import InvalidTag, UnknownPrompt
from soft_prompts.hosts.budget import affordable, arrange, bos_of, spans_of
from soft_prompts.hosts.outcome import lookalikes, outcome
from soft_prompts.hosts.plain import plain, tags_of
from soft_prompts.hosts.protocol import Pin, Row, Use
from soft_prompts.hosts.settings import Settings, scopes_of
from soft_prompts.hosts.webui.api import HEADER, Middleware
from soft_prompts.hosts.webui.contract import commit, problems
from soft_prompts.hosts.webui.display import readable
from soft_prompts.hosts.webui.following import Following
from soft_prompts.hosts.webui.refused import Refused
from soft_prompts.hosts.webui.shelter import Shelter
from soft_prompts.hosts.webui.written import Written
from soft_prompts.hosts.wrapped import Wrapped
from soft_prompts.slots import Slot, Slots
from soft_prompts.tags import Tag, parse

# ---- budgets


def slots_of(*sizes: int) -> tuple[Slots, list[Slot]]:
    slots = Slots(2)
    made = [slots.place(np.zeros((size, 2), np.float32), Tag(f"t{place}"), place) for place, size in enumerate(sizes)]
    return slots, made


@given(st.lists(st.integers(-3, 4), max_size=14), st.integers(0, 2), st.integers(0, 30), st.integers(0, 6))
def test_no_half_tag_and_nothing_above_the_limit(text: list[int], bos: int, limit: int, pins: int) -> None:
    slots, made = slots_of(1, 3, 5)
    pin = list(slots.place(np.zeros((pins, 2), np.float32), Tag("pin"), "pin").ids) if pins else []
    ids = [1] * bos
    for each in text:
        ids += list(made[-each - 1].ids) if each < 0 else [each + 10]
    spans, orphans = spans_of(ids, slots.slot)
    assert not orphans
    out = arrange(ids, bos, spans, pin, limit)
    assert len(out) <= limit
    if limit >= bos + pins:
        assert out[: bos + pins] == [1] * bos + pin
        rest = out[bos + pins :]
        assert rest == ids[len(ids) - len(rest) :], "the end of the text, as it stands"
        assert spans_of(out, slots.slot)[1] == []
        if len(ids) + pins <= limit:
            assert out == [1] * bos + pin + ids[bos:]


def test_half_a_tag_is_seen() -> None:
    slots, (one, three, five) = slots_of(1, 3, 5)
    ids = [*list(three.ids)[1:], 7, *five.ids, *one.ids, *one.ids, *list(five.ids)[:4], 8]
    spans, orphans = spans_of(ids, slots.slot)
    assert spans == [(3, 8), (8, 9), (9, 10)]
    assert orphans == [0, 1, 10, 11, 12, 13]


def test_doubled_tags_are_two() -> None:
    slots, (three,) = slots_of(3)
    assert spans_of([*three.ids, *three.ids], slots.slot) == ([(0, 3), (3, 6)], [])


def test_leading_bos_and_affordable_pins() -> None:
    assert [bos_of([1, 1, 5, 1], 1), bos_of([5], 1), bos_of([], 1), bos_of([1], None)] == [2, 0, 0, 0]
    assert affordable(5, 10) and not affordable(6, 10)


# ---- shelters

NAMES = st.text("ab_é /-", min_size=1, max_size=5)
TEXTS = st.lists(st.one_of(st.text("<>sp:\\ab\ue000\n", max_size=6), NAMES.map("<<sp:{}>>".format)), max_size=8).map(
    "".join
)


@given(TEXTS)
def test_a_shelter_gives_back_what_it_took(text: str) -> None:
    shelter = Shelter([text])
    hidden = shelter.hide(text)
    assert shelter.show(hidden) == text
    assert bool(shelter) == (hidden != text)


@given(TEXTS, st.integers(0, 60))
def test_no_cut_of_a_sheltered_text_splits_a_tag(text: str, cut: int) -> None:
    shelter = Shelter([text])
    hidden = shelter.hide(text)
    shown = shelter.show(hidden[:cut])
    assert text.startswith(shown)
    tags = [piece for piece in parse(text) if isinstance(piece, Tag)]
    kept = [piece for piece in parse(shown) if isinstance(piece, Tag)]
    assert kept == tags[: len(kept)]


def test_a_shelter_disturbs_nothing_around_it() -> None:
    around = "an icon \ue000 and \ue001"
    shelter = Shelter(["<<sp:a>>", around])
    hidden = shelter.hide("<<sp:a>>")
    assert shelter.show(around + hidden) == around + "<<sp:a>>"
    assert shelter.show(json.dumps({"x": hidden})) == json.dumps({"x": "<<sp:a>>"})


def test_a_shelter_that_is_full_leaves_tags_alone() -> None:
    text = "".join(map(chr, range(0xE000, 0xF900))) + "<<sp:a>>"
    assert Shelter([text]).hide(text) == text


# ---- display


def test_readable() -> None:
    assert readable("a <b>bold</b> <<sp:my_x>> \\<<sp:y>>") == (
        "a <b>bold</b> &lt;&lt;sp:my&#95;x&gt;&gt; \\&lt;&lt;sp:y&gt;&gt;"
    )
    assert readable("<< sp:x >>") == "<< sp:x >>"


# ---- settings


def test_settings_survive(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "soft_prompts" / "settings.json")
    settings.pin("everywhere", Pin("noir"))
    settings.pin("character:Emma", Pin("emma", 0.701))
    settings.pin("everywhere", Pin("sea", -1))
    settings.pin("everywhere", Pin("noir", 0.5))
    settings.switch(False)
    again = Settings(settings.path).choices
    assert again.pins == {"everywhere": (Pin("noir", 0.5), Pin("sea", -1.0)), "character:Emma": (Pin("emma", 0.7),)}
    assert not again.on
    settings.unpin("character:Emma", "emma")
    settings.unpin("character:Emma", "nobody")
    assert "character:Emma" not in Settings(settings.path).choices.pins
    with pytest.raises(InvalidTag, match="between -4 and 4"):
        settings.pin("everywhere", Pin("noir", 5))


def test_what_is_learnt_on_is_kept_for_each_file(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.json")
    settings.learn_on("emma.gguf", "a/b")
    settings.learn_on("sea.gguf", "/models/sea")
    settings.learn_on("emma.gguf", "")
    settings.pin("everywhere", Pin("noir"))
    assert Settings(settings.path).choices.originals == {"sea.gguf": "/models/sea"}
    settings.path.write_text('{"originals": {"a": "--trust-remote-code", "b": 7, "c": "x/y"}}', "utf-8")
    assert settings.choices.originals == {"c": "x/y"}, "no option of a command comes out of a file"


def test_the_closest_pin_counts(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "settings.json")
    settings.pin("everywhere", Pin("noir"))
    settings.pin("everywhere", Pin("sea"))
    settings.pin("character:Emma", Pin("noir", 0.5))
    assert settings.pins(scopes_of("Emma", "")) == [Pin("sea"), Pin("noir", 0.5)]
    assert settings.pins(scopes_of("Tom", "x")) == [Pin("noir"), Pin("sea")]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"version": 2}',
        '{"version": 1, "pins": {"everywhere": [{"name": 3, "strength": "x"}]}}',
        "[" * 9999,
    ],
)
def test_settings_that_cannot_be_read_are_set_aside(tmp_path: Path, content: str) -> None:
    path = tmp_path / "settings.json"
    path.write_text(content, "utf-8")
    settings = Settings(path)
    assert settings.choices.pins == {} and settings.choices.on
    assert "cannot be understood" in settings.problem
    assert path.read_text("utf-8") == content, "an editor may be about to write the rest"
    (tmp_path / "settings.json.unreadable1").write_text("an older one", "utf-8")
    settings.pin("everywhere", Pin("noir"))
    assert Settings(path).choices.pins == {"everywhere": (Pin("noir"),)}
    assert (tmp_path / "settings.json.unreadable2").read_text("utf-8") == content
    assert settings.problem == "" and settings.choices.pins


def test_settings_that_cannot_be_opened_now_stay_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(path)
    settings.pin("everywhere", Pin("noir"))
    path.write_text('{"pins": {"everywhere": [{"name": "sea"}]}}', "utf-8")

    def locked(*args: Any) -> str:
        raise PermissionError(13, "another program holds it")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", locked)
        assert settings.choices.pins == {"everywhere": (Pin("noir"),)}
    assert settings.choices.pins == {"everywhere": (Pin("sea"),)}, "and a version need not be written by hand"


def test_settings_changed_by_hand_count(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    settings = Settings(path)
    settings.pin("everywhere", Pin("noir"))
    pins = [{"name": "sea"}, {"name": "../x"}, {"name": "far", "strength": 77}]
    path.write_text(json.dumps({"version": 1, "pins": {"everywhere": pins}}), "utf-8")
    assert settings.choices.pins == {"everywhere": (Pin("sea"),)}, "what no tag can write is passed over"
    path.unlink()
    assert settings.choices.pins == {}


# ---- following


def test_following_sees_and_lets_go() -> None:
    shared = ModuleType("shared")
    shared.model = shared.other = None  # type: ignore[attr-defined]
    seen: list[str] = []
    following = Following(shared, seen.append)
    following.start()
    shared.model = shared.other = 1  # type: ignore[attr-defined]
    assert seen == ["model"] and shared.model == 1  # type: ignore[attr-defined]
    following.stop()
    shared.model = 2  # type: ignore[attr-defined]
    assert seen == ["model"] and type(shared) is ModuleType
    following.start()
    shared.tokenizer = 3  # type: ignore[attr-defined]
    assert seen == ["model", "tokenizer"]
    following.stop()


def test_following_never_disturbs_the_webui(caplog: pytest.LogCaptureFixture) -> None:
    shared = ModuleType("shared")

    def fails(name: str) -> None:
        raise RuntimeError("no")

    Following(shared, fails).start()
    shared.model = 1  # type: ignore[attr-defined]
    assert shared.model == 1  # type: ignore[attr-defined]
    assert "could not follow" in caplog.text


def test_two_followers_let_go_in_any_order() -> None:
    shared = ModuleType("shared")
    seen: list[str] = []
    first, second = Following(shared, seen.append), Following(shared, seen.append)
    first.start()
    second.start()
    first.stop()
    shared.model = 1  # type: ignore[attr-defined]
    assert seen == ["model"]
    second.stop()
    shared.model = 2  # type: ignore[attr-defined]
    assert seen == ["model"]


# ---- wrapping


class Machine:
    def run(self, word: str) -> str:
        return word


def test_a_wrapper_around_a_wrapper() -> None:
    machine = Machine()
    inner = Wrapped(machine, "run", lambda call, word: f"in({call(word)})").install()
    outer = Wrapped(machine, "run", lambda call, word: f"out({call(word)})").install()
    assert machine.run("x") == "out(in(x))"
    copied = copy.deepcopy(machine)
    assert copied.run("x") == "out(in(x))"
    outer.restore()
    assert machine.run("x") == "in(x)" and not outer.live and inner.live
    inner.restore()
    assert machine.run("x") == "x" and vars(machine) == {}
    assert copied.run("x") == "out(in(x))", "the copy is another's"


def test_an_inner_wrapper_that_goes_first_falls_silent() -> None:
    machine = Machine()
    inner = Wrapped(machine, "run", lambda call, word: f"in({call(word)})").install()
    outer = Wrapped(machine, "run", lambda call, word: f"out({call(word)})").install()
    inner.restore()
    assert machine.run("x") == "out(x)"
    outer.restore()
    assert machine.run("x") == "x"


def test_what_has_no_signature_can_be_wrapped() -> None:
    owner = SimpleNamespace(call=dict.fromkeys)
    Wrapped(owner, "call", lambda call, *args: call(*args)).install()
    assert owner.call("a", 1) == {"a": 1}


# ---- what cannot be served


def test_plain() -> None:
    assert plain("a<<sp:x>>b\\<<sp:y>>") == "ab<<sp:y>>"
    assert plain(["<<sp:x>>"]) == ["<<sp:x>>"] and plain(None) is None
    assert tags_of("<<sp:x>> <<sp:x>> <<sp:y:0.5>>") == [Tag("x"), Tag("y", 0.5)]


def test_a_refused_loader_reads_no_tag() -> None:
    read: list[str] = []

    class Loader:
        def encode(self, text: str) -> str:
            read.append(text)
            return text

        generate = encode

    loader, dropped = Loader(), []
    gate = Refused(loader, loader, dropped.extend, own_loader=True)
    loader.encode("a<<sp:x>>")
    assert dropped == [], "counting is no request"
    loader.generate("b<<sp:x>>")
    assert read == ["a", "b"] and dropped == [Tag("x")]
    gate.close()
    assert vars(loader) == {}


# ---- outcomes


def test_outcome_counts_what_reached_the_model() -> None:
    _, (sea, noir) = slots_of(2, 5)
    places = {"sea": sea, "noir": noir}

    def place(tag: Tag) -> Slot:
        if tag.name not in places:
            raise UnknownPrompt(f"no soft prompt '{tag.name}'")
        return places[tag.name]

    uses = outcome("<<sp:sea>> <<sp:sea>> <<sp:gone>> <<sp:noir>>", [sea], place, [Use("<<sp:p>>", 3, 1, True)])
    assert uses[0].pinned
    assert [(use.tag, use.tokens, use.times) for use in uses[1:]] == [
        ("<<sp:sea>>", 2, 2),
        ("<<sp:gone>>", 0, 1),
        ("<<sp:noir>>", 0, 1),
    ]
    assert uses[1].problem.startswith("1 of 2 were cut off")
    assert uses[2].problem == "no soft prompt 'gone'"
    assert uses[3].problem.startswith("it was cut off")


def test_outcome_of_a_prompt_that_was_replaced_meanwhile() -> None:
    _, (old, new) = slots_of(2, 5)
    old.tag = Tag("sea")
    assert outcome("<<sp:sea>>", [old], lambda tag: new) == (Use("<<sp:sea>>", 2),)


def test_outcome_of_two_names_with_one_content() -> None:
    _, (sea,) = slots_of(2)
    uses = outcome("<<sp:sea>> <<sp:ocean>> <<sp:sea>>", [sea, sea, sea], lambda tag: sea)
    assert [(use.tokens, use.problem) for use in uses] == [(4, ""), (2, "")]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("<<sp: noir>>", "<<sp:noir>>"),
        ("<< SP:noir >>", "<<sp:noir>>"),
        ("<<sp:noir:0,5>>", "<<sp:noir:0.5>>"),
        ("<<sp:my*bad?>>", "<<sp:my-bad>>"),
        ("<<sp:noir:strong>>", "<<sp:noir>>"),
    ],
)
def test_what_is_nearly_a_tag(typed: str, meant: str) -> None:
    (use,) = lookalikes(f"<<sp:noir>> {typed} x {typed} \\<<sp:noir>>")
    assert (use.tag, use.times) == (typed, 2)
    assert use.problem == f"it was read as text; a tag is written {meant}"


def test_what_is_no_tag_at_all() -> None:
    for text in ("cout << sp << x >> y", "<<sp:noir>>", "\\<<sp:noir>>", "<<sp:", "a << b", "<<sp:>>"):
        assert lookalikes(text) == (), text


# ---- what the model writes itself


def test_what_the_model_wrote_is_text() -> None:
    written = Written()
    reply = "She smiled, said <<sp:noir>> and \\<<sp:sea>>, and left the room for the night."
    written.remember(f" {reply}\n")
    written.remember("no tag here")
    story = f"<<sp:noir>> Once. {reply} More <<sp:noir>>."
    assert [piece for piece in parse(written.as_text(story)) if isinstance(piece, Tag)] == [Tag("noir")] * 2
    assert "".join(map(str, parse(written.as_text(reply)))) == reply, "as the very words that it is"
    edited = story.replace("smiled", "laughed")
    assert written.as_text(edited) == edited
    written.remember("<<sp:sea>>")
    assert written.as_text("<<sp:sea>>") == "<<sp:sea>>", "what is so short may be the writer's"
    assert parse(written.as_text("<<sp:sea>>", 0)) == ["<<sp:sea>>"]


def test_what_the_model_wrote_is_forgotten_in_the_end() -> None:
    written = Written()
    for number in range(300):
        written.remember(f"{number} {'x' * 40} <<sp:a>>")
    assert len(written._replies) == 200


# ---- the contract


def test_commit(tmp_path: Path) -> None:
    assert commit(tmp_path) == ""
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text("a" * 40 + "\n")
    assert commit(tmp_path) == "a" * 40
    (tmp_path / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (tmp_path / ".git" / "packed-refs").write_text(f"# pack\n{'b' * 40} refs/heads/main\n")
    assert commit(tmp_path) == "b" * 40
    (tmp_path / ".git" / "refs" / "heads").mkdir(parents=True)
    (tmp_path / ".git" / "refs" / "heads" / "main").write_text("c" * 40 + "\n")
    assert commit(tmp_path) == "c" * 40


def test_problems_name_what_another_webui_lacks() -> None:
    table: Any = {"json": {"loads": ("s",), "dumps": ("nothing",), "gone": None}, "no.such": {"x": None}}
    assert problems(table) == {
        "dumps": "json.dumps takes no nothing",
        "gone": "json.gone is missing",
        "x": "no.such is missing",
    }


# ---- the API


class Host:
    def __init__(self, strict: bool = False, key: str | None = None) -> None:
        self.started = True
        self.shared = SimpleNamespace(args=SimpleNamespace(api_key=key))
        self.settings = SimpleNamespace(choices=SimpleNamespace(strict=strict))
        self.current = SimpleNamespace(answers=None)
        self.written = Written()

    def check(self, tag: Tag) -> str:
        return "" if tag.name == "noir" else f"no soft prompt '{tag.name}'"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(
    host: Host, body: bytes, path: str = "/v1/completions", headers: Any = (), pieces: int = 3
) -> tuple[int, dict[str, str], bytes]:
    size = len(body) // pieces + 1
    parts = [body[start : start + size] for start in range(0, max(len(body), 1), size)]
    messages = [
        {"type": "http.request", "body": part, "more_body": place < len(parts) - 1} for place, part in enumerate(parts)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
    asyncio.run(Middleware(echo, host)(scope, receive, send))
    answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], answered, sent[1]["body"]


def test_the_api_names_what_it_left_out() -> None:
    body = json.dumps(
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "<<sp:noirr>> <<sp:noir>>"}]}]}
    ).encode()
    status, headers, answered = ask(Host(), body)
    assert status == 200 and answered == body
    assert json.loads(headers[HEADER]) == [{"tag": "<<sp:noirr>>", "problem": "no soft prompt 'noirr'"}]
    assert headers["access-control-expose-headers"] == HEADER


@pytest.mark.parametrize("host", [Host(strict=True), Host()], ids=["by setting", "by header"])
def test_strict_refuses(host: Host) -> None:
    asked = [] if host.settings.choices.strict else [(b"x-soft-prompts", b"Strict")]
    status, _, answered = ask(host, b'{"prompt": "\\u003c\\u003csp:noirr>> x"}', headers=asked)
    assert status == 400
    assert json.loads(answered)["error"]["message"] == "<<sp:noirr>>: no soft prompt 'noirr'"
    assert ask(host, b'{"prompt": "<<sp:noir>> x"}', headers=asked)[0] == 200


def test_what_is_nearly_a_tag_is_told_and_never_refused() -> None:
    body = b'{"prompt": "<< sp:noir>> and <<SP:noir:0,5>> and <<sp:noir>>, but 1 << sp: 2"}'
    status, headers, _ = ask(Host(strict=True), body)
    assert status == 200
    told = {each["tag"]: each["problem"] for each in json.loads(headers[HEADER])}
    assert list(told) == ["<< sp:noir>>", "<<SP:noir:0,5>>"]
    assert told["<<SP:noir:0,5>>"].endswith("<<sp:noir:0.5>>")


def test_the_api_leaves_the_rest_alone() -> None:
    for body in (b"", b"{", b"<<sp:x>>", b'{"prompt": "plain"}', json.dumps({"prompt": "<<sp:noir>>"}).encode()):
        status, headers, answered = ask(Host(strict=True), body)
        assert (status, headers, answered) == (200, {}, body)
    unresolved = b'{"prompt": "<<sp:noirr>>"}'
    assert ask(Host(), unresolved, path="/v1/models")[1] == {}


def test_without_the_key_nothing_is_told() -> None:
    body = b'{"prompt": "<<sp:noirr>>"}'
    assert ask(Host(key="secret", strict=True), body) == (200, {}, body)
    assert HEADER in ask(Host(key="secret"), body, headers=[(b"authorization", b"Bearer secret")])[1]
    key, other = (b"x-api-key", b"secret"), (b"x-api-key", b"other")
    assert HEADER in ask(Host(key="secret"), body, path="/v1/messages", headers=[key])[1]
    assert HEADER not in ask(Host(key="secret"), body, headers=[key])[1], "that route takes another header"
    assert HEADER in ask(Host(key="secret"), body, headers=[other, (b"authorization", b"Bearer secret")])[1]


def test_hostile_bodies_pass_by() -> None:
    deep = b'{"a": ' + b"[" * 100_000 + b'"<<sp:x>>"'
    assert ask(Host(strict=True), deep)[0] == 200
    chance = random.Random(1)
    for alphabet in ("n", "\u0436", "\U00020000"):
        names = (alphabet * 9 + str(chance.randrange(10**6)) for _ in range(500))
        many = json.dumps({"prompt": " ".join(f"<<sp:{name}>>" for name in names)}).encode()
        _, headers, _ = ask(Host(), many)
        listed = json.loads(headers[HEADER])
        assert len(headers[HEADER]) < 4000, "clients give up on more"
        assert len(listed) > 5 and listed[-1] == {"more": 200 - len(listed) + 1}


def test_a_fault_of_ours_lets_the_request_pass() -> None:
    class Broken(Host):
        def check(self, tag: Tag) -> str:
            raise RuntimeError("no")

    assert ask(Broken(strict=True), b'{"prompt": "<<sp:x>>"}')[0] == 200


def test_the_form_of_a_refusal_is_that_of_the_api() -> None:
    body = b'{"messages": [{"role": "user", "content": "<<sp:x>>"}]}'
    assert json.loads(ask(Host(strict=True), body, path="/v1/messages")[2])["type"] == "error"
    assert json.loads(ask(Host(strict=True), body)[2])["error"]["code"] == "unresolved_soft_prompt"


def test_a_row_knows_its_tag() -> None:
    row = Row("people/emma", "people/emma.txt", 3, "text")
    assert row.tag == "<<sp:people/emma>>" and row.usable
