"""`python -I tests/gradio_words.py`: writes down which words the gradio of this environment knows, into tests/gradio/.

Run it in the environment of constraints/newest.txt and in that of constraints/gradio4.txt whenever a new component is
used, or a version is pinned anew. From these files `Spelt(words)` is a gradio that builds nothing and forgives nothing:
so everybody's tests hold our words against both versions, of which one environment has one at most.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "tests" / "gradio"
CHAINED = ("then", "success")
"""What can be said of an event that has been set up."""


def sources() -> list[Path]:
    """Where gradio's words are used."""
    found = [*(ROOT / "extensions" / "soft_prompts" / "panel").rglob("*.py"), *(ROOT / "trainer").glob("tab*.py")]
    return sorted(found)


def calls(path: Path) -> Iterator[tuple[int, str, list[str]]]:
    """(line, name, keywords) of each `gr.NAME(...)`, also where it is called `wiring.gr` or `self._gr`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_gradio(node.func.value):
            yield node.lineno, node.func.attr, [each.arg for each in node.keywords if each.arg]


def used() -> list[str]:
    """Every name of gradio that we use."""
    return sorted({name for path in sources() for _, name, _ in calls(path)})


def known(gradio: Any) -> dict[str, Any]:
    """{name: {"words": of its signature, "events": what it has of them}} of what we use; "" is any event."""
    button = gradio.Button("", render=False)
    found: dict[str, Any] = {name: _described(getattr(gradio, name)) for name in used()}
    return {"": {"words": _spelt(button.click), "events": []}, **found}


def _described(what: Any) -> dict[str, Any]:
    events = sorted({str(each) for each in getattr(what, "EVENTS", [])} - {""})
    if what.__name__ == "Blocks":
        events = [each for each in ("load", "unload") if hasattr(what, each)]
    return {"words": _spelt(what), "events": events}


def _spelt(what: Any) -> list[str]:
    """`["label", "value=", "*", "scale=", "**kwargs"]`."""
    spelt: list[str] = []
    for each in inspect.signature(what).parameters.values():
        if each.kind is each.KEYWORD_ONLY and "*" not in spelt:
            spelt.append("*")
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        spelt.append(star + each.name + ("" if star or each.default is each.empty else "="))
    return spelt


def _is_gradio(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "gr") or (
        isinstance(node, ast.Attribute) and node.attr in ("gr", "_gr")
    )


def signature(spelt: list[str]) -> inspect.Signature:
    """As it was, without the values."""
    parameters, kind = [], inspect.Parameter.POSITIONAL_OR_KEYWORD
    for word in spelt:
        if word == "*":
            kind = inspect.Parameter.KEYWORD_ONLY
        elif word.startswith("*"):
            star = inspect.Parameter.VAR_KEYWORD if word.startswith("**") else inspect.Parameter.VAR_POSITIONAL
            parameters.append(inspect.Parameter(word.lstrip("*"), star))
            kind = inspect.Parameter.KEYWORD_ONLY
        else:
            default = None if word.endswith("=") else inspect.Parameter.empty
            parameters.append(inspect.Parameter(word.rstrip("="), kind, default=default))
    return inspect.Signature(parameters)


class Spelt:
    """`Spelt(words, "4.37.2")`: a gradio as `known` wrote it down; TypeError for a word that it does not know."""

    def __init__(self, words: dict[str, Any], version: str) -> None:
        self.__version__ = version
        self._words = words
        self.events: list[tuple[Callable[..., Any] | None, list[Any]]] = []
        """(what is called, the values of its inputs at first) of each event, once something has been built."""
        self.updated: set[str] = set()
        """The words of all updates."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._words:
            raise AttributeError(
                f"gradio {self.__version__} has no {name}, or tests/gradio was written before it was used"
            )
        return _Called(self, name, self._words[name], self._words[""])

    def heard(self, given: dict[str, Any]) -> None:
        """An event was set up."""
        inputs = given.get("inputs") or []
        inputs = inputs if isinstance(inputs, list) else [inputs]
        self.events.append((given.get("fn"), [each.value for each in inputs]))


class _Called:
    """One of gradio's names, to be called."""

    def __init__(self, gradio: Spelt, name: str, words: dict[str, Any], event: dict[str, Any]) -> None:
        self._gradio, self._name, self._words, self._event = gradio, name, words, event
        self.__signature__ = signature(words["words"])

    def __call__(self, *args: Any, **words: Any) -> Any:
        given = bound(self, f"{self._name}", self._gradio, args, words)
        if self._name == "update":
            self._gradio.updated |= words.keys()
        if self._name == "on":
            self._gradio.heard(given)
        return Component(self._gradio, self._name, self._words["events"], self._event["words"], given.get("value"))


class Component:
    """What a call gave: a component, a context, or an event that has been set up."""

    def __init__(self, gradio: Spelt, name: str, events: list[str], event: list[str], value: Any = None) -> None:
        self._gradio, self._name, self._events, self._event = gradio, name, [*events, *CHAINED], event
        self.value = value

    def __enter__(self) -> Component:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("_") or name not in self._events:
            raise AttributeError(f"gradio {self._gradio.__version__}: {self._name} has no event {name}")
        return _Event(self._gradio, f"{self._name}.{name}", self._event)


class _Event:
    def __init__(self, gradio: Spelt, name: str, event: list[str]) -> None:
        self._gradio, self._name, self._event = gradio, name, event
        self.__signature__ = signature(event)

    def __call__(self, *args: Any, **words: Any) -> Component:
        self._gradio.heard(bound(self, self._name, self._gradio, args, words))
        return Component(self._gradio, self._name, [], self._event)


def bound(called: Any, name: str, gradio: Spelt, args: tuple[Any, ...], words: dict[str, Any]) -> dict[str, Any]:
    """{word: what it was given}; TypeError where the signature does not take them."""
    try:
        given: dict[str, Any] = dict(called.__signature__.bind(*args, **words).arguments)
        return given
    except TypeError as problem:
        raise TypeError(f"gradio {gradio.__version__}: {name}: {problem}") from None


def _neighbour(name: str) -> ModuleType:
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Writes them down."""
    from importlib import import_module

    host = _neighbour("panel_host")
    with host.gradio_without_warnings(lambda: import_module("gradio")) as gradio:
        KEPT.mkdir(exist_ok=True)
        file = KEPT / f"{gradio.__version__}.json"
        lines = [f"{json.dumps(name)}: {json.dumps(words)}" for name, words in known(gradio).items()]
        file.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{file}: {len(lines)} names")


if __name__ == "__main__":
    sys.exit(main())
