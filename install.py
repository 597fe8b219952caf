"""`python install.py demo` sets everything up, trains a style on a tiny storyteller and shows what it does.

`python install.py test` makes the same environment and runs the tests; what follows goes to pytest: `test -k tags -x`.
The environment is the active one if it already serves, else the folder .venv, pinned by constraints/newest.txt; with
`--constraints host` it is .venv-host, with what text-generation-webui pins. A torch that is already there is kept.
Standard library only. Nothing outside the environment is changed; delete its folder and it is gone.

`python install.py train finetune neuromancer.txt --model MODEL` trains a soft prompt in that environment, for a Python
that has no torch, as that of a portable webui. It asks before it downloads, and takes what `soft-prompts train` takes.

`python install.py ui` shows all of it in a browser, on a tiny storyteller or another --model, in the same environment.

`python install.py docs --open` builds the documentation as a site, in a small environment of its own, and shows it.

`python install.py webui FOLDER` installs the extension into the text-generation-webui in that folder, needs no
environment of ours, and is taken back with --uninstall. `python install.py webui --help` says the rest.
"""

import argparse
import errno
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlparse
from urllib.request import url2pathname

if sys.version_info < (3, 10):  # noqa: UP036 - an older Python shall say this, not a SyntaxError somewhere else
    sys.exit(
        f"soft prompts needs Python 3.10 or newer, and this is Python {sys.version.split()[0]}. Install a newer "
        "one from python.org or with your system's package manager, then type for instance: python3.13 install.py demo"
    )

ROOT = Path(__file__).resolve().parent
# constraints -> environment
FOLDERS = {"newest": ".venv", "host": ".venv-host", "gradio4": ".venv-gradio4", "none": ".venv-none"}
TRAINING = ("train", "gguf")
EXTRAS = (*TRAINING, "dev")
OWN = {"train": TRAINING, "ui": (*TRAINING, "ui")}  # commands that ask before they download -> what they need
COMMANDS = ("demo", "docs", "test", "train", "ui", "webui")
SITE = ".venv-docs"  # what builds the documentation is no part of the package, and knows nothing of the above
# For tests, which use it where it is. The host pins a build of gradio of its own, which comes from no index, and no
# other one goes with its pins.
MORE = {"newest": "browser", "host": "", "gradio4": "browser", "none": "browser"}  # constraints -> one more extra
STAMP = "soft-prompts.json"
LOG = "install.log"

# Asked of another interpreter. -I: nothing of the current folder and of the user's variables gets in.
INSPECT = """
import json, sys, sysconfig
from importlib import metadata
names = [(d.metadata["Name"], d.version) for d in metadata.distributions()]
found = {name.lower().replace("_", "-"): version for name, version in names if name}
url = metadata.distribution("soft-prompts").read_text("direct_url.json") if "soft-prompts" in found else None
site = sysconfig.get_path("purelib")
print(json.dumps({"python": sys.version_info[:2], "found": found, "url": json.loads(url or "{}"), "site": site}))
"""
# setuptools asks its finder last, and a folder `soft_prompts` of prompts in the current folder would be the package.
FIRST = (
    "import sys; sys.meta_path.sort(key=lambda finder: "
    'not getattr(finder, "__module__", "").startswith("__editable___soft_prompts_"))\n'
)
GUIDE = """Soft prompts: type one of these lines, in this folder.

  python install.py webui /path/to/textgen                put soft prompts into your text-generation-webui
  python install.py webui /path/to/textgen --uninstall    take them out again
  python install.py ui                                    all of it in a browser, without a webui
  python install.py demo                                  see what a soft prompt does, in a few minutes
  python install.py train --help                          make a soft prompt, in an environment of its own
  python install.py docs --open                           read the documentation, as a site without a network
  python install.py test                                  run the tests, for those who change something here

More of each with --help behind it. Where `python` is not found, it is called python3, or py on Windows.
"""
HELP = {
    "ui": """python install.py ui [--yes] [--folder FOLDER] [--model MODEL] [--port PORT] [--no-browser]

The tab in a browser, with a model to write with. The first time it asks before it downloads what that needs; --yes is
the answer. --folder: where the soft prompts lie. --model: a folder, a GGUF file or a name on the Hugging Face hub, in
the place of the embedded storyteller. --no-browser: only say where it is. Once that is there, this line tells more.""",
    "train": """python install.py train [--yes] KIND FILE ... [--model MODEL] [--tokens N] [--steps N] [--name NAME]

Makes a soft prompt. KIND: finetune (a style from texts), world-info (facts from calls and responses, cards, lorebooks)
or distill (a long text in a few tokens). The first time it asks before it downloads what that needs; --yes is the
answer. Once that is there, this line tells more. docs/training.md goes through it.""",
}
FULL = "The disk is full. Free about 3 GB (8 GB for a torch with CUDA), or choose another disk with --venv FOLDER."
DENIED = (
    "The folder cannot be written, or a program holds it. Close that program, or choose another with --venv FOLDER."
)
NO_BUILD = "This Python or this machine is not served by that package. Try another Python from 3.10 to 3.13."
CAUSES = {  # what pip says -> what to do; the first that is found counts
    r"No space left on device|Errno 28|not enough space": FULL,
    r"name resolution|getaddrinfo|NewConnectionError|NameResolutionError|[Cc]onnection (refused|reset|aborted|broken)|"
    r"[Tt]imed out|unreachable|ProxyError|SSLError|CERTIFICATE_VERIFY": (
        "The package index cannot be reached. Check the connection; behind a proxy, set the variable HTTPS_PROXY."
    ),
    r"Permission denied|Errno 13|WinError (5|32)\b|Read-only file system": DENIED,
    r"No matching distribution|requires a different Python|Failed building wheel|Visual C\+\+": NO_BUILD,
}


class Failure(Exception):
    """What went wrong and what to do next, for the user to read."""


# ---- what is there


def python_of(venv: Path) -> Path:
    return venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def inspect(python: Path) -> dict[str, Any]:
    """What an interpreter has: python, found {name: version}, url of our source, site; empty if it does not run."""
    try:
        answer = subprocess.run([str(python), "-I", "-c", INSPECT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return dict(json.loads(answer.stdout)) if answer.returncode == 0 else {}
    except OSError:
        return {}


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def requirements(extras: tuple[str, ...] = EXTRAS) -> dict[str, str]:
    """Name -> lowest version, of everything an environment needs; read without a TOML parser, which 3.10 lacks."""
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    lines = (ROOT / "requirements.txt").read_text("utf-8").split()
    for extra in extras:
        lines += [line for found in re.findall(rf"^{extra} = (\[.*\])$", project, re.M) for line in json.loads(found)]
    return {name.strip(): floor.strip() or "0" for name, _, floor in (line.partition(">=") for line in lines)}


def missing(found: dict[str, str], extras: tuple[str, ...] = EXTRAS) -> list[str]:
    needs = requirements(extras).items()
    return [name for name, floor in needs if name not in found or numbers(found[name]) < numbers(floor)]


def is_ours(url: dict[str, Any]) -> bool:
    """Whether a direct_url.json names this checkout, installed in editable mode."""
    if not url.get("dir_info", {}).get("editable"):
        return False
    folder = Path(url2pathname(urlparse(url["url"]).path))
    return folder.is_dir() and folder.resolve() == ROOT


def serves(python: Path, extras: tuple[str, ...] = EXTRAS) -> bool:
    """Whether an interpreter, which is only looked at, has this checkout and everything it needs."""
    has = inspect(python)
    return bool(has) and is_ours(has["url"]) and not missing(has["found"], extras)


def stamp_for(constraints: Path, extras: tuple[str, ...] = EXTRAS) -> dict[str, Any]:
    """What stands in a finished environment; any difference means to install again."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "requirements.txt", "install.py")]
    digest = hashlib.sha256(b"\0".join([*parts, constraints.read_bytes()])).hexdigest()
    return {"checkout": str(ROOT), "constraints": constraints.name, "hash": digest, "extras": sorted(extras)}


def extras_of(venv: Path, stamp: dict[str, Any]) -> set[str] | None:
    """What an environment was finished with; None where it was not, or with other versions than the stamp's."""
    try:
        done = json.loads((venv / STAMP).read_text("utf-8"))
        same = python_of(venv).exists() and {**done, "extras": stamp["extras"]} == stamp
        return set(done["extras"]) if same else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_finished(venv: Path, stamp: dict[str, Any]) -> bool:
    done = extras_of(venv, stamp)
    return done is not None and done >= set(stamp["extras"])


# ---- steps, and what they say


def show(title: str, started: float, words: str) -> None:
    """One line that lives: the step, the seconds, what pip is at. Where nobody watches, a line a minute."""
    seconds = int(time.monotonic() - started)
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + f"  {title:34} {seconds:4} s  {words}"[:width].ljust(width), end="")
    elif seconds and seconds % 60 == 0:
        print(f"  {title:34} {seconds:4} s  {words}")
    sys.stdout.flush()


def follow(lines: IO[str], log: IO[str], last: deque[str]) -> None:
    for line in lines:
        log.write(line)
        if line.strip():
            last.append(line.strip())


def step(title: str, command: list[str], log: Path) -> None:
    """Runs a command while its last words show; everything goes to the log. Raises Failure with what to do next."""
    started = time.monotonic()
    last: deque[str] = deque(maxlen=60)
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_USER": "0"}
    with log.open("a", encoding="utf-8") as kept, subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace",
    ) as process:  # fmt: skip
        kept.write(f"\n$ {' '.join(command)}\n")
        assert process.stdout
        reader = threading.Thread(target=follow, args=(process.stdout, kept, last), daemon=True)
        reader.start()
        try:
            while process.poll() is None:
                show(title, started, last[-1] if last else "")
                time.sleep(1 if started + 5 < time.monotonic() else 0.1)
        except BaseException:
            process.terminate()
            raise
        finally:
            reader.join()
    print("\r" * sys.stdout.isatty() + f"  {title:34} {int(time.monotonic() - started):4} s".ljust(79), flush=True)
    if process.returncode:
        raise Failure(explain(title, list(last), log))


def explain(title: str, lines: list[str], log: Path) -> str:
    """What a failed step said last, what to do about it, and where the rest stands."""
    said = "\n".join(lines)
    advice = next((advice for pattern, advice in CAUSES.items() if re.search(pattern, said)), "The log says more.")
    errors = [line for line in lines if line.startswith("ERROR")]
    words = (errors or lines or ["it failed without a word"])[-1]
    return f"{title}: {words}\n{advice}\nThen type the same line again: it goes on from here. The log: {log}"


# ---- the environment


def make(venv: Path) -> None:
    """Makes the environment, or takes the one that is there; another's folder is never overwritten."""
    has = inspect(python_of(venv))
    if has and tuple(has["python"]) < (3, 10):
        raise Failure(f"{venv} has a Python older than 3.10. Delete the folder, or choose another with --venv FOLDER.")
    if has and "pip" in has["found"]:
        return
    if has:
        return step("pip", [str(python_of(venv)), "-I", "-m", "ensurepip"], venv / LOG)
    if venv.exists() and any(venv.iterdir()) and not (venv / LOG).exists():
        raise Failure(f"{venv} is no environment that runs. Delete it, or choose another with --venv FOLDER.")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise Failure(
            "This Python cannot make virtual environments: its modules venv and ensurepip come as another package.\n"
            f"On Debian and Ubuntu type: sudo apt install python3.{sys.version_info[1]}-venv\n"
            "Then type the same line again."
        )
    shutil.rmtree(venv, ignore_errors=True)
    venv.mkdir(parents=True)
    step("environment", [sys.executable, "-m", "venv", str(venv)], venv / LOG)


def pins(venv: Path, constraints: Path, torch: str) -> Path:
    """The constraints with the torch that is there in place of ours."""
    lines = [line for line in constraints.read_text("utf-8").splitlines() if not line.startswith("torch==")]
    kept = venv / "constraints.txt"
    kept.write_text("\n".join([*lines, f"torch=={torch}", ""]), "utf-8")
    return kept


def set_up(venv: Path, constraints: Path, extras: tuple[str, ...] = EXTRAS) -> Path:
    """The Python of an environment in which everything is in place; at once if it already was."""
    python, stamp = python_of(venv), stamp_for(constraints, extras)
    if is_finished(venv, stamp):
        return python
    print(f"Setting up {venv} with constraints/{constraints.name}", flush=True)
    make(venv)
    pip = [str(python), "-I", "-X", "utf8", "-m", "pip", "install"]
    found = inspect(python)["found"]
    if "torch" in missing(found, extras):
        # Alone and first, so that nothing else decides which build of torch comes.
        step("torch, the largest part", [*pip, "-c", str(constraints), "torch"], venv / LOG)
    has = inspect(python)
    allowed = pins(venv, constraints, has["found"]["torch"])
    step("transformers and the rest", [*pip, "-c", str(allowed), "-e", f".[{','.join(extras)}]"], venv / LOG)
    Path(has["site"], "soft_prompts_first.pth").write_text(FIRST, "utf-8")
    # One command adds to what another has set up.
    added = sorted({*stamp["extras"], *(extras_of(venv, stamp) or ())})
    (venv / STAMP).write_text(json.dumps({**stamp, "extras": added}), "utf-8")
    return python


# ---- the commands


def command_for(what: str, python: Path, rest: list[str]) -> list[str]:
    """-I keeps the current folder off sys.path, where our `extensions` and `trainer` would answer to these names."""
    if what == "test":
        return [str(python), "-I", "-m", "pytest", *rest]
    module = {"train": ["soft_prompts.trainer"], "ui": ["soft_prompts.cli", "ui"], "demo": ["soft_prompts.demo"]}[what]
    return [str(python), "-I", "-X", "utf8", "-m", *module, *rest]


def run(command: list[str], here: bool = False) -> int:
    """here: in the folder where the user is, and with models of the hub, where they may be downloaded."""
    options: dict[str, Any] = {} if here else {"cwd": ROOT, "env": {**os.environ, "HF_HUB_OFFLINE": "1"}}
    with subprocess.Popen(command, **options) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            return child.wait()  # it was interrupted as well, and has something to say


def own(what: str, words: list[str]) -> int:
    """A training, or the tab, in an environment that is made for it once the user has agreed."""
    venv, constraints = Path(ROOT, FOLDERS["newest"]), ROOT / "constraints" / "newest.txt"
    words, agreed = [word for word in words if word != "--yes"], "--yes" in words
    there = is_finished(venv, stamp_for(constraints, OWN[what]))
    if serves(Path(sys.executable), OWN[what]):
        python = Path(sys.executable)
    elif {"-h", "--help"} & set(words) and not there:
        print(HELP[what])
        return 0
    elif there or agreed or agrees(what, venv):
        python = set_up(venv, constraints, OWN[what])
    else:
        raise Failure("Nothing was changed. With --yes behind the line it is not asked.")
    library, option = ROOT.parent.parent / "soft_prompts", "--output" if what == "train" else "--folder"
    # The checkout is the extension of a webui: what is made belongs where its tags are looked for.
    inside = ROOT.parent.name == "extensions" and library.is_dir() and option not in words and "--help" not in words
    return run(command_for(what, python, [*words, *([option, str(library)] if inside else [])]), True)


def docs(words: list[str]) -> int:
    """The documentation as a site, built and checked in an environment that holds nothing of ours."""
    venv, pinned = Path(ROOT, SITE), ROOT / "constraints" / "docs.txt"
    python, stamp = python_of(venv), stamp_for(pinned, ())
    if not is_finished(venv, stamp):
        print(f"Setting up {venv} with constraints/{pinned.name}: a download of about 30 MB", flush=True)
        make(venv)
        pip = [str(python), "-I", "-X", "utf8", "-m", "pip", "install", "-r", str(pinned)]
        step("what builds the site", pip, venv / LOG)
        (venv / STAMP).write_text(json.dumps(stamp), "utf-8")
    return run([str(python), "-X", "utf8", str(ROOT / ".ci" / "site" / "build.py"), *words], True)


def agrees(what: str, venv: Path) -> bool:
    needs = {"train": "Training needs torch and transformers", "ui": "The tab needs torch, transformers and gradio"}
    print(
        f"{needs[what]}, which this Python does not have. They would go into the folder\n"
        f"  {venv}\n"
        "alone: a download of about 0.5 GB, or 3 GB on Linux, whose torch brings CUDA; 2 to 8 GB of disk.\n"
        "Delete the folder, and all of it is gone."
    )
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def webui(arguments: list[str]) -> int:
    """What installs into a webui is part of the extension, and is loaded by its path: nothing is installed here."""
    folder = ROOT / "extensions" / "soft_prompts" / "hosts" / "webui" / "deploy"
    file = str(folder / "__init__.py")
    spec = importlib.util.spec_from_file_location("soft_prompts_deploy", file, submodule_search_locations=[str(folder)])
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return int(module.main(arguments, ROOT))


def misunderstood(words: list[str]) -> str:
    """What to type instead, for who types nothing, or a folder without the word before it; empty otherwise."""
    if {"-h", "--help", *COMMANDS} & set(words):
        return ""
    if words and Path(words[0]).expanduser().is_dir():
        line = " ".join(f'"{word}"' if " " in word else word for word in words)
        return f"{words[0]} is a folder. Did you mean this line? python install.py webui {line}"
    return (f"{' '.join(words)!r} is not enough. " if words else "") + GUIDE


def parse(arguments: list[str] | None) -> tuple[argparse.Namespace, list[str]]:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout, allow_abbrev=False)
    parser.add_argument("what", choices=COMMANDS, help="what to do; what follows is handed on")
    parser.add_argument("--constraints", choices=list(FOLDERS), help="which versions to install (default: newest)")
    parser.add_argument("--venv", type=Path, metavar="FOLDER", help="the environment (default: .venv, .venv-host, ...)")
    known, rest = parser.parse_known_args(arguments)
    return known, [word for word in rest if word != "--"]


def main(arguments: list[str] | None = None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["webui"]:
        return webui(words[1:])
    if words[:1] == ["docs"]:
        return guarded(lambda: docs(words[1:]))
    if words[:1] and words[0] in OWN:
        return guarded(lambda: own(words[0], words[1:]))
    problem = misunderstood(words)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    options, rest = parse(words)
    if options.what == "webui":
        return webui(rest)
    if options.what == "docs":
        return guarded(lambda: docs(rest))
    chosen = options.constraints or "newest"
    venv = Path(os.path.abspath(options.venv or ROOT / FOLDERS[chosen]))
    more = MORE[chosen].split() if options.what == "test" else []

    def chosen_command() -> int:
        active = not (options.venv or options.constraints) and serves(Path(sys.executable))
        constraints = ROOT / "constraints" / f"{chosen}.txt"
        python = Path(sys.executable) if active else set_up(venv, constraints, (*EXTRAS, *more))
        return run(command_for(options.what, python, rest))

    return guarded(chosen_command)


def guarded(work: Callable[[], int]) -> int:
    """What `work` returns, and 1 with the reason where it fails."""
    try:
        return work()
    except Failure as problem:
        print(f"\n{problem}", file=sys.stderr)
    except OSError as problem:
        advice = FULL if problem.errno == errno.ENOSPC else DENIED
        print(f"\n{problem}\n{advice}\nThen type the same line again.", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped. The same line goes on from here.", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
