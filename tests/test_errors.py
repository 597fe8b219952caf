"""docs/errors.md has an entry for every class of ours, and prints what is really said; messages say where it stands."""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers

import soft_prompts
from soft_prompts import SoftPrompt, SoftPromptError, TextPrompt, cli, errors
from soft_prompts.fingerprint import KEY, take
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.hosts.llamacpp.server import Server
from soft_prompts.hosts.llamacpp.view import GgufView
from soft_prompts.trainer import Corpus, Distill, Finetune, Lore, live, train
from soft_prompts.trainer.fitting import stepping_down
from soft_prompts.trainer.identity import compare
from soft_prompts.trainer.runs import Runs
from soft_prompts.trainer.tab_answers import Training as Form
from soft_prompts.trainer.tab_wrong import NameTaken

from .law import TwiceReading

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / errors.PAGE).read_text("utf-8")
FOLDERS = (ROOT / "extensions" / "soft_prompts", ROOT / "trainer")


class Bench:
    """A folder with a library and files that are wrong, in which commands and calls are made to fail."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        width = model.get_input_embeddings().embedding_dim
        noise = np.random.default_rng(0).normal(size=(model.config.vocab_size, width)).astype(np.float32)
        other = SimpleNamespace(rows=len(noise), width=width, embed=lambda ids: noise[list(ids)])
        gibson = {"base_model": "gibson-7b"}
        self.noir = SoftPrompt("noir", np.full((4, width), 0.01))
        for prompt in (
            self.noir,
            SoftPrompt("wide", np.ones((2, 256)), metadata=gibson),
            SoftPrompt("stranger", np.ones((2, width)), metadata={**gibson, KEY: take(other).to_text()}),
        ):
            prompt.save(f"soft_prompts/{prompt.name}.safetensors")
        whole = Path("soft_prompts/noir.safetensors").read_bytes()
        lora = {"base_model.model.h.0.attn.lora_A.weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
        header = json.dumps(lora).encode()
        for name, data in {
            "soft_prompts/cut.safetensors": whole[:900],
            "soft_prompts/note.txt": b"A note.",
            "lora.safetensors": len(header).to_bytes(8, "little") + header + bytes(4),
            "short.txt": b"It rained. " * 5,
            "photo.png": b"\x89PNG\r\n\x1a\n" + bytes(range(60)),
            "bad.pt": pickled(),
        }.items():
            Path(name).write_bytes(data)

    def command(self, line: str) -> str:
        """What a command prints to its last error, behind its own name."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            assert cli.main(line.split()) == 1
        return said.getvalue().removeprefix("soft-prompts: ").removesuffix("\n")

    def read(self, text: Any, library: str | None = "soft_prompts", prompts: Any = (), **options: Any) -> None:
        with soft_prompts.attach(self.model, self.tokenizer, library, prompts=prompts, self_test=False):
            self.model(**self.tokenizer(*([text] if isinstance(text, str) else text), return_tensors="pt", **options))

    def foreign_ids(self) -> None:
        with soft_prompts.attach(self.model, self.tokenizer, "soft_prompts", self_test=False):
            ids = self.tokenizer("<<sp:noir>>It rained.", return_tensors="pt")
        with soft_prompts.attach(self.model, self.tokenizer, "soft_prompts", self_test=False):
            self.tokenizer("<<sp:note>>", return_tensors="pt")
            self.model.generate(**ids, max_new_tokens=1)

    def worker_ids(self) -> None:
        with soft_prompts.attach(self.model, self.tokenizer, "soft_prompts", self_test=False):
            self.model.generate(torch.tensor([[1, 2_000_000_000]]), max_new_tokens=1)

    def twice(self) -> None:
        with soft_prompts.attach(self.model, self.tokenizer, self_test=False):
            soft_prompts.attach(self.model, self.tokenizer, self_test=False)

    def without_numbers(self) -> None:
        with torch.no_grad():
            self.model.model.norm.weight.fill_(float("nan"))
        train(self.model, self.tokenizer, Finetune(Corpus("It rained. " * 200)), name="x", tokens=2, steps=1)


def pickled() -> bytes:
    """As torch writes a file, with a call in it that no tensor needs."""

    class Call:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, ("true",)

    saved = io.BytesIO()
    torch.save({"a": Call()}, saved)
    return saved.getvalue()


def t5(bench: Bench) -> None:
    config = transformers.T5Config(vocab_size=100, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    soft_prompts.attach(transformers.T5ForConditionalGeneration(config), bench.tokenizer)


def elsewhere(bench: Bench) -> None:
    bench.model.__class__ = TwiceReading
    soft_prompts.attach(bench.model, bench.tokenizer)


def adapter(bench: Bench) -> None:
    gguf = pytest.importorskip("gguf")
    writer = gguf.GGUFWriter("adapter.gguf", "llama")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    GgufModel.open("adapter.gguf")


def squeezed(bench: Bench) -> None:
    train(bench.model, bench.tokenizer, Distill(Lore("It rained.")), name="x", steps=1)


def full(bench: Bench) -> None:
    def attempt(rows: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    stepping_down(attempt, 8)


def another_model(bench: Bench) -> None:
    live.check(SimpleNamespace(borrow=lambda: (object(), None)), bench.model)  # type: ignore[arg-type]


def taken(bench: Bench) -> None:
    quiet = SimpleNamespace(_lock=nullcontext(), _library={"noir": None})
    for name in ("_look", "_check", "_check_free", "_check_idle"):
        setattr(quiet, name, lambda *_: None)
    Runs.start(quiet, SimpleNamespace(name="noir"))  # type: ignore[arg-type]


def no_file(bench: Bench) -> None:
    Form._plan(SimpleNamespace(), SimpleNamespace(kind="finetune", files=[], pairs=None))  # type: ignore[arg-type]


def raised(problem: Exception) -> None:
    raise problem


def another_program(bench: Bench) -> None:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")

        def log_message(self, *words: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.handle_request, daemon=True).start()
    try:
        Server(f"http://127.0.0.1:{server.server_port}").get("/props")
    finally:
        server.server_close()


def nobody(bench: Bench) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as taken:
        port = taken.server_port
    Server(f"http://127.0.0.1:{port}").get("/props")


def torchless(bench: Bench) -> str:
    code = "import sys; sys.modules['torch'] = None; from soft_prompts import cli; sys.exit(cli.main(['try', 'note']))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, encoding="utf-8")
    return done.stderr.removeprefix("soft-prompts: ").removesuffix("\n")


# The heading on the page -> what makes it be said: a command, or a call that raises, one for each block.
SAID: dict[str, list[str | Callable[[Bench], Any]]] = {
    "A name with a slip of the pen": ["show nor"],
    "The library is another folder": ["show noir --folder nowhere"],
    "A model without a library": [lambda bench: bench.read("<<sp:noir>>x", None)],
    "A name that no prompt can have": ["try noir?"],
    "Two prompts of one name in a text": [lambda bench: bench.noir + "x" + SoftPrompt("noir", [[1.0]])],
    "Given, and in the library too": [lambda bench: bench.read("<<sp:noir>>x", prompts=[SoftPrompt("noir", [[1.0]])])],
    "A strength beyond 4": [lambda bench: bench.read("<<sp:noir:9>>x")],
    "A name with an apostrophe": [lambda bench: SoftPrompt("emma's", [[1.0]])],
    "Numbers that are none": [lambda bench: SoftPrompt("x", np.full((2, 3), np.nan))],
    "An empty text": [lambda bench: TextPrompt("note", " ")],
    "Words that are to become vectors, without a server": [
        lambda bench: GgufView(None).inner_ids("x")  # type: ignore[arg-type]
    ],
    "Cut short": ["show cut"],
    "Something else under that name": ["show photo.png"],
    "A LoRA, a whole model, a lorebook": ["show lora.safetensors"],
    "A pickle that calls a program": ["show bad.pt"],
    "It is not there": ["train finetune none.txt"],
    "A text where facts are wanted": ["train world-info short.txt"],
    "A model that is nowhere": ["train finetune short.txt --name x --model nowhere/"],
    "It exists already": ["convert noir soft_prompts/noir.safetensors", "train finetune short.txt --name noir"],
    "Another width": ["try wide"],
    "A stranger of equal width": [lambda bench: bench.read("<<sp:stranger>>x")],
    "Encoder and decoder": [t5],
    "The self-test failed": [elsewhere],
    "Attached twice": [Bench.twice],
    "On llama.cpp": [adapter],
    "Offsets, pairs and the like": [
        lambda bench: bench.read("<<sp:noir>>x", return_offsets_mapping=True),
        lambda bench: bench.read(["<<sp:noir>>x", "y"]),
    ],
    "Ids of another attachment": [Bench.foreign_ids],
    "Ids of a worker": [Bench.worker_ids],
    "The text is too short": ["train finetune short.txt --name x"],
    "A long text is short": [squeezed],
    "A device or a package that is not here": [
        "train finetune short.txt --name x --device cuda",
        "train finetune short.txt --name x --load-in-4bit",
    ],
    "Memory is short": [full],
    "The loss is not finite": [Bench.without_numbers],
    "Another training": [lambda bench: compare({"seed": 0}, {"seed": 1}, Path("soft_prompts/noir.training"))],
    "The model has gone": [another_model],
    "There is one of that name": [taken],
    "A form that is not complete": [no_file],
    "The form names one that is there": [lambda bench: raised(NameTaken("noir"))],
    "It is not running": [nobody],
    "Something else answers there": [another_program],
    "A package is missing": [torchless],
    "There is nothing to convert": ["convert note note.npy"],
}


def messages() -> list[tuple[str, str, str]]:
    """(class, heading, message) of each block that quotes one."""
    found, of, heading = [], "", ""
    for level, title, block in re.findall(r"^(##+) ([^\n]+)$|^```text\n(.+?)\n```$", PAGE, re.MULTILINE | re.DOTALL):
        of, heading = (title if level == "##" else of), title or heading
        if block:
            found.append((of, heading, block))
    return found


def test_every_message_of_the_page_is_asked_for() -> None:
    quoted: dict[str, int] = {}
    for _, heading, _ in messages():
        quoted[heading] = quoted.get(heading, 0) + 1
    assert quoted == {heading: len(ways) for heading, ways in SAID.items()}


@pytest.mark.parametrize("heading", SAID)
def test_the_page_prints_what_is_said(
    heading: str, make: Any, tokenizer: Any, storyteller: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if heading == "A device or a package that is not here" and torch.cuda.is_available():
        pytest.skip("cuda is here")
    monkeypatch.chdir(tmp_path)
    small = heading in ("The self-test failed", "The loss is not finite")
    bench = Bench(make("llama"), tokenizer) if small else Bench(*storyteller)
    quoted = [(of, block) for of, each, block in messages() if each == heading]
    for (of, block), way in zip(quoted, SAID[heading], strict=True):
        if isinstance(way, str) or way is torchless:
            said = bench.command(way) if isinstance(way, str) else torchless(bench)
        else:
            with pytest.raises(SoftPromptError) as found:
                way(bench)
            said = str(found.value)
            assert type(found.value).__name__ == of, f"it stands under {of}"
        pattern = ".+".join(map(re.escape, block.split("...")) if heading not in AS_IT_IS else [re.escape(block)])
        assert re.fullmatch(pattern, said.replace(os.sep, "/")), f"{block}\nis said as\n{said}"


AS_IT_IS = ("A model without a library",)
"""Messages with dots of their own."""


def test_what_installing_says_is_said_there() -> None:
    rows = re.findall(r"^\| (.+?) \| .+ \|$", PAGE.partition("\n## Installing\n")[2], re.MULTILINE)[1:]
    sources = [ROOT / "install.py", *(FOLDERS[0] / "hosts" / "webui" / "deploy").glob("*.py")]
    text = " ".join(path.read_text("utf-8") for path in sources)
    assert len(rows) == 6
    for row in rows:
        for part in row.split("..."):
            assert part.strip() in text, row


# ---- each class has its entry, and says where it is


def classes() -> set[str]:
    """Every class of the package that is a SoftPromptError."""
    bases: dict[str, set[str]] = {}
    for path in [path for folder in FOLDERS for path in folder.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                bases.setdefault(node.name, set()).update(ast.unparse(base).split(".")[-1] for base in node.bases)
    ours = {"SoftPromptError"}
    while more := {name for name, above in bases.items() if above & ours} - ours:
        ours |= more
    return ours


def test_every_class_has_an_entry() -> None:
    assert len(classes()) > 12
    assert classes() <= set(re.findall(r"^## (\w+)$", PAGE, re.MULTILINE))


def test_an_error_says_where_its_entry_is() -> None:
    problem = errors.UnknownPrompt("no soft prompt 'nor'")
    assert (str(problem), problem.entry) == ("no soft prompt 'nor'", "docs/errors.md#unknownprompt")
    again = pickle.loads(pickle.dumps(problem))
    assert (str(again), again.entry) == (str(problem), problem.entry)
    shown = "".join(traceback.format_exception(problem))
    assert shown.endswith("docs/errors.md#unknownprompt says more\n") == (sys.version_info >= (3, 11))


@pytest.mark.parametrize("watched", [True, False])
def test_the_last_line_in_a_terminal_says_where_more_is(
    watched: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    assert cli.main(["show", "noir"]) == 1
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("soft-prompts: no soft prompt 'noir'")
    assert rest == (["docs/errors.md#unknownprompt says more"] if watched else [])
