"""`python install.py docs`: builds the documentation into site/ and checks every link, anchor and picture of it.

It fails at a warning of MkDocs, at a dead link, at a list or table that stayed text, and at anything that a reader's
browser would have to fetch from elsewhere. `--open` shows it in the browser then, `--output FOLDER` builds elsewhere.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
import webbrowser
from pathlib import Path

from links import problems
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.utils import CountHandler

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python install.py docs", description=__doc__.partition("\n")[0])
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    parser.add_argument("--output", type=Path, default=ROOT / "site", metavar="FOLDER", help="default: site")
    options = parser.parse_args()
    began = time.monotonic()
    target = options.output.absolute()
    warnings = built(target)
    found = problems(target)
    for problem in found:
        print(problem, file=sys.stderr)
    if warnings or found:
        print(f"{warnings} warnings, and {len(found)} links or pages with a problem", file=sys.stderr)
        return 1
    index = target / "index.html"
    pages = len(list(target.rglob("*.html")))
    print(f"{pages} pages without a warning or a dead link, in {time.monotonic() - began:.0f} s. Read: {index}")
    if options.open:
        webbrowser.open(index.as_uri())
    return 0


def built(target: Path) -> int:
    """Builds into the folder; the number of warnings, each of which was printed."""
    counted = CountHandler()
    counted.setLevel(logging.WARNING)
    shown = logging.StreamHandler()
    shown.setLevel(logging.WARNING)
    for handler in (counted, shown):
        logging.getLogger("mkdocs").addHandler(handler)
    build(load_config(str(ROOT / "mkdocs.yml"), site_dir=str(target)))
    return sum(count for _, count in counted.get_counts())


if __name__ == "__main__":
    sys.exit(main())
