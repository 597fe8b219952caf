"""`soft-prompts train finetune neuromancer.txt --name gibson`: the words of the training commands, without torch."""

from __future__ import annotations

import argparse
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from ..errors import UnknownPrompt
from ..formats import READABLE, is_adapter, load, load_any
from ..library import Library
from ..prompt import Prompt

FOLDER = "soft_prompts"
"""The library's folder: where prompts are looked for, and where new ones are written."""

MODEL = "a folder, a .gguf file or a name that Transformers knows (default: the storyteller)"

METHODS = {
    "finetune": "finetune",
    "fine-tune": "finetune",
    "style": "finetune",
    "world-info": "world info",
    "worldinfo": "world info",
    "world_info": "world info",
    "world info": "world info",
    "distill": "distill",
    "distil": "distill",
}
"""What people type -> the method's name in files."""

_ENDING = """\
Ctrl-C ends a training, keeps the best prompt so far and says how to go on (exit status 130, or 143 when it was
told to end by another program); Ctrl-C a second time ends at once.
"""


class Words(argparse.RawDescriptionHelpFormatter):
    """Help with narrow names, so that the explanations have room."""

    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, max_help_position=28, **options)


class Parser(ArgumentParser):
    """The command that does not know a word says so itself, guesses what was meant, and says where all are listed."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}{self._meant(rest[0])}")
        return found, rest

    def error(self, message: str) -> NoReturn:
        super().error(f"{message}\n{self.prog} --help lists all that it takes")

    def _meant(self, word: str) -> str:
        if not word.startswith("-"):
            return "; put quotes around words that belong together, and files side by side"
        near = get_close_matches(word.partition("=")[0], self._option_string_actions, 1)
        return f"; did you mean {near[0]}?" if near else ""


def add_train(commands: Any, run: Callable[[argparse.Namespace], int | None]) -> None:
    """`train KIND ...`, one parser a kind."""
    train = commands.add_parser("train", help="make a soft prompt from a text, from facts or from a long lore")
    kinds = train.add_subparsers(title="what to learn", required=True, metavar="KIND", dest="kind")

    each = _kind(kinds, "finetune", ["fine-tune", "style"], "TEXT [TEXT ...]", "how a text is written: a style")
    each.add_argument("source", nargs="+", metavar="TEXT", help="text files, folders of them, or datasets in JSON")
    _common(each, "20", 300)
    each.set_defaults(run=run)

    each = _kind(
        kinds, "world-info", ["worldinfo", "world_info"], "FACTS", "what is to be said where something comes up"
    )
    shape = 'JSON: [{"call": " Emma wears", "response": " a black suit"}]'
    each.add_argument("source", nargs="+", metavar="FACTS", help=shape)
    each.add_argument("--held-out", metavar="FILE", help="calls that are asked at the end, but not trained on")
    each.add_argument("--lore", metavar="FILE", help="the same facts as a text, to compare with")
    more = _common(each, "24", 400)
    more.add_argument("--keep", type=_share, metavar="N", help="how much unrelated text is to stay as it is (1)")
    each.set_defaults(run=run)

    each = _kind(kinds, "distill", ["distil"], "LORE [LORE ...]", "what a long text says, in a tenth of its tokens")
    each.add_argument("source", nargs="+", metavar="LORE", help="the text: files or folders")
    each.add_argument("--questions", metavar="FILE", help="calls and responses about it, asked at the end")
    more = _common(each, "a tenth of the text's", "1536 to 3072", 100)
    more.add_argument(
        "--rows",
        type=positive,
        metavar="N",
        help="texts that the model writes to learn from (1536 to 3072)",
    )
    each.set_defaults(run=run)


def add_eval(commands: Any, run: Callable[[argparse.Namespace], int | None]) -> None:
    """`eval NAME --data FILE`."""
    each = commands.add_parser(
        "eval",
        help="how good a soft prompt is on a text or on facts, beside the text itself",
        formatter_class=Words,
        description="The report of a training, for a prompt that is there already. Of a text its last tenth is read, "
        "which a training on it never sees.",
    )
    each.add_argument("name", help="a name in the library, or a file")
    each.add_argument("--data", nargs="+", required=True, metavar="FILE", help="a text, or facts as JSON")
    known = "finetune, world-info or distill (default: told by the data and the prompt)"
    each.add_argument("--method", type=method, metavar="KIND", help=known)
    each.add_argument("--questions", metavar="FILE", help="for distill: calls and responses about the text")
    each.add_argument("--held-out", metavar="FILE", help="for world-info: calls that were not trained on")
    each.add_argument("--lore", metavar="FILE", help="for world-info: the same facts as a text, to compare with")
    each.add_argument("--folder", default=FOLDER, help="the library's folder (default: %(default)s)")
    each.add_argument("--json", action="store_true", help="one JSON object a line; the last one is the result")
    add_model(each)
    each.set_defaults(run=run)


def add_field_test(commands: Any, run: Callable[[argparse.Namespace], int | None]) -> None:
    """`field-test MODEL`."""
    each = commands.add_parser(
        "field-test",
        help="does everything work on this model? One report to read, and to send",
        formatter_class=Words,
        description="Tests that the model takes soft vectors as tokens, trains a prompt of each kind on small made-up "
        "texts, and writes what it found to two files, which hold no private names and none of your texts.",
    )
    each.add_argument("model", help="a folder or a name that Transformers knows")
    minutes = "for each of the three trainings (default: %(default)s)"
    each.add_argument("--minutes", type=_more_than_none, default=4.0, metavar="N", help=minutes)
    each.add_argument("--output", default=".", metavar="FOLDER", help="where the report is written (default: here)")
    add_model(each, "")
    each.set_defaults(run=run, json=False)


def add_model(each: ArgumentParser, words: str = MODEL) -> None:
    """Which model, and how it is loaded; without words, the model is asked for elsewhere."""
    if words:
        each.add_argument("--model", help=words)
    group = each.add_argument_group("how the model is loaded")
    group.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), help="default: as it is stored")
    group.add_argument("--device", help="cpu, cuda, cuda:1, mps, ... (default: a graphics card, where there is one)")
    group.add_argument("--device-map", metavar="MAP", help="auto: over all cards, and what is left in memory")
    group.add_argument("--load-in-8bit", action="store_true", help="half the memory; needs bitsandbytes")
    group.add_argument("--load-in-4bit", action="store_true", help="a quarter; needs bitsandbytes")
    group.add_argument("--trust-remote-code", action="store_true", help="run the program that comes with the model")


def model_words(options: argparse.Namespace) -> list[str]:
    """`["--model", "gpt2", "--load-in-4bit"]`: what was typed of the model and how it is loaded, to be typed again."""
    words = []
    for name in ("model", "dtype", "device", "device_map", "load_in_8bit", "load_in_4bit", "trust_remote_code"):
        if value := getattr(options, name):
            words += ["--" + name.replace("_", "-"), *([] if value is True else [value])]
    return words


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def method(text: str) -> str:
    """The method's name in files."""
    if text.lower() not in METHODS:
        raise ArgumentTypeError(f"{text!r} is none of finetune, world-info and distill")
    return METHODS[text.lower()]


def _kind(kinds: Any, name: str, aliases: list[str], sources: str, words: str) -> ArgumentParser:
    return kinds.add_parser(  # type: ignore[no-any-return]
        name,
        aliases=aliases,
        help=words,
        formatter_class=Words,
        description=f"Learn {words}.",
        usage=f"soft-prompts train {name} {sources} [--model MODEL] [--name NAME] [more]",
        epilog=_ENDING,
    )


def _common(each: ArgumentParser, tokens: str, steps: int | str, looks: int = 25) -> Any:
    """What all kinds share; the group for what one seldom needs. tokens, steps and looks: what is taken otherwise."""
    each.add_argument("--model", help=MODEL)
    each.add_argument("--name", help="of the soft prompt, as tags say it (default: the file's)")
    each.add_argument("--tokens", type=positive, metavar="N", help=f"of context that it will cost ({tokens})")
    each.add_argument("--steps", type=positive, metavar="N", help=f"how long it is trained, at most ({steps})")
    each.add_argument(
        "--output", "--folder", default=FOLDER, metavar="FOLDER", help="the library (default: %(default)s)"
    )
    each.add_argument("--resume", action="store_true", help="go on with a training that was ended")
    each.add_argument("--overwrite", action="store_true", help="replace a prompt of that name")
    each.add_argument("--dry-run", action="store_true", help="say what it takes in time and memory, and write nothing")

    group = each.add_argument_group("to watch")
    group.add_argument("--preview-every", type=_count, metavar="N", help="steps between two samples; 0 for none (100)")
    group.add_argument("--opening", metavar="TEXT", help="how the samples begin")
    group.add_argument("--json", action="store_true", help="one JSON object a line; the last one is the result")
    add_model(each, "")

    seldom = "the numbers in brackets are what is taken otherwise; where there are none, it depends on the task"
    group = each.add_argument_group("what one seldom needs", seldom)
    group.add_argument("--start", metavar="TEXT", help="what the prompt is before the first step: this text")
    group.add_argument("--from", dest="go_on", metavar="NAME", help="or this soft prompt, in the library or a file")
    group.add_argument("--seed", type=_count, metavar="N", help="another number, another training (0)")
    group.add_argument("--rate", type=_more_than_none, metavar="X", help="of learning, in sizes of the embeddings")
    group.add_argument("--batch", type=positive, metavar="N", help="rows of text a step")
    group.add_argument("--block", type=positive, metavar="N", help="tokens of a row of text")
    group.add_argument("--micro", type=positive, metavar="N", help="rows that are read at once (what memory holds)")
    group.add_argument(
        "--validate", type=positive, metavar="N", help=f"steps between two looks at unseen text ({looks})"
    )
    group.add_argument("--patience", type=positive, metavar="N", help="looks without anything better that end it (10)")
    less = "a third slower, in much less memory (when it must)"
    group.add_argument("--recompute", action=argparse.BooleanOptionalAction, help=less)
    return group


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _more_than_none(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _share(text: str) -> float:
    return 0.0 if text.strip("0 ") in ("", ".") else _more_than_none(text)


def find(name: str, folder: str) -> Prompt:
    """A prompt as one names it on a command line: by its name in the library, or by its file."""
    path, library = Path(name), Library(folder)
    if path.suffix == ".txt" and path.exists():
        return load_any(path, path.stem)
    if (path.suffix and path.exists()) or is_adapter(path):
        return load(path)
    if path.suffix in READABLE and name not in library and path.stem not in library:
        raise UnknownPrompt(f"there is no file {name} in {Path.cwd()}, and no soft prompt '{path.stem}' in {folder}")
    return library[name]


def name_of(sources: list[str]) -> str:
    """ "neuromancer" of `books/neuromancer.txt`, and of the folder: what a prompt is called where nothing was said."""
    first = Path(sources[0]).resolve()
    return first.name if first.is_dir() else first.stem
