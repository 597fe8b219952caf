"""`soft-prompts import card.png`, `soft-prompts card ...`, `soft-prompts lorebook ...`: their words, without torch."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from .data.books.macros import USER
from .options import FOLDER, Words, add_model, positive

Run = Callable[[argparse.Namespace], "int | None"]

ENDING = ".facts.json"
"""Of the file that drafts are written to."""


def add_import(commands: Any, run: Run) -> None:
    """`import FILE ...`."""
    each = commands.add_parser(
        "import",
        help="lorebooks, characters and stories of other tools: see what is in them, and edit it",
        formatter_class=Words,
        description="Shows what a file holds, what of it is skipped and why, and writes calls and responses that are "
        "drafted from it to one file, which you edit and give to `soft-prompts train world-info`. Read are World Info "
        "of SillyTavern, Character Cards (PNG, JSON, charx), lorebooks and scenarios of NovelAI, stories of KoboldAI, "
        "characters of the webui, books of Agnai and Risu, and texts with headings. Soft prompts, and those that a "
        "card carries, go into the library.",
    )
    each.add_argument("files", nargs="+", metavar="FILE", help="as the other tool has exported it")
    each.add_argument("--output", metavar="FILE", help=f"where drafts are written (default: NAME{ENDING}, here)")
    _common(each)
    asked = "let the model write more questions; they are marked in the file, for you to review"
    each.add_argument("--ask", action="store_true", help=asked)
    add_model(each, "which model writes, with --ask: a folder, a .gguf file or a name (default: the storyteller)")
    each.set_defaults(run=run)


def add_card(commands: Any, run: Run) -> None:
    """`card CARD [--add NAME]`."""
    each = commands.add_parser(
        "card",
        help="soft prompts inside a Character Card: see them, or put one in",
        formatter_class=Words,
        description="Shows the soft prompts that a Character Card (PNG, JSON or charx) carries. With --add a copy of "
        "the card is written that carries one more; it is a Character Card V3 then. Who gets it types "
        "`soft-prompts import CARD`.",
    )
    each.add_argument("card", metavar="CARD")
    each.add_argument("--add", nargs="+", default=[], metavar="NAME", help="names in the library, or files")
    each.add_argument("--output", metavar="FILE", help="where the copy is written (default: CARD with NAME, here)")
    _common(each, user=False)
    each.set_defaults(run=run)


def add_lorebook(commands: Any, run: Run) -> None:
    """`lorebook BOOK`."""
    each = commands.add_parser(
        "lorebook",
        help="a lorebook whose entries are tags: each entry in a tenth of its tokens",
        formatter_class=Words,
        description="Distils each entry that is switched on, and writes a copy of the lorebook whose texts are tags; "
        "keys and order stay, so that the tool goes on triggering them. For World Info of SillyTavern, lorebooks of "
        "NovelAI, KoboldAI, Agnai and Risu, and the one in a Character Card. Ended with Ctrl-C, the same line goes on.",
    )
    each.add_argument("book", metavar="BOOK")
    each.add_argument("--output", metavar="FILE", help="where the copy is written (default: 'BOOK with tags', here)")
    each.add_argument("--name", help="of the prompts' folder in the library (default: the book's)")
    each.add_argument("--all-in-one", action="store_true", help="one prompt of all entries, that always stands there")
    _common(each)
    each.add_argument("--tokens", type=positive, metavar="N", help="of each prompt (a tenth of its text, at least 16)")
    each.add_argument("--steps", type=positive, metavar="N", help="for each entry, at most (1536 to 3072)")
    each.add_argument(
        "--rows", type=positive, metavar="N", help="texts that the model writes for an entry (1536 to 3072)"
    )
    each.add_argument("--batch", type=positive, metavar="N", help="rows of text a step (8)")
    each.add_argument("--block", type=positive, metavar="N", help="tokens of a row of text (112)")
    add_model(each)
    each.set_defaults(run=run)


def _common(each: argparse.ArgumentParser, user: bool = True) -> None:
    each.add_argument("--overwrite", action="store_true", help="replace what is there already")
    if user:
        each.add_argument("--user", default=USER, metavar="NAME", help="for {{user}} (default: %(default)s)")
    each.add_argument("--folder", default=FOLDER, help="the library's folder (default: %(default)s)")
    each.add_argument("--json", action="store_true", help="one JSON object a line; the last one is the result")
