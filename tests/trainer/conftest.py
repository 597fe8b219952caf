"""What the tests of the trainer share: a text, a small training, and all that a model is, written down."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from soft_prompts.trainer import Corpus

SMALL: dict[str, Any] = {"tokens": 4, "steps": 12, "batch": 4, "block": 32, "validate": 4}


@pytest.fixture
def small() -> dict[str, Any]:
    """Settings of a training that takes a blink."""
    return dict(SMALL)


@pytest.fixture
def text(story: str) -> Corpus:
    return Corpus(story * 6)


@pytest.fixture
def everything() -> Callable[[torch.nn.Module], dict[str, Any]]:
    """`everything(model)`: what a training must leave as it was, of the model and of the process; compare with ==."""
    return _everything


def _everything(model: torch.nn.Module) -> dict[str, Any]:
    return {
        "weights": {name: (_bits(each), each.requires_grad, each.grad) for name, each in model.named_parameters()},
        "buffers": {name: _bits(each) for name, each in model.named_buffers()},
        "attributes": {name: _attributes(module) for name, module in model.named_modules()},
        "hooks": {name: _hooks(module) for name, module in model.named_modules()},
        "class": type(model),
        "generation": (id(getattr(model, "generation_config", None)), str(getattr(model, "generation_config", None))),
        "config": str(getattr(model, "config", None)),
        "random": (_bits(torch.get_rng_state()), random.getstate(), str(np.random.get_state())),
        "torch": (torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()),
        "modes": (torch.is_inference_mode_enabled(), torch.are_deterministic_algorithms_enabled()),
    }


def _bits(tensor: torch.Tensor) -> tuple[Any, ...]:
    if tensor.device.type == "meta":
        return "meta", tensor.dtype, tuple(tensor.shape)
    return tensor.dtype, tuple(tensor.shape), tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def _attributes(module: torch.nn.Module) -> dict[str, Any]:
    """What is set on the module itself; objects by identity, so that nothing can have been put in their place."""
    plain = (bool, int, float, str, type(None))
    return {
        name: value if isinstance(value, plain) else id(value)
        for name, value in vars(module).items()
        # Bound methods are made anew at every look, and transformers sets these by itself in a forward pass.
        if not name.startswith("_") or name in ("_old_forward", "_hf_hook")
    }


def _hooks(module: torch.nn.Module) -> list[list[int]]:
    return [
        [id(hook) for hook in hooks.values()]
        for name, hooks in sorted(vars(module).items())
        if name.endswith("_hooks") and isinstance(hooks, dict)
    ]
