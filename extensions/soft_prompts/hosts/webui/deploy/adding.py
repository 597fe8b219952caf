"""`add_packages(...)`, `remove_packages(...)`: the little that the webui's own Python gets, and how it goes again."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from . import files, packages
from .failure import ByHand, Failure, shown
from .files import Record
from .packages import Inventory
from .steps import Say, Webui

FOR_GGUF = "gguf"
"""Reads GGUF models. No requirement of ours, since only hosts of llama.cpp want it, as a webui is. What it needs itself
(numpy, tqdm, pyyaml, requests) is in every webui."""

LOST = {
    "watchdog": "the folder is looked at again and again instead of being watched",
    FOR_GGUF: "tags work with the Transformers loader, but not on GGUF models with llama.cpp",
}
"""Package -> what is so without it."""


def wanted(webui: Webui) -> list[str]:
    """What the webui's Python is to hold: what the extension requires, and gguf."""
    return [*(webui.checkout / "requirements.txt").read_text("utf-8").split(), FOR_GGUF]


def add_packages(webui: Webui, record: Record, python: Path, has: Inventory, say: Say) -> None:
    """Only what is missing. Without numpy nothing works; for the others see LOST."""
    names = wanted(webui)
    missing = [name for name in names if name not in has.packages]
    if not missing:
        return say("packages", f"{listed(f'{name} {has.packages[name]}' for name in names)} are there")
    say("pip", f"is asked for {listed(missing)} ...")
    reason = without_pip(python, has) or packages.add(python, [packages.pinned(webui.folder, name) for name in missing])
    after = packages.inspect(python)
    if isinstance(after, str):
        raise Failure(f"{python} ran before pip was asked to add {listed(missing)}, and now does not: {after}")
    added = {name: after.packages[name] for name in missing if name in after.packages}
    record.packages.setdefault(str(python), {}).update(added)
    if changes := has.changes(after, missing):
        raise ByHand(
            f"PACKAGES OF THE WEBUI CHANGED, which must not be: {'; '.join(changes)}.\nRun the webui's update_wizard, "
            f"or put them back with {shown(python)} -m pip install NAME==VERSION, and please report this."
        )
    if added:
        words = listed(f"{name} {version}" for name, version in added.items())
        say("packages", f"{words} added; the other {len(has.packages)} are as before")
    if "numpy" in missing and "numpy" not in added:
        raise ByHand(f"numpy is missing in {python}, and without it the extension does not load: {reason}")
    if left := [name for name in missing if name not in added]:
        say("packages", f"no {' and no '.join(left)}: {reason}.")
        for name in left:
            say("", f"Without {name} {LOST.get(name, 'something may be missing')}.")
        say("", "The same line tries once more.")


def listed(words: Iterable[str]) -> str:
    """a, b and c."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def without_pip(python: Path, has: Inventory) -> str:
    return "" if "pip" in has.packages else f"that Python has no pip ({shown(python)} -m ensurepip would give it one)"


def loaders(has: Inventory) -> list[str]:
    """Lines that say what tags work with where not everything is there; none where it is."""
    lacking = [name for name in ("torch", "transformers") if name not in has.packages]
    if not lacking:
        return []
    why = f"this webui has no {' and no '.join(lacking)}, as portable builds have none:"
    if FOR_GGUF in has.packages:
        return [why, "tags work on GGUF models, with the llama.cpp loader."]
    return [why, "without gguf tags do not work in it, and are left out of what the model reads."]


def remove_packages(webui: Webui, record: Record, say: Say) -> None:
    """Takes back what was added, where it is still the same and nobody else needs it."""
    for python, added in record.packages.items():
        has = packages.inspect(Path(python))
        if isinstance(has, str):
            if added:
                say("packages", f"{python} does not run any more; nothing to take back there")
            continue
        ours = [name for name, version in added.items() if has.packages.get(name) == version]
        users = {name: [*has.users_of(name), *extensions_that_need(webui, name)] for name in ours}
        for name in [name for name in ours if users[name]]:
            say("kept", f"{name}, because {' and '.join(users[name])} may need it")
        if free := [name for name in ours if not users[name]]:
            reason = packages.remove(Path(python), free)
            say("kept" if reason else "removed", f"{' and '.join(free)} {'in' if reason else 'from'} {python}" + reason)


def extensions_that_need(webui: Webui, name: str) -> list[str]:
    """Other extensions of the webui whose list of requirements names a package."""
    found = []
    for each in webui.extensions():
        list_ = each / "requirements.txt"
        if list_.is_file() and not files.is_checkout(each):
            lines = list_.read_text("utf-8", "replace").splitlines()
            if any(packages.normal(line).startswith(name) for line in lines):
                found.append(f"the extension {each.name}")
    return found
