"""`part(folder, "training.quality")` and `run(sections, ...)`: how a benchmark of several files is put together.

Each script loads this file by its place, and this file loads the others: no folder of the checkout may be on sys.path.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def part(name: str, folder: Path = HERE) -> Any:
    """A module below a folder, which acts as a package of that name."""
    package = f"{folder.parent.name}_{folder.name}".replace("-", "_")
    if package not in sys.modules:
        spec = importlib.util.spec_from_loader(package, None, is_package=True)
        assert spec is not None
        spec.submodule_search_locations = [str(folder)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.{name}")


def run(
    sections: Mapping[str, Callable[[], Iterator[Any]]],
    only: Collection[str],
    check: bool,
    before: Callable[[str], None] = lambda name: None,
    missed: Sequence[str] = (),
) -> int:
    """Print the sections as they are done, and what they missed; the exit status, which is 1 for that with `check`.

    only: their names, all of them where there is none; before: is called with each name; missed: what was before.
    """
    told, began = list(missed), time.monotonic()
    for name, measure in sections.items():
        if only and name not in only:
            continue
        before(name)
        for section in measure():
            spent = f"{time.monotonic() - began:.0f} s, {time.process_time():.0f} s of processor time"
            print(f"{section}\n({spent})\n", flush=True)
            told += section.missed
    for each in told:
        print(f"missed: {each}")
    return 1 if check and told else 0
