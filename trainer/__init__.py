"""`noir = train(model, tokenizer, Finetune("noir.txt"), name="noir", tokens=20)`: new soft prompts from a text.

Imported as `soft_prompts.trainer`. `Training` is the same, step by step: a generator that a command line, a browser
tab, a notebook and a test consume alike.
"""

from __future__ import annotations

if __name__ != "soft_prompts.trainer":
    # `trainer` is another project's package; ours must never answer to that name.
    raise ImportError(
        f"this folder was imported as {__name__!r}, but it is soft_prompts.trainer: take the folder that holds it off "
        "sys.path and run `python install.py test`, or `pip install -e .`, in the checkout"
    )

from typing import TYPE_CHECKING, Any

from .data import Corpus

if TYPE_CHECKING:
    from .evaluate import HeldOut
    from .loop import Finetune, Settings, Step, Training, train

__all__ = ["Corpus", "Finetune", "HeldOut", "Settings", "Step", "Training", "train"]


def __getattr__(name: str) -> Any:
    # Deferred, so that `soft_prompts.trainer.data` needs no torch.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import evaluate, loop

    return getattr(evaluate if name == "HeldOut" else loop, name)
