"""One name more or less in settings.yaml, and not another byte: the webui's own YAML reader is the judge."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_prompts.hosts.webui import deploy
from soft_prompts.hosts.webui.deploy import enabling

from .webui_machine import Machine, lay, tree

NAME = "soft_prompts"
LONG = "mode: chat\ncontext: 'first\n\n  default_extensions: [no]\n  - no'\n"
UNDERSTOOD = {
    "empty": "",
    "a comment only": "# mine\n",
    "no such key": "mode: chat # mine\n\nseed: -1\n",
    "no end of line": "mode: chat",
    "inside a text": LONG,
    "inside a block": "context: |\n  default_extensions:\n  - no\nseed: 1\n",
    "as the webui writes it": "mode: chat\ndefault_extensions:\n- gallery\n- ngrok\nseed: 1\n",
    "last": "mode: chat\ndefault_extensions:\n- gallery",
    "indented": "default_extensions: # these\n\n  - gallery   # nice\n  # - ngrok\n\n\nseed: 1\n",
    "quoted": '"default_extensions":\n- \'gallery\'\n- "a b"\n',
    "no list": "default_extensions: []\nseed: 1\n",
    "no list, with a comment": "seed: 1\ndefault_extensions: [ ]  # none",
    "in brackets": "default_extensions: [gallery, 'ng rok']\n",
    "in brackets, over lines": "default_extensions: [\n  gallery,\n  ngrok,\n]\nseed: 1\n",
    "Windows": "mode: chat\r\ndefault_extensions:\r\n- gallery\r\nseed: 1\r\n",
    "Windows, no such key": "mode: chat\r\n",
    "with a start": "---\nmode: chat\n",
    "twice": "default_extensions: [a]\nseed: 1\ndefault_extensions:\n- b\n",
    "other alphabets": "name1: Ödön\ncontext: 夜\n",
}
LEFT_ALONE = {
    "all in braces": "{mode: chat, default_extensions: [gallery]}\n",
    "no value": "default_extensions: ~\n",
    "an anchor": "default_extensions: &x\n- gallery\n",
    "a reference": "default_extensions: *x\n",
    "nested": "default_extensions:\n- [gallery]\n",
    "a list in a list": "default_extensions:\n- - gallery\n",
    "closed": "mode: chat\n...\n",
    "two documents": "mode: chat\n---\nmode: chat\n",
    "a comment in brackets": "default_extensions: [a, # first\n b]\n",
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


@pytest.fixture(params=[[], ["gallery"]], ids=["nothing by default", "gallery by default"])
def default(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_one_name_more_and_one_less(text: str, default: list[str]) -> None:
    before, key = yaml.safe_load(text) or {}, "default_extensions"
    listed = before.get(key, default)
    new = enabling.with_item(text, NAME, default)
    assert yaml.safe_load(new) == {**before, key: [*listed, NAME]}
    assert enabling.names_in(new) == [*listed, NAME]
    if "[" not in text:
        assert set(lines(text)) <= set(lines(new)), "a comment went"
        assert ("\r\n" in text) == ("\r\n" in new) and new.count("\r") in (0, new.count("\n"))
    enabling.check(Path(sys.executable), text, new, listed, [*listed, NAME])
    for dumped in (new, yaml.dump(yaml.safe_load(new), sort_keys=False)):
        old = enabling.without_item(dumped, NAME, drop_key=key not in before)
        assert {key: default, **(yaml.safe_load(old) or {})} == {**before, key: listed}
        assert enabling.without_item(old, NAME, True) == old


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_not_understood_is_left_alone(machine: Machine, text: str, capsys: Any) -> None:
    machine.settings(text)
    machine.run(code=1)
    said = capsys.readouterr().out
    assert machine.settings() == text
    assert "BY HAND" in said and "tick soft_prompts in the webui's Session tab" in said
    assert (machine.target / "script.py").is_file(), "the rest is done"
    machine.run("--uninstall")
    assert machine.settings() == text


def test_the_webuis_reader_has_the_last_word(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.settings("mode: chat\n")
    monkeypatch.setattr(enabling, "with_item", lambda *_: "mode: instruct\ndefault_extensions: [soft_prompts]\n")
    machine.run(code=1)
    assert machine.settings() == "mode: chat\n"
    machine.yaml = False
    machine.run()
    assert "instruct" in machine.settings(), "without that reader there is nobody to ask"


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD)
@pytest.mark.parametrize("saved", ["not saved", "saved", "saved without"])
def test_uninstalling_gives_the_file_back(machine: Machine, text: str, saved: str) -> None:
    machine.settings(text)
    before = tree(machine.webui)
    machine.run()
    assert machine.user_data.joinpath("settings.yaml.before-soft-prompts").read_bytes() == text.encode()
    machine.run()
    now = yaml.safe_load(machine.settings())
    if saved == "not saved":
        machine.run("--uninstall")
        assert tree(machine.webui) == before
        return
    if saved == "saved without":
        now["default_extensions"].remove(NAME)
    machine.settings(yaml.dump({**now, "mode": "notebook"}, sort_keys=False))
    machine.run("--uninstall")
    after = yaml.safe_load(machine.settings())
    assert after.pop("default_extensions", []) == (yaml.safe_load(text) or {}).get("default_extensions", [])
    assert after["mode"] == "notebook"
    assert tree(machine.webui).keys() == before.keys()


def test_a_file_that_was_not_there_goes_unless_it_holds_more(machine: Machine) -> None:
    before = tree(machine.webui)
    machine.run()
    machine.settings("default_extensions:\n- soft_prompts\nmode: chat\n")
    machine.run("--uninstall")
    assert machine.settings() == "mode: chat\n"
    (machine.user_data / "settings.yaml").unlink()
    machine.run()
    machine.settings("")
    machine.run()
    machine.run("--uninstall")
    assert machine.settings() == ""
    (machine.user_data / "settings.yaml").unlink()
    assert tree(machine.webui) == before


def test_what_is_enabled_already_is_not_ours(machine: Machine) -> None:
    machine.settings("default_extensions: [soft_prompts]\n")
    machine.run()
    machine.run("--uninstall")
    assert machine.settings() == "default_extensions: [soft_prompts]\n"
    (machine.user_data / "settings.yaml").unlink()
    lay(machine.user_data, {"CMD_FLAGS.txt": "--extensions gallery soft_prompts --api\n"})
    machine.run()
    assert not (machine.user_data / "settings.yaml").exists()


def test_another_file_of_settings(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    lay(machine.user_data, {"CMD_FLAGS.txt": "--settings user_data/mine.yaml\n", "mine.yaml": "mode: chat\n"})
    before = tree(machine.webui)
    machine.run()
    assert NAME in (machine.user_data / "mine.yaml").read_text()
    machine.run("--uninstall")
    assert tree(machine.webui) == before
    lay(tmp_path, {"far.yaml": "mode: chat\n"})
    lay(machine.user_data, {"CMD_FLAGS.txt": f"--settings '{tmp_path / 'far.yaml'}'\n"})
    machine.run(code=1)
    assert "CMD_FLAGS.txt says --settings" in capsys.readouterr().out
    assert (tmp_path / "far.yaml").read_text() == "mode: chat\n"


def test_another_user_data(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    flags = {"CMD_FLAGS.txt": "--extensions soft_prompts\n", "extensions/x": ""}
    other = lay(tmp_path / "other", flags)
    before = tree(machine.webui)
    machine.run("--user-data-dir", str(other))
    assert "by --extensions in CMD_FLAGS.txt" in capsys.readouterr().out, "the webui reads that one, too"
    lay(other, {"CMD_FLAGS.txt": ""})
    machine.run("--user-data-dir", str(other))
    assert f"--uninstall --user-data-dir {other}\n" in capsys.readouterr().out
    assert NAME in (other / "settings.yaml").read_text()
    machine.run("--uninstall", "--user-data-dir", str(other))
    assert {name: text.encode() for name, text in flags.items()} | {"CMD_FLAGS.txt": b"", "extensions": None} == tree(
        other
    )
    assert tree(machine.webui) == before


def test_from_a_clone_to_a_copy(machine: Machine) -> None:
    clone = lay(machine.user_data / "extensions" / "mine", {"x": ""})
    (clone / "x").unlink()
    clone.rmdir()
    machine.checkout.rename(clone)
    assert deploy.main([], clone) == 0
    clone.rename(machine.checkout)
    machine.run()
    assert enabling.names_in(machine.settings()) == [NAME]


def test_a_list_by_default_is_not_lost(machine: Machine) -> None:
    lay(machine.webui, {"modules/shared.py": "settings = {\n    'default_extensions': ['gallery', \"x\"],\n}\n"})
    machine.run()
    assert enabling.names_in(machine.settings()) == ["gallery", "x", NAME]
    machine.run("--uninstall")
    assert not (machine.user_data / "settings.yaml").exists()
