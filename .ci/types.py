"""`python .ci/types.py`: mypy over the package, `script.py` and `install.py`; further arguments go to mypy.

The package is made of two folders, which only its installation puts together. Here a
temporary folder does, by links or else by copies; what mypy says names the real files.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACES = {"soft_prompts": ROOT / "extensions" / "soft_prompts", "soft_prompts/trainer": ROOT / "trainer"}
ALONE = ("install.py", "script.py")


def put(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)


def stage(folder: Path) -> None:
    """The package as it is when installed."""
    (folder / "soft_prompts").mkdir()
    for child in PLACES["soft_prompts"].iterdir():
        put(child, folder / "soft_prompts" / child.name)
    put(PLACES["soft_prompts/trainer"], folder / "soft_prompts" / "trainer")


def real(line: str) -> str:
    """The line with the real file in place of the staged one."""
    path = line.replace(os.sep, "/")
    for staged in sorted(PLACES, key=len, reverse=True):
        if path.startswith(f"{staged}/"):
            return str(PLACES[staged].relative_to(ROOT)) + line[len(staged) :]
    return line


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder))
        mypy = [sys.executable, "-I", "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml")]
        cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
        targets = ["soft_prompts", *(str(ROOT / name) for name in ALONE)]
        found = subprocess.run(
            [*mypy, *cache, *sys.argv[1:], *targets], cwd=folder, stdout=subprocess.PIPE, encoding="utf-8"
        )
    print("\n".join(real(line) for line in found.stdout.splitlines()))
    return found.returncode


if __name__ == "__main__":
    sys.exit(main())
