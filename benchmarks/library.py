"""`python benchmarks/library.py` prints how fast a library of 10,000 files is listed, looked up and watched.

Every listing is measured in a fresh Python with a warm page cache. Numbers are medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from soft_prompts import Library, SoftPrompt
from soft_prompts.fingerprint import take
from soft_prompts.watch import Watch

TOKENS, WIDTH, TRIALS = 8, 64, 50

LISTING = """
import sys, time
import soft_prompts

def resident():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * 4096 / 1e6
    except OSError:
        return float("nan")

before, began = resident(), time.perf_counter()
library = soft_prompts.Library(sys.argv[1])
count = len(library.entries())
listed = time.perf_counter() - began
after = resident()
began = time.perf_counter()
library.refresh()
print(count, listed, after - before, time.perf_counter() - began)
"""


class Embedding:
    """Random token embeddings, of which a fingerprint can be taken."""

    width, rows = WIDTH, 50_257

    def embed(self, ids: Sequence[int]) -> np.ndarray:
        return np.stack([np.random.default_rng(each).normal(size=WIDTH).astype(np.float32) for each in ids])


def fill(folder: Path, count: int, models: int = 3) -> None:
    """`count` native files by the library's own writer, of a few models, with what a training writes about itself."""
    rng = np.random.default_rng(0)
    # A drive's flush is no part of what is measured, and takes minutes for so many files.
    flush, os.fsync = os.fsync, lambda _: None
    prints = [take(Embedding(), [f"Ġtoken{model}{each}" for each in range(64)]).to_text() for model in range(models)]
    try:
        for each in range(count):
            metadata = {
                "fingerprint": prints[each % models],
                "base_model": f"a-writer/a-model-of-{each % models + 1}B",
                "author": "Ann",
                "licence": "CC-BY-4.0",
                "created": "2025-01-01T12:00:00+00:00",
                "description": f"A city in the rain, the {each}th of its kind.",
                "method": "finetune",
                "settings": f'{{"steps": 400, "tokens": {TOKENS}, "rate": 0.01, "seed": {each}}}',
                "data_hash": f"{each:064x}",
                "held_out": f"{3 + each / count:.4f}",
                "before": "The sky over the port was grey. " * 6,
                "after": f"The sky over the port was the colour of {each} televisions. " * 6,
            }
            prompt = SoftPrompt("x", rng.normal(size=(TOKENS, WIDTH)), metadata=metadata)
            prompt.save(folder / f"{'abcdefghij'[each % 10]}-{each * 7919 % count:05}.safetensors")
    finally:
        os.fsync = flush


def milliseconds(call: Callable[[], object], times: int = TRIALS) -> float:
    """The median time of `call`."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e3


def missing(library: Library, name: str) -> None:
    try:
        library[name]
    except KeyError:
        return
    raise AssertionError(f"{name} is there")


def listings(folder: Path) -> list[tuple[str, str]]:
    """Five fresh processes after one that warms the page cache."""
    rows = []
    for _ in range(6):
        done = subprocess.run(
            [sys.executable, "-I", "-c", LISTING, str(folder)], capture_output=True, text=True, check=True
        )
        rows.append(list(map(float, done.stdout.split())))
    _, listed, memory, again = map(statistics.median, zip(*rows[1:], strict=True))
    return [
        ("first listing, fresh process, warm page cache", f"{listed:.2f} s"),
        ("memory of it, above the imported library", f"{memory:.0f} MB"),
        ("second refresh, nothing changed", f"{again * 1e3:.0f} ms"),
    ]


def lookups(folder: Path) -> list[tuple[str, str]]:
    library = Library(folder)
    known = next(iter(library))
    time.sleep(0.3)  # above the step of the drive's clock
    library.refresh()
    first = milliseconds(lambda: missing(library, "a-0000x"), 1)
    rows = [
        ("lookup of a loaded prompt", f"{milliseconds(lambda: library[known], 2000) * 1e3:.0f} µs"),
        ("miss, the first with its near names", f"{first:.0f} ms"),
        ("miss, said again", f"{milliseconds(lambda: missing(library, 'a-0000x'), 2000) * 1e3:.0f} µs"),
    ]
    stop = threading.Event()

    def walk() -> None:
        while not stop.is_set():
            library.refresh()

    walker = threading.Thread(target=walk)
    walker.start()
    taken = []
    for _ in range(2000):
        began = time.perf_counter()
        library[known]
        taken.append((time.perf_counter() - began) * 1e3)
    stop.set()
    walker.join()
    high = statistics.quantiles(taken, n=100)[98]
    middle = statistics.median(taken)
    return [*rows, ("lookup while refreshes run: median, 99 of 100", f"{middle * 1e3:.0f} µs, {high:.1f} ms")]


def arrivals(folder: Path, watchdog: bool) -> list[tuple[str, str]]:
    """From os.replace of a file into the folder to the lookup that resolves it, and to the listing that shows it."""
    if not watchdog:
        for name in [name for name in sys.modules if name.partition(".")[0] == "watchdog"]:
            del sys.modules[name]
        sys.modules["watchdog"] = None  # type: ignore[assignment]
    library, told = Library(folder), threading.Event()
    outside = folder.parent / "new.safetensors"
    found, shown = [], []
    with Watch(library, told.set) as watch:
        told.wait()
        time.sleep(2)
        for trial in range(TRIALS):
            time.sleep(0.1 + trial % 10 / 10)  # so that looks at fixed times are met at all their phases
            SoftPrompt("x", np.ones((TOKENS, WIDTH))).save(outside)
            told.clear()
            os.replace(outside, folder / f"new-{watchdog}-{trial}.safetensors")
            began = time.perf_counter()
            while f"new-{watchdog}-{trial}" not in library:
                pass
            library[f"new-{watchdog}-{trial}"]
            found.append(time.perf_counter() - began)
            told.wait()
            shown.append(time.perf_counter() - began)
        kind = watch.kind
    for each in folder.glob("new-*"):
        each.unlink()
    return [
        (f"os.replace to the first lookup, {kind}", f"{statistics.median(found) * 1e3:.1f} ms"),
        (f"os.replace to the listing, {kind}", f"{statistics.median(shown):.2f} s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=10_000, help="how many (default: %(default)s)")
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "soft_prompts"
        fill(folder, count)
        rows = listings(folder) + lookups(folder)
        if find_spec("watchdog"):
            rows += arrivals(folder, True)
        rows += arrivals(folder, False)
    print(f"| {count:,} files of {TOKENS} tokens, {WIDTH} wide | median |\n|---|---|")
    print("\n".join(f"| {what} | {value} |" for what, value in rows))
    print(f"\n{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, numpy {np.__version__}")


if __name__ == "__main__":
    main()
