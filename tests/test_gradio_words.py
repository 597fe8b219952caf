"""Each word that is given to gradio is known to 6 and to 4.37.2, on which the webui builds what swallows others."""

from __future__ import annotations

import inspect
import json
import logging
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from soft_prompts import panel
from soft_prompts.panel import sheet, writing
from soft_prompts.trainer.tab import TrainSection


def _load(name: str) -> ModuleType:
    """A neighbour by its path: the tests are no package, and nothing of the checkout may be on sys.path."""
    spec = util.spec_from_file_location(name, Path(__file__).resolve().parent / f"{name}.py")
    assert spec and spec.loader
    module = util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


fake, hosts, trainings = _load("gradio_words"), _load("panel_host"), _load("train_host")
VERSIONS = sorted(path.stem for path in fake.KEPT.glob("*.json"))


def words(version: str) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads((fake.KEPT / f"{version}.json").read_text("utf-8"))
    return kept


@pytest.fixture(params=VERSIONS)
def gradio(request: pytest.FixtureRequest) -> Any:
    return fake.Spelt(words(request.param), request.param)


class Writer:
    """Somebody to write."""

    def write(self, text: str, **how: Any) -> Iterator[str]:
        yield ""


def sections() -> list[Any]:
    return [*panel._sections([TrainSection(lambda host: trainings.MemoryTrains())])]


def test_both_versions_are_kept() -> None:
    assert [version.partition(".")[0] for version in VERSIONS] == ["4", "6"]


def test_what_is_kept_is_what_there_is() -> None:
    """Of the version that this environment has, if it has one of the two."""
    try:
        version = metadata.version("gradio")
    except metadata.PackageNotFoundError:
        pytest.skip("gradio is not installed")
    if version not in VERSIONS:
        pytest.skip(f"gradio {version} is neither of {VERSIONS}")
    with hosts.gradio_without_warnings(lambda: pytest.importorskip("gradio")) as found:
        assert fake.known(found) == words(version), f"{version} is known anew: python -I tests/gradio_words.py"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_word_of_every_call_is_known(version: str) -> None:
    kept, wrong = words(version), []
    anywhere = {word.rstrip("=") for each in kept.values() for word in each["words"]}
    for path in fake.sources():
        for line, name, given in fake.calls(path):
            known = {word.rstrip("=") for word in kept.get(name, {"words": []})["words"]}
            known = anywhere if name == "update" else known
            wrong += [f"{path.name}:{line}: gr.{name}({word}=...)" for word in given if word not in known]
            wrong += (
                [] if name in kept else [f"{path.name}:{line}: gr.{name} is not in tests/gradio: see gradio_words.py"]
            )
    assert not wrong, f"gradio {version} does not know\n" + "\n".join(wrong)


@pytest.mark.parametrize("place", range(len(sections())))
def test_a_section_is_built_with_words_that_are_known(gradio: Any, place: int) -> None:
    sections()[place].build(gradio, hosts.MemoryHost())
    assert gradio.events
    act(gradio)


def test_what_stands_around_the_sections(gradio: Any) -> None:
    host = hosts.MemoryHost()
    writing.build(gradio, host)
    sheet.build(gradio, host, Writer())
    assert gradio.events
    act(gradio)


def act(gradio: Any) -> None:
    """Each event happens once; what it updates has words that some component knows."""
    logging.disable(logging.CRITICAL)
    try:
        for happens, values in gradio.events:
            if happens is not None and not inspect.isgeneratorfunction(happens):
                happens(*values)
    finally:
        logging.disable(logging.NOTSET)
    anywhere = {word.rstrip("=") for each in words(gradio.__version__).values() for word in each["words"]}
    assert gradio.updated <= anywhere


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda gr: gr.Textbox("", lable="Name"), "Textbox: got an unexpected keyword argument 'lable'"),
        (lambda gr: gr.Button("x").click(None, tigger_mode="once"), "Button.click: .*'tigger_mode'"),
        (lambda gr: gr.Button("x").click(None).success(None, ques=True), "success: .*'ques'"),
        (lambda gr: gr.Slider(0, 1, 1, 2, "label", 3), "Slider: too many positional arguments"),
        (lambda gr: gr.Button("x").upload(None), "Button has no event upload"),
        (lambda gr: gr.Timer(), "has no Timer"),
    ],
)
def test_a_slip_of_the_pen_is_seen(gradio: Any, wrong: Any, said: str) -> None:
    with pytest.raises((TypeError, AttributeError), match=said):
        wrong(gradio)
