"""Stands in for the webui's `modules.extensions`: finds, loads and asks extensions."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import modules.shared as shared
from modules.logging_colors import logger

state: dict[str, list[Any]] = {}
available_extensions: list[str] = []
setup_called: set[Any] = set()


def load_extensions() -> None:
    """Execute each script anew, and set it up: a missing module goes up, anything else leaves the extension out."""
    global state
    state = {}
    for place, name in enumerate(shared.args.extensions):
        if name not in available_extensions:
            continue
        try:
            found = _executed(name)
            if found not in setup_called:
                _configure(found, name)
                getattr(found, "setup", lambda: None)()
                setup_called.add(found)
            state[name] = [True, place, found]
        except ModuleNotFoundError:
            logger.error("extension %s lacks a module", name)
            raise
        except Exception:
            logger.exception("extension %s is left out", name)


def _executed(name: str) -> Any:
    script = shared.user_data_dir / "extensions" / name / "script.py"
    if not script.exists():
        return importlib.import_module(f"extensions.{name}.script")
    spec = importlib.util.spec_from_file_location(f"user_ext_{name}", str(script))
    assert spec and spec.loader
    found = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def _configure(extension: Any, name: str) -> None:
    params = getattr(extension, "params", {})
    for key in params:
        shared.default_settings[f"{name}-{key}"] = params[key]
        params[key] = shared.settings.get(f"{name}-{key}", params[key])


def iterator() -> Iterator[tuple[Any, str]]:
    """(module, name) in the order of the command line."""
    for name, (on, _, extension) in sorted(state.items(), key=lambda item: item[1][1]):
        if on:
            yield extension, name


def _hooks(name: str) -> Iterator[Callable[..., Any]]:
    return (getattr(extension, name) for extension, _ in iterator() if hasattr(extension, name))


def _text(name: str) -> Callable[..., str]:
    def apply(text: str, state: dict[str, Any], is_chat: bool = False) -> str:
        for hook in _hooks(name):
            takes = set(signature(hook).parameters)  # old ones know neither the state nor is_chat
            given = (text, state) if len(takes - {"is_chat"}) == 2 else (text,)
            text = hook(*given, **({"is_chat": is_chat} if "is_chat" in takes else {}))
        return text

    return apply


def _chain(name: str, fixed: int = 0) -> Callable[..., Any]:
    """Each hook's answer is the next one's argument; the first `fixed` arguments stay."""

    def apply(*given: Any) -> Any:
        for hook in _hooks(name):
            answer = hook(*given)
            given = (*given[:fixed], *(answer if isinstance(answer, tuple) else (answer,)))
        return given[fixed:] if len(given) > fixed + 1 else given[fixed]

    return apply


def _chat_input(text: str, visible: str, state: dict[str, Any]) -> tuple[str, str]:
    for hook in _hooks("chat_input_modifier"):
        text, visible = hook(text, visible, state)
    return text, visible


def _processors(processors: Any, ids: Any) -> Any:
    for hook in _hooks("logits_processor_modifier"):
        answer = hook(processors, ids)
        processors = answer if type(answer) is list else processors
    return processors


def _first(name: str) -> Callable[..., Any]:
    """The first extension that has the hook answers, even with None."""
    return lambda *given, **options: next((hook(*given, **options) for hook in _hooks(name)), None)


EXTENSION_MAP: dict[str, Callable[..., Any]] = {
    "input": _text("input_modifier"),
    "output": _text("output_modifier"),
    "bot_prefix": _text("bot_prefix_modifier"),
    "state": _chain("state_modifier"),
    "history": _chain("history_modifier"),
    "chat_input": _chat_input,
    "tokenizer": _chain("tokenizer_modifier", fixed=1),
    "logits_processor": _processors,
    "custom_generate_chat_prompt": _first("custom_generate_chat_prompt"),
    "custom_generate_reply": lambda: next(_hooks("custom_generate_reply"), None),
    "tokenized_length": _first("custom_tokenized_length"),
    "css": lambda: "".join(hook() for hook in _hooks("custom_css")),
    "js": lambda: "".join(hook() for hook in _hooks("custom_js")),
}


def apply_extensions(typ: str, *args: Any, **kwargs: Any) -> Any:
    """What the webui asks its extensions by."""
    return EXTENSION_MAP[typ](*args, **kwargs)
