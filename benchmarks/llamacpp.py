"""`python benchmarks/llamacpp.py` prints what soft prompts cost and give in llama.cpp.

`--only sidecar` needs the gguf package alone; `speed` and `gain` a llama-server as well (LLAMA_SERVER, or on the PATH).
`--check` ends with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
TESTS = HERE.parent.parent / "tests" / "llamacpp"
"""What writes small models as GGUF and starts servers there does it here, too."""


def sections(starts: int) -> dict[str, Callable[[], Iterator[Any]]]:
    """What can be run, by the names that `--only` takes."""

    def tests(name: str) -> Any:
        return parts.part(name, TESTS)

    return {
        "sidecar": lambda: parts.part("llamacpp.sidecars").sidecars(HERE),
        "speed": lambda: parts.part("llamacpp.speed").speed(starts, tests),
        "gain": lambda: parts.part("llamacpp.gains").gains(HERE.parent.parent.parent / "shared", tests),
    }


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
        parts.part("llamacpp.sidecars").probe(*options.probe)
        return 0
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(options.threads)}
    print(f"Python {platform.python_version()}, numpy {version('numpy')}, gguf {version('gguf')}\n", flush=True)
    return int(parts.run(sections(options.starts), options.only or (), options.check))


if __name__ == "__main__":
    sys.exit(main())
