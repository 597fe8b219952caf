"""Stands in for the webui's `modules.shared`: flags, settings, and the model of the moment.

Whoever loads or unloads a model assigns `model` first and `tokenizer` after it; nothing else tells of it.
"""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path
from typing import Any

import yaml
from modules.presets import default_preset_values


def _flags() -> argparse.Namespace:
    early = argparse.ArgumentParser(add_help=False)
    early.add_argument("--user-data-dir", default="user_data")
    home = early.parse_known_args(sys.argv[1:])[0].user_data_dir
    parser = argparse.ArgumentParser(parents=[early])
    folders = {"--model-dir": f"{home}/models", "--lora-dir": f"{home}/loras"}
    for name, default in {
        **folders,
        "--extra-flags": None,
        "--mmproj": None,
        "--model": None,
        "--loader": None,
        "--api-key": "",
        "--admin-key": "",
    }.items():
        parser.add_argument(name, default=default)
    for name in ("--lora", "--extensions"):
        parser.add_argument(name, nargs="+")
    for name, number in {
        "--idle-timeout": 0,
        "--ctx-size": 0,
        "--threads": 0,
        "--gpu-layers": -1,
        "--parallel": 1,
    }.items():
        parser.add_argument(name, type=int, default=number)
    for name in (
        "--cpu",
        "--api",
        "--public-api",
        "--nowebui",
        "--listen",
        "--no-cache",
        "--verbose",
        "--portable",
        "--ik",
    ):
        parser.add_argument(name, action="store_true")
    return parser.parse_args()


model: Any = None
tokenizer: Any = None
model_name = "None"
is_seq2seq = False
is_multimodal = False
lora_names: list[str] = []
model_dirty_from_training = False  # the webui's own training has begun on this model, and changes it in place
bos_token, eos_token = "<s>", "</s>"

stop_everything = False
generation_lock: Any = None  # made by the server, after `--model` is loaded and before the extensions
processing_message = ""

args = _flags()
user_data_dir = Path(args.user_data_dir)


def load_user_config() -> dict[str, Any]:
    """What is set for single models: a pattern of the name -> settings."""
    path = Path(args.model_dir, "config-user.yaml")
    return (yaml.safe_load(path.read_text()) if path.exists() else None) or {}


user_config = load_user_config()

# Alpaca's form, with its preamble where there is no system message.
INSTRUCTION = """
{%- if not messages | selectattr("role", "equalto", "system") | list -%}
{{ "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n" }}
{%- endif -%}
{%- for message in messages -%}
{{ {"system": "", "user": "### Instruction:\n"}.get(message.role, "### Response:\n") + message.content + "\n\n" }}
{%- endfor -%}
{{ "### Response:\n" if add_generation_prompt else "" }}"""
CHAT = """
{%- for message in messages -%}
{%- if message.role == "system" -%}
{{ message.content + "\n\n" if message.content else "" }}{{ user_bio + "\n\n" if user_bio else "" }}
{%- else -%}
{{ (name1 if message.role == "user" else name2) + ": " + message.content + "\n" }}
{%- endif -%}
{%- endfor -%}
{{ name2 + ":" if add_generation_prompt else "" }}"""

settings: dict[str, Any] = {
    **default_preset_values,
    "top_p": 0.95,
    "mode": "instruct",
    "character": "Assistant",
    "name1": "You",
    "name2": "AI",
    "user_bio": "",
    "context": "Two people talk. One of them is an AI, which is glad to help and says so when it does not know.",
    "greeting": "What shall we talk of?",
    "chat-instruct_command": "Here is a dialogue. Write what <|character|> says next, without the name.\n\n<|prompt|>",
    "custom_system_message": "",
    "instruction_template_str": INSTRUCTION,
    "chat_template_str": CHAT,
    "max_new_tokens": 512,
    "auto_max_new_tokens": True,
    "max_tokens_second": 0,
    "prompt_lookup_num_tokens": 0,
    "truncation_length": 8192,
    "seed": -1,
    "stream": True,
    "static_cache": False,
    "add_bos_token": True,
    "ban_eos_token": False,
    "skip_special_tokens": True,
    "enable_thinking": True,
    "reasoning_effort": "medium",
    "preserve_thinking": False,
    "custom_stopping_strings": "",
    "custom_token_bans": "",
    "negative_prompt": "",
    "grammar_string": "",
}
default_settings = copy.deepcopy(settings)
