"""`python benchmarks/llamacpp.py` prints what soft prompts cost and give in llama.cpp.

`--only sidecar` needs the gguf package alone; `speed` and `gain` a llama-server as well (LLAMA_SERVER, or on the PATH).
`--check` ends with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
TESTS = HERE.parent.parent / "tests" / "llamacpp"
"""What writes small models as GGUF and starts servers there does it here, too."""


def sections(starts: int) -> dict[str, Callable[[], Iterator[Any]]]:
    """What can be run, by the names that `--only` takes."""
    section = part(HERE.parent / "training", "tables").Section

    def ours(name: str) -> Any:
        return part(HERE.with_suffix(""), name)

    def tests(name: str) -> Any:
        return part(TESTS, name)

    return {
        "sidecar": lambda: ours("sidecars").sidecars(HERE, section),
        "speed": lambda: ours("speed").speed(starts, section, tests),
        "gain": lambda: ours("gains").gains(HERE.parent.parent.parent / "shared", section, tests),
    }


def part(folder: Path, name: str) -> Any:
    """A file of a folder, by its place: no folder of the checkout may be on sys.path."""
    package = f"{folder.parent.name}_{folder.name}"
    if package not in sys.modules:
        spec = importlib.util.spec_from_loader(package, None, is_package=True)
        assert spec is not None
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.{name}")


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=("sidecar", "speed", "gain"), help="may be given twice")
    parser.add_argument("--starts", type=int, default=40, help="of each server in the section speed")
    parser.add_argument("--threads", type=int, default=1, help="of torch, which trains the styles of the section gain")
    parser.add_argument("--check", action="store_true", help="end with 1 where a target is missed")
    parser.add_argument("--probe", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Print the sections; what they missed decides the exit status."""
    options = arguments()
    if options.probe:
        part(HERE.with_suffix(""), "sidecars").probe(*options.probe)
        return 0
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(options.threads)}
    print(f"Python {platform.python_version()}, numpy {version('numpy')}, gguf {version('gguf')}\n", flush=True)
    missed = []
    for name, run in sections(options.starts).items():
        if options.only and name not in options.only:
            continue
        for section in run():
            print(section, flush=True)
            missed += section.missed
    for each in missed:
        print(f"missed: {each}")
    return 1 if options.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
