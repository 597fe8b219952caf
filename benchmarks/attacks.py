"""`python benchmarks/attacks.py` tries every hostile file that the tests know: the table of docs/security.md.

`--only "KoboldAI zip"` tries one reader's, `--json` prints each outcome as a line. Ends with 1 where a file was taken
for a soft prompt, took longer than a second of processor time, or more memory than is promised. Needs numpy alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
ATTACKS = HERE.parent.parent / "tests" / "attacks"
measure = parts.part("measure", ATTACKS)
HEAD = "| reader | tried | refused | longest, s | most memory, MB | the worst (its size) |\n|---|---|---|---|---|---|"


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], help="a reader; may be given twice")
    parser.add_argument("--json", action="store_true", help="an object a line, and no table")
    options = parser.parse_args()
    found = list(told(outcomes(options.only), options.json))
    if not options.json:
        print(table(found))
    ran = measure.hostile.CANARY.exists()
    missed = [each for each in found if not each.within]
    for each in missed:
        print(f"missed: {each}", file=sys.stderr)
    print("a payload was run!" if ran else "no payload was run", file=sys.stderr)
    return int(bool(missed) or ran)


def outcomes(readers: list[str]) -> Iterator[Any]:
    """How each file fares, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        for trial in measure.trials(readers):
            yield measure.measured(trial, Path(folder))


def told(found: Iterable[Any], lines: bool) -> Iterator[Any]:
    """The same, each printed as it comes."""
    for each in found:
        if lines:
            print(json.dumps(asdict(each)), flush=True)
        yield each


def table(found: list[Any]) -> str:
    """Markdown: a row for each reader, and one for all."""
    readers = list(dict.fromkeys(each.reader for each in found))
    rows = [row(name, [each for each in found if each.reader == name]) for name in readers]
    return "\n".join([HEAD, *rows, row("all", found)])


def row(name: str, found: list[Any]) -> str:
    """The numbers of some outcomes; the worst is the one with the most memory."""
    worst, slowest = max(found, key=lambda each: each.memory), max(each.seconds for each in found)
    refused = sum(bool(each.reason) for each in found)
    size = f"{worst.name} ({worst.size / 1e6:,.1f} MB)"
    return f"| {name} | {len(found)} | {refused} | {slowest:.2f} | {worst.memory / 1e6:,.1f} | {size} |"


if __name__ == "__main__":
    sys.exit(main())
