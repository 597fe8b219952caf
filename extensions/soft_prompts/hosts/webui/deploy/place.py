"""`folder_of(path)`, `user_data_of(folder)`, `python_of(folder)`: where a text-generation-webui keeps what is needed.

Nothing of the webui is run or imported; the rules of its modules/paths.py, modules/shared.py and start scripts are
followed.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from .failure import Failure, shown
from .packages import Inventory, inspect

HINT = "Type the folder of text-generation-webui, the one with server.py in it: python install.py webui FOLDER"
ENVIRONMENTS = ("portable_env", "installer_files/env", "venv", ".venv")  # the order of its start scripts, then by hand
SAY_WHICH = (
    "or say which one it is with --python FILE (the python or python.exe that starts its server.py, or its folder)"
)
WINDOWS = os.name == "nt"


def clean(words: str) -> Path:
    """A path as people type it: `~`, and the quote that Windows leaves behind a closing backslash."""
    return Path(os.path.abspath(Path(words.strip().strip("\"'")).expanduser()))


# ---- the folder with server.py


def is_webui(folder: Path) -> bool:
    return all((folder / name).is_file() for name in ("server.py", "modules/shared.py", "modules/extensions.py"))


def folder_of(path: Path) -> Path:
    """The folder with server.py: the one that was typed, the one of a file in it, or `app` in a portable build."""
    start = path.parent if path.is_file() else path
    if not start.is_dir():
        raise Failure(f"There is no folder {path}.\n{HINT}")
    for folder in (start, start / "app"):
        if is_webui(folder):
            return folder
    # One folder too high, or too deep: user_data and what lies in it is where writers know their way about.
    near = [folder for folder in (*children(start), *start.parents) if is_webui(folder) or is_webui(folder / "app")]
    hint = f"Did you mean this one? python install.py webui {shown(near[0])}" if near else HINT
    raise Failure(f"{path} is no text-generation-webui: it holds no server.py with modules/ beside it.\n{hint}")


def children(folder: Path) -> list[Path]:
    """The folders in one, links included; none where it cannot be read."""
    try:
        return sorted(child for child in folder.iterdir() if child.is_dir())
    except OSError:
        return []


# ---- user_data


def flags_of(user_data: Path) -> list[str]:
    """CMD_FLAGS.txt as the webui reads it: lines joined, comments and closing backslashes dropped, split as a shell."""
    try:
        lines = (user_data / "CMD_FLAGS.txt").read_text("utf-8").splitlines()
        kept = [line.strip().rstrip("\\").strip() for line in lines if not line.strip().startswith("#")]
        return shlex.split(" ".join(kept))
    except (OSError, ValueError):
        return []


def values(flags: list[str], name: str) -> list[str]:
    """What stands behind an option, the last time it is given: `--name a b` and `--name=a`."""
    found: list[str] = []
    for number, flag in enumerate(flags):
        if flag.startswith(f"{name}="):
            found = [flag.partition("=")[2]]
        elif flag == name:
            rest = flags[number + 1 :]
            end = next((at for at, word in enumerate(rest) if word.startswith("-")), len(rest))
            found = rest[:end]
    return found


def usual_user_data(folder: Path) -> Path:
    """Where modules/paths.py looks first; a portable build prefers one beside or above itself, for its updates."""
    paths = folder / "modules" / "paths.py"
    places = [folder / "user_data"]
    if (folder / "portable_env").is_dir() and paths.is_file():
        places.insert(0, folder.parent / "user_data")
        if (folder.parent / "app").exists() and "'app'" in paths.read_text("utf-8", "replace"):
            places.insert(0, folder.parent.parent / "user_data")
    return next((place for place in places if place.is_dir()), folder / "user_data")


def user_data_of(folder: Path, said: str | None = None) -> Path:
    """The user_data folder that is in use; CMD_FLAGS.txt in the usual one may name another. `said`: by the user."""
    usual = usual_user_data(folder)
    named = [said] if said else values(flags_of(usual), "--user-data-dir")[:1]
    # The start scripts change to the webui's folder, so a relative path in CMD_FLAGS.txt is meant from there.
    found = (clean(said) if said else Path(os.path.abspath(folder / named[0]))) if named else usual
    if not found.is_dir():
        raise Failure(
            f"There is no user_data folder {found}. Start the webui once, "
            "or say where it is: python install.py webui FOLDER --user-data-dir USER_DATA"
        )
    if not serves_extensions(folder, found):
        raise Failure(
            f"The webui in {folder} is too old: it loads no extensions from user_data, which versions since July 2025 "
            "(3.7) do. Update it with its update_wizard script, or git pull, or a newer portable build."
        )
    return found


def serves_extensions(folder: Path, user_data: Path) -> bool:
    """Whether this version looks into user_data/extensions; it ships that folder since it does."""
    utils = folder / "modules" / "utils.py"
    code = utils.read_text("utf-8", "replace") if utils.is_file() else ""
    return bool(re.search(r"user_ext", code)) or (user_data / "extensions").is_dir()


# ---- its Python


def interpreter(environment: Path, windows: bool = WINDOWS) -> Path | None:
    """The Python of an environment made by conda, venv, or for the portable build."""
    names = ("python.exe", "Scripts/python.exe") if windows else ("bin/python", "bin/python3")
    return next((environment / name for name in names if (environment / name).exists()), None)


def said_python(words: str) -> Path:
    """What `--python` names: a file, a command, the folder of an environment, or one that it lies in or holds."""
    path = clean(words)
    if path.is_dir():
        found = next(filter(None, map(interpreter, (path, path.parent, *(path / name for name in ENVIRONMENTS)))), None)
    else:
        found = path if path.exists() else Path(shutil.which(words) or "")
    if not found or not found.name:
        where = "in the folder " if path.is_dir() else ""
        raise Failure(f"There is no Python {where}{words}. Type its file, for instance --python /path/to/bin/python")
    # It is about to be run: a start script would start the webui.
    if not re.match(r"py(thon|py)?([\d.w]|$)", found.name, re.IGNORECASE):
        raise Failure(f"{found} is no Python by its name. Type its file, for instance --python /path/to/bin/python")
    return found


def active(variables: Mapping[str, str]) -> Path | None:
    """The Python of the active environment, if it is one that could run the webui."""
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        python = interpreter(Path(variables[name])) if variables.get(name) else None
        has = inspect(python) if python else None
        # Our own environment may be the active one: only the webui's holds gradio and a YAML reader.
        if python and isinstance(has, Inventory) and {"gradio", "pyyaml"} <= has.packages.keys():
            return python
    return None


def python_of(folder: Path, said: str | None, variables: Mapping[str, str]) -> tuple[Path, Inventory]:
    """The webui's own Python and what it holds."""
    own = [found for name in ENVIRONMENTS if (found := interpreter(folder / name))]
    python = said_python(said) if said else own[0] if own else active(variables)
    if python is None:
        looked = ", ".join(ENVIRONMENTS)
        raise Failure(
            f"No Python of the webui in {folder} was found: there is no {looked}, and no environment with the webui's "
            f"packages is active.\nStart the webui once, so that it sets itself up, {SAY_WHICH}."
        )
    has = inspect(python)
    if isinstance(has, str):
        raise Failure(
            f"The Python {python} does not run: {has}\nStart the webui once and see that it does, {SAY_WHICH}."
        )
    if "gradio" not in has.packages:
        raise Failure(f"{python} is not the Python of a webui: it has no gradio. Take the webui's own, {SAY_WHICH}.")
    if tuple(map(int, has.version.split(".")[:2])) < (3, 10):
        raise Failure(f"{python} is Python {has.version}, and soft prompts needs 3.10 or newer. Update the webui.")
    return python, has
