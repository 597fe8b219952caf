"""`panel.build(host, [TrainSection(trains)])`: training as a writer sees it; gradio 4.37 and 6.

What the events answer stands in tab_answers.py, what it looks like in tab_markup.py, tab_form.py and train.css, what
the page does by itself in train.js. A run belongs to the server: this draws it, and can be closed at any time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arrival import Arrival
from ..hosts.protocol import Host
from ..panel.parts import Wiring, asset, button
from .tab_answers import DRAWN, LINES, Asked, Changes, Training, answer, paths
from .tab_form import told
from .tab_settings import KINDS, SETTINGS, STYLE
from .trains import Trains

FACTS_HELP = (
    "What the model writes, and how it shall go on. A held-out fact is asked at the end, but not learnt: so one sees "
    "whether it has understood. Those of your files stand at the end."
)
ORIGINAL = (
    "A GGUF file is learnt on as it is, or on what it was made from: a folder, or a name on the Hugging Face hub."
)
BEGAN = "() => { window.softPrompts?.train?.began(); return []; }"
READING, WORKING, STARTING = "Reading …", "Waiting for the model, then trying a few steps …", "Starting …"
VALUES = (*(f"set-{setting.key}" for setting in SETTINGS), "set-from")
FORM = ("kind", "files", "pairs", "name", "suggested", "tokens", "replace", "consent", *VALUES)
"""What a start takes."""
SHOWN = ("about", "understood", "estimated")


class TrainSection:
    """Three plain starts, and the runs of the server; `open` finds the trainings of a host."""

    title = "Train"
    key = "train"

    def __init__(self, open: Callable[[Host], Trains]) -> None:
        self._open = open
        self._trains: Trains | None = None

    @property
    def css(self) -> str:
        """Its look."""
        return asset(__package__, "page/train.css")

    @property
    def js(self) -> str:
        """What the page does by itself."""
        return asset(__package__, "page/train.js")

    def build(self, gr: Any, host: Host) -> None:
        """Its components and events."""
        host.shelf.carriers.add(_carried)
        self._trains = self._open(host)
        training = Training(self._trains, host)
        _Events(Wiring(gr), training, _Parts(gr, training).all).wire()

    def mark(self) -> str:
        """Whether a training runs, or waits for its writer."""
        boards = self._trains.boards() if self._trains else ()
        live = next((each for each in boards if each.live), None)
        return "" if live is None else "paused" if live.state == "paused" else "runs"


def _carried(path: Path, called: str) -> Sequence[Arrival]:
    from .carrying import arrivals

    return arrivals(path, called)


class _Parts:
    """The section from top to bottom, as it is before its first poll; names as in `Changes`.

    Nothing is hidden by `visible`: gradio 6 forgets what is given to a component that it has not drawn. The style sheet
    hides what has nothing to say, and what does not belong to the chosen kind.
    """

    def __init__(self, gr: Any, training: Training) -> None:
        self._gr = gr
        self._first = answer(training.poll, Asked(), "acted")
        self.all: dict[str, Any] = {}
        with gr.Column(elem_id="sp-train-page"):
            with gr.Column(elem_classes=["sp-hidden"]):
                self._hidden()
            self._runs()
            self._html("cards")
            with gr.Column(elem_id="sp-train-setup"):
                self._setup()

    def _hidden(self) -> None:
        for name, place in (
            ("seen", "seen"),
            ("bell", "bell"),
            ("act", "act"),
            ("kind", "kind"),
            ("pairs", "table"),
            ("suggested", "old"),
        ):
            value = self._value(name) if name == "seen" else ""
            self.all[name] = self._gr.Textbox(value, show_label=False, elem_id=f"sp-train-{place}")
        self.all["poll"] = self._gr.Button("News", elem_id="sp-train-poll")

    def _runs(self) -> None:
        self._html("notice")
        self._html("spoken", classes=["sp-unseen"])
        for name in ("progress", "controls"):
            self._html(name)
        self._line("acted")
        for name in ("plot", "previews", "others"):
            self._html(name)
        self._gr.HTML('<h3 class="sp-title">Train a new one</h3>', elem_classes=["sp-bare"])

    def _setup(self) -> None:
        """The form, of which a start needs files and a name."""
        gr = self._gr
        self._html("about")
        self.all["files"] = gr.File(label="Your files", file_count="multiple", height=140, elem_id="sp-train-files")
        self._line("read")
        self._html("understood")
        with gr.Column(elem_id="sp-train-facts", elem_classes=["sp-of-facts"]):
            head = f'<h4 class="sp-sub">The facts</h4><p class="sp-small">{FACTS_HELP}</p>'
            gr.HTML(f'{head}<div id="sp-train-rows"></div>', elem_classes=["sp-bare"])
        self._line("paired")
        with gr.Row():
            self.all["name"] = gr.Textbox(
                "",
                label="Name",
                info="As you will type it in tags.",
                max_lines=1,
                min_width=220,
                elem_id="sp-train-name",
            )
            self.all["tokens"] = gr.Radio(
                list(KINDS[STYLE].tokens), value=KINDS[STYLE].usual, label="Tokens", min_width=320,
                info="What it takes of the context, wherever it is used.", elem_id="sp-train-tokens",
            )  # fmt: skip
        self._line("named")
        self.all["replace"] = gr.Checkbox(False, label="Replace it", elem_id="sp-train-replace")
        with gr.Accordion("More settings, seldom needed", open=False, elem_id="sp-train-more"):
            self._seldom()
        self._line("tuned")
        self._html("advice")
        self.all["consent"] = gr.Checkbox(False, label="Yes, do that", elem_id="sp-train-consent")
        with gr.Row(elem_classes=["sp-acts"]):
            self.all["start"] = button(gr, "Start", "sp-train-start", variant="primary")
            self.all["estimate"] = button(gr, "How long will it take?", "sp-train-estimate")
        self._html("estimated")
        self._line("started")

    def _seldom(self) -> None:
        gr = self._gr
        for setting in SETTINGS:
            only = [f"sp-of-{KEYS[setting.kinds[0]]}"] if len(setting.kinds) == 1 else []
            more = {"label": setting.label, "elem_id": f"sp-train-set-{setting.key}", "elem_classes": only}
            if setting.is_file:
                self.all[f"set-{setting.key}"] = gr.File(file_count="single", height=110, **more)
            else:
                self.all[f"set-{setting.key}"] = gr.Textbox(
                    "", info=setting.info, placeholder=setting.usual, max_lines=4, **more
                )
        self.all["original"] = gr.Textbox(
            "", label="The model's original", info=ORIGINAL, placeholder="the loaded file itself", max_lines=1,
            elem_id="sp-train-original", elem_classes=["sp-of-file"],
        )  # fmt: skip
        self.all["set-from"] = gr.Dropdown(
            [("nothing of yours", "")], value="", label="Begin from a soft prompt", elem_id="sp-train-set-from",
            info="It goes on from what that one knows, with as many tokens.",
        )  # fmt: skip

    def _html(self, name: str, classes: Sequence[str] = ()) -> None:
        self.all[name] = self._gr.HTML(
            self._value(name), elem_id=f"sp-train-{name}", elem_classes=["sp-bare", *classes]
        )

    def _line(self, name: str) -> None:
        self.all[name] = self._gr.HTML(
            self._value(name), elem_id=f"sp-train-{name}", elem_classes=["sp-bare", "sp-line"]
        )

    def _value(self, name: str) -> Any:
        return self._first.get(name, {}).get("value", "")


KEYS = {"world-info": "facts", "distill": "distill", "finetune": "style"}
"""A kind -> the class of what belongs to it alone."""


@dataclass(frozen=True)
class _Events:
    """What the components of `_Parts` do."""

    wiring: Wiring
    training: Training
    parts: dict[str, Any]

    def wire(self) -> None:
        """All of them."""
        self._runs()
        self._sources()
        self._start()

    def _runs(self) -> None:
        parts, training, script = self.parts, self.training, self.wiring.script
        rung = self.wiring.polled(
            parts["poll"], parts["bell"], [parts["seen"]], lambda seen: training.moved(Asked(seen=str(seen or "")))
        )
        script(rung.success, "(bell) => { window.softPrompts?.train?.rung(bell); return []; }", [parts["bell"]])
        drawn = self._on(parts["bell"].change, training.poll, "acted", ["seen"], DRAWN, trigger_mode="always_last")
        script(drawn.success, "() => { window.softPrompts?.train?.answered(); return []; }")
        takes, gives = ["seen", "act"], [*DRAWN, *LINES]
        acted = self._on(parts["act"].change, training.act, "acted", takes, gives, trigger_mode="multiple")
        script(acted.success, BEGAN)

    def _sources(self) -> None:
        parts, training, on = self.parts, self.training, self._on
        last: dict[str, Any] = {"trigger_mode": "always_last"}
        chooses = [*SHOWN, "tokens", "set-from", "pairs", *LINES]
        chosen = on(parts["kind"].change, training.choose, "started", ["kind", "pairs"], chooses, **last)
        self._table(chosen)
        # Files take as long as they are big.
        sources = ["kind", "files", "pairs", "name", "suggested"]
        reads = ["understood", "estimated", "pairs", "name", "suggested", *LINES]
        self._table(on(chosen.then, training.read, "read", sources, reads, queue=True))
        reading = f"(files) => files?.length ? {json.dumps(told(READING))} : ''"
        self.wiring.script(parts["files"].change, reading, [parts["files"]], [parts["understood"]])
        self._table(on(parts["files"].change, training.read, "read", sources, reads, queue=True, **last))
        on(parts["name"].change, training.named, "named", ["name"], ["replace", "started"], **last)
        on(parts["original"].change, training.learn_on, "tuned", ["seen", "original"], DRAWN, **last)

    def _start(self) -> None:
        parts, training = self.parts, self.training
        self._at_once(parts["estimate"].click, "estimated", WORKING)
        self._on(parts["estimate"].click, training.estimate, "started", FORM, [*SHOWN, *LINES], queue=True)
        self._at_once(parts["start"].click, "started", STARTING)
        everything = [*DRAWN, *LINES, *SHOWN, *FORM]
        started = self._on(parts["start"].click, training.start, "started", ["seen", *FORM], everything, queue=True)
        self._table(started)
        self.wiring.script(started.success, BEGAN)

    def _on(
        self, event: Callable[..., Any], act: Callable[[Asked], Changes], line: str, takes: Sequence[str],
        gives: Sequence[str], **more: Any,
    ) -> Any:  # fmt: skip
        names = list(dict.fromkeys([*gives, line, "seen"]))

        def act_on(*sent: Any) -> list[Any]:
            changes = answer(act, _asked(dict(zip(takes, sent, strict=True))), line)
            return self.wiring.updates(changes, names)

        inputs, outputs = ([self.parts[name] for name in each] for each in (takes, names))
        return event(act_on, inputs, outputs, **{**self.wiring.quick, **more})

    def _at_once(self, event: Callable[..., Any], name: str, words: str) -> None:
        """Said by the page itself, before the server has heard of it."""
        self.wiring.script(event, f"() => {json.dumps(told(words))}", gives=[self.parts[name]])

    def _table(self, event: Any) -> None:
        draw = "(rows) => { window.softPrompts?.train?.draw(rows); return []; }"
        self.wiring.script(event.success, draw, [self.parts["pairs"]])


def _asked(sent: dict[str, Any]) -> Asked:
    values = {key.removeprefix("set-"): "".join(paths(sent.pop(key))) for key in VALUES if key in sent}
    files = paths(sent.pop("files", None))
    flags: dict[str, Any] = {key: bool(sent.pop(key)) for key in ("replace", "consent") if key in sent}
    texts: dict[str, Any] = {key: str(value or "") for key, value in sent.items()}
    return Asked(files=files, values=values, **flags, **texts)
