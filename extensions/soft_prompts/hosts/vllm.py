"""`completion("The <<sp:noir>> sea", attached, "org/model")`: a request to vLLM's server, with soft prompts in it.

vLLM takes a prompt's embeddings in the place of its text, where it was started with `--enable-prompt-embeds`. They are
made here, beside the server, of the model's own embeddings and the library's files; the server has neither the files
nor this package. Format: https://docs.vllm.ai/en/stable/features/prompt_embeds/
"""

from __future__ import annotations

import base64
import io
from typing import Any

import torch

from .hf import Attachment
from .hf.view import embedded, text_embedding, unwrap

TYPES = (torch.float32, torch.float16, torch.bfloat16)
"""The server takes these, and casts them to its own."""


def prompt_embeds(text: str, attached: Attachment) -> torch.Tensor:
    """(tokens, width) on the CPU, in the model's own type: what the model reads for `text`, special tokens and all.

    Raises SoftPromptError where a tag cannot be used.
    """
    ids = attached.tokenizer(text)["input_ids"]
    with torch.no_grad():
        found = embedded(text_embedding(unwrap(attached.model)), ids).cpu()
    return found if found.dtype in TYPES else found.float()


def encoded(embeds: torch.Tensor) -> str:
    """(tokens, width) as the server's JSON has it: a tensor as torch saves it, in base64."""
    file = io.BytesIO()
    # A view would be saved with all of the memory that it looks at.
    torch.save(embeds.detach().cpu().clone(memory_format=torch.contiguous_format), file)
    return base64.b64encode(file.getvalue()).decode("ascii")


def completion(text: str, attached: Attachment, model: str, **options: Any) -> dict[str, Any]:
    """The body of a POST to `/v1/completions`. model: as the server calls it; options: max_tokens, temperature, ...

    No `prompt` is in it: what it said would be answered besides. A chat goes through the tokenizer's
    `apply_chat_template(messages, tokenize=False, add_generation_prompt=True)` first, since to the server this is no
    text any more. Raises SoftPromptError where a tag cannot be used.
    """
    return {"model": model, "prompt_embeds": encoded(prompt_embeds(text, attached)), **options}
