"""`soft-prompts list`, `soft-prompts show noir`, `soft-prompts try noir "The door opened and"`.

`list` and `show` need numpy only; `try` brings in torch and a model, by default the embedded storyteller.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from .errors import InvalidFile, InvalidTag, SoftPromptError, UnknownPrompt
from .fingerprint import KEY
from .formats import load, load_any
from .library import Entry, Library
from .prompt import Prompt, SoftPrompt
from .tags import LARGEST_STRENGTH, name_problem, tag_for
from .terminal import columns, table

FOLDER = "soft_prompts"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 0, or 1 after an error that was printed as one readable line."""
    options = parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A redirected output on Windows knows few letters; names may have any.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options.run(options)
    except SoftPromptError as problem:
        print(f"soft-prompts: {problem}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its arguments; `run` is what it does."""
    whole = argparse.ArgumentParser(prog="soft-prompts", description="Soft prompts for language models.")
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", default=FOLDER, help=f"the library's folder (default: {FOLDER})")

    each = commands.add_parser("list", parents=[common], help="every file of the library, also those with a problem")
    each.add_argument("--json", action="store_true", help="one JSON object a line")
    each.set_defaults(run=_list)

    each = commands.add_parser("show", parents=[common], help="all that is known of one soft prompt")
    each.add_argument("name", help="a name in the library, or a file")
    each.add_argument("--json", action="store_true", help="as a JSON object")
    each.set_defaults(run=_show)

    each = commands.add_parser("try", parents=[common], help="the same opening without and with a soft prompt")
    each.add_argument("name", help="a name in the library")
    each.add_argument("text", nargs="?", default="The door opened and", help="the opening (default: %(default)r)")
    each.add_argument("--model", help="a folder or a name that Transformers knows (default: the storyteller)")
    each.add_argument("--strength", type=float, default=1.0, help="of the prompt, -4 to 4 (default: %(default)s)")
    each.add_argument("--tokens", type=_positive, default=80, help="how long the text is to be (default: %(default)s)")
    each.add_argument("--seed", type=int, default=0, help="another number, another text (default: %(default)s)")
    each.set_defaults(run=_try)
    return whole


def _list(options: argparse.Namespace) -> None:
    entries = Library(options.folder).entries()
    if options.json:
        for entry in entries:
            facts = asdict(entry) | {"path": str(entry.path), "metadata": dict(entry.metadata)}
            facts.pop("signature")
            print(json.dumps(facts, ensure_ascii=False))
    elif entries:
        print(table([("name", "tokens", "width", "made for", "remark"), *map(_row, entries)]))
    else:
        print(f"{options.folder} holds no soft prompts yet: put a .safetensors or .txt file there")


def _row(entry: Entry) -> tuple[str, ...]:
    remark = entry.problem or (f"hidden by {entry.shadowed_by}" if entry.shadowed_by else "")
    model = entry.metadata.get("base_model", "" if entry.trained else "any model")
    remark = f"for {entry.variant}" if entry.variant and not remark else remark
    return entry.name, str(entry.tokens or ""), str(entry.width or ""), model, remark


def _show(options: argparse.Namespace) -> None:
    prompt = _find(options.name, options.folder)
    facts = {"name": prompt.name}
    if isinstance(prompt, SoftPrompt):
        shown = {key: value for key, value in prompt.metadata.items() if key != KEY}
        facts |= {"tokens": str(len(prompt)), "width": str(prompt.width), "digest": prompt.digest[:16], **shown}
    else:
        facts |= {"text": prompt.text}
    print(json.dumps(facts, ensure_ascii=False) if options.json else table(list(facts.items())))


def _try(options: argparse.Namespace) -> None:
    start = _start(options.name, options.strength)
    try:
        from transformers.utils import logging

        from . import demo
        from .hosts.hf import from_pretrained
        from .hosts.hf.sample import continuation
    except ModuleNotFoundError as missing:
        raise SoftPromptError(f"{missing.name} is needed to run a model: pip install 'soft-prompts[train]'") from None
    logging.disable_progress_bar()
    try:
        model, tokenizer = from_pretrained(options.model or demo.path(), options.folder)
    except SoftPromptError:
        raise
    except (OSError, ValueError) as problem:
        raise InvalidFile(f"the model {options.model or 'that is embedded'} cannot be loaded: {problem}") from None
    texts = [
        options.text + continuation(model, tokenizer, tag + options.text, options.tokens, options.seed)
        for tag in ("", start)
    ]
    print(columns(("without", texts[0]), (f"with {start}", texts[1])))


def _start(name: str, strength: float) -> str:
    """The tag to try; raises UnknownPrompt or InvalidTag where `<<sp:...>>` around it would be no tag at all."""
    if problem := name_problem(name):
        raise UnknownPrompt(f"'{name}' cannot name a soft prompt: {problem}. `soft-prompts list` shows the names")
    if not abs(strength) <= LARGEST_STRENGTH:
        raise InvalidTag(f"--strength {strength}: a strength lies between -4 and 4, 1 being the prompt as it is")
    return str(tag_for(name, strength))


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _find(name: str, folder: str) -> Prompt:
    path = Path(name)
    if path.suffix == ".txt" and path.exists():
        return load_any(path, path.stem)
    return load(path) if path.suffix and path.exists() else Library(folder)[name]


if __name__ == "__main__":
    sys.exit(main())
