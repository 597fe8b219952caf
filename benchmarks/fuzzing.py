"""`python benchmarks/fuzzing.py` gives each reader 200,000 files that are nearly right; the tables: docs/security.md.

The readers are those of soft prompts, and those of the files of writers' tools, which become entries. Faults are
crashes, hangs and overruns; the minutes are of processor time. On Linux the system keeps the native reader to the
memory that is promised, and more than that is a crash.

`--only numpy --count 2000` is one reader's everyday test. `--coverage` tells which of the readers' branches were taken,
which is slow; it needs the coverage package, all else numpy alone. Ends with 1 after a crash, a hang or an overrun,
where a reader took more than 15 minutes of processor time, where less than nine in ten branches were taken, and where
less than three in ten native files were sound containers.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
TESTS = HERE.parent.parent / "tests"
READERS = (
    "archive", "foreign", "jsons", "kobold", "metadata", "mkultra", "mtj", "npy", "numbers", "opening", "peft",
    "pickles", "plain", "states", "stubs", "torchfile",
)  # fmt: skip
"""The modules of `formats` that read what other tools wrote."""
WRITERS = ("*/trainer/data/books/*.py", "*/trainer/data/reading.py")
"""Those that read what writers' tools wrote."""
NATIVE = ("*/soft_prompts/container.py", "*/soft_prompts/formats/native.py")
"""Those of our own files."""

MINUTES = 15
BRANCHES = 90
HEAD = "| reader | files | taken | refused | longest, s | most memory, MB | faults | minutes |"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="a reader; may be given twice")
    parser.add_argument("--count", type=int, default=200_000, help="files for each (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another number, other files (default: %(default)s)")
    parser.add_argument("--coverage", action="store_true", help="which branches were taken")
    options = parser.parse_args()
    watch = begun(options.only) if options.coverage else None
    print(f"{HEAD}\n|{'---|' * 8}", flush=True)
    faults = run(options.only, options.count, options.seed)
    if watch is not None:
        text, share = taken(watch)
        print(f"\n{text}")
        faults += [f"{share:.1f} % of the branches were taken, and {BRANCHES} are wanted"] if share < BRANCHES else []
    for each in faults:
        print(f"missed: {each}", file=sys.stderr)
    return int(bool(faults))


def run(only: list[str], count: int, seed: int) -> list[str]:
    """Print a row for each reader; what went wrong."""
    faults = []
    kinds = [parts.part(f"{each}.trying", TESTS) for each in ("attacks", "writers")]
    native = parts.part("attacks.native", TESTS)
    tried = {reader: kind.tried for kind in kinds for reader in kind.fuzz.READERS}
    tried["native"] = functools.partial(native.tried, held=True)
    for reader in only or tried:
        began = time.process_time()
        found = tried[reader](reader, count, seed)
        minutes = (time.process_time() - began) / 60
        numbers = f"{found.inputs:,} | {found.taken:,} | {found.refused:,} | {found.seconds:.3f}"
        print(f"| {reader} | {numbers} | {found.memory / 1e6:.1f} | {len(found.faults)} | {minutes:.1f} |", flush=True)
        faults += [f"{reader}, {each}" for each in found.faults]
        if isinstance(found, native.TriedNative):
            told = f"{found.sound:,} of {reader}'s {found.inputs:,} files are sound containers, {found.share:.1f} %"
            print(told, file=sys.stderr)
            faults += [f"{told}, and {native.SHARE} are wanted"] if found.share < native.SHARE else []
        if minutes > MINUTES:
            faults.append(f"{reader} took {minutes:.1f} minutes of processor time, and {MINUTES} are given")
    return faults


def begun(only: list[str]) -> Any:
    """What watches the branches, from before the readers are imported; where that is wanted only, of our own files."""
    import coverage

    formats = [f"*/soft_prompts/formats/{name}.py" for name in READERS]
    others = [] if only == ["native"] else [*formats, *WRITERS]
    watch = coverage.Coverage(branch=True, data_file=None, include=[*NATIVE, *others])
    watch.start()
    return watch


def taken(watch: Any) -> tuple[str, float]:
    """(Markdown, share): of each module, how many statements and branches, and the share of all branches in percent."""
    watch.stop()
    rows, whole = [], [0, 0]
    for path in sorted(watch.get_data().measured_files()):
        numbers = watch._analyze(path).numbers
        reached, there = numbers.n_executed_branches, numbers.n_branches
        whole = [whole[0] + reached, whole[1] + there]
        share = 100 * reached / there if there else 100
        lines = f"{numbers.n_executed} of {numbers.n_statements}"
        rows.append(f"| {Path(path).stem} | {lines} | {reached} of {there} | {share:.0f} % |")
    reached = 100 * whole[0] / max(whole[1], 1)
    rows.append(f"| all | | {whole[0]} of {whole[1]} | {reached:.1f} % |")
    return "\n".join(["| module | statements | branches | |", "|---|---|---|---|", *rows]), reached


if __name__ == "__main__":
    sys.exit(main())
