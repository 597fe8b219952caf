"""`python benchmarks/tab.py` prints how long the tab takes to answer, also while it trains on the model that it shows.

Everything is asked over HTTP as a browser asks it, of a server in this process: the model, the training and the answers
share its processors.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import gradio
import numpy as np
import torch
import transformers

from soft_prompts import SoftPrompt, app, cli, demo
from soft_prompts.demo import noir
from soft_prompts.hosts.alone import Alone
from soft_prompts.panel import markup
from soft_prompts.panel.sheet import Sheet
from soft_prompts.trainer.runs import runs_of

HERE = Path(__file__).resolve()
_spec = importlib.util.spec_from_file_location("benchmark_parts", HERE.with_name("parts.py"))
assert _spec is not None and _spec.loader is not None
parts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(parts)
Section = parts.part("common.tables").Section

PROMPTS, TOKENS, WIDTH = 5_000, 20, 160
REQUESTS = 200
FIND = "Find by name or description"
"""What stands in the box to search by."""
BUILT = """
import gc, sys, time, torch, gradio
from pathlib import Path
# A webui has built its own interface before, with an event at least: what gradio loads for that is not the tab's.
with gradio.Blocks(analytics_enabled=False):
    gradio.Button("x").click(lambda text: text, [gradio.Textbox("")], [gradio.HTML("")])
gc.collect()  # what torch and gradio have left is not collected at our cost
began, worked = time.perf_counter(), time.process_time()
from soft_prompts import panel
from soft_prompts.hosts.alone import Alone
from soft_prompts.trainer.runs import runs_of
from soft_prompts.trainer.tab import TrainSection
host = Alone(Path(sys.argv[1]), lambda: (None, None))
took, work = time.perf_counter() - began, time.process_time() - worked
with gradio.Blocks(analytics_enabled=False):
    began, worked = time.perf_counter(), time.process_time()
    panel.build(host, [TrainSection(runs_of)])
    print(took + time.perf_counter() - began, work + time.process_time() - worked)
"""


def fill(folder: Path, count: int) -> Path:
    """So many small prompts, of ten writers."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        facts = {"author": f"writer {number % 10}", "description": f"A voice, number {number}.", "method": "finetune"}
        vectors = np.full((TOKENS, WIDTH), number / count, np.float32)
        SoftPrompt(f"voice-{number:05}", vectors, metadata=facts).save(folder / f"voice-{number:05}.safetensors")
    return folder


def storyteller() -> tuple[Any, Any]:
    """The embedded model, as `soft-prompts ui` loads it."""
    options = cli.parser().parse_args(["ui"])
    return app.loaded(options)


def ready(folder: Path) -> Alone:
    """A host whose model is there."""
    host = Alone(folder, storyteller).start()
    while host.health().state == "waiting":
        time.sleep(0.05)
    return host


class Browser:
    """`Browser(blocks).ask("sp-poll", "click")`: seconds to the answer of one of the page's events."""

    def __init__(self, blocks: Any) -> None:
        _, self._url, _ = blocks.queue().launch(prevent_thread_lock=True, quiet=True, server_name=app.ADDRESS)
        config = blocks.get_config_file()
        self._prefix = config.get("api_prefix", "")
        self._props = {each["id"]: each["props"] for each in config["components"]}
        self._events = {target: each for each in config["dependencies"] for target in self._targets(each)}

    def _targets(self, event: dict[str, Any]) -> Iterator[tuple[str, str]]:
        for where, what in event["targets"]:
            yield _name(self._props.get(where, {})), what

    def ask(self, where: str, what: str, value: str = "") -> float:
        """value: of the component that the event is of; all others are as at first."""
        event = self._events[where, what]
        inputs = [self._props[each] for each in event["inputs"]]
        data = [value if value and _name(props) == where else props.get("value") for props in inputs]
        began = time.perf_counter()
        self._post("/run/predict", {"data": data, "fn_index": event["id"], "session_hash": "benchmark"})
        return time.perf_counter() - began

    def _post(self, path: str, body: dict[str, Any]) -> None:
        place = urlsplit(self._url)
        line = http.client.HTTPConnection(str(place.hostname), place.port, timeout=60)
        line.request("POST", self._prefix + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = line.getresponse()
        said = answer.read()
        line.close()
        if answer.status != 200:
            raise SystemExit(f"the tab answered {answer.status}: {said[:300]!r}")


def _name(props: dict[str, Any]) -> str:
    """Of a component: its element's id, or what stands in its box."""
    return str(props.get("elem_id") or props.get("placeholder") or "")


def percentile(seconds: list[float], share: float = 0.95) -> float:
    return sorted(seconds)[min(int(share * len(seconds)), len(seconds) - 1)]


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.0f} ms"


def rows(took: dict[str, list[float]]) -> list[tuple[str, str, str]]:
    return [
        (name, milliseconds(statistics.median(each)), milliseconds(percentile(each))) for name, each in took.items()
    ]


def construction(folder: Path) -> Iterator[Any]:
    """How long a webui waits for the tab when it starts."""
    section = Section("The tab at a start, with torch and gradio there")
    command = [sys.executable, "-I", "-c", BUILT, str(fill(folder / "some", 20))]
    runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() for _ in range(7)]
    took, work = ([float(each[place]) for each in runs] for place in (0, 1))
    usual = statistics.median(work)
    told = [("by the clock", took), ("of a processor", work)]
    shown = [(what, milliseconds(statistics.median(each)), milliseconds(max(each))) for what, each in told]
    section.table(("", "median", "longest"), shown)
    # It waits for nothing: on a machine that does nothing else, both are the same.
    section.most("imports and construction, ms of a processor", 1e3 * usual, 150)
    yield section


def searching(folder: Path) -> Iterator[Any]:
    """A large library."""
    host = ready(fill(folder / "many", PROMPTS))
    browser = Browser(app.blocks(host))
    section = Section(f"A library of {PROMPTS:,} prompts")
    first = browser.ask("sp-bell", "change")
    asked: dict[str, Callable[[int], float]] = {
        "news": lambda number: browser.ask("sp-poll", "click"),
        "list": lambda number: browser.ask("sp-bell", "change"),
        "search": lambda number: browser.ask(FIND, "change", f"voice {number:03}"),
    }
    found = {name: [ask(number) for number in range(50)] for name, ask in asked.items()}
    section.table(("answer", "median", "95 %"), [("the first list", milliseconds(first), ""), *rows(found)])
    section.most("search, 95 %, ms", 1e3 * percentile(found["search"]), 200)
    yield section


def waiting(folder: Path) -> Iterator[Any]:
    """A button that needs a model which is not there yet."""
    come = threading.Event()

    def load() -> tuple[Any, Any]:
        come.wait()
        return storyteller()

    host = Alone(fill(folder / "waits", 20), load).start()
    began, going = time.perf_counter(), Sheet(host, host).go_on("The door opened and")
    next(going)
    said = time.perf_counter() - began
    come.set()
    list(going)
    host.close()
    section = Section("While the model is loaded")
    section.table(("", "time"), [("“being loaded” is said", milliseconds(said))])
    section.most("waiting is said, ms", 1e3 * said, 300)
    yield section


def training(folder: Path) -> Iterator[Any]:
    """The storyteller learns, 20 tokens, batch 8, and a writer goes about."""
    host = ready(fill(folder / "learns", 100))
    text = folder / "noir.txt"
    text.write_text("\n\n".join(map(noir.story, [Random(0)] * 200)), "utf-8")
    runs, browser = runs_of(host), Browser(app.blocks(host))
    runs.start(runs.plan("finetune", "noir", [text], None, {"tokens": "20", "batch": "8", "steps": "100000"}))
    while not runs.boards()[0].step:
        time.sleep(0.1)
    keys = [markup.key(row) for row in host.rows()]
    asks: dict[str, Callable[[int], float]] = {
        "news": lambda number: browser.ask("sp-poll", "click"),
        "list": lambda number: browser.ask("sp-bell", "change"),
        "search": lambda number: browser.ask(FIND, "change", f"voice {number:03}"),
        "select": lambda number: browser.ask("sp-key", "change", keys[number]),
        "the run": lambda number: browser.ask("sp-train-bell", "change"),
    }
    took: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(REQUESTS // len(asks)):
        for name, ask in asks.items():
            took[name].append(ask(number))
            time.sleep(0.02)
    board, began = runs.boards()[0], time.perf_counter()
    runs.stop()
    stopped = time.perf_counter() - began
    while runs.boards()[0].state in ("training", "stopping"):
        time.sleep(0.005)
    after = runs.boards()[0].step - board.step
    section = Section(f"{REQUESTS} requests while the storyteller trains, {TOKENS} tokens, batch 8")
    section.table(("answer", "median", "95 %"), [*rows(took), ("stop", milliseconds(stopped), "")])
    speed = f"{board.tokens_per_second:,.0f} tokens a second"
    section.say(f"It trained {speed} meanwhile, and ended {after} steps after the stop.")
    section.most("answers, 95 %, ms", 1e3 * percentile([each for some in took.values() for each in some]), 300)
    section.most("steps after stop", after, 1)
    yield section


SECTIONS = {"construction": construction, "search": searching, "waiting": waiting, "training": training}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)} (default: all)")
    parser.add_argument("--check", action="store_true", help="end with status 1 where a target is missed")
    options = parser.parse_args()
    torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    print(
        f"{os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, torch {torch.__version__}, "
        f"transformers {transformers.__version__}, gradio {gradio.__version__}, the storyteller of {demo.path().name}\n"
    )
    with tempfile.TemporaryDirectory() as place:
        chosen = {name: (lambda measure=each: measure(Path(place))) for name, each in SECTIONS.items()}
        return int(parts.run(chosen, options.sections, options.check))


if __name__ == "__main__":
    # Servers and watches are daemons.
    status = main()
    sys.stdout.flush()
    os._exit(status)
