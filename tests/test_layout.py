"""The sentences of the layout: layers go one way, torch stays where it belongs, and no name of another is taken."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"soft_prompts": ROOT / "extensions" / "soft_prompts", "soft_prompts.trainer": ROOT / "trainer"}

# ---- the layers: a module may import from the lines above its own, and within its own room (a pattern with a star).
# Names are without `soft_prompts.`; the package's own __init__ is "soft_prompts".
LAYERS = """
errors  terminal
container  tags
prompt
fingerprint  formats.*
formats
folder  formats.listing
entry
library  arrival  moving  converting
trash  watch  slots  splice
shelf
resolve
soft_prompts
hosts  hosts.protocol  hosts.wrapped  hosts.drawing  hosts.budget  hosts.plain
hosts.settings  hosts.outcome  hosts.pinned  hosts.report
hosts.catalogue
hosts.hf*  hosts.llamacpp*
hosts.vllm
hosts.webui*  hosts.alone*
trainer.data*
trainer*
demo*
trainer.asking
trainer.job
trainer.commands  trainer.fieldtest  trainer.live  trainer.lorebook  trainer.inventing
trainer.worker  trainer.intake
trainer.rehearsed
trainer.runs
panel*
trainer.tab*
app  cli  script  demo.__main__  trainer.__main__
"""
# The ways up, deferred to the call: the public names of __init__.py; SoftPrompt.from_text; and SoftPrompt.from_file,
# to_json and their kin, which are the formats' own functions, under the name where a programmer looks for them first.
UPWARD = [("soft_prompts", "hosts.hf*"), ("prompt", "hosts.hf*"), ("prompt", "formats"), ("prompt", "converting")]
# Entry points may use anything of ours, and anything at all inside functions.
ENTRIES = {"app", "cli", "script", "demo.__main__", "trainer.__main__"}
TORCH = ["hosts.hf*", "hosts.vllm", "hosts.webui.transformers", "trainer*", "demo.build", "demo.priming",
         "demo.measure"]  # fmt: skip
NO_TORCH = ["trainer.data*", "trainer.options", "trainer.board", "trainer.claim", "trainer.kept", "trainer.lent",
            "trainer.live", "trainer.recipe", "trainer.rehearsed", "trainer.runs", "trainer.trains",
            "trainer.understanding", "trainer.worker", "trainer.intake", "trainer.carrying", "trainer.words",
            "trainer.tab*"]  # fmt: skip
OTHERS = {  # what is neither ours nor of the standard library -> who may import it
    "numpy": ["*"],
    "watchdog": ["watch"],
    "torch": TORCH,
    "transformers": TORCH,
    "tokenizers": TORCH,
    "huggingface_hub": ["trainer.loading"],
    "accelerate": ["trainer*"],
    "psutil": ["trainer*"],
    "matplotlib": ["trainer*"],
    "safetensors": ["trainer*", "demo.build"],
    "gradio": ["panel*", "trainer.tab*"],
    "gguf": ["hosts.llamacpp.model"],
    "modules": ["hosts.webui*"],
}
HEAVY = [
    "torch",
    "transformers",
    "gradio",
    "tokenizers",
    "safetensors",
    "accelerate",
    "huggingface_hub",
    "watchdog",
    "matplotlib",
]


@dataclass(frozen=True)
class Import:
    """One imported module, by its absolute name; `late` stands inside a function, `typing` under TYPE_CHECKING."""

    name: str
    line: int
    late: bool
    typing: bool


def modules() -> dict[str, Path]:
    """Every module of the two packages, by its absolute name."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            found[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return found


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[Import]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]

    def visit(node: ast.AST, late: bool, typing: bool) -> Iterator[Import]:
        if isinstance(node, ast.Import):
            yield from (Import(each.name, node.lineno, late, typing) for each in node.names)
        if isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for each in node.names:
                whole = f"{base}.{each.name}"
                yield Import(whole if whole in known else base, node.lineno, late, typing)
        late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = typing or (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        for child in ast.iter_child_nodes(node):
            yield from visit(child, late, typing)

    yield from visit(ast.parse(path.read_text("utf-8")), False, False)


def short(name: str) -> str:
    return name.removeprefix("soft_prompts.")


def place(name: str) -> tuple[int, str] | None:
    """(line, pattern) of a module's short name in the table; an exact name goes before a pattern with a star."""
    table = [(number, pattern) for number, line in enumerate(LAYERS.split("\n")) for pattern in line.split()]
    fitting = [row for row in table if fnmatchcase(name, row[1])]
    return max(fitting, key=lambda row: (row[1] == name, len(row[1])), default=None)


def may(name: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def needs_torch(name: str) -> bool:
    """Whether a module is excused from the sentence; two of the programs train, so they are."""
    return may(name, [*TORCH, "demo.__main__"]) and not may(name, NO_TORCH)


def upward(name: str, each: Import) -> bool:
    """Whether an import is one of the ways up, and deferred as these must be."""
    named = any(short(name) == source and fnmatchcase(short(each.name), target) for source, target in UPWARD)
    return named and (each.late or each.typing)


def test_every_module_has_its_place() -> None:
    homeless = [name for name in map(short, modules()) if place(name) is None]
    assert not homeless, f"new modules {homeless}: say in LAYERS of {Path(__file__).name} which line they stand on"


def test_layers_go_one_way() -> None:
    known, wrong = modules(), []
    for name, path in known.items():
        here = place(short(name))
        for each in imports(name, path, known):
            there = place(short(each.name)) if each.name in known else None
            if here is None or there is None or each.name == name or upward(name, each):
                continue
            same_room = here == there and "*" in here[1]
            if not (there[0] < here[0] or same_room or short(name) in ENTRIES):
                wrong.append(f"{path.relative_to(ROOT)}:{each.line} imports {each.name}, which is not below it")
    assert not wrong, "\n".join(wrong)


def test_others_are_imported_where_they_may_be() -> None:
    known, wrong = modules(), []
    for name, path in known.items():
        for each in imports(name, path, known):
            top = each.name.partition(".")[0]
            if top == "soft_prompts" or top in sys.stdlib_module_names:
                continue
            allowed = may(short(name), OTHERS.get(top, [])) and not (top in HEAVY and may(short(name), NO_TORCH))
            if short(name) in ENTRIES and top != "numpy":
                allowed = each.late and top != "modules"
            if not allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{each.line} imports {top}; OTHERS does not let it")
    assert not wrong, "\n".join(wrong)


def test_no_cycle() -> None:
    known = modules()
    graph = {
        name: {
            each.name for each in imports(name, path, known) if each.name in known and not (each.late or each.typing)
        }
        for name, path in known.items()
    }
    try:
        TopologicalSorter({name: below - {name} for name, below in graph.items()}).prepare()
    except CycleError as problem:
        pytest.fail(f"modules import each other: {' -> '.join(problem.args[1])}")


def test_packages_are_the_tree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    tree = {name for name, path in modules().items() if path.name == "__init__.py"}
    assert sorted(project["packages"]) == sorted(tree)
    assert {name: ROOT / folder for name, folder in project["package-dir"].items()} == FOLDERS


# ---- without torch

BLOCKED = """
import sys
from importlib import import_module

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in heavy:
            raise ModuleNotFoundError(f"No module named {name!r} (blocked)", name=name)

heavy, names = sys.argv[1].split(), sys.argv[2].split()
sys.meta_path.insert(0, Blocker())
for name in names:
    try:
        import_module(name)
    except ModuleNotFoundError as problem:
        print(f"{name} needs {problem.name}", file=sys.stderr)
import soft_prompts
print(len(soft_prompts.Library(".")), sorted(set(heavy) & set(sys.modules)))
"""


def test_torch_free(tmp_path: Path) -> None:
    light = sorted(name for name in modules() if not needs_torch(short(name)))
    done = python(["-I", "-c", BLOCKED, " ".join(HEAVY), " ".join(light)], tmp_path)
    assert done.stderr == ""
    assert done.stdout.strip() == "0 []", "loaded although it is blocked"


# ---- nobody's name is taken

# Loads an extension as the webui does: by path from user_data/extensions, else by name from extensions. A missing
# module ends the webui, any other problem leaves the extension out.
HOST = """
import importlib, importlib.util, json, logging, sys
from pathlib import Path

logging.basicConfig(level=logging.ERROR, handlers=[logging.NullHandler()])
terminal = logging.StreamHandler(sys.stderr)
logging.getLogger("textgen").addHandler(terminal)
logging.getLogger("textgen").setLevel(logging.DEBUG)
plan = json.loads(sys.argv[1])
here = Path.cwd()
sys.path.insert(0, str(here))
sys.path.extend(plan["site"])

def load(name):
    script = here / "user_data" / "extensions" / name / "script.py"
    if not script.exists():
        return importlib.import_module(f"extensions.{name}.script")
    spec = importlib.util.spec_from_file_location(f"user_ext_{name}", str(script))
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

def attempt(name):
    try:
        module = load(name)
        module.params["set by the webui"] = True
        module.setup()
        return module
    except ModuleNotFoundError as problem:
        report["ended"] = str(problem)
    except Exception as problem:
        report["left out"] = f"{type(problem).__name__}: {problem}"

report, loaded = {}, []
for line in plan["steps"]:
    if line.startswith("load "):
        loaded.append(attempt(line[5:]))
        report.setdefault("finders", []).append(len(sys.meta_path))
    else:
        exec(line)
if "soft_prompts" in sys.modules:
    ours = sys.modules["soft_prompts"]
    report["soft_prompts"] = str(ours.__file__)
    report["soft_prompts.trainer"] = str(importlib.util.find_spec("soft_prompts.trainer").origin)
    report["typed"] = Path(ours.__file__).with_name("py.typed").exists()
report["same"] = len({id(module.params) for module in loaded if module}) <= 1
hooks = [set(vars(module)) & {"params", "setup", "ui"} for module in loaded if module]
report["hooks"] = list(map(sorted, hooks))
report["path"] = sys.path
import trainer, extensions, extensions.other.script
report["trainer"], report["extensions"] = trainer.WHOSE, list(extensions.__path__)
print(json.dumps(report))
"""

# The least that the extension wants of a webui: no model, no interface.
MODULES_SHARED = """
from pathlib import Path
from types import SimpleNamespace
model = tokenizer = None
args, settings, user_data_dir = SimpleNamespace(api=False), {}, Path("user_data")
"""
MODULES_TEXT_GENERATION = """
def encode(prompt, add_special_tokens=True, add_bos_token=True, truncation_length=None): ...
def generate_reply_HF(question, original_question, state): ...
"""
SITE = sysconfig.get_path("purelib")
BARE = ["-I", "-S"]  # a Python in which nothing is installed


def python(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-X", "utf8", *arguments], cwd=folder, capture_output=True, encoding="utf-8", timeout=120
    )


def copy(target: Path, *names: str) -> Path:
    """What a clone holds, of the working tree as it is."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    target.mkdir(parents=True)
    for name in names or ("script.py", "install.py", "requirements.txt", "extensions", "trainer"):
        whole = ROOT / name
        shutil.copytree(whole, target / name, ignore=ignored) if whole.is_dir() else shutil.copy(whole, target / name)
    return target


def link(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.symlink_to(source, target_is_directory=source.is_dir())
    except OSError:
        if os.name == "nt":
            pytest.skip("this Windows account may not make links")
        raise


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds, as pip would put it into site-packages."""
    names = ["pyproject.toml", "LICENSE", "requirements.txt", "README.md", "extensions", "trainer"]
    source = copy(tmp_path_factory.mktemp("source") / "checkout", *(name for name in names if (ROOT / name).exists()))
    site = tmp_path_factory.mktemp("site")
    pip = ["-I", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
    done = python([*pip, "--disable-pip-version-check", "--target", str(site), str(source)], source)
    assert done.returncode == 0, done.stdout + done.stderr
    return site


@dataclass
class Host:
    """A webui with its own `extensions`, a `trainer` of PyPI, and a folder of prompts named like our package."""

    folder: Path

    def __post_init__(self) -> None:
        files = {
            "host/extensions/other/script.py": "params = {}\n",
            "host/user_data/extensions/place.txt": "",
            "host/soft_prompts/noir.txt": "It rained.",
            "site/trainer/__init__.py": "WHOSE = 'PyPI'\n",
            "host/modules/__init__.py": "",
            "host/modules/extensions.py": "state = {}\n",
            "host/modules/shared.py": MODULES_SHARED,
            "host/modules/text_generation.py": MODULES_TEXT_GENERATION,
        }
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, "utf-8")

    @property
    def users(self) -> Path:
        return self.folder / "host" / "user_data" / "extensions" / "soft_prompts"

    @property
    def system(self) -> Path:
        return self.folder / "host" / "extensions" / "soft_prompts"

    def run(self, *steps: str, flags: list[str] = BARE, site: tuple[str, ...] = (SITE,)) -> dict[str, Any]:
        plan = {"steps": steps, "site": [str(self.folder / "site"), *site]}
        done = python([*flags, "-c", HOST, json.dumps(plan)], self.folder / "host")
        assert done.returncode == 0, done.stderr
        return {**json.loads(done.stdout), "said": done.stderr}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "a webui")


def holds(report: dict[str, Any], host: Host, ours: Path, trainer: Path) -> None:
    """Everybody is who they were, and ours comes from where it should."""
    assert report["trainer"] == "PyPI"
    assert report["extensions"] == [str(host.folder / "host" / "extensions")]
    assert Path(report["soft_prompts"]).resolve() == (ours / "__init__.py").resolve()
    assert Path(report["soft_prompts.trainer"]).resolve() == (trainer / "__init__.py").resolve()
    assert report["typed"]
    for each in map(Path, report["path"]):
        for checkout in (ROOT, host.users, host.system):
            inside = each.resolve().is_relative_to(checkout.resolve()) and "site-packages" not in each.parts
            assert not inside, f"{each} is on sys.path"


def test_editable(host: Host) -> None:
    report = host.run("import soft_prompts, soft_prompts.script", flags=["-I"])
    hint = "this environment was not made by `python install.py test`"
    assert "soft_prompts" in report and "None" not in report["soft_prompts"], hint
    holds(report, host, *FOLDERS.values())


def test_wheel(host: Host, wheel: Path) -> None:
    report = host.run("import soft_prompts, soft_prompts.script", site=(str(wheel), SITE))
    holds(report, host, wheel / "soft_prompts", wheel / "soft_prompts" / "trainer")


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    assert {each.name.partition("-")[0] for each in wheel.iterdir()} - {"bin", "Scripts"} == {"soft_prompts"}
    for name, path in modules().items():
        parts = name.split(".") + (["__init__.py"] if path.name == "__init__.py" else [])
        assert wheel.joinpath(*parts).with_suffix(".py").is_file(), name
    for each in (FOLDERS["soft_prompts"] / "demo" / "storyteller").glob("*"):
        assert (wheel / "soft_prompts" / "demo" / "storyteller" / each.name).is_file(), each.name


def clone(host: Host) -> Path:
    return copy(host.users)


def linked(host: Host) -> Path:
    link(host.users, ROOT)
    return ROOT


def only_the_script_linked(host: Host) -> Path:
    link(host.users / "script.py", ROOT / "script.py")
    return ROOT


def system(host: Host) -> Path:
    return copy(host.system)


def system_linked(host: Host) -> Path:
    link(host.system, ROOT)
    return ROOT


WAYS = [clone, linked, only_the_script_linked, system, system_linked]


@pytest.mark.parametrize("way", WAYS)
def test_in_the_webui(host: Host, way: Callable[[Host], Path]) -> None:
    checkout = way(host)
    # Twice: "Apply and restart" executes the script again, as a new module.
    report = host.run(
        "load soft_prompts", "sys.modules.pop('extensions.soft_prompts.script', None)", "load soft_prompts"
    )
    assert not {"ended", "left out"} & set(report), report
    holds(report, host, checkout / "extensions" / "soft_prompts", checkout / "trainer")
    assert report["same"], "the second execution has other params than the first"
    assert report["finders"][0] == report["finders"][1]
    assert report["hooks"] == [["params", "setup", "ui"]] * 2
    assert (host.folder / "host" / "user_data" / "soft_prompts").is_dir(), "set up, and ready for files"


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_requirement_does_not_end_the_webui(host: Host, way: Callable[[Host], Path]) -> None:
    way(host)
    later = f"sys.path.append({SITE!r})"
    report = host.run("load soft_prompts", later, "importlib.invalidate_caches()", "load soft_prompts", site=())
    assert "ended" not in report
    assert report["left out"].startswith("ImportError: soft prompts cannot start: Python has no module 'numpy'. Type: ")
    assert "-m pip install -r " in report["left out"]
    assert len(report["hooks"]) == 1, "once numpy is there, it loads"
    assert report["finders"][0] == report["finders"][1]


def test_the_checkout_goes_before_an_installed_copy(host: Host, wheel: Path) -> None:
    clone(host)
    report = host.run("load soft_prompts", site=(str(wheel), SITE))
    holds(report, host, host.users / "extensions" / "soft_prompts", host.users / "trainer")


def test_a_copy_that_is_loaded_already_stays(host: Host, wheel: Path) -> None:
    clone(host)
    report = host.run("import soft_prompts", "load soft_prompts", site=(str(wheel), SITE))
    holds(report, host, wheel / "soft_prompts", wheel / "soft_prompts" / "trainer")
    assert "soft_prompts is loaded already, from" in report["said"]


def test_the_installed_checkout_is_the_linked_one(host: Host) -> None:
    linked(host)
    report = host.run("import soft_prompts", "load soft_prompts", flags=["-I"])
    holds(report, host, *FOLDERS.values())
    assert "is loaded already" not in report["said"]


@pytest.mark.parametrize("place", ["users", "system"])
def test_the_inner_folder_alone_is_refused(host: Host, place: str) -> None:
    shutil.copytree(FOLDERS["soft_prompts"], getattr(host, place), ignore=shutil.ignore_patterns("__pycache__"))
    report = host.run("load soft_prompts")
    assert "ended" not in report
    assert report["left out"].startswith("ImportError: soft prompts cannot start from ")
    assert "install.py webui" in report["left out"]
    assert "soft_prompts" not in report


def test_the_trainer_is_no_package_of_its_own(tmp_path: Path) -> None:
    done = python(["-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import trainer"], tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: ")
    assert "soft_prompts.trainer" in done.stderr
