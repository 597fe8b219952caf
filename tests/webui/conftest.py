"""The webui in this process: the real one where TEXTGEN_WEBUI_DIR names its folder, else the fake in `fake/`.

The same tests run in both, so that the fake cannot drift. For the real one, use its own Python, with pytest and
hypothesis installed: `TEXTGEN_WEBUI_DIR=... PYTHON_OF_THE_WEBUI -I -m pytest -W default tests/webui`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
REAL = os.environ.get("TEXTGEN_WEBUI_DIR", "")
ROOT = Path(REAL).resolve() if REAL else Path(__file__).resolve().parent / "fake"

try:
    import soft_prompts  # noqa: F401
except ModuleNotFoundError:  # the webui's own Python: as its extension loader does it
    spec = importlib.util.spec_from_file_location("soft_prompts_checkout", CHECKOUT / "script.py")
    assert spec and spec.loader
    spec.loader.exec_module(importlib.util.module_from_spec(spec))


class Inside:
    """The loaded webui with this extension in it; `user_data` is a folder of this run's own."""

    LAMP = " and the old keeper lit the lamp in the tower"
    real = bool(REAL)

    def __init__(self, user_data: Path) -> None:
        self.user_data = user_data
        self.folder = user_data / "soft_prompts"
        self.shared = self.module("shared")
        self.extensions = self.module("extensions")
        self.models = self.module("models")
        self.generation = self.module("text_generation")
        self.chat = self.module("chat")
        self.said: list[str] = []

    def module(self, name: str) -> Any:
        return importlib.import_module(f"modules.{name}")

    @property
    def ours(self) -> Any:
        from soft_prompts.hosts.webui.host import webui

        return webui()

    def load_extension(self) -> None:
        self.shared.args.extensions = ["soft_prompts"]
        self.extensions.available_extensions = ["soft_prompts"]
        self.extensions.load_extensions()
        self.ours.on_warning(self.said.append)

    @contextmanager
    def hijacked(self) -> Iterator[None]:
        """Meanwhile Transformers is as the webui makes it with each load; the tests that follow have it as it was."""
        from transformers import GenerationConfig, GenerationMixin

        before = GenerationMixin._get_logits_processor, GenerationConfig.__init__
        self.module("sampler_hijack").hijack_samplers()
        try:
            yield
        finally:
            GenerationMixin._get_logits_processor, GenerationConfig.__init__ = before  # type: ignore[method-assign]

    def load(self, name: str = "storyteller") -> None:
        self.shared.model, self.shared.tokenizer = self.models.load_model(name)

    def state(self, **changes: Any) -> dict[str, Any]:
        """What the interface hands to a generation: greedy, short, the same every time."""
        presets = self.module("presets").default_preset_values
        state = {**self.shared.settings, **presets, "history": {"internal": [], "visible": [], "metadata": {}}}
        state |= {"do_sample": False, "max_new_tokens": 12, "truncation_length": 1024, "seed": 1, "stream": False}
        state |= {
            "auto_max_new_tokens": False,
            "tools": None,
            "character_menu": "Assistant",
            "unique_id": "one",
            "mode": "chat",
        }
        return {**state, **changes}

    def complete(self, prompt: str, **changes: Any) -> str:
        """What notebook, default and /v1/completions generate."""
        *_, last = ["", *self.generation.generate_reply(prompt, self.state(**changes))]
        return str(last)

    def reply(self, text: str, regenerate: bool = False, _continue: bool = False, **changes: Any) -> str:
        """What the chat generates."""
        state = self.state(**changes)
        *_, history = self.chat.generate_chat_reply(text, state, regenerate=regenerate, _continue=_continue)
        return str(history["internal"][-1][1])

    def save(self, name: str, text: str) -> Any:
        """A soft prompt in the library that is the embeddings of a text."""
        from soft_prompts import SoftPrompt

        prompt = SoftPrompt.from_text(text, self.shared.model, self.shared.tokenizer, name=name)
        prompt.save(self.folder / f"{name}.safetensors")
        return prompt

    def ids(self, text: str) -> list[int]:
        return list(map(int, self.generation.encode(text)[0]))


def furnish(user_data: Path) -> Path:
    """A user_data folder with two models, the checkout as an extension, and what the real webui wants to find."""
    from soft_prompts import demo

    if REAL:
        ignored = shutil.ignore_patterns("models", "soft_prompts", "extensions", "logs", "cache")
        shutil.copytree(ROOT / "user_data", user_data, ignore=ignored)
    (user_data / "models").mkdir(parents=True)
    (user_data / "extensions").mkdir()
    shutil.copytree(demo.path(), user_data / "models" / "storyteller")
    (user_data / "extensions" / "soft_prompts").symlink_to(CHECKOUT, target_is_directory=True)
    return user_data


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user_data folder of its own, for a webui that runs as its own process."""
    return furnish(tmp_path_factory.mktemp("server") / "user_data")


@pytest.fixture(scope="module")
def stocked(furnished: Path) -> Path:
    """The same, whose soft prompt `lamp` is the embeddings of `Inside.LAMP` on the storyteller."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import SoftPrompt, demo

    model, tokenizer = (each.from_pretrained(demo.path()) for each in (AutoModelForCausalLM, AutoTokenizer))
    (furnished / "soft_prompts").mkdir(exist_ok=True)
    prompt = SoftPrompt.from_text(Inside.LAMP, model, tokenizer, name="lamp")
    prompt.save(furnished / "soft_prompts" / "lamp.safetensors")
    return furnished


@pytest.fixture(scope="session")
def beside() -> Any:
    """server.py, which lies beside this file; the tests are no package."""
    spec = importlib.util.spec_from_file_location("webui_server", Path(__file__).with_name("server.py"))
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def start(beside: Any, stocked: Path) -> Callable[..., Any]:
    """`with start() as server:` - the real webui as a process of its own, with the storyteller and the soft prompt."""
    flags = ["--loader", "Transformers", "--model", "storyteller", "--extensions", "soft_prompts"]
    python = os.environ.get("TEXTGEN_WEBUI_PYTHON", sys.executable)
    return lambda **options: beside.Server(ROOT, stocked, python, *flags, **options)


@pytest.fixture(scope="session")
def _inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Inside]:
    import torch

    before = (sys.path[:], sys.argv, Path.cwd(), set(sys.modules))
    user_data = furnish(tmp_path_factory.mktemp("webui") / "user_data")
    sys.path.insert(0, str(ROOT))
    sys.argv = [
        "server.py",
        "--user-data-dir",
        str(user_data),
        "--cpu",
        "--loader",
        "Transformers",
        "--nowebui",
        "--api",
    ]
    os.chdir(ROOT if REAL else user_data.parent)
    torch.set_num_threads(1)
    try:
        inside = Inside(user_data)
        with inside.hijacked():
            # As `--model` does it: the model is there before the extension.
            inside.load()
            inside.shared.generation_lock = threading.Lock()
            inside.module("api.completions")
            inside.load_extension()
        yield inside
        inside.ours.stop()
        inside.models.unload_model()
    finally:
        sys.path[:], sys.argv = before[0], before[1]
        os.chdir(before[2])
        for name in [name for name in sys.modules if name.partition(".")[0] == "modules" and name not in before[3]]:
            del sys.modules[name]


@pytest.fixture
def inside(_inside: Inside) -> Iterator[Inside]:
    """The webui with the storyteller loaded, an empty library and nothing pinned."""
    with _inside.hijacked():
        if _inside.shared.model is None:
            _inside.load()
        _inside.said.clear()
        yield _inside
    for path in sorted(_inside.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    _inside.ours.settings.switch(True)
    _inside.ours.current.switch(True)


@pytest.fixture
def lamp(inside: Inside) -> str:
    """The tag of a soft prompt that is the embeddings of `inside.LAMP`: whatever it does, that text does."""
    inside.save("lamp", inside.LAMP)
    return "<<sp:lamp>>"


@pytest.fixture(scope="session")
def gguf_of_tests() -> Any:
    """tests/llamacpp/gguf_models.py, by its place: in the webui's own Python the tests are no package."""
    spec = importlib.util.spec_from_file_location("gguf_of_tests", CHECKOUT / "tests" / "llamacpp" / "gguf_models.py")
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
