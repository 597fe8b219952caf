"""`python install.py webui FOLDER`: soft prompts in a text-generation-webui. The same line again updates them.

Puts the extension into user_data/extensions/soft_prompts, adds watchdog and gguf to the webui's own Python if they are
missing, enables the extension in user_data/settings.yaml and makes user_data/soft_prompts, the folder for soft prompts.
Nothing else changes, and --uninstall takes exactly this back. Soft prompts stay. Only if you agree, the model that the
webui starts with gets one flag more in its settings, and its first tag then needs no second start of llama.cpp.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from . import enabling, files, packages, place, starting
from .adding import add_packages, loaders, remove_packages
from .failure import ByHand, Failure, shown
from .files import NAME, Record
from .steps import Webui, disable, enable, make, put, take

# Standard library only, and no import of soft_prompts: install.py loads this folder by its path, in any Python.
__all__ = ["ByHand", "Failure", "enabling", "files", "main", "packages", "place", "starting"]


def parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "install.py webui", description=__doc__, formatter_class=layout, allow_abbrev=False
    )
    parser.add_argument(
        "folder", nargs="?", help="the webui's folder, the one with server.py (portable builds: or above)"
    )
    parser.add_argument("--python", metavar="FILE", help="the webui's Python, or its folder, where it is not found")
    parser.add_argument("--user-data-dir", metavar="FOLDER", help="its user_data, where it is started with this option")
    parser.add_argument("--link", action="store_true", help="link to this folder instead of copying it: for developers")
    for name, wanted, words in (
        ("--start-flag", True, "for the GGUF --model of CMD_FLAGS.txt: no second start of llama.cpp for a tag"),
        ("--no-start-flag", False, "take that back, or do not ask for it"),
    ):
        parser.add_argument(name, dest="start_flag", action="store_const", const=wanted, help=words)
    parser.add_argument("--uninstall", action="store_true", help="take back what was added; soft prompts stay")
    return parser


def parse(arguments: list[str], checkout: Path) -> argparse.Namespace:
    options = parser().parse_args(arguments)
    if options.folder is None:
        if checkout.parent.name != "extensions":
            beside = [each for each in place.children(checkout.parent) if place.is_webui(each)]
            hint = f"This one? python install.py webui {shown(beside[0])}" if beside else place.HINT
            print(f"Which webui? {hint}", file=sys.stderr)
            raise SystemExit(2)
        # A clone in user_data/extensions or extensions; a portable build has its server in `app` beside user_data.
        options.folder = str(
            checkout.parents[1] if (checkout.parents[1] / "server.py").exists() else checkout.parents[2]
        )
    return options


def say(word: str, text: str) -> None:
    print(f"  {word:10} {text}", flush=True)


def version_of(checkout: Path) -> str:
    text = (checkout / "extensions" / "soft_prompts" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(.*)"', text, re.M)
    return found.group(1) if found else ""


def take_steps(*steps: Callable[[], None], note: Callable[[], None]) -> int:
    """Takes every step, and notes each at once: 1 if the user has to do something by hand, and says what."""
    problems: list[ByHand] = []
    for step in steps:
        try:
            step()
        except ByHand as problem:
            problems.append(problem)
        finally:
            note()
    for each in problems:
        say("BY HAND", str(each))
    return 1 if problems else 0


def install(webui: Webui, options: argparse.Namespace) -> int:
    python, has = place.python_of(webui.folder, options.python, os.environ)
    own = webui.own_copy()
    print(f"text-generation-webui in {webui.folder}", flush=True)
    say("its Python", f"{python} ({has.version}, {len(has.packages)} packages)")
    say("user_data", str(webui.user_data))
    before = Record.read(webui.user_data)
    print(f"{'Updating' if before else 'Installing'} soft prompts {version_of(webui.checkout)}", flush=True)
    record = before or Record()
    record.version = version_of(webui.checkout)
    if record.settings and record.settings["name"] != (own or NAME):
        disable(webui, record, say)
    make(webui, record, webui.user_data / "extensions")
    problems = take_steps(
        lambda: put(webui, record, own, options.link, say),
        lambda: add_packages(webui, record, python, has, say),
        lambda: make(webui, record, webui.library, say),
        lambda: enable(webui, record, python, say),
        lambda: starting.offer(webui, record, python, options.start_flag, say),
        note=lambda: record.write(webui.user_data),
    )
    now = packages.inspect(python)
    for number, line in enumerate(loaders(has if isinstance(now, str) else now)):
        say("" if number else "note", line)
    print("To take it all back, type this line:")
    print(" ", undo(webui, own, options))
    print(f"Soft prompts go into {webui.library}")
    print(
        'Now start the webui (if it runs: close it and start it again), and open the tab "Soft prompts".'
        if not problems
        else "Do first what is said BY HAND above; then start the webui, and open the tab Soft prompts."
    )
    return problems


def undo(webui: Webui, own: str | None, options: argparse.Namespace) -> str:
    """The line that takes it back, from any folder, and as short as it can be."""
    file = webui.installer(own)
    # The installed copy knows its webui by where it lies, unless user_data lies elsewhere.
    around = (webui.folder, webui.folder.parent) if webui.folder.name == "app" else (webui.folder,)
    inside = file.parents[1] == webui.user_data / "extensions" and webui.user_data.parent in around
    where = () if inside else (webui.typed,)
    data = ("--user-data-dir", webui.user_data) if options.user_data_dir else ()
    return " ".join(shown(word) for word in (command(), file, "webui", *where, "--uninstall", *data))


def command() -> str:
    """What this Python is called by: its name, where that is enough to find it."""
    own = Path(sys.executable)
    found = shutil.which(own.name)
    # An environment may not be active the next time.
    return own.name if found and Path(found) == own and sys.prefix == sys.base_prefix else str(own)


def uninstall(webui: Webui) -> int:
    record = Record.read(webui.user_data)
    if record is None:
        raise Failure(
            f"Nothing is installed in {webui.user_data} that this could take back: there is no "
            f"{Record.path(webui.user_data)}.\n"
            f"A clone that you made in {webui.user_data / 'extensions'} is yours to delete."
        )
    print(f"Removing soft prompts from {webui.user_data}", flush=True)
    problems = take_steps(
        lambda: starting.take_back(webui.user_data, record, say),
        lambda: disable(webui, record, say),
        lambda: take(webui, record, say),
        lambda: remove_packages(webui, record, say),
        note=lambda: record.write(webui.user_data),
    )
    if webui.library.is_dir() and any(webui.library.iterdir()):
        say("kept", f"{webui.library}: your soft prompts and their settings")
    Record.path(webui.user_data).unlink()
    for folder in reversed(record.folders):
        if files.remove_empty(webui.user_data / folder):
            say("removed", f"{webui.user_data / folder}, which was empty")
    print("Start the webui, or close it and start it again.")
    return problems


def main(arguments: list[str], checkout: Path) -> int:
    """The exit code; `arguments` are those after `webui`."""
    options = parse(arguments, checkout)
    try:
        folder = place.folder_of(place.clean(options.folder))
        user_data = place.user_data_of(folder, options.user_data_dir)
        flags = place.flags_of(user_data if options.user_data_dir else place.usual_user_data(folder))
        webui = Webui(place.clean(options.folder), folder, user_data, checkout, flags)
        return uninstall(webui) if options.uninstall else install(webui, options)
    except Failure as problem:
        print(f"\n{problem}", file=sys.stderr)
    except OSError as problem:
        print(
            f"\n{problem}\nThe folder cannot be written, its disk is full, or a program holds the file. Close the "
            "webui, see that the folder is yours, then type the same line again: it goes on from here.",
            file=sys.stderr,
        )
    except KeyboardInterrupt:
        print("\nStopped. The same line goes on from here.", file=sys.stderr)
        return 130
    return 1
