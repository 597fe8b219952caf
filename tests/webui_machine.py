"""A made-up webui, a checkout and a Python that only notes what it is asked, for the tests of `install.py webui`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from soft_prompts.hosts.webui import deploy
from soft_prompts.hosts.webui.deploy import packages

NEEDED = {
    "script.py": "params = {}\n",
    "install.py": "",
    "requirements.txt": "numpy\nwatchdog\n",
    "LICENSE": "MIT",
    "extensions/soft_prompts/__init__.py": '__version__ = "1.2.3"\n',
    "extensions/soft_prompts/script.py": "",
    "extensions/soft_prompts/demo/storyteller/model.safetensors": "weights",
    "trainer/__init__.py": "",
}
STRAY = {"CHANGELOG.md": "", ".git/config": "", "trainer/__pycache__/x.cpython-311.pyc": "", "trainer/.notes.swp": ""}
WEBUI = {
    "server.py": "",
    "modules/shared.py": "settings = {\n    'default_extensions': [],\n}\n",
    "modules/extensions.py": "",
    "modules/utils.py": "user_ext_path = shared.user_data_dir / 'extensions'",
    "modules/paths.py": "if (script_dir.parent / 'app').exists():",
    "requirements/full/requirements.txt": "accelerate==1.12.*\nnumpy==2.2.*\nPillow>=9.5.0\n",
    "user_data/CMD_FLAGS.txt": "# flags\n--api\n",
    "user_data/extensions/place-your-extensions-here.txt": "",
}


def lay(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())
    return folder


def tree(folder: Path) -> dict[str, bytes | None]:
    """Everything in a folder; None for a folder."""
    found = (path for path in folder.rglob("*"))
    return {path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in found}


class Machine:
    """A webui, a checkout, and a Python that only notes what it is asked; `pip` is what pip does when it installs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.checkout = lay(folder / "a checkout", {**NEEDED, **STRAY}).resolve()
        self.webui = lay(folder / "a webui", WEBUI).resolve()
        self.python = self.environment(self.webui / "venv")
        self.has = {"numpy": "2.2.6", "pip": "25.0", "gradio": "4.37.2", "pyyaml": "6.0"}
        self.needs: dict[str, list[str]] = {}
        self.pip = {"watchdog": "6.0.0", "gguf": "0.19.0"}
        self.fails = ""
        self.never: set[str] = set()
        self.asked: list[list[str]] = []
        self.dead: set[Path] = set()
        self.yaml = True
        monkeypatch.setattr(packages, "ask", self.ask)
        monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        monkeypatch.delenv("CONDA_PREFIX", raising=False)

    @staticmethod
    def environment(folder: Path) -> Path:
        name = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return lay(folder, {name: ""}) / name

    @property
    def user_data(self) -> Path:
        return self.webui / "user_data"

    @property
    def target(self) -> Path:
        return self.user_data / "extensions" / "soft_prompts"

    def settings(self, text: str | None = None) -> str:
        path = self.user_data / "settings.yaml"
        if text is not None:
            path.write_bytes(text.encode())
        return path.read_bytes().decode()

    def ask(self, python: Path, arguments: list[str], told: str = "") -> tuple[int, str, str]:
        if python in self.dead:
            return 127, "", "no such file"
        if arguments[1] == packages.INSPECT:
            return 0, json.dumps({"version": "3.11.7", "packages": self.has, "needs": self.needs}), ""
        if arguments[0] == "-c":
            if not self.yaml:
                return 1, "", "No module named yaml"
            done = subprocess.run([sys.executable, *arguments], input=told, capture_output=True, encoding="utf-8")
            return done.returncode, done.stdout, done.stderr
        self.asked.append(arguments[2:])
        if self.fails or self.never.intersection(arguments):
            return 1, "", self.fails or "ERROR: No matching distribution found"
        if "install" in arguments:
            unasked = {"watchdog", "gguf"}.difference(arguments)
            self.has = {**self.has, **{name: self.pip[name] for name in self.pip.keys() - unasked}}
        else:
            self.has = {name: version for name, version in self.has.items() if name not in arguments[3:]}
        return 0, "", ""

    def run(self, *words: str, code: int = 0, checkout: Path | None = None) -> None:
        assert deploy.main([str(self.webui), *words], checkout or self.checkout) == code
