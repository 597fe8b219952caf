"""The webui's own start of llama.cpp brings the soft prompts by a flag; with a real llama-server.

Each start is made as server.py makes it: the settings of the model, the model, the extension.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gguf")

from soft_prompts.hosts.webui.deploy import files, flagging
from soft_prompts.hosts.webui.llama_kept import prepare

from ..llamacpp.llama_server import FOUND

pytestmark = [
    pytest.mark.llamacpp,
    pytest.mark.slow,
    pytest.mark.skipif(not FOUND, reason="LLAMA_SERVER names no llama-server, and none is on the PATH"),
]
CHECKOUT = Path(__file__).resolve().parents[2]
Inside = Any  # the fixture of conftest.py
LAMP = " and the old keeper lit the lamp in the tower"
BEFORE, AFTER = "Once upon a time there was a miller", ". In the morning the boat was gone, and nobody knew where"
TAGGED = f"{BEFORE}<<sp:lamp>>{AFTER}"
EXACT = "--flash-attn off --cache-type-k f32 --cache-type-v f32"
"""The writer's own flags, written beside ours: with these, a text is read as exactly in parts as in one go."""
WAYS = ["lora", "mmproj"]


def save(folder: Path, **texts: str) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import SoftPrompt, demo

    model, tokenizer = (each.from_pretrained(demo.path()) for each in (AutoModelForCausalLM, AutoTokenizer))
    for name, text in texts.items():
        SoftPrompt.from_text(text, model, tokenizer, name=name).save(folder / f"{name}.safetensors")


class Flagged:
    """A webui that begins with the model `way`.gguf, whose settings hold our flag."""

    def __init__(self, inside: Inside, way: str) -> None:
        self.inside, self.way, self.name = inside, way, f"{way}.gguf"
        self.shared, self.models = inside.shared, inside.user_data / "models"
        self.config = self.models / "config-user.yaml"
        self.settings = inside.module("models_settings")

    def flag(self) -> None:
        word, path = prepare(str(self.models / self.name), str(self.inside.folder))
        text = flagging.with_flag("", self.name + "$", f"{EXACT} {flagging.flag_for(word, path)}")[0]
        self.config.write_text(text)

    def note(self) -> None:
        """As the installation notes it, which this one was not made by."""
        record = files.Record()
        told = {"name": self.name, "config": "models/config-user.yaml", "file": self.name}
        record.start = {**told, "before": None, "was": None, "digest": ""}
        record.write(self.inside.user_data)

    def begin(self) -> Any:
        """As a process that has just been started; the model, or None where the webui could not load it."""
        inside, shared = self.inside, self.shared
        inside.ours.stop()
        inside.models.unload_model()
        shared.args.extra_flags, shared.user_config = None, shared.load_user_config()
        found = self.settings.get_model_metadata(self.name)
        self.settings.update_model_parameters({**found, "gpu_layers": 0, "ctx_size": 1024}, initial=True)
        assert EXACT in shared.args.extra_flags
        shared.model, shared.tokenizer = inside.models.load_model(self.name)
        model = shared.model
        inside.load_extension()
        inside.said.clear()
        return model

    def passed(self) -> list[str]:
        """What the server of the moment was started with of ours."""
        words = list(map(str, self.shared.model.process.args))
        return [words[at + 1] for at, word in enumerate(words) if word in ("--lora", "--mmproj")]

    @property
    def pid(self) -> int:
        return int(self.shared.model.process.pid)

    @property
    def served(self) -> Any:
        return self.inside.ours.current.served

    def holds(self, tag: str = "lamp", text: str = LAMP) -> None:
        """The law."""
        plain = self.inside.complete(BEFORE + text + AFTER, temperature=0)
        assert plain.strip() and self.inside.complete(f"{BEFORE}<<sp:{tag}>>{AFTER}", temperature=0) == plain
        assert plain != self.inside.complete(BEFORE + AFTER, temperature=0)


@pytest.fixture(scope="module")
def _files(_inside: Inside, gguf_of_tests: Any) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from soft_prompts import demo

    folder: Path = _inside.user_data / "models"
    if not (folder / "lora.gguf").exists():
        tokenizer = AutoTokenizer.from_pretrained(demo.path())
        model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
        gguf_of_tests.write_gguf(folder / "mmproj.gguf", model, tokenizer)
        model.resize_token_embeddings(2560 + 96, mean_resizing=False)
        gguf_of_tests.write_gguf(folder / "lora.gguf", model, tokenizer, unused=96, untie=True)
    return folder


@pytest.fixture(params=WAYS)
def flagged(_inside: Inside, _files: Path, request: pytest.FixtureRequest) -> Iterator[Flagged]:
    inside, way = _inside, request.param
    binaries = types.ModuleType("llama_cpp_binaries")
    binaries.get_binary_path = lambda: FOUND  # type: ignore[attr-defined]
    sys.modules["llama_cpp_binaries"] = binaries
    args, before = inside.shared.args, dict(vars(inside.shared.args))
    args.loader, args.threads, args.parallel = "llama.cpp", 1, 1
    kept = {each: each.read_bytes() for each in _files.glob("*.gguf")}
    with inside.hijacked():
        made = Flagged(inside, way)
        save(inside.folder, lamp=LAMP)
        made.flag()
        yield made
        inside.models.unload_model()
        inside.ours.stop()
        made.config.unlink(missing_ok=True)
        files.Record.path(inside.user_data).unlink(missing_ok=True)
        for path, content in kept.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
        vars(args).update(before)
        inside.shared.user_config = inside.shared.load_user_config()
        for path in sorted(inside.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        inside.load()
        inside.load_extension()


def test_the_first_tag_starts_nothing(flagged: Flagged) -> None:
    before = flagged.config.read_bytes()
    assert flagged.begin() is flagged.shared.model
    pid = flagged.pid
    assert flagged.served.sidecar is not None and flagged.served.tested == "passed its self-test"
    flagged.holds()
    assert (flagged.pid, flagged.inside.said) == (pid, [])
    assert len(flagged.passed()) == 1
    assert flagged.shared.args.extra_flags == EXACT, "what the Model tab shows is the writer's own"
    assert flagged.config.read_bytes() == before


def test_the_first_model_that_is_loaded_after_the_extension(flagged: Flagged) -> None:
    """Without any flag: nothing was started before us."""
    inside, shared = flagged.inside, flagged.shared
    flagged.config.unlink()
    inside.ours.stop()
    inside.models.unload_model()
    shared.user_config, shared.args.extra_flags = {}, EXACT
    inside.load_extension()
    shared.args.gpu_layers, shared.args.ctx_size = 0, 1024
    shared.model, shared.tokenizer = inside.models.load_model(flagged.name)
    pid = flagged.pid
    flagged.holds()
    assert (flagged.pid, inside.said, len(flagged.passed())) == (pid, [], 1)
    inside.ours.stop()
    server = type(shared.model)
    assert server._start_server.__qualname__ == "LlamaServer._start_server", "and it is the webui's own again"


def test_what_came_since_costs_one_start_and_the_next_one_has_it(flagged: Flagged) -> None:
    flagged.begin()
    pid = flagged.pid
    save(flagged.inside.folder, sea=" The sea was calm and grey")
    flagged.inside.ours.library.refresh()
    flagged.holds()
    assert flagged.pid == pid
    flagged.holds("sea", " The sea was calm and grey")
    assert flagged.pid != pid and len(flagged.passed()) == 1
    assert [each for each in flagged.inside.said if "started once more, so that it has <<sp:sea>>" in each]
    flagged.inside.complete(f"{BEFORE}<<sp:lamp:0.5>>{AFTER}")
    flagged.begin()
    pid = flagged.pid
    flagged.holds("sea", " The sea was calm and grey")
    flagged.inside.complete(f"{BEFORE}<<sp:lamp:0.5>>{AFTER}")
    assert (flagged.pid, flagged.inside.said) == (pid, [])


def test_vectors_that_changed_while_the_webui_was_closed(flagged: Flagged) -> None:
    save(flagged.inside.folder, lamp=" The sea was calm and grey")
    flagged.begin()
    pid = flagged.pid
    assert flagged.served.sidecar is None
    flagged.holds("lamp", " The sea was calm and grey")
    assert flagged.pid != pid
    flagged.begin()
    pid = flagged.pid
    flagged.holds("lamp", " The sea was calm and grey")
    assert flagged.pid == pid


def test_the_next_model_never_gets_the_flag_of_the_first(flagged: Flagged) -> None:
    flagged.begin()
    (other,) = {"lora.gguf", "mmproj.gguf"} - {flagged.name}
    inside, shared, settings = flagged.inside, flagged.shared, flagged.settings
    # As the Model tab does it: what it shows stays, unless the next model has settings of its own.
    for name in (flagged.name, other, flagged.name):
        settings.update_model_parameters(settings.get_model_metadata(name) | {"gpu_layers": 0, "ctx_size": 1024})
        assert "soft_prompts" not in shared.args.extra_flags
        inside.models.unload_model()
        shared.model, shared.tokenizer = inside.models.load_model(name, "llama.cpp")
        assert shared.model is not None and [Path(each).parent.name for each in flagged.passed()] == [".llamacpp"]
        flagged.holds()


@pytest.mark.parametrize("gone", ["deleted", "damaged"])
def test_a_start_file_that_is_gone_costs_one_start(flagged: Flagged, gone: str) -> None:
    path = flagged.inside.folder / ".llamacpp" / "start" / flagged.name
    path.unlink() if gone == "deleted" else path.write_bytes(b"GGUF, but not much of one")
    assert flagged.begin() is None, "the webui itself is without a model"
    assert flagged.shared.model is not None and flagged.served.tested == "passed its self-test"
    flagged.holds()
    assert flagged.begin() is flagged.shared.model, "and from then on it is as it was"
    pid = flagged.pid
    flagged.holds()
    assert flagged.pid == pid


def test_another_model_in_the_file_of_the_first(flagged: Flagged) -> None:
    flagged.note()
    (other,) = {"lora.gguf", "mmproj.gguf"} - {flagged.name}
    shutil.copy(flagged.models / other, flagged.models / flagged.name)
    model = flagged.begin()
    # A tied model cannot take the adapter of an untied one; a projector of the same width does no harm.
    assert (model is None) == (flagged.way == "lora")
    assert flagged.shared.model is not None
    flagged.holds()
    # The flag is of the wrong kind now, and goes.
    assert flagged.shared.load_user_config()[flagged.name + "$"]["extra_flags"] == EXACT
    assert flagged.begin() is flagged.shared.model
    flagged.holds()


def test_a_folder_that_was_moved(flagged: Flagged) -> None:
    flagged.note()
    text = flagged.config.read_text()
    flagged.config.write_text(text.replace("soft_prompts/.llamacpp", "elsewhere/soft_prompts/.llamacpp"))
    assert flagged.begin() is None and flagged.shared.model is not None
    flagged.holds()
    assert flagged.shared.load_user_config()[flagged.name + "$"]["extra_flags"] == EXACT, "it would fail each time"


def test_settings_saved_in_the_model_tab_keep_the_flag(flagged: Flagged) -> None:
    flagged.begin()
    args = vars(flagged.shared.args)
    list(flagged.settings.save_model_settings(flagged.name, {**args, "threads": 2}))
    assert "soft_prompts" not in str(flagged.shared.user_config)
    found = flagged.shared.load_user_config()[flagged.name + "$"]
    assert found["threads"] == 2 and found["extra_flags"].startswith(EXACT + " --")
    flagged.begin()
    pid = flagged.pid
    flagged.holds()
    assert flagged.pid == pid


def test_who_switches_the_extension_off_has_no_flag_left(flagged: Flagged) -> None:
    flagged.note()
    flagged.begin()
    flagged.inside.extensions.state = {}
    flagged.shared.input_elements = []
    assert flagged.shared.load_user_config()[flagged.name + "$"]["extra_flags"] == EXACT
    assert not (flagged.inside.folder / ".llamacpp" / "start").exists()


# ---- the whole of it, as processes


class Whole:
    """The real webui in a folder, with the storyteller as a GGUF file; `starts()` is one life of its server.py."""

    asked = {"prompt": TAGGED, "max_tokens": 8, "temperature": 0}  # noqa: RUF012

    def __init__(self, beside: Any, gguf_of_tests: Any, root: Path, user_data: Path, way: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from soft_prompts import demo

        self._server, self.root, self.user_data, self.name = beside.Server, root, user_data, f"Tale {way}.gguf"
        self.python = os.environ.get("TEXTGEN_WEBUI_PYTHON", sys.executable)
        self.config = user_data / "models" / "config-user.yaml"
        model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype=torch.float32)
        options: dict[str, Any] = {}
        if way == "lora":
            model.resize_token_embeddings(2560 + 96, mean_resizing=False)
            options = {"unused": 96, "untie": True}
        tokenizer = AutoTokenizer.from_pretrained(demo.path())
        gguf_of_tests.write_gguf(user_data / "models" / self.name, model, tokenizer, **options)

    def starts(self, *flags: str) -> tuple[str, int, str]:
        """(what it writes behind a tag, how often llama.cpp was started once more for it, its log)."""
        flags = ("--threads", "1", "--ctx-size", "1024", *flags)
        with self._server(self.root, self.user_data, self.python, *flags) as server:
            text = server.post("/v1/completions", self.asked)["choices"][0]["text"]
        log = " ".join(server.log.read_text("utf-8", "replace").split())
        return text, log.count("started once more"), log


@pytest.fixture
def _binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "llama_cpp_binaries.py").write_text(f"def get_binary_path():\n    return {FOUND!r}\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.mark.webui
@pytest.mark.usefixtures("_binaries")
@pytest.mark.skipif(not os.environ.get("TEXTGEN_WEBUI_DIR"), reason="TEXTGEN_WEBUI_DIR is not set")
@pytest.mark.parametrize("way", WAYS)
def test_server_py_itself(beside: Any, stocked: Path, gguf_of_tests: Any, way: str) -> None:
    """Without the flag the first tag starts llama.cpp once more, with it none does."""
    whole = Whole(beside, gguf_of_tests, Path(os.environ["TEXTGEN_WEBUI_DIR"]).resolve(), stocked, way)
    flags = ("--model", whole.name, "--extensions", "soft_prompts")
    text, more, log = whole.starts(*flags)
    assert more == 1 and text.strip(), log
    word, path = prepare(str(stocked / "models" / whole.name), str(stocked / "soft_prompts"))
    whole.config.write_text(flagging.with_flag("", whole.name + "$", flagging.flag_for(word, path))[0])
    again, more, log = whole.starts(*flags)
    assert (again, more) == (text, 0), log
    Path(path).unlink()
    again, more, log = whole.starts(*flags)
    assert (again, more) == (text, 0) and "is loaded once more, without" in log, log
    assert Path(path).is_file()
    again, more, log = whole.starts(*flags)
    assert (again, more) == (text, 0) and "is loaded once more" not in log, log
    whole.config.unlink()


@pytest.mark.webui
@pytest.mark.usefixtures("_binaries")
@pytest.mark.skipif(not os.environ.get("TEXTGEN_WEBUI_DIR"), reason="TEXTGEN_WEBUI_DIR is not set")
@pytest.mark.parametrize("way", WAYS)
def test_as_install_py_puts_it_there(beside: Any, gguf_of_tests: Any, stocked: Path, tmp_path: Path, way: str) -> None:
    """In a copy of the webui, from the line in a terminal to the tag, and all of it back."""
    away = shutil.ignore_patterns(".git", "installer_files", "portable_env", "venv", ".venv", "models", "__pycache__")
    root = Path(shutil.copytree(os.environ["TEXTGEN_WEBUI_DIR"], tmp_path / "a webui", ignore=away))
    user_data = root / "user_data"
    (user_data / "models").mkdir(exist_ok=True)
    whole = Whole(beside, gguf_of_tests, root, user_data, way)
    (user_data / "CMD_FLAGS.txt").write_text(f"--model '{whole.name}'\n")
    whole.config.write_text("# mine\nOther.gguf$:\n  threads: 2\n")
    before = {path: path.read_bytes() for path in user_data.rglob("*") if path.is_file()}

    def install(*words: str) -> str:
        line = [
            sys.executable,
            "-I",
            str(CHECKOUT / "install.py"),
            "webui",
            str(root),
            "--python",
            whole.python,
            *words,
        ]
        done = subprocess.run(line, capture_output=True, encoding="utf-8", cwd=tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "with --start-flag behind it" in install()
    shutil.copy(stocked / "soft_prompts" / "lamp.safetensors", user_data / "soft_prompts")
    text, more, log = whole.starts()
    assert more == 1, log
    said = install("--start-flag")
    assert f"user_data/soft_prompts/.llamacpp/start/{whole.name}" in said
    again, more, log = whole.starts()
    assert (again, more) == (text, 0) and "is loaded once more" not in log, log
    install("--uninstall")
    shutil.rmtree(user_data / "soft_prompts")
    files_now = {path: path.read_bytes() for path in user_data.rglob("*") if path.is_file()}
    ignored = {each for each in files_now if {"logs", "cache"} & set(each.parts)}
    assert {each: text for each, text in files_now.items() if each not in ignored} == before
