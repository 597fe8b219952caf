"""The flag that brings the soft prompts to the webui's own start: what is kept for it, and whom it must never reach."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("gguf")

from soft_prompts.errors import UnsupportedModel
from soft_prompts.hosts.llamacpp.model import GgufModel
from soft_prompts.hosts.llamacpp.sidecar import Sidecar, make
from soft_prompts.hosts.webui.deploy import starting
from soft_prompts.hosts.webui.following import Following
from soft_prompts.hosts.webui.llama_kept import StartFile, prepare, wanted
from soft_prompts.hosts.webui.llama_start import Starts
from soft_prompts.hosts.webui.llama_stock import examined
from soft_prompts.hosts.webui.start_flag import StartFlag
from soft_prompts.library import Library
from soft_prompts.prompt import SoftPrompt
from soft_prompts.tags import tag_for

from ..conftest import make_model, make_tokenizer
from .gguf_models import write_gguf
from .test_start import Server, args

FLAG = "--lora user_data/soft_prompts/.llamacpp/start/{}"
A, B = (FLAG.format(name) for name in ("a.gguf", "b.gguf"))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder, tokenizer = tmp_path_factory.mktemp("flag"), make_tokenizer("bytes")
    return {
        name: write_gguf(folder / f"{name}.gguf", make_model("llama", 464, tie_word_embeddings=tied), tokenizer)
        for name, tied in (("lora", False), ("mmproj", True))
    }


def write(folder: Path, name: str, value: float = 1.0) -> None:
    SoftPrompt(name, np.full((4, 32), value, np.float32)).save(folder / f"{name}.safetensors")


# ---- what is kept


@pytest.mark.parametrize("way", ["lora", "mmproj"])
def test_what_is_prepared_is_adopted_as_long_as_it_is_true(models: dict[str, Path], tmp_path: Path, way: str) -> None:
    write(tmp_path, "noir")
    (tmp_path / "settings.json").write_text('{"pins": {"everywhere": [{"name": "noir", "strength": 0.5}]}}', "utf-8")
    word, path = prepare(str(models[way]), str(tmp_path))
    assert (word, Path(path)) == (f"--{way}", tmp_path / ".llamacpp" / "start" / f"{way}.gguf")
    kept, model = StartFile(tmp_path, f"{way}.gguf"), GgufModel.open(models[way])
    note, found = kept.note(), kept.adopted(model, Library(tmp_path))
    assert note is not None and note.tags == ("<<sp:noir:0.5>>", "<<sp:noir>>")
    assert found is not None and found.path == kept.path and len(found.places) == 2
    # The same as one that is made of these.
    tags = [tag_for("noir", 0.5), tag_for("noir")]
    other = make(model, wanted(model, Library(tmp_path), tags), tmp_path / "made")
    assert other.path.read_bytes() == kept.path.read_bytes()
    assert (found.places, found.probe, found.told, found.flags[0]) == (
        other.places,
        other.probe,
        other.told,
        f"--{way}",
    )
    write(tmp_path, "sea", 2.0)
    assert kept.adopted(model, Library(tmp_path)) == found, "what came since is what the first need starts for"
    write(tmp_path, "noir", 3.0)
    assert kept.adopted(model, Library(tmp_path)) is None, "vectors that changed are not those of the file"
    write(tmp_path, "noir")
    assert kept.adopted(model, Library(tmp_path)) == found
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert kept.note() is None and kept.adopted(model, Library(tmp_path)) is None
    kept.path.unlink()
    assert kept.adopted(model, Library(tmp_path)) is None


def test_another_model_under_the_same_name(models: dict[str, Path], tmp_path: Path) -> None:
    model = tmp_path / "models" / "m.gguf"
    model.parent.mkdir()
    model.write_bytes(models["lora"].read_bytes())
    prepare(str(model), str(tmp_path))
    kept = StartFile(tmp_path, "m.gguf")
    assert kept.adopted(GgufModel.open(model), Library(tmp_path)) is not None, "an empty library will do"
    model.write_bytes(models["mmproj"].read_bytes())
    assert kept.adopted(GgufModel.open(model), Library(tmp_path)) is None


@pytest.mark.parametrize("note", ["", "[]", "{}", '{"digest": "x", "content": "y", "tags": 7}'])
def test_a_note_that_is_none(models: dict[str, Path], tmp_path: Path, note: str) -> None:
    prepare(str(models["lora"]), str(tmp_path))
    (tmp_path / ".llamacpp" / "start" / "lora.gguf.json").write_text(note)
    assert StartFile(tmp_path, "lora.gguf").note() is None


def test_as_install_py_asks_the_webuis_python(models: dict[str, Path], tmp_path: Path) -> None:
    """A Python of its own, in which nothing of ours is installed on any path; the package is found by its place."""
    package = str(Path(sys.modules["soft_prompts"].__file__ or "").parent)
    write(tmp_path, "noir")
    for model, told in ((models["lora"], "flag"), (Path(__file__), "problem")):
        words = [sys.executable, "-I", "-c", starting.PREPARE, package, str(model), str(tmp_path)]
        done = subprocess.run(words, capture_output=True, encoding="utf-8")
        assert done.returncode == 0 and list(json.loads(done.stdout)) == [told], done.stderr
    assert StartFile(tmp_path, "lora.gguf").note() is not None


# ---- the webui


class Webui:
    """Its `modules.shared`, followed, and its saving of what the Model tab shows."""

    def __init__(self, folder: Path, **entries: Any) -> None:
        self.file = folder / "config-user.yaml"
        self.file.write_text(yaml.dump({f"{name}.gguf$": entry for name, entry in entries.items()}, sort_keys=False))
        self.shared: Any = ModuleType("modules.shared")
        self.shared.load_user_config = lambda: yaml.safe_load(self.file.read_text()) or {}
        self.shared.user_config = self.shared.load_user_config()
        self.shared.args = SimpleNamespace(extra_flags=None, loader="llama.cpp")
        self.shared.model, self.shared.model_name = None, "None"
        self.flag = StartFlag(self.shared, Library(folder))
        self.following = Following(self.shared, lambda name: self.flag.saved() if name == "user_config" else None)

    def start(self, name: str) -> None:
        """As server.py: the settings of the model, the model, the extension."""
        self.shared.args.extra_flags = self.shared.user_config.get(f"{name}.gguf$", {}).get("extra_flags")
        self.flag.claim()
        self.following.start()

    def choose(self, name: str, shown: str | None) -> str | None:
        """What the Model tab shows of extra_flags when a model is chosen there: what is shown stays, if it has none."""
        return self.shared.user_config.get(f"{name}.gguf$", {}).get("extra_flags", shown)

    def save(self, name: str, **entry: Any) -> None:
        config = self.shared.load_user_config()
        config.setdefault(f"{name}.gguf$", {}).update(entry)
        self.shared.user_config = config
        self.file.write_text(yaml.dump(config, sort_keys=False))

    def saved(self, name: str) -> Any:
        return yaml.safe_load(self.file.read_text())[f"{name}.gguf$"].get("extra_flags")


def test_the_model_tab_never_shows_our_flag(tmp_path: Path) -> None:
    """What it shows goes to the next model that is chosen, and would be saved for that one."""
    webui = Webui(tmp_path, a={"extra_flags": A, "threads": 4}, c={"extra_flags": "--jinja"})
    before = webui.file.read_text()
    webui.start("a")
    assert webui.shared.args.extra_flags is None and webui.flag.given == A.split()[1]
    shown = webui.shared.args.extra_flags
    for name, then in (("b", None), ("a", ""), ("b", ""), ("c", "--jinja"), ("a", "")):
        shown = webui.choose(name, shown)
        assert shown == then
    assert webui.shared.user_config["a.gguf$"]["threads"] == 4
    assert webui.file.read_text() == before


def test_the_flag_survives_that_settings_are_saved(tmp_path: Path) -> None:
    webui = Webui(tmp_path, a={"extra_flags": A})
    webui.start("a")
    webui.save("a", extra_flags="", threads=2, mmproj="None")
    assert webui.saved("a") == A and webui.shared.user_config["a.gguf$"] == {
        "extra_flags": "",
        "threads": 2,
        "mmproj": "None",
    }
    webui.save("b", extra_flags="--jinja")
    assert (webui.saved("a"), webui.saved("b")) == (A, "--jinja")
    webui.save("a", extra_flags="--jinja")
    assert webui.saved("a") == f"--jinja {A}" and webui.choose("a", None) == "--jinja"
    # What cannot go together with it goes before it.
    webui.save("a", extra_flags="rpc=1")
    assert webui.saved("a") == "rpc=1"
    webui.save("a", extra_flags="")
    assert webui.saved("a") == "", "and it does not come back by itself"


def test_a_projector_of_ones_own_takes_the_place_of_ours(tmp_path: Path) -> None:
    webui = Webui(tmp_path, a={"extra_flags": A.replace("lora", "mmproj")})
    webui.start("a")
    webui.save("a", extra_flags="", mmproj="eyes.gguf")
    assert webui.saved("a") == ""


def test_what_was_uninstalled_meanwhile_does_not_come_back(tmp_path: Path) -> None:
    webui = Webui(tmp_path, a={"extra_flags": A})
    webui.start("a")
    webui.file.write_text(yaml.dump({"a.gguf$": {"threads": 1}}))
    webui.save("a", extra_flags="")
    assert webui.saved("a") == ""


@pytest.mark.parametrize("config", [None, [], {"a$": None, "b$": "c", "(": {"extra_flags": A}}, {}])
def test_settings_that_are_odd(tmp_path: Path, config: Any) -> None:
    webui = Webui(tmp_path)
    webui.shared.user_config = copy.deepcopy(config)
    webui.start("x") if isinstance(config, dict) else webui.flag.claim()
    assert webui.flag.file_of(SimpleNamespace(model_path=Path("x.gguf"))) is None


def test_a_webui_that_keeps_no_such_settings(tmp_path: Path) -> None:
    shared = SimpleNamespace(args=SimpleNamespace(), model=None)
    flag = StartFlag(shared, Library(tmp_path))
    flag.claim()
    assert (flag.given, flag.failed, vars(shared.args)) == ("", False, {})


# ---- the server


def test_a_start_passes_our_flag_never_twice_and_never_on() -> None:
    """Whatever has brought it back, by hand for instance."""
    flags, kept = args(extra_flags=f"--jinja {A}"), []
    plan: Callable[[Any], Sidecar | None] = lambda model: made[0]  # noqa: E731
    made: list[Sidecar | None] = [None]
    starts = Starts(Server, flags, plan, lambda model, sidecar: kept.append(sidecar)).install()
    try:
        assert Server(flags).seen == ["--jinja"] and kept == []
        made[0] = Sidecar(Path("planned"), "lora", {}, (1, 2), (3, 4), (1, 2))
        model = Server(flags)
        assert model.seen == ["--jinja --lora planned"] and kept == made
        assert flags.extra_flags == f"--jinja {A}"
        flags.extra_flags = A
        assert Server(flags).seen == ["--lora planned"]
    finally:
        starts.remove()


def test_a_planned_start_that_fails_is_one_without() -> None:
    broken = Sidecar(Path("broken"), "lora", {}, (1, 2), (3, 4), (1, 2))
    flags, kept = args(extra_flags="--jinja"), []
    starts = Starts(Server, flags, lambda model: broken, lambda model, sidecar: kept.append(sidecar)).install()
    try:
        model = Server(flags, fails="broken")
        assert (model.seen, starts.sidecar(model), kept) == (["--jinja --lora broken", "--jinja"], None, [])
        with pytest.raises(RuntimeError, match="exit code 1"):
            Server(flags, fails="--jinja")
    finally:
        starts.remove()


def test_our_flag_takes_no_projectors_place(models: dict[str, Path]) -> None:
    model = SimpleNamespace(model_path=models["mmproj"])
    ours = A.replace("lora", "mmproj")
    assert examined(model, args(extra_flags=ours))[1].way == "mmproj"
    with pytest.raises(UnsupportedModel, match="taken by your mmproj"):
        examined(model, args(extra_flags=f"{ours} --mmproj eyes.gguf"))


def test_what_is_in_use_is_kept_for_the_next_start(models: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "soft_prompts"
    folder.mkdir()
    start = folder / ".llamacpp" / "start"
    webui = Webui(folder, lora={"extra_flags": f"--lora {start.as_posix()}/lora.gguf"})
    webui.start("lora")
    write(folder, "noir")
    library, file = Library(folder), GgufModel.open(models["lora"])
    sidecar = make(file, wanted(file, library, [tag_for("noir", 0.7)]), folder / ".llamacpp")
    served, other = SimpleNamespace(model_path=models["lora"]), SimpleNamespace(model_path=models["mmproj"])
    webui.flag.keep(other, sidecar)
    assert not start.exists(), "no flag, no file"
    webui.flag.keep(served, sidecar)
    kept = webui.flag.file_of(served)
    assert kept is not None and kept.path.read_bytes() == sidecar.path.read_bytes()
    before = kept.path.stat().st_mtime_ns
    webui.flag.keep(served, sidecar)
    assert kept.path.stat().st_mtime_ns == before
    # What the webui started with is looked at once, and only if it is this very file.
    webui.flag.given = str(kept.path)
    found = webui.flag.adopted(served)
    assert found is not None and found.places == sidecar.places
    assert webui.flag.adopted(served) is None
    webui.flag.given = str(tmp_path / "elsewhere" / "soft_prompts/.llamacpp/start/lora.gguf")
    assert webui.flag.adopted(served) is None
    # A disk that cannot be written costs no model.
    sidecar.path.unlink()
    (start / "lora.gguf").unlink()
    webui.flag.keep(served, sidecar)


def test_whether_our_flag_may_be_why_no_model_is_there(tmp_path: Path) -> None:
    webui = Webui(tmp_path, a={"extra_flags": A})
    webui.start("a")
    assert not webui.flag.failed
    webui.shared.model_name = "a.gguf"
    assert webui.flag.failed
    webui.shared.args.loader = "Transformers"
    assert not webui.flag.failed
    webui.shared.args.loader, webui.flag.given = "llama.cpp", ""
    assert not webui.flag.failed
