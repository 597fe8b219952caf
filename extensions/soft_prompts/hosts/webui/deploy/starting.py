"""`offer(webui, record, python, wanted, say)`: the webui's own start of llama.cpp brings the soft prompts, if wanted.

The webui starts llama-server for its `--model` before it loads an extension, so that the first tag would start it once
more. A flag in the settings of that one model spares this. It names a file that the extension keeps up to date.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import files, flagging, packages, place
from .failure import ByHand
from .files import NAME, Record
from .steps import Say, Webui

# Asked of the webui's Python: its settings of a model, as modules/models_settings.py puts them together.
SAME = """
import json, re, sys, yaml
old, new, name, key, flag = json.load(sys.stdin)
def settings(config):
    found = {}
    for pattern in config:
        if re.match(pattern.lower(), name.lower()):
            found.update(config[pattern] or {})
    return found
old, new = (yaml.safe_load(text) or {} for text in (old, new))
before = settings(old)
own = [word for word in ("extra_flags", "mmproj", "ik") if before.get(word) not in (None, "", "None", False)]
after = settings(new).get("extra_flags")
entry = new.get(key) or {}
entry.pop("extra_flags", None)
was = old.pop(key, None) or {}
was.pop("extra_flags", None)
loader = before.get("loader") or "llama.cpp"
print(json.dumps([own, loader, after == flag and entry == was and {**new, key: 0} == {**old, key: 0}]))
"""
# The same Python has what reads GGUF, once the packages are added; the package is loaded by its place, whatever finders
# of other installations say.
PREPARE = """
import importlib.util, json, sys
from importlib.machinery import PathFinder
sys.meta_path.insert(0, PathFinder)
folder, model, library = sys.argv[1:]
load = importlib.util.spec_from_file_location
spec = load("soft_prompts", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["soft_prompts"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
from soft_prompts.errors import SoftPromptError
from soft_prompts.hosts.webui.llama_kept import prepare
try:
    print(json.dumps({"flag": prepare(model, library)}))
except SoftPromptError as problem:
    print(json.dumps({"problem": str(problem)}))
"""


@dataclass(frozen=True)
class Model:
    """The one that `--model` loads. name: of its file; config: config-user.yaml of its folder."""

    name: str
    path: Path
    config: Path

    @property
    def key(self) -> str:
        """As the webui writes it where it saves the settings of one model."""
        return self.name + "$"


def model_of(webui: Webui) -> Model | str:
    """The model that the webui loads while it starts, or why there is none that a flag helps."""
    named = place.values(webui.flags, "--model")[:1]
    if not named:
        return "CMD_FLAGS.txt names no --model, so none is loaded before the extension"
    folder = webui.folder / (place.values(webui.flags, "--model-dir") or [str(webui.user_data / "models")])[0]
    path = next((each for each in (webui.folder / named[0], folder / named[0]) if each.is_file()), None)
    if path is None or path.suffix.lower() != ".gguf":
        return f"the --model {named[0]} of CMD_FLAGS.txt is no GGUF file in {folder}"
    given = [name for name in ("--extra-flags", "--mmproj", "--ik") if any(_is(each, name) for each in webui.flags)]
    if given:
        return f"CMD_FLAGS.txt has {given[0]}, which would not go together with it"
    loader = "".join(place.values(webui.flags, "--loader")[:1]).lower()
    if loader and loader.replace("-", "").replace(" ", "").replace(".", "") != "llamacpp":
        return f"CMD_FLAGS.txt says --loader {loader}"
    if not folder.resolve().is_relative_to(webui.user_data.resolve()):
        return f"the models lie in {folder}, and nothing outside of {webui.user_data} is changed"
    return Model(path.name, path, folder / "config-user.yaml")


def read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8") if path.exists() else ""
    except UnicodeDecodeError as problem:
        raise ByHand(f"{path} is not UTF-8 text, and is left alone: take care of its extra_flags yourself") from problem


def _is(flag: str, name: str) -> bool:
    return flag == name or flag.startswith(f"{name}=")


def mentions(text: str, name: str) -> bool:
    """Whether our flag stands somewhere in the settings, however it is written."""
    return f"{flagging.FOLDER}/{name}" in " ".join(text.split())


def offer(webui: Webui, record: Record, python: Path, wanted: bool | None, say: Say) -> None:
    """wanted: as said with the line; None: ask, where somebody is there to answer. Raises ByHand."""
    model = model_of(webui)
    if wanted is False or (record.start and (isinstance(model, str) or record.start["name"] != model.name)):
        take_back(webui.user_data, record, say)
    if wanted is False:
        return
    if isinstance(model, str):
        if wanted:
            raise ByHand(f"No start flag was written: {model}.")
        return
    text = read(model.config)
    seen = flagging.apart(flagging.value_of(text, model.key))[1]
    if not seen and mentions(text, model.name):
        prepared(webui, python, model)
        return say("start flag", f"for {model.name}, as you wrote it in {model.config}; its file is up to date")
    if not seen:
        take_back(webui.user_data, record, say)  # where it was written once, it is not there any more
        if wanted is None and not asked(model, say):
            return
    write(webui, record, python, model, say)


def asked(model: Model, say: Say) -> bool:
    """The question, with No as its answer; without a terminal only that it can be had."""
    say("start flag", f"The webui starts llama.cpp for {model.name} before it loads extensions, so the")
    say("", "first tag starts it once more. A flag in that model's settings spares this")
    if not sys.stdin.isatty():
        say("", "start: type the same line with --start-flag behind it.")
        return False
    say("", f"({model.config}); --no-start-flag takes it back.")
    try:
        return input("             Write it? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def write(webui: Webui, record: Record, python: Path, model: Model, say: Say) -> None:
    """First the file that the flag names, then the flag; what is interrupted can go on or be taken back."""
    say("start flag", f"the file for {model.name} is made ...")
    there = flagging.apart(flagging.value_of(read(model.config), model.key))[1]
    if not there:
        note(webui, record, model)
    try:
        word, path = prepared(webui, python, model)
        flag = flagging.flag_for(word, short(path, webui))
        if there == flag:
            return say("", f"it is up to date, and the flag is in {model.config}")
        if there and record.start:  # for another place, or a model that was replaced by one of the other kind
            restore(webui.user_data, record)
            note(webui, record, model)
        text = read(model.config)
        new, before = flagging.with_flag(text, model.key, flag)
        check(python, text, new, model, flag)
    except ByHand as problem:
        where = f"No start flag was written for {model.name} in {model.config}: {problem}."
        if str(problem) == flagging.UNUSUAL:  # its file stays, and is taken back with the rest
            raise ByHand(f"{where} Add it there yourself, for {json.dumps(model.key)}: extra_flags: {flag}") from None
        if record.start and not record.start["digest"]:
            drop(webui.user_data, record.start["file"])
            record.start = {}
        raise ByHand(f"{where} The first tag starts llama.cpp once more, as without it.") from None
    record.start |= {"before": before, "digest": files.digest(new.encode())}
    record.write(webui.user_data)
    files.write(model.config, new.encode())
    say("", f"{model.config}: {flag}")


def note(webui: Webui, record: Record, model: Model) -> None:
    """What is about to be done, and the settings as they are; without a digest: not yet."""
    record.start = {
        "name": model.name,
        "config": model.config.resolve().relative_to(webui.user_data.resolve()).as_posix(),
        "file": model.name,
        "before": None,
        "was": read(model.config) if model.config.exists() else None,
        "digest": "",
    }
    record.write(webui.user_data)


def prepared(webui: Webui, python: Path, model: Model) -> tuple[str, Path]:
    """(the flag's word, its file, which is there now)."""
    package = webui.checkout / "extensions" / "soft_prompts"
    told = [str(package), str(model.path.resolve()), str(webui.library)]
    code, out, err = packages.ask(python, ["-c", PREPARE, *told])
    try:
        answer: dict[str, Any] = json.loads(out.strip().splitlines()[-1]) if code == 0 else {}
    except (ValueError, IndexError):
        answer = {}
    if "flag" not in answer:
        reason = answer.get("problem") or (err.strip().splitlines() or ["its Python said nothing"])[-1]
        raise ByHand(reason)
    word, path = answer["flag"]
    return word, Path(path)


def short(path: Path, webui: Webui) -> str:
    """From the webui's folder on, in which it always runs: so it holds when all of it is moved."""
    root = webui.folder.resolve()
    for around in (root, root.parent, root.parent.parent):
        if path.resolve().is_relative_to(around):
            return Path(os.path.relpath(path.resolve(), root)).as_posix()
    return path.resolve().as_posix()


def check(python: Path, old: str, new: str, model: Model, flag: str) -> None:
    """The webui's own YAML reader must see this one flag more, in force for this model, and nothing else."""
    code, out, _ = packages.ask(python, ["-c", SAME], json.dumps([old, new, model.name, model.key, flag]))
    if code:
        raise ByHand(flagging.UNUSUAL)
    own, loader, same = json.loads(out)
    if own:
        raise ByHand(f"there is a {own[0]} of your own for this model")
    if loader != "llama.cpp":
        raise ByHand(f"the model is loaded with {loader}")
    if not same:
        raise ByHand(flagging.UNUSUAL)


def take_back(user_data: Path, record: Record, say: Say) -> None:
    """The flag, and the file that it named."""
    told = record.start
    if told:
        path = restore(user_data, record)
        drop(user_data, told["file"])
        if mentions(read(path), told["name"]):
            raise ByHand(f"{path} still has a flag for {told['name']}: take its extra_flags out yourself")
        say("removed", f"the start flag for {told['name']} from {path}")


def restore(user_data: Path, record: Record) -> Path:
    """The file of settings as it was, byte for byte if nobody wrote to it since; else without the flag."""
    told = record.start
    path: Path = user_data / told["config"]
    text = read(path)
    if files.digest(text.encode()) == told["digest"]:
        new = told["was"]
    else:
        new = flagging.without_flag(text, told["name"] + "$", told["before"])
        new = None if told["was"] is None and not new.strip() else new
    if new is None:
        path.unlink(missing_ok=True)
    elif new != text:
        files.write(path, new.encode())
    record.start = {}
    return path


def drop(user_data: Path, name: str) -> None:
    """The file that the flag named, and what it leaves empty."""
    folder = user_data / NAME / ".llamacpp" / "start"
    for file in (name, f"{name}.json"):
        (folder / file).unlink(missing_ok=True)
    for empty in (folder, folder.parent):
        files.remove_empty(empty)
