"""Stands in for the webui's `modules.models`: models of Transformers come and go, without a hook."""

from __future__ import annotations

import gc
import json
import threading
import time
from pathlib import Path
from typing import Any

import modules.shared as shared
from modules.logging_colors import logger

last_generation_time = time.time()
active_generation_count = 0
_generation_count_lock = threading.Lock()


def load_model_if_idle_unloaded() -> None:
    """The model that idleness has taken away comes back when it is wanted."""
    global last_generation_time
    if shared.args.idle_timeout > 0 and shared.model is None and shared.model_name not in (None, "None"):
        shared.model, shared.tokenizer = load_model(shared.model_name)
        last_generation_time = time.time()


def load_model(model_name: str, loader: str | None = None) -> tuple[Any, Any]:
    """(model, tokenizer), for the caller to assign; hijacks the samplers of Transformers at every call."""
    shared.model_name = model_name
    folder = Path(shared.args.model_dir) / model_name
    wanted = loader or shared.args.loader or "Transformers"
    if wanted == "llama.cpp":
        from modules.llama_cpp_server import LlamaServer

        shared.args.loader = wanted
        try:
            served = LlamaServer(folder)
        except Exception as problem:
            logger.error("%s was not loaded: %s", model_name, problem)
            return None, None
        shared.settings["truncation_length"] = shared.args.ctx_size or served.n_ctx
        return served, served
    if wanted != "Transformers":
        raise ValueError(f"this stand-in has no loader {wanted}")
    from modules import sampler_hijack, transformers_loader

    sampler_hijack.hijack_samplers()
    shared.args.loader = wanted
    model = transformers_loader.load_model_HF(model_name)
    tokenizer = transformers_loader.load_tokenizer(model_name)
    _take_over(folder)
    logger.info("loaded %s", model_name)
    return model, tokenizer


def _take_over(folder: Path) -> None:
    """What the webui reads in a model's folder: how long a text may be, and what templates call BOS and EOS."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    length = config.get("max_position_embeddings")
    template: str = shared.INSTRUCTION
    shared.bos_token, shared.eos_token = "<s>", "</s>"
    if (folder / "tokenizer_config.json").exists():
        found = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
        for name in {"bos_token", "eos_token"} & set(found):
            token = found[name]
            setattr(shared, name, token["content"] if isinstance(token, dict) else token)
        template = found.get("chat_template", template)
    if (folder / "chat_template.jinja").exists():
        template = (folder / "chat_template.jinja").read_text("utf-8")
    shared.settings["instruction_template_str"] = template
    if length:
        shared.settings["truncation_length"] = length


def unload_model(keep_model_name: bool = False) -> None:
    """Both names become None at once; `keep_model_name`: idleness, so that the model can come back."""
    if shared.model is None:
        return
    if type(shared.model).__name__ == "LlamaServer":
        shared.model.stop()
    shared.model = shared.tokenizer = None
    shared.lora_names = []
    shared.model_dirty_from_training = False
    gc.collect()
    if not keep_model_name:
        shared.model_name = "None"


def reload_model() -> None:
    """Broken as in the webui: the name is gone before it is used."""
    unload_model()
    shared.model, shared.tokenizer = load_model(shared.model_name)


def check_model_loaded() -> tuple[bool, str | None]:
    """In the webui this is in `modules.utils`."""
    loaded = shared.model_name != "None" and shared.model is not None
    return loaded, None if loaded else "No model is loaded. Please select one in the Model tab."
