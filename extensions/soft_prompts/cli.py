"""`soft-prompts list`, `soft-prompts show noir`, `soft-prompts try noir "The door opened"`, `soft-prompts train ...`.

`soft-prompts ui` has all of it in a browser. `list`, `show` and `convert` need numpy only, `export` gguf as well; the
others bring in torch and a model, by default the embedded storyteller.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .arrival import NOT_INSIDE
from .converting import convert
from .errors import InvalidTag, SoftPromptError, UnknownPrompt
from .fingerprint import KEY
from .formats import KINDS, WRITABLE, lost
from .hosts.settings import NAME as SETTINGS
from .library import Entry, Library
from .prompt import Prompt, SoftPrompt
from .tags import LARGEST_STRENGTH, name_problem, tag_for
from .terminal import columns, table
from .trainer.options import FOLDER, Parser, Words, add_eval, add_field_test, add_model, add_train, find, positive
from .trainer.words import add_card, add_import, add_lorebook

Run = Callable[[argparse.Namespace], "int | None"]

_NEEDS = "pip install 'soft-prompts[train]', or in a checkout: python install.py train ..."


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 after an error that was printed as one readable line; 130 after Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = parser().parse_args(words)
    options.words = words
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A redirected output on Windows knows few letters; names may have any.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = options.run(options) or 0
        sys.stdout.flush()
        return int(status)
    except SoftPromptError as problem:
        print(f"soft-prompts: {problem}", file=sys.stderr)
        if sys.stderr.isatty():  # one line for programs, which look at the last one
            print(f"{problem.entry} says more", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsoft-prompts: ended", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing more may be written when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments; `run` is what it does."""
    whole = Parser(
        prog="soft-prompts",
        formatter_class=Words,
        description="Soft prompts for language models: a style, a world or a lore in a few tokens of context.",
        epilog="soft-prompts COMMAND --help says more of each.",
    )
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (_add_list, _add_show, _add_try, _add_convert, _add_export, _add_ui):
        add(commands)
    add_train(commands, _later("commands", "train"))
    add_eval(commands, _later("commands", "evaluate"))
    add_import(commands, _later("intake", "import_files"))
    add_card(commands, _later("carrying", "card"))
    add_lorebook(commands, _later("lorebook", "lorebook"))
    add_field_test(commands, _later("fieldtest", "field_test"))
    return whole


def _command(commands: Any, name: str, run: Run, what: str) -> argparse.ArgumentParser:
    """A command on a library."""
    each: argparse.ArgumentParser = commands.add_parser(name, formatter_class=Words, help=what)
    each.add_argument("--folder", default=FOLDER, help=f"the library's folder (default: {FOLDER})")
    each.set_defaults(run=run)
    return each


def _add_list(commands: Any) -> None:
    each = _command(commands, "list", _list, "every file of the library, also those with a problem")
    each.add_argument("--json", action="store_true", help="one JSON object a line")


def _add_show(commands: Any) -> None:
    each = _command(commands, "show", _show, "all that is known of one soft prompt")
    each.add_argument("name", help="a name in the library, or a file")
    each.add_argument("--json", action="store_true", help="as a JSON object")
    add_model(each, "also show what its vectors are like, in this model's words; storyteller is the embedded one")


def _add_try(commands: Any) -> None:
    each = _command(commands, "try", _try, "the same opening without and with a soft prompt")
    each.add_argument("name", help="a name in the library")
    each.add_argument("text", nargs="?", default="The door opened and", help="the opening (default: %(default)r)")
    each.add_argument("--strength", type=float, default=1.0, help="of the prompt, -4 to 4 (default: %(default)s)")
    each.add_argument("--tokens", type=positive, default=80, help="how long the text is to be (default: %(default)s)")
    each.add_argument("--seed", type=int, default=0, help="another number, another text (default: %(default)s)")
    greedy = "always the likeliest word, so that nothing is left to luck"
    each.add_argument("--greedy", action="store_true", help=greedy)
    add_model(each)


def _add_convert(commands: Any) -> None:
    each = _command(commands, "convert", _convert, "a soft prompt of any known kind as a file of another")
    each.add_argument("source", metavar="IN", help="a file or a PEFT folder, or a name in the library")
    each.add_argument("target", metavar="OUT", help="noir.safetensors, or how another kind ends; a folder for PEFT")
    each.add_argument("--to", choices=tuple(WRITABLE), help="the kind, where the name does not say it")
    each.add_argument("--force", action="store_true", help="write over what is there")
    each.add_argument("--json", action="store_true", help="as a JSON object")


def _add_export(commands: Any) -> None:
    each = _command(commands, "export", _export, "a file with which llama.cpp uses soft prompts on a GGUF model")
    each.add_argument("names", nargs="+", metavar="NAME", help="names in the library, noir or noir:0.5, or tags")
    each.add_argument("--gguf", required=True, help="the model's file, the first one where it has several")
    each.add_argument("--output", help="a file or a folder (default: the model's folder)")
    each.add_argument("--json", action="store_true", help="as a JSON object")


def _add_ui(commands: Any) -> None:
    each = _command(commands, "ui", _ui, "all of it in a browser: the library, training, writing and trying")
    each.add_argument("--port", type=positive, help="where to listen on this computer (default: the first free one)")
    each.add_argument("--no-browser", dest="browser", action="store_false", help="only say where it is")
    add_model(each, "a model of Transformers to write with (default: storyteller, the embedded one)")


def _later(room: str, name: str) -> Run:
    """What a room of the trainer does, imported when it is wanted."""

    def run(options: argparse.Namespace) -> int | None:
        found: int | None = getattr(_brought(f".trainer.{room}"), name)(options)
        return found

    return run


def _brought(name: str) -> Any:
    """A module of ours that needs torch; raises SoftPromptError that says what to install."""
    try:
        return import_module(name, __package__)
    except ModuleNotFoundError as missing:
        if missing.name and missing.name.startswith("soft_prompts"):
            raise
        raise SoftPromptError(f"{missing.name} is needed to run a model: {_NEEDS}") from None


def _list(options: argparse.Namespace) -> None:
    entries = Library(options.folder, ignore=(SETTINGS,)).entries()  # the tab's own
    if options.json:
        for entry in entries:
            facts = asdict(entry) | {"path": str(entry.path), "metadata": dict(entry.metadata)}
            facts.pop("signature")
            print(json.dumps(facts, ensure_ascii=False))
    elif entries:
        print(table([("name", "tokens", "width", "made for", "remark"), *map(_row, entries)]))
    else:
        ways = "put a .safetensors or .txt file there, or make one: soft-prompts train --help"
        print(f"{options.folder} holds no soft prompts yet: {ways}")


def _row(entry: Entry) -> tuple[str, ...]:
    remark = entry.problem or (f"hidden by {entry.shadowed_by}" if entry.shadowed_by else "")
    model = entry.metadata.get("base_model", "" if entry.trained else "any model")
    kind = "" if entry.kind in ("native", "text", "") else KINDS[entry.kind].label
    others = [kind] if kind else []
    remark = remark or ", ".join([f"for {entry.variant}", *others] if entry.variant else others)
    return entry.name, str(entry.tokens or ""), str(entry.width or ""), model, remark


def _show(options: argparse.Namespace) -> None:
    prompt = find(options.name, options.folder)
    facts: dict[str, Any] = {"name": prompt.name}
    if isinstance(prompt, SoftPrompt):
        shown = {key: value for key, value in prompt.metadata.items() if key != KEY}
        facts |= {"tokens": str(len(prompt)), "width": str(prompt.width), "digest": prompt.digest[:16], **shown}
    else:
        facts |= {"text": prompt.text}
    near = _neighbours(options, prompt) if options.model else []
    if options.json:
        print(json.dumps(facts | ({"vectors": [asdict(each) for each in near]} if near else {}), ensure_ascii=False))
        return
    print(_told(facts) if isinstance(prompt, SoftPrompt) else table(list(facts.items())))
    if near:
        print("\n" + _brought(".hosts.hf.neighbours").told(near))


_CALLED = {
    "base": "held out, without it (nats per token)",
    "held_out": "held out, with it",
    "unrelated": "cost on other texts (KL)",
    "base_model": "made for",
    "digest": "content",
}
"""Keys of the metadata -> what people read."""


def _told(facts: dict[str, Any]) -> str:
    """What one should know before one uses a prompt, or passes it on."""
    licence = {"licence": facts.get("licence") or "not said: ask its author before you pass it on"}
    model = {"base_model": facts.get("base_model") or "not said: the width is all that is known of the model it wants"}
    rows = {key: value for key, value in (facts | model | licence).items() if key not in ("sample_base", "sample")}
    sample = (
        [columns(("without", facts["sample_base"]), ("with", facts["sample"]))]
        if {"sample_base", "sample"} <= {*facts}
        else []
    )
    return "\n\n".join([table([(_CALLED.get(key, key), value) for key, value in rows.items()]), *sample, NOT_INSIDE])


def _neighbours(options: argparse.Namespace, prompt: Prompt) -> list[Any]:
    """What the vectors are like, in the words of a model."""
    asking, rooms = _brought(".trainer.asking"), _brought(".hosts.hf.neighbours")
    model, tokenizer = asking.opened(options)
    found: list[Any] = rooms.neighbours(model, tokenizer, asking.fitting(prompt, model, tokenizer).vectors)
    return found


def _try(options: argparse.Namespace) -> None:
    start = _start(options.name, options.strength)
    Library(options.folder)[options.name]  # nobody waits for a model to be told that there is no such name
    asking, sample = _brought(".trainer.asking"), _brought(".hosts.hf.sample")
    model, tokenizer = asking.opened(options)
    heat = 0.0 if options.greedy else 0.7
    with _brought(".hosts.hf").attach(model, tokenizer, options.folder, unresolved=_raised):
        texts = [
            options.text + sample.continuation(model, tokenizer, tag + options.text, options.tokens, options.seed, heat)
            for tag in ("", start)
        ]
    print(columns(("without", texts[0]), (f"with {start}", texts[1])))


def _convert(options: argparse.Namespace) -> None:
    prompt = find(options.source, options.folder)
    if not isinstance(prompt, SoftPrompt):
        raise SoftPromptError(
            f"{options.source} is a text, which has vectors only on a model: there is nothing to convert"
        )
    kind, files = convert(prompt, Path(options.target), options.to or "", options.force)
    left = lost(kind, prompt)
    if options.json:
        facts = {"name": prompt.name, "kind": kind, "tokens": len(prompt), "width": prompt.width}
        print(json.dumps({**facts, "files": list(map(str, files)), "left_behind": left}))
        return
    behind = f"; it has no place for {' and for '.join(left)}" if left else ""
    print(f"{', '.join(map(str, files))}: {KINDS[kind].label}, {len(prompt)} tokens, {prompt.width} wide{behind}")


def _export(options: argparse.Namespace) -> None:
    from .hosts.llamacpp.export import export

    target = Path(options.output) if options.output else None
    made = export(options.names, Library(options.folder), Path(options.gguf), target)
    print(json.dumps(made.record()) if options.json else made)


def _ui(options: argparse.Namespace) -> None:
    from .app import ui

    ui(options)


def _raised(tag: Any, problem: SoftPromptError) -> None:
    """As it is, without the advice that `attach` has for programs."""
    raise problem


def _start(name: str, strength: float) -> str:
    """The tag to try; raises UnknownPrompt or InvalidTag where `<<sp:...>>` around it would be no tag at all."""
    first, _, last = name.partition(":")
    if last and not name_problem(first):
        raise UnknownPrompt(f"'{name}' is a name and a strength: here they are said apart, {first} --strength {last}")
    if problem := name_problem(name):
        raise UnknownPrompt(f"'{name}' cannot name a soft prompt: {problem}. `soft-prompts list` shows the names")
    if not abs(strength) <= LARGEST_STRENGTH:
        raise InvalidTag(f"--strength {strength}: a strength lies between -4 and 4, 1 being the prompt as it is")
    return str(tag_for(name, strength))


if __name__ == "__main__":
    sys.exit(main())
