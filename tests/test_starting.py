"""One flag in the settings of the model that the webui starts with, and not another byte; and all of it back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from soft_prompts.hosts.webui import deploy
from soft_prompts.hosts.webui.deploy import files, flagging, starting

from .webui_machine import Machine, lay, tree

NAME, KEY = "Tale-8B.Q4_K_M.gguf", "Tale-8B.Q4_K_M.gguf$"
FLAG = f"--lora user_data/soft_prompts/.llamacpp/start/{NAME}"
CONFIG = "user_data/models/config-user.yaml"
# In the place of the package, which the webui's Python is asked to make the file with.
PACKAGE = {
    "extensions/soft_prompts/errors.py": "class SoftPromptError(Exception): ...\n",
    "extensions/soft_prompts/hosts/__init__.py": "",
    "extensions/soft_prompts/hosts/webui/__init__.py": "",
    "extensions/soft_prompts/hosts/webui/llama_kept.py": """
from pathlib import Path
from ...errors import SoftPromptError
def prepare(model, folder):
    if Path(model).read_text() != "GGUF":
        raise SoftPromptError("this is no model")
    path = Path(folder, ".llamacpp", "start", Path(model).name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("sidecar")
    path.with_name(path.name + ".json").write_text("{}")
    return "--lora", str(path)
""",
}
UNDERSTOOD = {
    "empty": "",
    "a comment only": "# mine\n",
    "another model": "Other.gguf$:\n  loader: llama.cpp\n  extra_flags: --jinja\n",
    "no end of line": "Other.gguf$:\n  ctx_size: 4096",
    "as the webui saves it": f"{KEY}:\n  loader: llama.cpp\n  extra_flags: ''\n  mmproj: None\n  ik: false\nB$: {{}}\n",
    "saved without flags": f"B$:\n  a: 1\n{KEY}:\n  extra_flags: null\n  loader: llama.cpp",
    "no flags yet": f"{KEY}: # best\n\n    # a comment\n    loader: llama.cpp\n\n\n# the end\nB$:\n  extra_flags: -v\n",
    "last, without an end": f"'{KEY}':\n  loader: llama.cpp",
    "quoted": f'"{KEY}":\n  "loader": llama.cpp\n',
    "Windows": f"{KEY}:\r\n  loader: llama.cpp\r\n  extra_flags: ''\r\nB$:\r\n  a: 1\r\n",
    "twice": f"{KEY}:\n  a: 1\n{KEY}:\n  b: 1\n",
    "a pattern for many": ".*gguf:\n  ctx_size: 4096\n",
}
OWN = {
    "flags of one's own": f"{KEY}:\n  extra_flags: --jinja\n",
    "flags for many": ".*gguf:\n  extra_flags: --jinja\n",
    "a projector": f"{KEY}:\n  mmproj: eyes.gguf\n",
    "another loader": f"{KEY}:\n  loader: Transformers\n",
    "ik": f"{KEY}:\n  ik: true\n",
}
LEFT_ALONE = {
    "flags for many, behind": f"{KEY}:\n  a: 1\n.*gguf:\n  extra_flags: ''\n",
    "in braces": f"{KEY}: {{loader: llama.cpp}}\n",
    "all in braces": f'{{"{KEY}": {{"loader": "llama.cpp"}}}}\n',
    "nothing": "{}\n",
    "a reference": f"B$: &b\n  a: 1\n{KEY}: *b\n",
    "no mapping": "- a\n",
}


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path, monkeypatch)
    lay(made.checkout, PACKAGE)
    lay(made.user_data, {"CMD_FLAGS.txt": f"--api\n--model {NAME} # mine\n", f"models/{NAME}": "GGUF"})
    return made


def config(machine: Machine, text: str | None = None) -> Any:
    path = machine.webui / CONFIG
    if text is not None:
        path.write_bytes(text.encode())
    return path.read_bytes().decode() if path.exists() else None


def started(machine: Machine) -> dict[str, bytes | None]:
    return tree(machine.user_data / "soft_prompts")


def test_our_flag_is_known_in_every_dress() -> None:
    assert flagging.apart(FLAG) == ("", FLAG)
    assert flagging.apart(f"--jinja {FLAG} -v") == ("--jinja -v", FLAG)
    spaced = "--mmproj '/a home/user_data/soft_prompts/.llamacpp/start/my model.gguf'"
    assert flagging.apart(f"-v {spaced}") == ("-v", spaced)
    assert flagging.path_of(spaced) == "/a home/user_data/soft_prompts/.llamacpp/start/my model.gguf"
    assert flagging.flag_for("--mmproj", flagging.path_of(spaced)) == spaced
    windows = r"--lora C:\textgen\user_data\soft_prompts\.llamacpp\start\m.gguf"
    assert flagging.apart(windows) == ("", windows)
    for theirs in (None, "", "--lora mine.gguf", "--lora soft_prompts/.llamacpp/x.gguf", "lora=x", "--jinja  -v", 7):
        assert flagging.apart(theirs) == (theirs if isinstance(theirs, str) else "", "")
    for odd in ("a'b.gguf", "ä.gguf", 'a"b.gguf', "a\nb.gguf", "a\\b.gguf"):
        with pytest.raises(deploy.ByHand, match="letters"):
            flagging.flag_for("--lora", odd)


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_one_flag_more_and_one_less(text: str) -> None:
    before = yaml.safe_load(text) or {}
    new, was = flagging.with_flag(text, KEY, FLAG)
    entry = {**before.get(KEY, {}), "extra_flags": FLAG}
    assert yaml.safe_load(new) == {**before, KEY: entry} and flagging.value_of(new, KEY) == FLAG
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("extra_flags")]
    assert set(lines) <= set(map(str.strip, new.splitlines())), "a comment went"
    assert ("\r\n" in text) == ("\r\n" in new) and new.count("\r") in (0, new.count("\n"))
    assert (yaml.safe_load(flagging.without_flag(new, KEY, was)) or {}) == before
    # The webui writes all of it anew, and folds what is long.
    dumped = yaml.dump(yaml.safe_load(new), sort_keys=False)
    assert flagging.value_of(dumped, KEY) == FLAG
    assert (yaml.safe_load(flagging.without_flag(dumped, KEY, was)) or {}) == before
    assert flagging.without_flag(text, KEY, was) == text
    more = dumped.replace(FLAG.split()[0], f"--jinja {FLAG.split()[0]}")
    assert yaml.safe_load(flagging.without_flag(more, KEY, was))[KEY]["extra_flags"] == "--jinja"


@pytest.mark.parametrize("text", UNDERSTOOD.values(), ids=UNDERSTOOD)
@pytest.mark.parametrize("saved", ["not saved", "saved", "saved without"])
def test_uninstalling_gives_the_settings_back(machine: Machine, text: str, saved: str) -> None:
    if text:
        config(machine, text)
    before = tree(machine.webui)
    machine.run("--start-flag")
    assert yaml.safe_load(config(machine))[KEY]["extra_flags"] == FLAG
    assert set(started(machine)) >= {f".llamacpp/start/{NAME}", f".llamacpp/start/{NAME}.json"}
    once = tree(machine.webui)
    machine.run()
    assert tree(machine.webui) == once, "the same line again is an update with the same end"
    now = yaml.safe_load(config(machine))
    if saved != "not saved":
        now = {**now, "C$": {"a": 2}, KEY: {**now[KEY], "threads": 4}}
        if saved == "saved without":
            now[KEY]["extra_flags"] = "--jinja"
        config(machine, yaml.dump(now, sort_keys=False))
    machine.run("--uninstall")
    after = tree(machine.webui)
    if saved == "not saved":
        assert after == before
        return
    told = yaml.safe_load(config(machine))
    assert told.pop("C$") == {"a": 2} and told[KEY].pop("threads") == 4
    own = told[KEY].pop("extra_flags", None)
    was = (yaml.safe_load(text) or {}).get(KEY, {})
    assert own == ("--jinja" if saved == "saved without" else was.pop("extra_flags", None))
    was.pop("extra_flags", None)
    assert told[KEY] == was
    assert after.keys() - {CONFIG} == before.keys() - {CONFIG}


@pytest.mark.parametrize("text", OWN.values(), ids=OWN)
def test_what_is_ones_own_goes_first(machine: Machine, text: str, capsys: Any) -> None:
    config(machine, text)
    machine.run("--start-flag", code=1)
    said = capsys.readouterr().out
    assert config(machine) == text and started(machine) == {}
    assert "BY HAND" in said and f"No start flag was written for {NAME} in" in said and "as without it" in said
    assert "soft_prompts" in machine.settings(), "the rest is done"
    machine.run("--uninstall")
    assert config(machine) == text


@pytest.mark.parametrize("text", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_is_not_understood_is_left_alone(machine: Machine, text: str, capsys: Any) -> None:
    config(machine, text)
    before = tree(machine.webui)
    machine.run("--start-flag", code=1)
    assert config(machine) == text
    assert f'Add it there yourself, for "{KEY}": extra_flags: {FLAG}' in capsys.readouterr().out
    assert f".llamacpp/start/{NAME}" in started(machine), "the file that it will name"
    # Once it stands there, it is known, and nobody is asked.
    written = f'{{"{KEY}": {{"extra_flags": "{FLAG}"}}}}'
    config(machine, written)
    machine.run()
    assert "as you wrote it" in capsys.readouterr().out and f".llamacpp/start/{NAME}" in started(machine)
    machine.run("--no-start-flag", code=1)
    assert "take its extra_flags out yourself" in capsys.readouterr().out
    config(machine, text)
    machine.run("--uninstall")
    assert tree(machine.webui) == before


def test_without_the_webuis_reader_nothing_is_written(machine: Machine) -> None:
    machine.yaml = False
    machine.run("--start-flag", code=1)
    assert config(machine) is None


def test_the_file_is_there_before_the_flag(machine: Machine, capsys: Any) -> None:
    lay(machine.user_data, {f"models/{NAME}": "something else"})
    machine.run("--start-flag", code=1)
    assert "config-user.yaml: this is no model. The first tag starts" in capsys.readouterr().out
    assert config(machine) is None and started(machine) == {}


def test_the_same_line_again_with_flags_of_ones_own_beside(machine: Machine) -> None:
    machine.run("--start-flag")
    beside = f'{KEY}:\n  extra_flags: "--jinja {FLAG}"\n'
    config(machine, beside)
    for words in ((), ("--start-flag",)):
        machine.run(*words)
        assert config(machine) == beside and f".llamacpp/start/{NAME}" in started(machine)
    machine.run("--uninstall")
    assert yaml.safe_load(config(machine)) == {KEY: {"extra_flags": "--jinja"}} and started(machine) == {}


def test_a_model_of_the_other_kind_in_the_place_of_the_first(machine: Machine) -> None:
    before = tree(machine.webui)
    machine.run("--start-flag")
    package = machine.checkout / "extensions/soft_prompts/hosts/webui/llama_kept.py"
    package.write_text(package.read_text().replace('"--lora"', '"--mmproj"'))
    machine.run()
    assert yaml.safe_load(config(machine)) == {KEY: {"extra_flags": FLAG.replace("lora", "mmproj")}}
    machine.run("--uninstall")
    assert tree(machine.webui) == before


def test_a_flag_that_was_taken_out_by_hand_is_asked_for_anew(machine: Machine) -> None:
    machine.run("--start-flag")
    config(machine, f"{KEY}:\n  threads: 2\n")
    machine.run()
    assert config(machine) == f"{KEY}:\n  threads: 2\n" and started(machine) == {}
    machine.run("--start-flag")
    assert yaml.safe_load(config(machine)) == {KEY: {"threads": 2, "extra_flags": FLAG}}
    machine.run("--no-start-flag")
    assert config(machine) == f"{KEY}:\n  threads: 2\n"


@pytest.mark.parametrize("name", ["Märchen.gguf", "o'tale.gguf"])
def test_a_name_that_no_flag_holds(machine: Machine, capsys: Any, name: str) -> None:
    flags = f'--model "{name}"\n'
    lay(machine.user_data, {"CMD_FLAGS.txt": flags, f"models/{name}": "GGUF"})
    machine.run("--start-flag", code=1)
    assert "letters that such a flag cannot hold" in capsys.readouterr().out
    assert config(machine) is None and started(machine) == {}


def test_what_the_page_shows_is_what_is_written() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "llamacpp.md").read_text("utf-8")
    assert f"```yaml\n{flagging.with_flag('', KEY, FLAG)[0]}```" in page


class Terminal:
    def __init__(self, there: bool, answer: str | None) -> None:
        self.there, self.answer = there, answer

    def isatty(self) -> bool:
        return self.there

    def readline(self) -> str:
        assert self.answer is not None, "nobody may be asked"
        return self.answer


ANSWERS = [(True, "\n", False), (True, "n\n", False), (True, "", False), (True, "Yes\n", True), (False, None, False)]


@pytest.mark.parametrize(("there", "answer", "written"), ANSWERS, ids=str)
def test_it_asks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any, there: bool, answer: str | None, written: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(there, answer))
    machine.run()
    said = capsys.readouterr().out
    assert (config(machine) is not None) == written
    assert NAME in said and ("Write it? [y/N]" if there else "--start-flag behind it") in said
    machine.run("--no-start-flag")
    assert config(machine) is None and started(machine) == {}
    assert "Write it?" not in capsys.readouterr().out


ELSEWHERE = {
    "no model": ("--api\n", "names no --model"),
    "a folder": ("--model storyteller\n", "is no GGUF file"),
    "gone": ("--model Gone.gguf\n", "is no GGUF file"),
    "another loader": (f"--model {NAME} --loader ExLlamav3\n", "says --loader exllamav3"),
    "flags": (f"--model {NAME} --extra-flags '--jinja'\n", "has --extra-flags"),
    "flags, spelt otherwise": (f"--model {NAME} --extra-flags='--jinja'\n", "has --extra-flags"),
    "a projector": (f"--model {NAME} --mmproj eyes.gguf\n", "has --mmproj"),
    "ik": (f"--model {NAME} --ik\n", "has --ik"),
}


@pytest.mark.parametrize(("flags", "reason"), ELSEWHERE.values(), ids=ELSEWHERE)
def test_nobody_is_asked_where_it_helps_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any, flags: str, reason: str
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(True, None))
    lay(machine.user_data, {"CMD_FLAGS.txt": flags})
    machine.run()
    assert "start flag" not in capsys.readouterr().out
    machine.run("--start-flag", code=1)
    assert "No start flag was written: " in (said := capsys.readouterr().out) and reason in said
    assert config(machine) is None


def test_models_outside_of_user_data_are_not_touched(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    models = lay(tmp_path / "all models", {NAME: "GGUF"})
    lay(machine.user_data, {"CMD_FLAGS.txt": f"--model {NAME} --model-dir '{models.as_posix()}'\n"})
    machine.run("--start-flag", code=1)
    assert "nothing outside of" in capsys.readouterr().out and list(tree(models)) == [NAME]


@pytest.mark.parametrize("loader", ["llama.cpp", "llamacpp", "llama-cpp"])
def test_where_models_may_lie(machine: Machine, loader: str) -> None:
    lay(
        machine.user_data,
        {"CMD_FLAGS.txt": f"--model maker/{NAME} --loader {loader}\n", f"models/maker/{NAME}": "GGUF"},
    )
    machine.run("--start-flag")
    assert yaml.safe_load(config(machine)) == {KEY: {"extra_flags": FLAG}}
    lay(machine.user_data, {"CMD_FLAGS.txt": "--model B.gguf --model-dir user_data/more\n", "more/B.gguf": "GGUF"})
    machine.run("--start-flag")
    assert config(machine) is None, "the flag of the model that was loaded before is taken back"
    assert (machine.user_data / "more" / "config-user.yaml").is_file()
    assert set(tree(machine.user_data / "soft_prompts" / ".llamacpp" / "start")) == {"B.gguf", "B.gguf.json"}
    lay(machine.user_data, {"CMD_FLAGS.txt": ""})
    machine.run()
    assert not (machine.user_data / "more" / "config-user.yaml").exists() and started(machine) == {}


def test_a_user_data_folder_far_away(machine: Machine, tmp_path: Path) -> None:
    far = lay(tmp_path / "far away" / "user_data", {f"models/{NAME}": "GGUF", "extensions/x": ""})
    lay(machine.user_data, {"CMD_FLAGS.txt": f"--model {NAME} --user-data-dir '{far.as_posix()}'\n"})
    before = tree(far)
    machine.run("--start-flag")
    told = yaml.safe_load((far / "models" / "config-user.yaml").read_text())[KEY]["extra_flags"]
    path = flagging.path_of(told)
    assert (machine.webui / path).resolve() == far / "soft_prompts" / ".llamacpp" / "start" / NAME
    machine.run("--uninstall")
    assert tree(far) == before


def test_from_the_webuis_folder_on_so_that_all_of_it_may_move(machine: Machine, tmp_path: Path) -> None:
    def webui(folder: Path) -> starting.Webui:
        return starting.Webui(folder, folder, folder / "user_data", folder, [])

    app = tmp_path / "x" / "y" / "textgen-4" / "app"
    file = Path("soft_prompts/.llamacpp/start/m.gguf")
    assert starting.short(app / "user_data" / file, webui(app)) == f"user_data/{file.as_posix()}"
    assert starting.short(app.parent / "user_data" / file, webui(app)) == f"../user_data/{file.as_posix()}"
    assert starting.short(app.parents[1] / "user_data" / file, webui(app)) == f"../../user_data/{file.as_posix()}"
    assert starting.short(tmp_path / file, webui(app)) == (tmp_path / file).resolve().as_posix()


def test_a_record_of_an_older_version(machine: Machine) -> None:
    machine.run()
    path = files.Record.path(machine.user_data)
    told = json.loads(path.read_text())
    del told["start"]
    path.write_text(json.dumps(told))
    machine.run("--start-flag")
    machine.run("--uninstall")
    assert config(machine) is None


@pytest.mark.parametrize("text", ["", f"{KEY}:\n  extra_flags: ''\n"])
def test_what_was_interrupted_goes_on_or_is_taken_back(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    if text:
        config(machine, text)
    before, write, left = tree(machine.webui), files.write, [0]

    def stops(path: Path, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(path, data)

    for rest in range(14, 26):
        left[0] = rest
        monkeypatch.setattr(files, "write", stops)
        deploy.main([str(machine.webui), "--start-flag"], machine.checkout)
        monkeypatch.setattr(files, "write", write)
        if rest % 2:
            machine.run("--start-flag")
            assert yaml.safe_load(config(machine)) == {KEY: {"extra_flags": FLAG}}
        left[0] = rest % 5
        monkeypatch.setattr(files, "write", stops)
        deploy.main([str(machine.webui), "--uninstall"], machine.checkout)
        monkeypatch.setattr(files, "write", write)
        deploy.main([str(machine.webui), "--uninstall"], machine.checkout)
        assert tree(machine.webui) == before, f"stopped after {rest} files"


def test_settings_that_somebody_has_deleted(machine: Machine) -> None:
    before = tree(machine.webui)
    machine.run("--start-flag")
    (machine.webui / CONFIG).unlink()
    (machine.user_data / "soft_prompts" / ".llamacpp" / "start" / NAME).unlink()
    machine.run("--uninstall")
    assert tree(machine.webui) == before
