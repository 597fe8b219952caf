"""`StartFlag(shared, library)`: the flag by which the webui's own start of llama.cpp brings the soft prompts.

`install.py webui` writes it into config-user.yaml, where the webui keeps the settings of each model. The webui shows
such a flag in its Model tab, and hands what stands there on to whatever model is loaded next, which would not start
with it. So here it is taken out of all that the webui has in memory; the file alone has it, also when it is saved anew.
"""

from __future__ import annotations

import copy
import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SoftPromptError
from ...library import Library
from . import contract
from .deploy import flagging, starting
from .deploy.failure import Failure
from .deploy.files import Record

if TYPE_CHECKING:
    from ..llamacpp.sidecar import Sidecar
    from .llama_kept import StartFile

log = logging.getLogger("textgen")


class StartFlag:
    """Mutates `shared.args.extra_flags` and `shared.user_config`: without our flag they are the writer's own.

    given: the file that the model which the webui loaded before the extension was to be started with.
    """

    def __init__(self, shared: Any, library: Library) -> None:
        self.given = ""
        self._shared, self._library = shared, library
        self._flags: dict[str, str] = {}

    def claim(self) -> None:
        """Once, before the extension looks at the model."""
        args = self._shared.args
        rest, ours = flagging.apart(getattr(args, "extra_flags", None))
        if ours:
            args.extra_flags, self.given = rest or None, flagging.path_of(ours)
        self._flags = _ours(getattr(self._shared, "user_config", None))
        self._clean()

    def saved(self) -> None:
        """`shared.user_config` was assigned, as the webui does it right before it writes the file."""
        config, read = self._shared.user_config, getattr(self._shared, "load_user_config", None)
        self._flags = _ours(read()) if read else {}  # the file as it is still: nothing that was taken out of it is back
        for key, flag in self._flags.items():
            if isinstance(entry := config.get(key), dict):
                _put_back(entry, flag)
        self._flags = _ours(config)
        self._clean()

    def file_of(self, model: Any) -> StartFile | None:
        """Where the soft prompts of this model are kept for the next start of the webui; None: it has no flag."""
        from .llama_kept import StartFile

        name = Path(model.model_path).name
        return StartFile(self._library.folder, name) if self._flags_of(name) else None

    def keep(self, model: Any, sidecar: Sidecar) -> None:
        """What this model has now, it has at the next start of the webui."""
        file = self.file_of(model)
        if file is None:
            return
        ways = {(flag.split()[0], Path(flagging.path_of(flag)).resolve()) for flag in self._flags_of(file.path.name)}
        if (sidecar.flags[0], file.path.resolve()) not in ways:
            log.warning("soft prompts: the start flag is for another model, or names a place where nothing is")
            return give_back(self._library.folder.parent)
        try:
            note = file.note()
            if note is None or note.digest != sidecar.digest:
                file.keep(sidecar, sidecar.path.read_bytes())
        except (OSError, SoftPromptError) as problem:  # a program may hold it; the next start is then as without it
            log.info("soft prompts: the file for the next start was not renewed: %s", problem)

    def adopted(self, model: Any) -> Sidecar | None:
        """What the server of this model came up with, if it was given our file and that is as it was kept."""
        from ..llamacpp.model import GgufModel

        given, self.given = self.given, ""
        file = self.file_of(model)
        if file is None or not given or Path(given).resolve() != file.path.resolve():
            return None
        self._library.refresh()
        try:
            return file.adopted(GgufModel.open(Path(model.model_path)), self._library)
        except SoftPromptError:  # a model that cannot be served, of which the adapter says more
            return None

    @property
    def failed(self) -> bool:
        """Whether the webui has loaded no model, and our flag may be why: its file is gone, or for another model."""
        shared = self._shared
        named = getattr(shared, "model_name", None) not in (None, "None")
        return bool(self.given) and named and shared.model is None and shared.args.loader == "llama.cpp"

    def mend(self) -> None:
        """Load that model, now without the flag."""
        models: Any = contract.module("modules.models")
        given, self.given, name = self.given, "", self._shared.model_name
        log.warning(
            "soft prompts: %s did not start, perhaps because of its start flag (%s): it is loaded once more, without. "
            "Where this comes again, type: python install.py webui FOLDER --no-start-flag",
            name,
            given,
        )
        try:
            self._shared.model, self._shared.tokenizer = models.load_model(name)
        except Exception:  # the webui goes on without a model, as it would have
            log.exception("soft prompts could not load %s", name)

    def _flags_of(self, name: str) -> list[str]:
        return [flag for key, flag in self._flags.items() if _matches(key, name)]

    def _clean(self) -> None:
        config = getattr(self._shared, "user_config", None)
        if not self._flags or not isinstance(config, dict):
            return
        cleaned = copy.deepcopy(config)
        for key in self._flags:
            cleaned[key]["extra_flags"] = flagging.apart(cleaned[key]["extra_flags"])[0]
        vars(self._shared)["user_config"] = cleaned  # not by assignment, of which we are told


def give_back(user_data: Path) -> None:
    """Take the flag out of the webui's file, as `install.py webui --no-start-flag` does: the extension is off, and
    nobody would keep it away from other models."""
    try:
        record = Record.read(user_data)
        if record is not None and record.start:
            starting.take_back(user_data, record, lambda word, text: log.info("soft prompts: %s %s", word, text))
            record.write(user_data)
    except (Failure, OSError) as problem:
        log.warning("soft prompts: the start flag was not taken back: %s", problem)


def _ours(config: Any) -> dict[str, str]:
    """Pattern of a model's name -> our flag in its settings."""
    entries = config.items() if isinstance(config, dict) else ()
    found = {key: flagging.apart(entry.get("extra_flags"))[1] for key, entry in entries if isinstance(entry, dict)}
    return {key: flag for key, flag in found.items() if flag}


def _put_back(entry: dict[str, Any], flag: str) -> None:
    """Into the settings of a model that were saved from the Model tab, where it is not shown."""
    text = str(entry.get("extra_flags") or "").strip()
    projector = entry.get("mmproj") not in (None, "", "None") or "mmproj" in text
    if flagging.apart(text)[1] or (text and not text.startswith("-")) or (projector and flag.startswith("--mmproj")):
        return
    entry["extra_flags"] = f"{text} {flag}".strip()


def _matches(pattern: str, name: str) -> bool:
    """As the webui asks it."""
    try:
        return bool(re.match(pattern.lower(), name.lower()))
    except re.error:
        return False
