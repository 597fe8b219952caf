"""`problems(host_modules())`: all that is used of text-generation-webui, in one table, and whether it is there.

The webui promises no interface but the hooks of extensions. What goes beyond is listed here, with the parameters that
are relied on; the tests hold the same table against the fake host and against the real one.
"""

from __future__ import annotations

import inspect
import re
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

TESTED = {"1dcde41d03d13fc768316f4d2256a8a6dd044268": "2026-05-03"}
"""Commits of the webui that the tests marked `webui` have passed with, and their dates."""

NEEDED: dict[str, dict[str, tuple[str, ...] | None]] = {
    # module -> name -> the parameters relied on; None: a value. Without these, no tag can be served.
    "modules.shared": {"model": None, "tokenizer": None, "args": None, "user_data_dir": None, "settings": None},
    "modules.extensions": {"state": None},
    "modules.text_generation": {"encode": ("prompt", "add_bos_token"), "generate_reply_HF": ("question", "state")},
}
WRAPPED: dict[str, dict[str, tuple[str, ...] | None]] = {
    # Wrapped where they are found; without one of them, tags work with the loss that LOSSES names.
    "modules.chat": {"generate_chat_prompt": ("user_input", "state")},
    "modules.text_generation": {"generate_basic_html": ("string",)},
    "modules.logits": {"_get_next_logits": ("prompt", "state", "use_samplers")},
    "modules.api.completions": {"_compute_prompt_logprob_entries": ("prompt", "logprobs_count", "input_ids")},
    "modules.api.script": {"app": None, "check_key": None},  # app: Starlette's, see api.py
    "modules.models": {"last_generation_time": None},
}
LENT: dict[str, dict[str, tuple[str, ...] | None]] = {
    # For a training: an idle model is not unloaded, and one of llama.cpp makes room.
    "modules.models": {
        "last_generation_time": None,
        "active_generation_count": None,
        "unload_model": (),
        "load_model": ("model_name", "loader"),
    },
    "modules.shared": {"generation_lock": None, "model_name": None, "model_dirty_from_training": None},
}
LLAMA: dict[str, dict[str, tuple[str, ...] | None]] = {
    # For the llama.cpp loader: its server is started with soft prompts, and by a flag in what is set for a model.
    "modules.llama_cpp_server": {"LlamaServer": None},
    "modules.models": {"load_model": ("model_name",)},
    "modules.shared": {"user_config": None, "load_user_config": ()},
}
LOSSES = {
    "generate_chat_prompt": "a tag in a message that is too long may be cut in two, and pins count everywhere only",
    "generate_basic_html": "tags cannot be read in the HTML pane of the notebook",
    "_get_next_logits": "the logits view does not see pinned prompts",
    "_compute_prompt_logprob_entries": "echo with logprobs fails for prompts with tags",
    "app": "GET /v1/soft-prompts is missing, and answers do not name tags that mean nothing",
    "check_key": "GET /v1/soft-prompts is missing, and answers do not name tags that mean nothing",
    "last_generation_time": "a model that is tried out may be unloaded as idle",
}


def module(name: str) -> ModuleType | None:
    """The webui's module, or None where this webui has none, or not all that it imports."""
    try:
        return import_module(name)
    except Exception:  # a portable build lacks what some of them import; whatever they raise, they are not there
        return None


def problems(table: dict[str, dict[str, tuple[str, ...] | None]], loaded_only: bool = False) -> dict[str, str]:
    """{name: what is wrong with it} for each name of the table that is not as it is used."""
    found = {}
    for place, names in table.items():
        owner = sys.modules.get(place) if loaded_only else module(place)
        if owner is None:
            if not loaded_only:
                found.update({name: f"{place} is missing" for name in names})
            continue
        for name, parameters in names.items():
            if problem := _problem(owner, name, parameters):
                found[name] = f"{place}.{name} {problem}"
    return found


def commit(root: Path) -> str:
    """The webui's commit, 40 hexadecimal digits; empty where it is no git checkout, as portable builds are not."""
    try:
        git = root / ".git"
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (git / name).is_file():
            return (git / name).read_text("utf-8").strip()
        packed = re.search(rf"^([0-9a-f]{{40}}) {re.escape(name)}$", (git / "packed-refs").read_text("utf-8"), re.M)
        return packed[1] if packed else ""
    except OSError:
        return ""


def _problem(owner: Any, name: str, parameters: tuple[str, ...] | None) -> str:
    if not hasattr(owner, name):
        return "is missing"
    if parameters is None:
        return ""
    try:
        has = inspect.signature(getattr(owner, name)).parameters
    except (TypeError, ValueError):
        return "cannot be called"
    lacking = [each for each in parameters if each not in has]
    return f"takes no {', '.join(lacking)}" if lacking else ""


def extensions_state() -> dict[str, Any]:
    """{name: [on, order, module]} of the extensions that the webui has loaded into its interface."""
    found = module("modules.extensions")
    return dict(found.state) if found is not None else {}


def awake() -> None:
    """The model is at work for us: the webui does not take it for idle."""
    found: Any = module("modules.models")
    if hasattr(found, "last_generation_time"):
        found.last_generation_time = time.time()


def encode(prompt: str, add_bos_token: bool = True) -> Any:
    """(1, length): the ids of a prompt as the webui itself encodes it, uncut."""
    found = module("modules.text_generation")
    assert found is not None, "Webui.start makes sure of it"
    return found.encode(prompt, add_bos_token=add_bos_token)


def root() -> Path:
    """The webui's own folder."""
    found = module("modules.shared")
    return Path(str(getattr(found, "__file__", "."))).resolve().parent.parent
