"""`with frozen(model): ...`: no weight wants a gradient and no dropout runs; everything is as before afterwards.

It is entered for each step anew, so that between two steps a model which others use is theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint, set_checkpoint_early_stop

from ..hosts.hf.view import modes


@contextmanager
def frozen(model: torch.nn.Module, recompute: bool = False) -> Iterator[None]:
    """Mutates the model until the block ends. recompute: forget what is inside the layers, and compute it again.

    A host's model wants gradients for all of its weights, and a backward pass would make one for each.
    """
    with freeze(model) as undo:
        if recompute:
            undo.enter_context(recomputed(model))
        yield


def freeze(model: torch.nn.Module) -> ExitStack:
    """Mutates the model until what it returns is closed; one that is only forgotten undoes nothing."""
    # By their places: where weights are offloaded, other tensors stand there after each forward pass.
    wanted = [
        (module, name)
        for module in model.modules()
        for name, weight in module.named_parameters(recurse=False)
        if weight.requires_grad
    ]
    with ExitStack() as undo:
        undo.callback(_set, wanted, True)
        _set(wanted, False)
        undo.callback(modes(model))
        model.eval()
        _unpack(model)
        return undo.pop_all()


def _set(places: list[tuple[torch.nn.Module, str]], wanted: bool) -> None:
    for module, name in places:
        if (weight := module._parameters.get(name)) is not None:
            weight.requires_grad_(wanted)


def _unpack(model: torch.nn.Module) -> None:
    """On a CPU, bitsandbytes packs 4-bit weights when a layer is evaluated, and then gives wrong gradients, silently.

    Asking such a layer for its state unpacks it, and in training mode (which changes nothing else of it) it stays so.
    """
    for module in model.modules():
        weight = module._parameters.get("weight")
        state = getattr(weight, "quant_state", None)
        if weight is not None and state is not None and weight.device.type == "cpu":
            if getattr(state, "packing_format_for_cpu", False):
                module.state_dict()
            module.training = True


@contextmanager
def recomputed(model: torch.nn.Module) -> Iterator[None]:
    """`with recomputed(model): loss = ...`: gradient checkpointing of what is computed inside; mutates until then.

    Transformers' own runs in training mode only, with its dropout; this one as we are.
    """
    with ExitStack() as undo:
        # A layer that were left as soon as all is known again would not put its offloaded weights away.
        undo.enter_context(set_checkpoint_early_stop(False))
        for layer in blocks(model):
            own = vars(layer).get("forward")
            undo.callback(_put_back, layer, own)
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
        yield


def _put_back(layer: torch.nn.Module, own: Any) -> None:
    if own is None:
        vars(layer).pop("forward", None)
    else:
        layer.forward = own  # accelerate's hook lives there


def blocks(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The model's layers: the list of modules that holds most of the weights, for experts may be more than blocks."""
    lists = [each for each in model.modules() if isinstance(each, torch.nn.ModuleList)]
    return list(max(lists, key=_weights, default=[]))


def _weights(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
