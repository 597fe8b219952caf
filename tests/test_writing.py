"""What a page is told of the library while its writer writes, without a browser."""

from __future__ import annotations

import json
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts.hosts.protocol import Health, Room, Row
from soft_prompts.panel import writing
from soft_prompts.panel.writing import Feed
from soft_prompts.tags import name_problem


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = _load("panel_host")


@pytest.fixture
def host() -> Any:
    return fake.MemoryHost()


def told(host: Any) -> dict[str, Any]:
    news = Feed(host).news("")
    assert news
    return dict(json.loads(news[1]))


def names(host: Any) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in told(host)["names"]}


def test_a_page_is_told_once(host: Any) -> None:
    feed = Feed(host)
    news = feed.news("")
    assert news
    host.asked.clear()
    assert feed.news(news[0]) is None and not host.asked, "nothing is listed to find out that nothing changed"
    host.changes += 1
    assert feed.news(news[0]) is None, "of a request that changed no name nothing is said"
    host.put(Row("late", "late.txt", 3, "text"))
    later = feed.news(news[0])
    assert later and later[0] != news[0] and "late" in later[1]
    assert feed.news("") == later, "another page is told all of it"


def test_every_name_that_can_be_a_tag_with_what_it_costs(host: Any) -> None:
    known = names(host)
    assert not [name for name in known if name_problem(name)]
    assert known["noir"] == {
        "name": "noir", "tokens": 20, "usable": True, "waits": False, "reason": "",
        "description": "Rain, neon, and nobody tells the truth. Trained on 1940s pulp.",
    }  # fmt: skip
    assert not known["tiny"]["usable"] and known["tiny"]["reason"] == "64 wide, and this model has 4,096."
    assert known["broken"]["reason"], "one that cannot be read says why"


def test_of_two_files_the_one_that_is_used(host: Any) -> None:
    host.put(Row("noir", "noir@other.safetensors", 9, "shadowed", "noir.safetensors is used"))
    host.put(Row("emma", "emma.txt", 5, "text"))
    assert names(host)["noir"]["tokens"] == 20 and names(host)["emma"]["tokens"] == 5


def test_what_has_no_room_says_so(host: Any) -> None:
    host.space = Room(40, 20)
    assert told(host)["context"] == 40 and told(host)["reply"] == 20
    assert "needs 20 tokens" in names(host)["noir"]["reason"] and not names(host)["noir"]["usable"]
    assert names(host)["people/emma"]["usable"]


def test_without_a_model_a_name_waits(host: Any) -> None:
    host.put(Row("later", "later.safetensors", 7, "no model"))
    host.state = Health("waiting", "No model is loaded.")
    assert names(host)["later"]["waits"] and names(host)["later"]["reason"] == "no model loaded"
    assert told(host)["line"] == "No model is loaded."


def test_what_steers_is_shown_and_not_obeyed(host: Any) -> None:
    host.put(Row("evil", "evil.txt", 3, "text", "", "left\u202eright\udcff"))
    assert names(host)["evil"]["description"] == "left\\u202eright\\udcff"


def test_a_page_whose_host_fails_keeps_what_it_knows(host: Any, caplog: pytest.LogCaptureFixture) -> None:
    host.rows = lambda: 1 / 0
    assert writing._asked(Feed(host), "", ()) is None
    assert "could not be told" in caplog.text


def test_every_script_and_the_look_are_there() -> None:
    assert all(f"own.{name}" in writing.js() for name in ("caret", "writing", "choosing", "costs", "chips"))
    assert ".sp-chip" in writing.css()
