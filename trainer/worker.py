"""`Away(words, ...)`: a training in a process of its own, where a host has no torch or a GGUF model; torch-free.

It is `soft-prompts train ... --json`, in this Python where it has what that needs, else in the environment that
`python install.py train` makes beside this checkout, once the writer has agreed to it.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ..errors import TrainingError
from ..hosts.protocol import Lends
from .live import Live, Take

CHECKOUT = Path(__file__).resolve().parent.parent
NEEDED = ("torch", "transformers", "tokenizers", "safetensors", "gguf")
LAST = 12
"""Lines of what a process said last, which are kept for whoever wants to know why it ended."""
SETTING_UP = "setting up what a training needs"
_OWN_FINDER = (
    "import sys, importlib.util as u\n"
    "s = u.spec_from_file_location('soft_prompts_checkout', sys.argv[1])\n"
    "s.loader.exec_module(u.module_from_spec(s))\n"
    "from soft_prompts.cli import main\n"
    "sys.exit(main(sys.argv[2:]))"
)
_SET_UP = (
    "import sys, importlib.util as u\n"
    "s = u.spec_from_file_location('soft_prompts_install', sys.argv[1])\n"
    "m = u.module_from_spec(s)\n"
    "s.loader.exec_module(m)\n"
    "venv, pins = m.ROOT / m.FOLDERS['newest'], m.ROOT / 'constraints' / 'newest.txt'\n"
    "sys.exit(m.guarded(lambda: int(not m.set_up(venv, pins, m.TRAINING))))"
)


@dataclass(frozen=True)
class Environment:
    """python: that can train; None where none is there yet. folder: where one would be made; None: nowhere.

    problem: why nothing can be trained so, in words.
    """

    python: Path | None = None
    folder: Path | None = None
    problem: str = ""

    def advice(self, original: str = "") -> str:
        """Where it is trained, and what that means for the writer. original: what it learns on, if not on the file."""
        on = (
            f"on {original}, which needs the memory that its own files take"
            if original
            else "on the model's file as Transformers reads it: unpacked, a GGUF model takes two to eight times the "
            "memory of its file"
        )
        return (
            f"It is trained in a process of its own, {on}. The loaded model is unloaded meanwhile, and loaded again "
            "after, if you agree; else both must fit into the memory."
        )

    def asks(self, original: str = "") -> str:
        """What is to be agreed to."""
        words = "Unload the model while it trains, and load it again after."
        if original and not Path(original).exists():
            words += (
                f" Download {original} from the Hugging Face hub, if it is not on this machine yet: about 2 GB for "
                "each billion of its parameters."
            )
        if self.python is None and self.folder is not None:
            words += (
                f" Download what a training needs (torch and transformers, about 0.5 GB, or 3 GB on Linux) into "
                f"{self.folder}, once; 2 to 8 GB of disk. Delete the folder, and all of it is gone."
            )
        return words

    def command(self, words: Sequence[str]) -> list[str]:
        """`soft-prompts train WORDS` in it."""
        assert self.python is not None
        script = CHECKOUT / "script.py"
        start = ["-c", _OWN_FINDER, str(script)] if script.is_file() else ["-m", "soft_prompts.cli"]
        return [str(self.python), "-I", "-X", "utf8", *start, "train", *words]


def environment() -> Environment:
    """What there is; looks at files only."""
    if sys.executable and all(map(_has, NEEDED)):
        return Environment(Path(sys.executable))
    install = _install()
    if install is None:
        missing = [name for name in NEEDED if not _has(name)]
        return Environment(problem=f"this Python lacks {', '.join(missing)}: pip install 'soft-prompts[train,gguf]'")
    folder = Path(install.ROOT, install.FOLDERS["newest"])
    stamp = install.stamp_for(Path(install.ROOT, "constraints", "newest.txt"), install.TRAINING)
    there = install.is_finished(folder, stamp)
    return Environment(install.python_of(folder) if there else None, folder)


class Process:
    """A program that prints JSON, one object a line. take: called with each of them. other: with all other lines."""

    def __init__(self, command: Sequence[str], take: Take, other: Callable[[str], None] = lambda line: None) -> None:
        self._command, self._take, self._other = command, take, other
        self._child: subprocess.Popen[str] | None = None
        self.asked = False

    def run(self) -> int:
        """Until it ends: its exit status; raises TrainingError where it failed, with what it said last."""
        last: deque[str] = deque(maxlen=LAST)
        # In a group of its own: what ends the server by its terminal is told to the training by the server.
        group: dict[str, Any] = {"start_new_session": True}
        if sys.platform == "win32":
            group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        try:
            child = subprocess.Popen(self._command, encoding="utf-8", errors="replace", **pipes, **group)
        except OSError as problem:
            raise TrainingError(f"{self._command[0]} cannot be started: {problem.strerror or problem}") from None
        with child:
            self._child = child
            assert child.stdout is not None
            hears = threading.Thread(target=_follow, args=(child.stderr, last), daemon=True)
            hears.start()
            if self.asked:
                self._end()
            for line in child.stdout:
                self._line(line)
            status = child.wait()
            hears.join()
        self._child = None
        if status and not self.asked:
            raise TrainingError(_why(status, last))
        return status

    def ask(self, at_once: bool = False) -> None:
        """End after this step, as by Ctrl-C; or at once."""
        self.asked = True
        self._end(at_once)

    def _end(self, at_once: bool = False) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        if at_once:
            child.kill()
        elif sys.platform == "win32":
            child.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            child.terminate()  # a server that was started in the background has its children ignore Ctrl-C

    def _line(self, line: str) -> None:
        try:
            event = json.loads(line)
        except ValueError:
            return self._other(line.strip())
        if isinstance(event, dict):
            self._take(event)


class Away(Live):
    """agreed: what an environment lacks is downloaded, and the host's model makes room."""

    def __init__(
        self,
        words: tuple[str, ...],
        more: tuple[str, ...],
        lends: Lends,
        take: Take,
        where: Environment,
        agreed: bool,
    ) -> None:
        super().__init__(words, more, lends, take)
        if where.python is None and not agreed:
            raise TrainingError(f"this needs your consent first: {where.asks(lends.original or '')}")
        self._where, self._agreed = where, agreed
        self._model = tuple(lends.model_words())
        self._process: Process | None = None
        self._between = threading.Lock()
        self._pausing = False

    def run(self) -> None:
        self._prepare()
        more = self.more
        while True:
            with self._room():
                stopped = self._once(more)
            if stopped is None:
                return
            if self._pausing:
                self._wait(lambda: None)
            if self._ending or not self._pausing:
                return self.take(stopped)
            self._pausing = False
            more = tuple(dict.fromkeys((*self.more, "--resume")))

    def pause(self) -> None:
        """Ends the process, whose checkpoint is gone on from."""
        self._pausing = True
        super().pause()
        self._ask()

    def stop(self) -> None:
        """A second time, at once."""
        again = self._ending
        super().stop()
        self._ask(again)

    def _ask(self, at_once: bool = False) -> None:
        with self._between:
            if self._process is not None:
                self._process.ask(at_once)

    def _once(self, more: tuple[str, ...]) -> dict[str, Any] | None:
        """One process: the event of its end where it was told to end, which is the writer's or a pause; else None."""
        ends: list[dict[str, Any]] = []

        def take(event: dict[str, Any]) -> None:
            stopped = event.get("event") == "end" and event.get("ended") == "stopped"
            ends.append(event) if stopped else self.take(event)

        process = Process(self._where.command((*self.words, *self._model, "--json", *more)), take, _nothing)
        with self._between:
            self._process = process
        if self._pausing or self._ending:
            process.ask()
        try:
            process.run()
        finally:
            with self._between:
                self._process = None
        if not ends and process.asked:
            return {"event": "end", "ended": "stopped", "steps": 0}
        return ends[0] if ends else None

    def _prepare(self) -> None:
        """Make the environment, if it is not there; what pip is at is shown."""
        if self._where.python is not None:
            return

        def told(line: str) -> None:
            self.take({"event": "phase", "what": f"{SETTING_UP}: {' '.join(line.split())}", "done": 0, "total": 0})

        told("this may take some minutes")
        Process([sys.executable, "-u", "-I", "-c", _SET_UP, str(CHECKOUT / "install.py")], _nothing, told).run()
        self._where = environment()
        if self._where.python is None:
            raise TrainingError(f"{self._where.folder} was set up, and cannot train: delete it, and begin again")

    @contextmanager
    def _room(self) -> Iterator[None]:
        if not self._agreed:
            yield
            return
        self._phase("unloading the model")
        back = self.lends.release()
        try:
            yield
        finally:
            self._phase("loading the model again")
            back()


def _nothing(line: Any) -> None:
    """A line that is no news."""


def _has(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # half an installation
        return False


def _install() -> Any:
    """install.py of this checkout; None where it is no checkout, or this Python cannot make environments."""
    file = CHECKOUT / "install.py"
    if not (sys.executable and file.is_file() and _has("venv") and _has("ensurepip")):
        return None
    spec = spec_from_file_location("soft_prompts_install", file)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _follow(lines: Any, last: deque[str]) -> None:
    last.extend(line.rstrip() for line in lines if line.strip())


def _why(status: int, last: deque[str]) -> str:
    """What a process said last, of which the last line is the reason; or how it ended, if without a word."""
    if status in (-9, 137):
        return "the process of the training was killed, as a system does that has no memory left"
    if last and last[-1].startswith("soft-prompts: "):
        return last[-1].removeprefix("soft-prompts: ")
    said = " / ".join(last)
    return f"the process of the training ended with status {status}{': ' + said if said else ' and without a word'}"
