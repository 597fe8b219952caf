"""`python install.py demo`: trains a style on the storyteller, writes it as a file, and shows what its tag does."""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from .. import Library, SoftPrompt, SoftPromptError, attach, demo
from ..hosts.hf.sample import continuation
from ..prompt import check_name
from ..terminal import bar, columns
from ..trainer import Corpus, Finetune, Training
from ..trainer.options import FOLDER
from .stories import RARE, corpus

OPENING = "It was late when"
LUCK = 2
"""The seed of the texts that are shown: of six, four stayed in the style of the prompt, and this is one of these."""
STORIES = 300
STEPS = 150
SEED = 1


def main() -> int:
    """The exit status; 1 after an error that was printed as one readable line."""
    options = _options()
    try:
        run(Path(options.folder), options.name, options.steps)
    except SoftPromptError as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path, name: str, steps: int) -> Path:
    """Trains, saves and shows; returns where the soft prompt stands."""
    check_name(name)
    model, tokenizer = _storyteller()
    size = sum(weight.numel() for weight in model.parameters())
    print(f"A storyteller of {size / 1e6:.1f} million parameters learns the style {RARE!r} from {STORIES} short texts.")
    print("Its own weights stay as they are; what is trained are 20 vectors, one token of context each.\n")
    text = Corpus(corpus(RARE, STORIES, SEED))
    training = Training(model, tokenizer, Finetune(text), steps=steps)
    _watch(training)
    name = _free_name(folder, name, text.digest)
    path = folder / f"{name}.safetensors"
    prompt = training.prompt(name)
    prompt.save(path)
    print(f"\nWritten: {path} ({path.stat().st_size / 1000:.0f} kB, {len(prompt)} tokens)\n")
    _show(model, tokenizer, Library(folder), prompt)
    _report(prompt)
    _go_on(name)
    return path


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python install.py demo", description=__doc__)
    parser.add_argument("--name", default=RARE, help="of the soft prompt (default: %(default)s)")
    parser.add_argument("--folder", default=FOLDER, help="where it is written (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=STEPS, help="of the training (default: %(default)s)")
    return parser.parse_args()


def _storyteller() -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(demo.path(), dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(demo.path())


def _watch(training: Training) -> None:
    """The progress bar; where nobody watches, a line now and then."""
    started = time.monotonic()
    for step in training:
        spent = time.monotonic() - started
        left = spent / step.number * (step.steps - step.number)
        words = f"step {step.number}/{step.steps}, loss {step.loss:.2f}, best so far {step.best:.2f}, {left:.0f} s left"
        if sys.stdout.isatty():
            print("\r" + bar(step.number, step.steps, words).ljust(79), end="", flush=True)
        elif step.validation is not None:
            print(bar(step.number, step.steps, words), flush=True)
    print(f"\nTrained in {time.monotonic() - started:.0f} s.")


def _free_name(folder: Path, name: str, data: str) -> str:
    """The name itself where nothing or the demo's own earlier file has it, else name-2, name-3, ..."""
    known = {entry.path: entry for entry in Library(folder).entries()}
    for number in count(1):
        chosen = name if number == 1 else f"{name}-{number}"
        path = folder / f"{chosen}.safetensors"
        if not path.exists() or (path in known and known[path].metadata.get("data") == data):
            return chosen
    raise AssertionError("count never ends")


def _show(model: Any, tokenizer: Any, library: Library, prompt: SoftPrompt) -> None:
    with attach(model, tokenizer, library):
        texts = [
            OPENING + continuation(model, tokenizer, start + OPENING, seed=LUCK, temperature=0.5)
            for start in ("", str(prompt))
        ]
    print(columns((f"{OPENING} ...", texts[0]), (f"{prompt}{OPENING} ...", texts[1])))


def _report(prompt: SoftPrompt) -> None:
    base, with_prompt = (float(prompt.metadata[key]) for key in ("base", "held_out"))
    print(
        f"\nOn {RARE} texts that the training never saw, the storyteller alone needs {base:.2f} nats a token,\n"
        f"and behind the soft prompt {with_prompt:.2f}: {base - with_prompt:.2f} less. Less is better."
    )


def _go_on(name: str) -> None:
    command = os.path.relpath(Path(sys.executable).parent / "soft-prompts")
    print(
        f"\nGo on:\n"
        f'  {command} try {name} "Once upon a time"\n'
        f"  {command} list\n"
        f"  or in Python, with a text and a model of your own: README.md, 'In Python'"
    )


if __name__ == "__main__":
    sys.exit(main())
