"""Stands in for the webui's `modules.models_settings`: the flags of single models, and how they are saved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import modules.shared as shared
import yaml

ELEMENTS = ("loader", "ctx_size", "threads", "gpu_layers", "parallel", "extra_flags", "mmproj")


def get_model_metadata(model: str) -> dict[str, Any]:
    """The settings of a model; of the patterns that fit, the last one counts."""
    found: dict[str, Any] = {}
    for pattern, settings in shared.user_config.items():
        if re.match(pattern.lower(), Path(model).name.lower()):
            found.update(settings)
    return found


def update_model_parameters(state: dict[str, Any], initial: bool = False) -> None:
    """They become the flags of the moment."""
    for name in ELEMENTS:
        if name in state:
            setattr(shared.args, name, state[name])


def save_model_settings(model: str, state: dict[str, Any]) -> Iterator[str]:
    """What is read from the file goes back into it with this model's; assigned before it is written."""
    config = shared.load_user_config()
    config.setdefault(f"{Path(model).name}$", {}).update({name: state[name] for name in ELEMENTS})
    shared.user_config = config
    path = Path(shared.args.model_dir, "config-user.yaml")
    path.write_text(yaml.dump(config, sort_keys=False))
    yield f"saved to {path}"
