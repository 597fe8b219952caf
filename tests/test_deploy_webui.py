"""Installed into a copy of a real text-generation-webui, whose own code then finds, enables and keeps it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from soft_prompts.hosts.webui.deploy import files, packages

ROOT = Path(__file__).resolve().parents[1]
WEBUI, PYTHON = os.environ.get("TEXTGEN_WEBUI_DIR"), os.environ.get("TEXTGEN_WEBUI_PYTHON", sys.executable)

# What server.py does with the settings is taken from server.py itself, by the comments around it.
ASK = """
import json, sys, textwrap
from pathlib import Path
sys.argv = ["server.py", "--nowebui", "--cpu"]
sys.path.insert(0, ".")
import yaml
from modules import shared, utils
import modules.extensions as extensions_module
from modules.logging_colors import logger
server = Path("server.py").read_text("utf-8")
block = server[server.index("    # Load custom settings"):server.index("    # Handle --extensions openai")]
exec(textwrap.dedent(block))
report = {"available": utils.get_available_extensions(), "enabled": list(shared.args.extensions or [])}
from modules import ui
state = {"show_two_notebook_columns": False, "prompt_menu-notebook": "", "seed": -1, "mode": "chat"}
for manual in (False, True):
    saved = ui.save_settings(state, None, report["enabled"], True, "dark", manual_save=manual)
    report["by hand" if manual else "by itself"] = yaml.safe_load(saved).get("default_extensions")
print(json.dumps(report))
"""


def tree(folder: Path) -> dict[str, Any]:
    found = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes() for path in found}


@pytest.mark.webui
@pytest.mark.skipif(not WEBUI, reason="TEXTGEN_WEBUI_DIR is not set")
def test_in_a_copy_of_the_real_one(tmp_path: Path) -> None:
    away = shutil.ignore_patterns(".git", "installer_files", "portable_env", "venv", ".venv", "models", "__pycache__")
    webui = Path(shutil.copytree(str(WEBUI), tmp_path / "a webui", ignore=away))
    (webui / "user_data" / "settings.yaml").unlink(missing_ok=True)
    before, had = tree(webui), packages.inspect(Path(PYTHON))
    checkout = tmp_path / "a checkout"
    for name in files.needed(ROOT):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, checkout / name)

    def install(*words: str) -> str:
        line = [sys.executable, "-I", str(checkout / "install.py"), "webui", str(webui), *words]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask() -> dict[str, Any]:
        done = subprocess.run([PYTHON, "-c", ASK], capture_output=True, encoding="utf-8", cwd=webui)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout.splitlines()[-1]))

    assert "soft_prompts" not in ask()["enabled"]
    assert "Installing soft prompts" in install("--python", PYTHON)
    once, report = tree(webui), ask()
    assert "soft_prompts" in report["available"]
    for when in ("enabled", "by itself", "by hand"):
        assert report[when] == ["soft_prompts"], when
    assert "up to date" in install("--python", PYTHON)
    assert tree(webui) == once
    install("--uninstall")
    assert tree(webui) == before
    assert packages.inspect(Path(PYTHON)) == had
