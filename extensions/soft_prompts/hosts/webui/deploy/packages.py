"""`inspect(python)`, `add(python, ["watchdog"])`: what another interpreter holds, and the little that is put into it.

pip is only ever told to install what is missing, alone (`--no-deps`), so that no package of the webui can change; the
inventories before and after are compared all the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# Asked of the webui's Python. -I: nothing of the current folder and of the user's variables gets in. The first of two
# distributions of one name is the one that Python imports.
INSPECT = """
import json, re, sys
from importlib import metadata
found, needs = {}, {}
for each in metadata.distributions():
    about = each.metadata or {}
    name = re.sub("[-_.]+", "-", about.get("Name") or "").lower()
    if name and name not in found:
        found[name] = about.get("Version") or ""
        needs[name] = [re.match("[A-Za-z0-9._-]*", line.strip()).group() for line in each.requires or ()]
print(json.dumps({"version": sys.version.split()[0], "packages": found, "needs": needs}))
"""
NO_NETWORK = (
    r"name resolution|getaddrinfo|ConnectionError|NameResolution|[Tt]imed out|unreachable|Proxy|SSL|CERTIFICATE"
)
NO_INDEX = "pip reached no package index; check the connection, or behind a proxy set the variable HTTPS_PROXY"


@dataclass(frozen=True)
class Inventory:
    """What a Python holds: its version, package -> version, and package -> what it requires; names normalised."""

    version: str
    packages: dict[str, str]
    needs: dict[str, list[str]] = field(default_factory=dict)

    def users_of(self, name: str) -> list[str]:
        """The packages that require another, extras included."""
        return sorted(each for each, needs in self.needs.items() if name in map(normal, needs) and each != name)

    def changes(self, after: Inventory, allowed: list[str]) -> list[str]:
        """What is another version now, or gone, or new without having been asked for; one line each."""
        before, now = self.packages, after.packages
        names = sorted(
            (before.keys() | now.keys()) - {name for name in allowed if name not in before or name not in now}
        )
        moved = [name for name in names if before.get(name) != now.get(name)]
        return [f"{name}: {before.get(name, 'not there')} -> {now.get(name, 'gone')}" for name in moved]


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def environment(python: Path, windows: bool = os.name == "nt") -> dict[str, str]:
    """The variables for another Python: nothing that sends packages elsewhere, and what conda needs on Windows."""
    away = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name.upper() not in away}
    kept |= {"PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if windows:
        # A conda environment that is not activated finds no libssl, and pip then no network.
        prefix = python.parent
        folders = [prefix, *(prefix / name for name in ("Library/mingw-w64/bin", "Library/usr/bin", "Library/bin"))]
        kept["PATH"] = ";".join([*map(str, folders), kept.get("PATH", "")])
    return kept


def ask(python: Path, arguments: list[str], told: str = "") -> tuple[int, str, str]:
    """(exit code, standard output, standard error) of another Python; it runs alone, see -I."""
    command = [str(python), "-I", "-X", "utf8", *arguments]
    try:
        done = subprocess.run(
            command, input=told, capture_output=True, encoding="utf-8", errors="replace", env=environment(python)
        )
    except OSError as problem:
        return 127, "", str(problem)
    return done.returncode, done.stdout, done.stderr


def inspect(python: Path) -> Inventory | str:
    """What an interpreter holds, or why it does not run."""
    code, out, err = ask(python, ["-c", INSPECT])
    try:
        return Inventory(**json.loads(out))
    except (ValueError, TypeError):
        return (err.strip().splitlines() or [f"it ended with code {code}"])[-1]


def pinned(webui: Path, name: str) -> str:
    """A requirement as the webui writes it itself, `numpy==2.2.*`, else the bare name."""
    for file in sorted([*webui.glob("requirements*.txt"), *webui.glob("requirements/**/*.txt")]):
        found = re.search(
            rf"^{re.escape(name)}[ \t]*[=<>~!][^;#\r\n]*", file.read_text("utf-8", "replace"), re.M | re.I
        )
        if found:
            return found.group().strip()
    return name


def add(python: Path, requirements: list[str]) -> str:
    """Installs these alone; the reason if it fails. One that cannot be had does not keep the others out."""
    reason = install(python, requirements)
    if not reason or reason == NO_INDEX or len(requirements) == 1:
        return reason
    return "; ".join(filter(None, (install(python, [each]) for each in requirements)))


def install(python: Path, requirements: list[str]) -> str:
    """All of these or none. Only ready-made wheels: a writer's machine has no compiler."""
    pip = ["-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--retries", "2", "--no-warn-script-location"]
    code, out, err = ask(python, [*pip, *requirements])
    if code == 0:
        return ""
    if re.search(NO_NETWORK, out + err):
        return NO_INDEX
    lines = [line for line in (out + "\n" + err).splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith(("ERROR", "error"))]
    return (errors or lines or ["pip failed without a word"])[0].strip()


def remove(python: Path, names: list[str]) -> str:
    """Uninstalls these; the reason if it fails."""
    code, out, err = ask(python, ["-m", "pip", "uninstall", "-y", *names])
    return "" if code == 0 else ((err or out).strip().splitlines() or ["pip failed without a word"])[-1]
