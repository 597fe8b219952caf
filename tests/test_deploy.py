"""`python install.py webui FOLDER`: law: installed and uninstalled is identity, byte for byte, whatever was there."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from soft_prompts.hosts.webui import deploy
from soft_prompts.hosts.webui.deploy import files, packages, place

from .webui_machine import NEEDED, WEBUI, Machine, lay, tree

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


# ---- what it does


def test_installed_and_uninstalled(machine: Machine, capsys: Any) -> None:
    before, had = tree(machine.webui), dict(machine.has)
    machine.run()
    said = capsys.readouterr().out
    assert {name: text for name, text in tree(machine.target).items() if text is not None} == {
        name: text.encode() for name, text in NEEDED.items()
    }
    assert machine.settings() == "default_extensions:\n- soft_prompts\n"
    assert (machine.user_data / "soft_prompts").is_dir()
    assert machine.has == {**had, "watchdog": "6.0.0", "gguf": "0.19.0"}
    assert machine.asked[0][-2:] == ["watchdog", "gguf"] and "--no-deps" in machine.asked[0]
    for word in (
        "watchdog 6.0.0 and gguf 0.19.0 added; the other 4 are as before",
        "8 of 8 files",
        str(machine.python),
        "--uninstall",
    ):
        assert word in said
    machine.run("--uninstall")
    assert tree(machine.webui) == before
    assert machine.has == had


def test_the_last_lines_say_how_to_go_on_and_how_to_go_back(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    machine.has |= {"torch": "2.9.1", "transformers": "5.6"}
    before = tree(machine.webui)
    machine.run()
    *_, above, undo, where, last = capsys.readouterr().out.splitlines()
    assert above.endswith("type this line:") and str(machine.user_data / "soft_prompts") in where
    assert last == 'Now start the webui (if it runs: close it and start it again), and open the tab "Soft prompts".'
    command = shlex.split(undo, posix=os.name != "nt")
    assert Path(command[1].strip('"')) == machine.target / "install.py" and command[2:] == ["webui", "--uninstall"]
    assert deploy.main(command[3:], machine.target) == 0
    assert tree(machine.webui) == before
    elsewhere = lay(tmp_path / "my data", {"extensions/x": ""})
    machine.run("--user-data-dir", str(elsewhere))
    assert f'webui "{machine.webui}" --uninstall --user-data-dir "{elsewhere}"' in capsys.readouterr().out
    machine.run("--user-data-dir", str(elsewhere), "--uninstall")


def test_a_portable_build_is_told_what_tags_work_with(machine: Machine, capsys: Any) -> None:
    machine.never = {"gguf"}
    machine.run()
    said = capsys.readouterr().out
    assert "no torch and no transformers, as portable builds have none" in said
    assert "without gguf tags do not work in it" in said and "tags work on GGUF models" not in said
    machine.never = set()
    machine.run()
    assert "tags work on GGUF models, with the llama.cpp loader" in capsys.readouterr().out
    machine.has |= {"torch": "2.9.1", "transformers": "5.6"}
    machine.run()
    assert "portable builds" not in capsys.readouterr().out


def test_what_is_left_by_hand_is_the_last_word(machine: Machine, capsys: Any) -> None:
    machine.settings("{default_extensions: []}\n")
    machine.run(code=1)
    assert capsys.readouterr().out.splitlines()[-1].startswith("Do first what is said BY HAND above")


def test_twice_is_an_update_with_the_same_end(machine: Machine, capsys: Any) -> None:
    machine.run()
    once = tree(machine.webui)
    machine.run()
    assert tree(machine.webui) == once
    assert "up to date" in capsys.readouterr().out
    lay(machine.checkout, {"trainer/loop.py": "new", "LICENSE": "changed"})
    (machine.checkout / "extensions/soft_prompts/demo/storyteller/model.safetensors").unlink()
    machine.run()
    assert "2 of 8 files written" in capsys.readouterr().out
    assert (machine.target / "LICENSE").read_text() == "changed"
    assert not (machine.target / "extensions" / "soft_prompts" / "demo").exists()
    machine.run("--uninstall")
    assert not machine.target.exists()


def test_from_the_installed_copy_when_the_checkout_is_gone(machine: Machine) -> None:
    before = tree(machine.webui)
    machine.run()
    shutil.rmtree(machine.checkout)
    once = tree(machine.webui)
    machine.run(checkout=machine.target)
    assert tree(machine.webui) == once
    assert deploy.main(["--uninstall"], machine.target) == 0, "the folder is known from where it lies"
    assert tree(machine.webui) == before


def test_a_link_for_developers_and_back(machine: Machine) -> None:
    before = tree(machine.webui)
    try:
        machine.run("--link")
    except AssertionError:
        if os.name == "nt":
            pytest.skip("this Windows account may not make links")
        raise
    assert machine.target.is_symlink() and machine.target.resolve() == machine.checkout
    machine.run("--link")
    machine.run()
    assert not machine.target.is_symlink() and (machine.target / "script.py").is_file()
    machine.run("--link")
    assert machine.target.is_symlink()
    machine.run("--uninstall")
    assert tree(machine.webui) == before
    assert (machine.checkout / "script.py").is_file()


@pytest.mark.parametrize("name", ["soft_prompts", "soft-prompt-tuner"])
@pytest.mark.parametrize("place", ["user_data/extensions", "extensions"])
def test_a_clone_in_the_webui_is_used_where_it_lies(machine: Machine, name: str, place: str) -> None:
    there = lay(machine.webui / place / name, NEEDED)
    before = tree(machine.webui)
    assert deploy.main([], there) == 0
    assert machine.settings() == f"default_extensions:\n- {name}\n"
    assert place == "extensions" or {path.name for path in (machine.user_data / "extensions").iterdir()} == {
        name,
        "place-your-extensions-here.txt",
        "soft_prompts.installed.json",
    }
    assert deploy.main(["--uninstall"], there) == 0
    assert tree(machine.webui) == before


@pytest.mark.parametrize("name", ["soft_prompts", "soft-prompt-tuner"])
def test_another_clone_is_not_touched(machine: Machine, name: str, capsys: Any) -> None:
    there = lay(machine.user_data / "extensions" / name, NEEDED)
    before = tree(machine.webui)
    machine.run(code=1)
    assert tree(machine.webui) == before
    assert f'python "{there / "install.py"}" webui "{machine.webui}"' in capsys.readouterr().err


def test_a_folder_of_that_name_which_is_not_ours(machine: Machine, capsys: Any) -> None:
    lay(machine.target, {"script.py": "another extension"})
    before = tree(machine.webui)
    machine.run(code=1)
    assert tree(machine.webui) == before
    assert "is there already and is not ours" in capsys.readouterr().err


def test_what_is_the_users_stays(machine: Machine, capsys: Any) -> None:
    machine.run()
    lay(machine.user_data / "soft_prompts", {"people/emma.safetensors": "years of work", "settings.json": "{}"})
    lay(machine.target, {"mine.txt": "mine", "LICENSE": "edited", "trainer/__pycache__/__init__.cpython-313.pyc": ""})
    lay(machine.checkout, {"LICENSE": "newer"})
    machine.run()
    assert (machine.target / "LICENSE").read_text() == "newer"
    machine.run("--uninstall")
    assert tree(machine.user_data / "soft_prompts")["people/emma.safetensors"] == b"years of work"
    assert tree(machine.target) == {"mine.txt": b"mine", "LICENSE.edited": b"edited"}
    said = capsys.readouterr().out
    assert "LICENSE.edited, which you had edited" in said
    assert "except for files that are not ours" in said
    assert "your soft prompts and their settings" in said


def test_what_was_interrupted_goes_on_or_is_taken_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    before, write, left = tree(machine.webui), files.write, [6]

    def stops(path: Path, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        write(path, data)

    for rest in range(16):
        left[0] = rest
        monkeypatch.setattr(files, "write", stops)
        deploy.main([str(machine.webui)], machine.checkout)
        monkeypatch.setattr(files, "write", write)
        if rest % 2:
            machine.run()
            assert "soft_prompts" in machine.settings()
        deploy.main([str(machine.webui), "--uninstall"], machine.checkout)
        assert tree(machine.webui) == before, f"stopped after {rest} files"


# ---- packages


def test_without_pip_or_network_it_goes_on(machine: Machine, capsys: Any) -> None:
    machine.fails = "WARNING: Retrying\nNewConnectionError\nERROR: No matching distribution found for watchdog"
    machine.run()
    said = capsys.readouterr().out
    assert "no watchdog and no gguf: pip reached no package index" in said
    assert "Without watchdog the folder is looked at again and again instead" in said
    assert "Without gguf tags work with the Transformers loader, but not on GGUF models with llama.cpp." in said
    assert len(machine.asked) == 1, "who has no connection waits for it once"
    assert machine.settings()
    del machine.has["pip"]
    machine.run()
    assert (
        f'no watchdog and no gguf: that Python has no pip ("{machine.python}" -m ensurepip' in capsys.readouterr().out
    )
    machine.fails, machine.has["pip"] = "", "25"
    machine.run()
    assert {"watchdog", "gguf"} <= machine.has.keys(), "the same line tries again"


@pytest.mark.parametrize("never", ["watchdog", "gguf"])
def test_one_that_cannot_be_had_does_not_keep_the_other_out(machine: Machine, capsys: Any, never: str) -> None:
    before, had = tree(machine.webui), dict(machine.has)
    machine.never = {never}
    machine.run()
    said = capsys.readouterr().out
    (other,) = {"watchdog", "gguf"} - {never}
    assert other in machine.has and never not in machine.has
    assert f"no {never}: No matching distribution found." in said and f"Without {other}" not in said
    machine.run("--uninstall")
    assert machine.has == had and tree(machine.webui) == before


def test_what_is_there_stays_as_it_is(machine: Machine, capsys: Any) -> None:
    machine.has |= {"watchdog": "4", "gguf": "0.10"}
    machine.run()
    assert "numpy 2.2.6, watchdog 4 and gguf 0.10 are there" in capsys.readouterr().out and not machine.asked
    machine.run("--uninstall")
    assert machine.has["gguf"] == "0.10"


def test_no_package_of_the_webui_may_change(machine: Machine, capsys: Any) -> None:
    machine.pip |= {"numpy": "2.4.0", "idna": "3"}
    machine.run(code=1)
    said = capsys.readouterr().out
    assert "PACKAGES OF THE WEBUI CHANGED" in said
    assert "idna: not there -> 3; numpy: 2.2.6 -> 2.4.0" in said


def test_a_missing_numpy_comes_as_the_webui_pins_it(machine: Machine, capsys: Any) -> None:
    del machine.has["numpy"]
    machine.fails = "ERROR: disk"
    machine.run(code=1)
    assert "numpy is missing in" in capsys.readouterr().out
    machine.fails, machine.pip["numpy"] = "", "2.2.6"
    machine.run()
    assert machine.asked[-1][-3:] == ["numpy==2.2.*", "watchdog", "gguf"]


@pytest.mark.parametrize("who", ["a package", "an extension", "another version"])
def test_a_package_that_others_need_stays(machine: Machine, capsys: Any, who: str) -> None:
    machine.run()
    if who == "a package":
        machine.needs = {"streamlit": ["Watchdog", "numpy"]}
    elif who == "an extension":
        lay(machine.user_data / "extensions" / "other", {"requirements.txt": "watchdog>=3\n"})
    else:
        machine.has["watchdog"] = "7"
    machine.run("--uninstall")
    assert "watchdog" in machine.has
    assert {"a package": "streamlit", "an extension": "the extension other", "another version": ""}[
        who
    ] in capsys.readouterr().out


def test_a_python_that_is_gone_does_not_keep_from_uninstalling(machine: Machine) -> None:
    before = tree(machine.webui)
    machine.run()
    machine.dead.add(machine.python)
    machine.run("--uninstall")
    assert tree(machine.webui) == before


def test_an_inventory_of_a_real_python(tmp_path: Path) -> None:
    has = packages.inspect(Path(sys.executable))
    assert isinstance(has, packages.Inventory)
    assert {"numpy", "pytest"} <= has.packages.keys()
    assert "pytest" in has.users_of("pluggy")
    assert "No such file" in str(packages.inspect(tmp_path / "none")) or os.name == "nt"
    assert packages.inspect(lay(tmp_path, {"text": ""}) / "text")


def test_variables_for_another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_TARGET", "PYTHONPATH", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, "x")
    there = packages.environment(Path("C:/textgen/installer_files/env/python.exe"), windows=True)
    assert there["PATH"].split(";")[0] == str(Path("C:/textgen/installer_files/env"))
    assert str(Path("C:/textgen/installer_files/env/Library/bin")) in there["PATH"].split(";")
    assert not {"PIP_TARGET", "PYTHONPATH"} & there.keys() and there["PIP_INDEX_URL"] == "x"
    assert packages.environment(Path("x"), windows=False)["PATH"] == os.environ["PATH"]


# ---- where things are


def test_the_folder_is_found_from_what_people_type(machine: Machine, tmp_path: Path) -> None:
    portable = lay(tmp_path / "textgen-4", {f"app/{name}": text for name, text in WEBUI.items()})
    assert place.folder_of(machine.webui / "server.py") == machine.webui
    assert place.folder_of(portable) == portable / "app"
    assert place.clean(f'"{machine.webui}{os.sep}"') == machine.webui
    for wrong, hint in ((tmp_path, "Did you mean this one[?] "), (tmp_path / "none", "There is no folder")):
        with pytest.raises(deploy.Failure, match=hint):
            place.folder_of(wrong)
    for below in ("user_data", "user_data/extensions", "modules"):
        with pytest.raises(deploy.Failure, match=re.escape(f'python install.py webui "{machine.webui}"')):
            place.folder_of(machine.webui / below)
    (portable / "user_data").mkdir()
    with pytest.raises(deploy.Failure, match=re.escape(f"python install.py webui {place.shown(portable)}") + "$"):
        place.folder_of(portable / "user_data")


def test_user_data_is_where_the_webui_looks(machine: Machine, tmp_path: Path) -> None:
    app = lay(tmp_path / "all" / "textgen-4" / "app", WEBUI)
    assert place.user_data_of(app) == app / "user_data"
    (app / "portable_env").mkdir()
    beside = lay(app.parent / "user_data", {"extensions/x": ""})
    assert place.user_data_of(app) == beside
    above = lay(tmp_path / "all" / "user_data", {"extensions/x": ""})
    assert place.user_data_of(app) == above, "one for several versions"
    lay(above, {"CMD_FLAGS.txt": "# --user-data-dir no\n--api \\\n--user-data-dir '../my data'\n"})
    with pytest.raises(deploy.Failure, match="There is no user_data folder .*my data"):
        place.user_data_of(app)
    other = lay(app.parent / "my data", {"extensions/x": ""})
    assert place.user_data_of(app) == other
    assert place.user_data_of(app, str(beside)) == beside


def test_a_webui_that_is_too_old(machine: Machine, capsys: Any) -> None:
    lay(machine.webui, {"modules/utils.py": "Path('extensions').glob('*/script.py')"})
    shutil.rmtree(machine.user_data / "extensions")
    machine.run(code=1)
    assert "is too old: it loads no extensions from user_data" in capsys.readouterr().err


def test_its_python_is_found(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    found = [machine.python]
    for name in ("installer_files/env", "portable_env"):
        found.append(machine.environment(machine.webui / name))
        assert place.python_of(machine.webui, None, {})[0] == found[-1], "as its start scripts choose"
    other = machine.environment(tmp_path / "other")
    for said in (other, tmp_path / "other", other.parent):
        assert place.python_of(machine.webui, str(said), {})[0] == other
    assert place.said_python(str(machine.webui)) == machine.webui / "portable_env" / other.relative_to(
        tmp_path / "other"
    )
    lay(machine.webui, {"start_linux.sh": ""})
    with pytest.raises(deploy.Failure, match="start_linux.sh is no Python by its name"):
        place.said_python(str(machine.webui / "start_linux.sh"))
    for name in ("venv", "installer_files", "portable_env"):
        shutil.rmtree(machine.webui / name)
    assert place.python_of(machine.webui, None, {"CONDA_PREFIX": str(tmp_path / "other")})[0] == other
    del machine.has["gradio"]
    with pytest.raises(deploy.Failure, match="No Python of the webui .* was found"):
        place.python_of(machine.webui, None, {"VIRTUAL_ENV": str(tmp_path / "other")})
    machine.dead.add(other)
    with pytest.raises(deploy.Failure, match="does not run: no such file"):
        place.python_of(machine.webui, str(other), {})
    with pytest.raises(deploy.Failure, match="There is no Python nothing"):
        place.python_of(machine.webui, "nothing", {})
    with pytest.raises(deploy.Failure, match="There is no Python in the folder "):
        place.said_python(str(machine.user_data))


def test_the_names_of_an_interpreter(tmp_path: Path) -> None:
    conda, venv = lay(tmp_path / "a", {"python.exe": ""}), lay(tmp_path / "b", {"Scripts/python.exe": ""})
    assert place.interpreter(conda, windows=True) == conda / "python.exe"
    assert place.interpreter(venv, windows=True) == venv / "Scripts/python.exe"
    assert place.interpreter(venv, windows=False) is None
    portable = lay(tmp_path / "c", {"bin/python3": ""})
    assert place.interpreter(portable, windows=False) == portable / "bin/python3"


# ---- what it says when it cannot


def test_a_folder_that_cannot_be_written(machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def denied(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", "user_data")

    monkeypatch.setattr(files, "write", denied)
    machine.run(code=1)
    said = capsys.readouterr().err
    assert "Permission denied: 'user_data'" in said and "type the same line again" in said


def test_who_names_no_webui_is_asked_which(machine: Machine, tmp_path: Path, capsys: Any) -> None:
    alone = tmp_path / "alone" / "a checkout"
    this = f'This one? python install.py webui "{machine.webui}"'
    for checkout, hint in ((machine.checkout, this), (alone, place.HINT)):
        with pytest.raises(SystemExit) as left:
            deploy.main([], checkout)
        assert left.value.code == 2 and capsys.readouterr().err == f"Which webui? {hint}\n"


def test_nothing_to_uninstall(machine: Machine, capsys: Any) -> None:
    machine.run("--uninstall", code=1)
    assert "Nothing is installed in" in capsys.readouterr().err


def test_a_record_that_cannot_be_read(machine: Machine, capsys: Any) -> None:
    machine.run()
    files.Record.path(machine.user_data).write_text("{")
    machine.run("--uninstall", code=1)
    assert "cannot be read, so it is not known what was installed" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["webui", "nowhere"], ["--venv", "x", "webui", "nowhere"]])
def test_install_py_hands_over_in_a_bare_python(words: list[str], tmp_path: Path) -> None:
    bare = [sys.executable, "-I", "-S", str(ROOT / "install.py"), *words]
    done = subprocess.run(bare, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.stderr.startswith(f"\nThere is no folder {tmp_path / 'nowhere'}.\n"), done.stderr
    assert done.returncode == 1


def test_the_lines_of_the_page_are_understood(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "webui.md").read_text("utf-8")
    blocks = "\n".join(text for _, text in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL))
    lines = re.findall(r"install\.py webui (.*)", blocks)
    assert len(lines) >= 4
    for line in lines:
        deploy.parse(shlex.split(line, posix=False), tmp_path)
