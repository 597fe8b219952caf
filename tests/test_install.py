"""install.py: what it decides, and what it says when something fails. `.ci/run` runs the real thing."""

from __future__ import annotations

import ast
import errno
import importlib.util
import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = [ROOT / "constraints" / "newest.txt", ROOT / "constraints" / "host.txt"]


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_under_test", ROOT / "install.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class World:
    """A machine on which every command is only noted; `has` is what each interpreter answers when it is inspected."""

    def __init__(self, install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commands: list[list[str]] = []
        self.has: dict[str, Any] = {}
        self.fails: dict[str, Exception] = {}
        monkeypatch.setattr(install, "step", self.step)
        monkeypatch.setattr(install, "inspect", lambda python: self.has)
        monkeypatch.setattr(install, "run", lambda command, *here: self.commands.append(command) or 0)

    def step(self, title: str, command: list[str], log: Path) -> None:
        self.commands.append(command)
        for word, problem in self.fails.items():
            if word in command:
                raise problem
        if "venv" in command:
            self.has = {"python": [3, 11], "found": {"pip": "23"}, "url": {}, "site": str(log.parent)}
        if "torch" in command:
            self.has["found"]["torch"] = "2.13.0+cpu"

    def words(self) -> list[str]:
        """What was done, one word each."""
        names = ["venv", "ensurepip", "torch", "-e", "pytest", "soft_prompts.demo"]
        return [next(name for name in names if name in command) for command in self.commands]


@pytest.fixture
def world(install: ModuleType, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(install, monkeypatch)


def touch_python(install: ModuleType, venv: Path) -> None:
    install.python_of(venv).parent.mkdir(parents=True)
    install.python_of(venv).touch()


# ---- what is there


def test_requirements_are_those_of_the_project(install: ModuleType) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    names = {line.partition(">=")[0] for extra in install.EXTRAS for line in extras[extra]} | {"numpy", "watchdog"}
    assert set(install.requirements()) == names
    assert install.requirements()["transformers"] == "5.6"


@pytest.mark.parametrize("path", CONSTRAINTS, ids=lambda path: path.stem)
def test_constraints_pin_every_requirement(install: ModuleType, path: Path) -> None:
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    pinned = {line.partition("==")[0] for line in lines}
    assert all("==" in line for line in lines)
    assert set(install.requirements()) <= pinned


def test_every_file_of_constraints_can_be_chosen(install: ModuleType) -> None:
    assert {path.stem for path in (ROOT / "constraints").iterdir()} == {*install.FOLDERS, "docs"}


def test_the_list_of_requirements_pins_nothing() -> None:
    assert (ROOT / "requirements.txt").read_text("utf-8").split() == ["numpy", "watchdog"]


@pytest.mark.parametrize(
    ("version", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("5.6", (5, 6)), ("2.15.0a0+git1", (2, 15, 0)), ("0", (0,))]
)
def test_numbers(install: ModuleType, version: str, numbers: tuple[int, ...]) -> None:
    assert install.numbers(version) == numbers


def test_missing(install: ModuleType) -> None:
    everything = {name: "99" for name in install.requirements()}
    assert install.missing(everything) == []
    assert install.missing({**everything, "transformers": "5.5.4"}) == ["transformers"]
    del everything["torch"]
    assert install.missing(everything) == ["torch"]


def test_is_ours(install: ModuleType, tmp_path: Path) -> None:
    here = {"url": ROOT.as_uri(), "dir_info": {"editable": True}}
    assert install.is_ours(here)
    assert not install.is_ours({**here, "dir_info": {}})
    assert not install.is_ours({**here, "url": tmp_path.as_uri()})
    assert not install.is_ours({**here, "url": (ROOT / "gone").as_uri()})
    assert not install.is_ours({})


def test_inspect_asks_another_interpreter(install: ModuleType, tmp_path: Path) -> None:
    has = install.inspect(Path(sys.executable))
    assert has["python"] == list(sys.version_info[:2])
    assert {"numpy", "pytest"} <= set(has["found"])
    assert install.inspect(tmp_path / "nothing") == {}


# ---- what it does


def test_without_a_word_it_says_what_there_is(install: ModuleType, tmp_path: Path, capsys: Any) -> None:
    assert install.main([]) == 2
    said = capsys.readouterr().err
    for line in ("install.py webui /path/to/textgen", "install.py demo", "install.py test", "python3"):
        assert line in said
    for words in (["uninstall"], ["--uninstall"], ["Webui", "x"]):
        assert install.main(words) == 2
        assert "install.py webui /path/to/textgen --uninstall" in capsys.readouterr().err
    folder = tmp_path / "my webui"
    folder.mkdir()
    assert install.main([str(folder), "--uninstall"]) == 2
    assert f'install.py webui "{folder}" --uninstall' in capsys.readouterr().err


def test_a_new_environment(install: ModuleType, world: World, tmp_path: Path) -> None:
    venv = tmp_path / "a new one"
    assert install.main(["test", "--venv", str(venv), "-k", "tags or slots", "-x"]) == 0
    assert world.words() == ["venv", "torch", "-e", "pytest"]
    _, torch, rest, pytest_command = world.commands
    assert torch[-3:] == ["-c", str(ROOT / "constraints" / "newest.txt"), "torch"], "torch comes alone"
    assert rest[-2:] == ["-e", ".[train,gguf,dev,browser]"]
    assert pytest_command == [str(install.python_of(venv)), "-I", "-m", "pytest", "-k", "tags or slots", "-x"]
    assert (venv / "soft_prompts_first.pth").read_text("utf-8") == install.FIRST


def test_the_second_run_does_nothing_but_run(install: ModuleType, world: World, tmp_path: Path) -> None:
    install.main(["demo", "--venv", str(tmp_path / "v")])
    touch_python(install, tmp_path / "v")
    world.commands.clear()
    install.main(["demo", "--venv", str(tmp_path / "v"), "--tokens", "4"])
    assert world.words() == ["soft_prompts.demo"]
    assert world.commands[0][-2:] == ["--tokens", "4"]
    install.main(["demo", "--venv", str(tmp_path / "v"), "--constraints", "host"])
    assert "-e" in world.words(), "other constraints: install again"


def test_the_stamp_knows_the_list_of_requirements(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("pyproject.toml", "requirements.txt", "install.py", "newest.txt"):
        (tmp_path / name).write_text(name, "utf-8")
    monkeypatch.setattr(install, "ROOT", tmp_path)
    before = install.stamp_for(tmp_path / "newest.txt")
    assert install.stamp_for(tmp_path / "newest.txt") == before
    (tmp_path / "requirements.txt").write_text("numpy", "utf-8")
    assert install.stamp_for(tmp_path / "newest.txt") != before


def test_a_torch_that_serves_is_kept(install: ModuleType, world: World, tmp_path: Path) -> None:
    world.has = {"python": [3, 11], "found": {"pip": "23", "torch": "2.9.1+cu130"}, "url": {}, "site": str(tmp_path)}
    install.main(["test", "--venv", str(tmp_path)])
    assert world.words() == ["-e", "pytest"]
    kept = Path(world.commands[0][world.commands[0].index("-c") + 1]).read_text("utf-8").splitlines()
    assert [line for line in kept if line.startswith("torch")] == ["torch==2.9.1+cu130"]
    assert any(line.startswith("transformers==") for line in kept)


def test_a_torch_that_is_too_old_is_replaced(install: ModuleType, world: World, tmp_path: Path) -> None:
    world.has = {"python": [3, 11], "found": {"pip": "23", "torch": "1.13.1"}, "url": {}, "site": str(tmp_path)}
    install.main(["test", "--venv", str(tmp_path)])
    assert world.words() == ["torch", "-e", "pytest"]


def test_an_active_environment_that_serves_is_used(install: ModuleType, world: World) -> None:
    found = {name: "99" for name in install.requirements()}
    world.has = {"python": [3, 11], "found": found, "url": {"url": ROOT.as_uri(), "dir_info": {"editable": True}}}
    install.main(["test"])
    assert world.commands == [[sys.executable, "-I", "-m", "pytest"]]


@pytest.mark.parametrize("options", [[], ["--constraints", "host"], ["--venv", "v"]])
def test_any_other_environment_is_left_alone(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(install, "FOLDERS", {name: str(tmp_path / name) for name in install.FOLDERS})
    found = {name: "99" for name in install.requirements()} if options else {"pip": "23"}
    world.has = {"python": [3, 11], "found": found, "url": {"url": ROOT.as_uri(), "dir_info": {"editable": True}}}
    world.has["found"]["pip"], world.has["site"] = "23", str(tmp_path)
    for name in ("newest", "host", "v"):
        (tmp_path / name).mkdir()
    install.main(["test", *options])
    name = options[-1] if options else "newest"
    assert all(command[0] == str(install.python_of(tmp_path / name)) for command in world.commands)


@pytest.mark.parametrize("words", [["test", "--", "-k", "x"], ["--venv", "v", "test", "-k", "x"], ["test", "-k", "x"]])
def test_arguments_are_handed_on(install: ModuleType, words: list[str]) -> None:
    assert install.parse(words)[1] == ["-k", "x"]


# ---- what it says


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


FAILURES = [
    ("ERROR: Could not install packages: [Errno 28] No space left on device", "The disk is full. Free"),
    (
        "WARNING: Retrying after NewConnectionError\nERROR: No matching distribution found for torch",
        "set the variable HTTPS",
    ),
    ("ERROR: [Errno 13] Permission denied: 'x'", "choose another with --venv"),
    ("ERROR: No matching distribution found for torch==2.13.0", "Try another Python from 3.10 to 3.13"),
    ("Something nobody has seen", "The log says more."),
]


@pytest.mark.parametrize(("output", "advice"), FAILURES, ids=[advice for _, advice in FAILURES])
def test_a_step_that_fails_says_what_to_do(install: ModuleType, tmp_path: Path, output: str, advice: str) -> None:
    log = tmp_path / "install.log"
    with pytest.raises(install.Failure) as problem:
        install.step("torch", [sys.executable, "-c", f"print({output!r}); raise SystemExit(1)"], log)
    text = str(problem.value)
    assert text.startswith(f"torch: {output.splitlines()[-1]}\n")
    assert advice in text
    assert text.endswith(f"Then type the same line again: it goes on from here. The log: {log}")
    assert output in log.read_text("utf-8")


def test_a_failure_ends_with_its_words_and_no_traceback(
    install: ModuleType, world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world.fails = {"torch": install.Failure("what\nto do next")}
    assert install.main(["demo", "--venv", str(tmp_path / "v")]) == 1
    assert said(capsys) == "\nwhat\nto do next\n"
    assert not install.is_finished(tmp_path / "v", install.stamp_for(CONSTRAINTS[0]))


@pytest.mark.parametrize(
    ("has", "wants", "enough"),
    [("", "", True), ("browser", "", True), ("browser", "browser", True), ("", "browser", False)],
)
def test_what_tests_want_more_is_installed_for_tests(
    install: ModuleType, tmp_path: Path, has: str, wants: str, enough: bool
) -> None:
    touch_python(install, tmp_path)
    (tmp_path / install.STAMP).write_text(json.dumps(install.stamp_for(CONSTRAINTS[0], has)), "utf-8")
    assert install.is_finished(tmp_path, install.stamp_for(CONSTRAINTS[0], wants)) is enough


def test_a_training_asks_before_it_downloads(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(install, "FOLDERS", {**install.FOLDERS, "newest": str(tmp_path / "v")})
    asked: list[str] = []
    answers = ["", "n", "y"]
    monkeypatch.setattr("builtins.input", lambda words: asked.append(words) or answers.pop(0))
    words = ["train", "finetune", "a text.txt", "--model", "m.gguf", "--name", "noir"]
    for _ in range(2):
        assert install.main(words) == 1
        captured = capsys.readouterr()
        assert str(tmp_path / "v") in captured.out and "3 GB on Linux" in captured.out
        assert "Nothing was changed" in captured.err and world.commands == []
    assert install.main(words) == 0 and asked == ["Go on? [y/N] "] * 3
    assert world.commands[2][-2:] == ["-e", ".[train,gguf]"], "without what only developers need"
    touch_python(install, tmp_path / "v")
    python = str(install.python_of(tmp_path / "v"))
    assert world.commands[-1] == [python, "-I", "-X", "utf8", "-m", "soft_prompts.trainer", *words[1:]]
    world.commands.clear()
    assert install.main(words) == 0 and len(world.commands) == 1 and len(asked) == 3, "once is enough"
    # What the demo wants more is added to the same environment, and serves a training as well.
    install.main(["demo", "--venv", str(tmp_path / "v")])
    world.commands.clear()
    assert install.main(words) == 0 and len(world.commands) == 1 and len(asked) == 3
    assert install.main([*words, "--yes"]) == 0 and "--yes" not in world.commands[-1]


@pytest.mark.parametrize("what", ["train", "ui"])
def test_help_downloads_nothing(
    what: str, install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(install, "FOLDERS", {**install.FOLDERS, "newest": str(tmp_path / "v")})
    for word in ("-h", "--help"):
        assert install.main([what, word]) == 0 and world.commands == []
        told = capsys.readouterr().out
        assert f"python install.py {what} [--yes]" in told and "--model MODEL" in told


def test_the_documentation_has_an_environment_of_its_own(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "SITE", str(tmp_path / "v"))
    assert install.main(["docs", "--open"]) == 0
    python, builder = str(install.python_of(tmp_path / "v")), str(ROOT / ".ci" / "site" / "build.py")
    assert world.commands[-2][-2:] == ["-r", str(ROOT / "constraints" / "docs.txt")]
    assert world.commands[-1] == [python, "-X", "utf8", builder, "--open"] and Path(builder).is_file()
    assert not any("torch" in each for command in world.commands for each in command)
    touch_python(install, tmp_path / "v")
    world.commands.clear()
    assert install.main(["--venv", str(tmp_path / "w"), "docs"]) == 0 and len(world.commands) == 1, "once is enough"


def test_the_tab_is_added_to_what_is_there(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(install, "FOLDERS", {**install.FOLDERS, "newest": str(tmp_path / "v")})
    monkeypatch.setattr("builtins.input", lambda words: "y")
    assert install.main(["train", "--yes"]) == 0 and any(".[train,gguf]" in each for each in world.commands)
    touch_python(install, tmp_path / "v")
    assert install.main(["ui", "--no-browser"]) == 0
    assert "torch, transformers and gradio" in capsys.readouterr().out
    assert any(".[train,gguf,ui]" in each for each in world.commands)
    python = str(install.python_of(tmp_path / "v"))
    assert world.commands[-1] == [python, "-I", "-X", "utf8", "-m", "soft_prompts.cli", "ui", "--no-browser"]
    install.main(["demo", "--venv", str(tmp_path / "v")])
    world.commands.clear()
    for words in (["ui"], ["train"], ["demo", "--venv", str(tmp_path / "v")]):
        assert install.main(words) == 0
    assert len(world.commands) == 3, "what one has set up, the others do not take away"


def test_the_tab_in_the_webuis_extension_shows_the_webuis_library(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, library = tmp_path / "user_data" / "extensions" / "soft_prompts", tmp_path / "user_data" / "soft_prompts"
    (root / "constraints").mkdir(parents=True)
    library.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "install.py", "constraints/newest.txt"):
        (root / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(install, "ROOT", root)
    install.main(["ui", "--yes"])
    assert world.commands[-1][-2:] == ["--folder", str(library)]


def test_a_training_in_the_webuis_extension_writes_where_tags_are_looked_for(
    install: ModuleType, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, library = tmp_path / "user_data" / "extensions" / "soft_prompts", tmp_path / "user_data" / "soft_prompts"
    (root / "constraints").mkdir(parents=True)
    library.mkdir()
    for name in ("pyproject.toml", "requirements.txt", "install.py", "constraints/newest.txt"):
        (root / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
    monkeypatch.setattr(install, "ROOT", root)
    install.main(["train", "finetune", "x.txt", "--yes"])
    assert world.commands[-1][-4:] == ["finetune", "x.txt", "--output", str(library)]
    assert str(root / ".venv") in world.commands[-1][0]
    install.main(["train", "finetune", "x.txt", "--yes", "--output", "here"])
    assert world.commands[-1][-2:] == ["--output", "here"]


def test_the_demo_needs_no_browser(install: ModuleType, world: World, tmp_path: Path) -> None:
    extras = []
    for what in ("demo", "test"):
        assert install.main([what, "--venv", str(tmp_path / "v")]) == 0
        extras += [command[-1] for command in world.commands if "-e" in command]
        world.commands.clear()
    assert extras == [".[train,gguf,dev]", ".[train,gguf,dev,browser]"]


@pytest.mark.parametrize(
    ("problem", "code", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 1, "The disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), 1, "The folder cannot be written"),
        (KeyboardInterrupt(), 130, "Stopped. The same line goes on from here."),
    ],
    ids=["full", "denied", "stopped"],
)
def test_what_the_system_says(
    install: ModuleType,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    problem: Exception,
    code: int,
    words: str,
) -> None:
    world.fails = {"venv": problem}
    assert install.main(["demo", "--venv", str(tmp_path / "v")]) == code
    assert words in said(capsys)


def test_a_python_without_venv(
    install: ModuleType,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert install.main(["demo", "--venv", str(tmp_path / "v")]) == 1
    assert f"sudo apt install python3.{sys.version_info[1]}-venv" in said(capsys)
    assert not (tmp_path / "v").exists()


def make_foreign(folder: Path) -> dict[str, Any]:
    (folder / "thesis.txt").write_text("years of work", "utf-8")
    return {}


def make_old(folder: Path) -> dict[str, Any]:
    return {"python": [3, 8], "found": {"pip": "20"}}


@pytest.mark.parametrize("prepare", [make_foreign, make_old])
def test_a_folder_of_another_is_not_touched(
    install: ModuleType,
    world: World,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    prepare: Callable[[Path], dict[str, Any]],
) -> None:
    world.has = prepare(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert install.main(["demo", "--venv", str(tmp_path)]) == 1
    assert "choose another with --venv FOLDER" in said(capsys)
    assert (world.commands, sorted(tmp_path.iterdir())) == ([], before)


def test_an_environment_of_ours_that_broke_is_made_again(install: ModuleType, world: World, tmp_path: Path) -> None:
    (tmp_path / install.LOG).touch()
    assert install.main(["demo", "--venv", str(tmp_path)]) == 0
    assert world.words()[0] == "venv"


def test_an_environment_without_pip_gets_it(install: ModuleType, world: World, tmp_path: Path) -> None:
    world.has = {"python": [3, 11], "found": {}, "url": {}, "site": str(tmp_path)}
    install.main(["demo", "--venv", str(tmp_path)])
    assert world.words()[0] == "ensurepip"


def test_an_old_python_is_told_so() -> None:
    source = (ROOT / "install.py").read_text("utf-8")
    ast.parse(source, feature_version=(3, 7))  # it must get as far as saying it
    old = f"import sys, runpy; sys.version_info = (3, 8, 1); runpy.run_path({str(ROOT / 'install.py')!r})"
    done = subprocess.run([sys.executable, "-I", "-c", old], capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith("soft prompts needs Python 3.10 or newer")
    assert "python3.13 install.py demo" in done.stderr


def test_without_a_word_it_says_how(install: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        install.main(["--help"])
    shown = capsys.readouterr().out
    for word in ("demo", "test", "--constraints", "--venv", "python install.py demo"):
        assert word in shown


@pytest.mark.skipif(
    not Path(sysconfig.get_path("purelib"), "soft_prompts_first.pth").exists(),
    reason="this environment was made by hand, without the line that install.py writes",
)
def test_a_folder_of_prompts_is_not_taken_for_the_package(tmp_path: Path) -> None:
    (tmp_path / "soft_prompts").mkdir()
    shown = "import json, soft_prompts; print(json.dumps(soft_prompts.__file__))"
    done = subprocess.run([sys.executable, "-c", shown], cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert Path(json.loads(done.stdout) or "") == ROOT / "extensions" / "soft_prompts" / "__init__.py"
