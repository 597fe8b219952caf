"""`python benchmarks/training.py` prints what training gives and costs, against what else there is.

The rivals are PEFT's prompt tuning in the Trainer of Transformers, with a rate from a sweep, and the recipe of the
ancestors of this project. `--only speed` runs one section, `--full` three seeds of each, `--check` ends with 1 where a
target is missed.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
PEERS = ("torch", "transformers", "peft", "accelerate")


def sections(seeds: range, full: bool, rounds: int) -> dict[str, Callable[[], Iterator[Any]]]:
    """What can be run, by the names that `--only` takes."""
    subjects, quality, speed, cost = (part(name) for name in ("subjects", "quality", "speed", "cost"))
    memory, worldinfo, distill = (part(name) for name in ("memory", "worldinfo", "distill"))
    folder = subjects.shared(HERE.parent.parent)
    if folder is None:
        print("(../shared is not there: the sections on stories260k and alice.txt are left out)\n")

    def styles() -> Iterator[Any]:
        if folder is not None:
            yield quality.quality(subjects.alice(folder), {100: 0.02, 400: 0.015}, seeds, quality.KNOWN, full)
        yield quality.quality(subjects.noir(), {100: 0.015, 400: 0.015} if full else {100: 0.015}, seeds, None, full)

    def speeds() -> Iterator[Any]:
        yield speed.speed(rounds)
        yield speed.overhead()

    return {
        "quality": styles,
        "speed": speeds,
        "memory": lambda: iter([memory.memory(HERE)]),
        "ancestors": lambda: iter([cost.cost(subjects.noir(), seeds)]),
        "worldinfo": lambda: iter([worldinfo.worldinfo(seeds)]),
        "distill": lambda: iter([distill.distill(seeds, full)]),
    }


def part(name: str) -> Any:
    """A file of the folder beside this one."""
    return parts.part(f"training.{name}")


def quiet() -> None:
    """No bars, no warnings of the rivals' own, and no questions to the hub."""
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1"}
    import transformers

    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    logging.getLogger("accelerate").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)


def arguments() -> argparse.Namespace:
    """What the command line says."""
    names = ("quality", "speed", "memory", "ancestors", "worldinfo", "distill")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=names, help="this section; may be given several times")
    parser.add_argument("--full", action="store_true", help="three seeds, the storyteller at 400 steps, a twentieth")
    parser.add_argument("--check", action="store_true", help="end with 1 where a target is missed")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of torch, where time is not measured")
    parser.add_argument("--speed-threads", type=int, default=1, help="of torch, in the section speed")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved runs of the section speed")
    parser.add_argument("--probe", help=argparse.SUPPRESS)
    return parser.parse_args()


TIMED = ("speed", "memory")
LANES = (("quality", "worldinfo", "ancestors"), ("distill",))
"""Sections in which no two times are compared, or only those of one processor: they may run beside each other."""


def lanes(options: argparse.Namespace) -> list[str]:
    """Run each lane in a process of its own, on its share of the threads, and print them in turn; what they missed."""
    threads = str(max(1, options.threads // len(LANES)))
    command = [sys.executable, "-I", str(HERE), "--threads", threads, *(["--full"] if options.full else [])]
    running = [
        subprocess.Popen([*command, *(f"--only={name}" for name in lane)], stdout=subprocess.PIPE, text=True)
        for lane in LANES
    ]
    missed: list[str] = []
    for process in running:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("missed: "):
                missed.append(line.removeprefix("missed: ").rstrip())
            else:
                print(line, end="", flush=True)
        if process.wait():
            raise SystemExit(f"a part of the benchmark ended with {process.returncode}")
    return missed


def main() -> int:
    """Print the sections; what they missed decides the exit status."""
    options = arguments()
    quiet()
    if options.probe:
        part("memory").probe(options.probe)
        return 0
    import torch

    peers = ", ".join(f"{name} {version(name)}" for name in PEERS)
    print(f"Python {platform.python_version()}, {peers}; {options.threads} threads\n", flush=True)
    whole = not options.only and options.threads > 1
    missed = lanes(options) if whole else []
    found = sections(range(3 if options.full else 1), options.full, options.rounds)
    return int(
        parts.run(
            found,
            TIMED if whole else options.only or (),
            options.check,
            lambda name: torch.set_num_threads(options.speed_threads if name == "speed" else options.threads),
            missed,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
