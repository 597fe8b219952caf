"""`put`, `make`, `enable` and their opposites: the steps of an installation, noted in the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import enabling, files, place
from .failure import ByHand, Failure, shown
from .files import NAME, Record

Say = Callable[[str, str], None]
BACKUP = ".before-soft-prompts"


@dataclass(frozen=True)
class Webui:
    """A webui and the checkout that is installed into it. typed: as the user says it; flags: of its CMD_FLAGS.txt."""

    typed: Path
    folder: Path
    user_data: Path
    checkout: Path
    flags: list[str]

    @property
    def library(self) -> Path:
        return self.user_data / NAME

    @property
    def target(self) -> Path:
        return self.user_data / "extensions" / NAME

    def extensions(self) -> list[Path]:
        return [*place.children(self.user_data / "extensions"), *place.children(self.folder / "extensions")]

    def own_copy(self) -> str | None:
        """The name under which the user has put this very checkout into the webui; None if it does not lie there.

        Raises Failure where another copy would be loaded beside ours, or the folder belongs to something else.
        """
        record = Record.read(self.user_data)
        ours = record is not None and record.way != "clone"
        for each in self.extensions():
            managed = ours and each == self.target
            if files.is_checkout(each) and each.resolve() != self.checkout and not managed:
                raise Failure(self.second(each))
        here = [each.name for each in self.extensions() if each.resolve() == self.checkout]
        if ours and here and here != [NAME]:
            raise Failure(self.second(self.target))
        if ours or here:
            return None if ours else here[0]
        if self.target.exists() or files.is_link(self.target):
            raise Failure(
                f"{self.target} is there already and is not ours. Move it away, then type the same line again."
            )
        return None

    def second(self, there: Path) -> str:
        return (
            f"{there} holds soft prompts already, and two at once would disturb each other.\n"
            "To go on with that one: update it (git pull, if it is a clone), then type\n"
            f"python {shown(there / 'install.py')} webui {shown(self.typed)}\n"
            "To replace it: take it out of the folder, then type the same line again."
        )

    def installer(self, own: str | None) -> Path:
        """The install.py that is still there when this checkout is gone."""
        inside = self.target / "install.py"
        return (
            inside if not own and inside.is_file() and not files.is_link(self.target) else self.checkout / "install.py"
        )


# ---- the extension's folder


def put(webui: Webui, record: Record, own: str | None, link: bool, say: Say) -> None:
    """The extension's folder: a copy, so that the webui does not depend on a checkout that moves; or what is wanted."""
    record.name = own or NAME
    if own:
        record.way, record.files = "clone", {}
        say("extension", f"{webui.checkout}: it lies in the webui already and is used from there")
    elif link:
        put_link(webui, record)
        say("extension", f"{webui.target}, a link to {webui.checkout}")
    elif webui.target.resolve() == webui.checkout and not files.is_link(webui.target):
        say(
            "extension",
            f"{webui.target}, as it is; this is the installed copy. To update, install from newer files",
        )
    else:
        put_copy(webui, record, say)


def put_link(webui: Webui, record: Record) -> None:
    if webui.target.resolve() == webui.checkout:
        return
    new = webui.target.with_name(f"{NAME}.new")
    files.unlink(new)
    files.link(webui.checkout, new)
    files.delete(webui.target, record.files)
    files.unlink(webui.target)
    if webui.target.exists():
        files.unlink(new)
        raise Failure(f"{webui.target} holds files that are not ours. Move them away, then type the same line again.")
    new.rename(webui.target)
    record.way, record.files = "link", {}


def put_copy(webui: Webui, record: Record, say: Say) -> None:
    files.unlink(webui.target)
    record.way = "copy"
    written, aside = files.copy(webui.checkout, webui.target, record, lambda: record.write(webui.user_data))
    said = f"{written} of {len(record.files)} files written" if written else "up to date"
    say("extension", f"{webui.target}, {said}")
    for path in aside:
        say("kept", f"{path}, which you had edited")


def take(webui: Webui, record: Record, say: Say) -> None:
    if record.way == "clone":
        return say("kept", "the extension's folder, which you put there yourself: it is yours to delete")
    if files.is_link(webui.target):
        files.unlink(webui.target)
        return say("removed", f"the link {webui.target}")
    for path in files.delete(webui.target, record.files):
        say("kept", f"{path}, which you had edited")
    left = webui.target.exists()
    say("removed", f"{webui.target}" + (", except for files that are not ours" if left else ""))


def make(webui: Webui, record: Record, folder: Path, say: Say | None = None) -> None:
    made = not folder.is_dir()
    if made:
        record.folders.append(folder.relative_to(webui.user_data).as_posix())
        if Record.path(webui.user_data).parent.is_dir():
            record.write(webui.user_data)
        folder.mkdir(parents=True)
    if say:
        say("library", f"{folder}{', made' if made else ''}: the folder for your soft prompts")


# ---- settings.yaml


def settings_file(webui: Webui, name: str) -> Path:
    """The file that the webui starts with: settings.yaml, unless CMD_FLAGS.txt says `--settings FILE`."""
    other = place.values(webui.flags, "--settings")[:1]
    if other and (webui.folder / other[0]).is_file():
        path = webui.folder / other[0]
        if not path.resolve().is_relative_to(webui.user_data.resolve()):
            raise ByHand(f"CMD_FLAGS.txt says --settings {other[0]}. Add there: default_extensions: [..., {name}]")
        return path
    return webui.user_data / "settings.yaml"


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except UnicodeDecodeError as problem:
        raise ByHand(f"{path} is not UTF-8 text. Enable the extension in the Session tab.") from problem


def added(webui: Webui, path: Path, text: str, python: Path, name: str) -> tuple[str, bool]:
    """(the text with the name in it, whether the key was missing); the same text if it is there."""
    default = enabling.default_of(webui.folder)
    try:
        found = enabling.find(text)
        before = found.names if found else default
        if found and name in found.names:
            return text, False
        new = enabling.with_item(text, name, default)
        enabling.check(python, text, new, before, [*before, name])
        return new, found is None
    except ByHand as problem:
        raise ByHand(
            f"{path}: {problem}. To enable the extension, tick {name} in the webui's Session tab and save, "
            f"or add {name} to default_extensions yourself."
        ) from None


def enable(webui: Webui, record: Record, python: Path, say: Say) -> None:
    if record.name in place.values(webui.flags, "--extensions"):
        return say("enabled", "by --extensions in CMD_FLAGS.txt, as you wrote")
    path = settings_file(webui, record.name)
    text = read(path)
    new, key_added = added(webui, path, text, python, record.name)
    if new == text:
        return say("enabled", f"in {path} (default_extensions)")
    backup, existed = path.with_name(path.name + BACKUP), path.exists()
    if existed:
        files.write(backup, path.read_bytes())
    where = path.resolve().relative_to(webui.user_data.resolve()).as_posix()
    digest = files.digest(new.encode())
    told = {"file": where, "name": record.name, "existed": existed, "key_added": key_added, "digest": digest}
    record.settings = told
    record.write(webui.user_data)
    files.write(path, new.encode())
    say("enabled", f"in {path} (default_extensions)" + (f"; as it was: {backup.name}" if existed else ", a new file"))


def without(path: Path, text: str, told: dict[str, Any]) -> str:
    try:
        return enabling.without_item(text, told["name"], told["key_added"])
    except ByHand as problem:
        raise ByHand(f"{path}: {problem}. Take {told['name']} out of default_extensions yourself.") from None


def disable(webui: Webui, record: Record, say: Say) -> None:
    """The file as it was, byte for byte, if nobody wrote to it since; else the one name is taken out."""
    told = record.settings
    if not told:
        return
    path = webui.user_data / told["file"]
    backup = path.with_name(path.name + BACKUP)
    text = read(path)
    untouched = files.digest(text.encode()) == told["digest"]
    if untouched and not told["existed"]:
        path.unlink(missing_ok=True)
    elif untouched and backup.is_file():
        files.write(path, backup.read_bytes())
    else:
        new = without(path, text, told)
        if not told["existed"] and not new.strip():
            path.unlink(missing_ok=True)
        elif new != text:
            files.write(path, new.encode())
    backup.unlink(missing_ok=True)
    record.settings = {}
    say("disabled", f"in {path}")
