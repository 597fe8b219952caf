"""`noir = train(model, tokenizer, Finetune("noir.txt"), name="noir", tokens=20)`: new soft prompts.

Imported as `soft_prompts.trainer`. `Training` is the same, step by step: a generator that a command line, a browser
tab, a notebook and a test consume alike.

The rooms: `data` reads files, without torch. `tasks` are what one asks for; a `lesson` is a task in the tokens of one
model (`finetune`, `worldinfo`, `distill`). `reader` is how a frozen model reads rows (`batch`), `objectives` are what
is made small, `engine` computes a step, `loop` makes the steps. `evaluate` measures, `checkpoint` keeps.
"""

from __future__ import annotations

if __name__ != "soft_prompts.trainer":
    # `trainer` is another project's package; ours must never answer to that name.
    raise ImportError(
        f"this folder was imported as {__name__!r}, but it is soft_prompts.trainer: take the folder that holds it off "
        "sys.path and run `python install.py test`, or `pip install -e .`, in the checkout"
    )

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .checkpoint import Keeper
    from .data import Corpus, Facts, Lore, Pair
    from .evaluate import HeldOut, Report
    from .initial import from_prompt, from_text
    from .loop import Step, Training, train
    from .settings import Settings
    from .tasks import Distill, Finetune, WorldInfo

_ROOMS = {
    "checkpoint": ("Keeper",),
    "data": ("Corpus", "Facts", "Lore", "Pair"),
    "evaluate": ("HeldOut", "Report"),
    "initial": ("from_prompt", "from_text"),
    "loop": ("Step", "Training", "train"),
    "settings": ("Settings",),
    "tasks": ("Distill", "Finetune", "WorldInfo"),
}

__all__ = [
    "Corpus",
    "Distill",
    "Facts",
    "Finetune",
    "HeldOut",
    "Keeper",
    "Lore",
    "Pair",
    "Report",
    "Settings",
    "Step",
    "Training",
    "WorldInfo",
    "from_prompt",
    "from_text",
    "train",
]


def __getattr__(name: str) -> Any:
    # Deferred, so that `soft_prompts.trainer.data` needs no torch, and a tab that is built reads no files.
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
