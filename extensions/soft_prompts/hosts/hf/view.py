"""`ModelView(model, seams).embed(ids)`: what the core may know of a loaded model."""

from __future__ import annotations

import copy
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UnsupportedModel
from ...fingerprint import KEY, sample_ids, take
from ...splice import Seams


def unwrap(model: Any) -> Any:
    """The model whose `forward` embeds the ids: inside of DDP, torch.compile and PEFT wrappers."""
    if isinstance(model, torch.nn.parallel.DistributedDataParallel):
        return unwrap(model.module)
    if hasattr(model, "_orig_mod"):
        return unwrap(model._orig_mod)
    if hasattr(model, "get_base_model"):
        return unwrap(model.get_base_model())
    return model


def kind_of(base: Any) -> str:
    """What people call this architecture: "llama", "gpt2"."""
    return str(getattr(getattr(base, "config", None), "model_type", type(base).__name__))


def name_of(base: Any) -> str:
    """What people call this model, "storyteller"; empty where only its architecture is known."""
    name = str(getattr(getattr(base, "config", None), "_name_or_path", "") or "")
    # A folder's path is nobody's business; its name says enough. A hub's id has one slash at most.
    local = os.path.isdir(name) or os.path.isabs(name) or name.startswith(".") or name.count("/") > 1 or "\\" in name
    return Path(name.replace("\\", "/")).name if local else name


def called(base: Any) -> str:
    """ "storyteller (llama)": the model's name, where it is known, and its architecture."""
    name = name_of(base)
    return f"{name} ({kind_of(base)})" if name else kind_of(base)


def text_embedding(base: Any) -> torch.nn.Module:
    """The module that embeds token ids; raises UnsupportedModel when there is no such single module."""
    kind = called(base)
    if getattr(getattr(base, "config", None), "is_encoder_decoder", False):
        raise UnsupportedModel(
            f"{kind} is an encoder-decoder model: soft prompts are for causal language models (GPT, Llama, Qwen, ...)"
        )
    try:
        embedding = base.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        embedding = None
    if not isinstance(embedding, torch.nn.Module) or isinstance(embedding, torch.nn.ModuleList):
        raise UnsupportedModel(f"soft prompts are not supported for {kind}: it has no single embedding of token ids")
    return embedding


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """`with evaluating(model)`: no dropout inside; every module's mode is as before afterwards."""
    back = modes(model)
    try:
        model.eval()
        yield
    finally:
        back()


def modes(model: torch.nn.Module) -> Callable[[], None]:
    """`back = modes(model)`: called, it gives every module the mode that it has now."""
    now = [(module, module.training) for module in model.modules()]

    def back() -> None:
        for module, mode in now:
            module.training = mode

    return back


class ModelView:
    """width and rows of the token embeddings, `embed(ids)`, `inner_ids(text)`; changes nothing."""

    def __init__(self, base: Any, codec: Codec) -> None:
        self._base = base
        self._codec = codec
        if hasattr(base, "unshard"):
            # FSDP2 takes whichever part runs first for its root, and the embedding must not be that.
            with torch.no_grad():
                base(input_ids=torch.zeros(1, 1, dtype=torch.long), use_cache=False)
        self.rows = self._count_rows()
        self.width = int(self.embed([0]).shape[1])

    def embed(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """(len(ids), width) float32: what the embedding module gives for these ids, scale and all."""
        with torch.no_grad():
            return embedded(text_embedding(self._base), ids).float().cpu().numpy()

    def inner_ids(self, text: str) -> list[int]:
        """The ids `text` has where it stands after other text, without specials."""
        self._codec.refresh()
        return self._codec.seams.inner(text)

    @property
    def head(self) -> list[int]:
        """The special tokens before a text, in its own encoding."""
        return self._codec.seams.head

    def _count_rows(self) -> int:
        embedding = text_embedding(self._base)
        rows = getattr(embedding, "num_embeddings", None)
        return int(rows or self._base.config.get_text_config().vocab_size)


def embedded(embedding: torch.nn.Module, ids: Sequence[int]) -> torch.Tensor:
    """(len(ids), width): the output for `ids`, on the embedding's own device and in its own type."""
    output: torch.Tensor = embedding(torch.tensor([list(ids)], dtype=torch.long, device=device_of(embedding)))
    return output[0]


def device_of(embedding: torch.nn.Module) -> torch.device:
    """Where ids must be to be embedded."""
    weight = next(embedding.parameters(), None)
    # An offloaded weight is on "meta"; the hook that fetches it moves the ids, too.
    return torch.device("cpu") if weight is None or weight.device.type == "meta" else weight.device


def origin_of(base: Any, tokenizer: Any) -> dict[str, str]:
    """The metadata that says which model vectors belong to: base_model and fingerprint."""
    base = unwrap(base)
    view = ModelView(base, codec_of(tokenizer))
    # Ids beyond the tokenizer are padding of the matrix, which other copies of the model may lack.
    ids = sample_ids(min(view.rows, len(tokenizer)))
    tokens = [str(each) for each in tokenizer.convert_ids_to_tokens(list(ids))]
    return {"base_model": name_of(base) or kind_of(base), KEY: take(view, tokens, ids).to_text()}


def codec_of(tokenizer: Any) -> Codec:
    """How text goes through `tokenizer`; of an attached tokenizer, what its attachment uses."""
    attached = getattr(type(tokenizer), "soft_prompts_text", None)
    return attached.codec if attached is not None else Codec(tokenizer)


class Codec:
    """A copy of `tokenizer` that knows one more special token, the sentinel, in which tags travel through it.

    The copy never pads and never truncates, and is used by one thread at a time: fast tokenizers keep such settings
    inside and fail when threads disagree. `refresh` makes it anew when the tokenizer has changed since.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._lock = threading.RLock()
        self._build(_state(tokenizer))

    def refresh(self) -> None:
        """See added tokens, another BOS or another template; costs microseconds where nothing changed."""
        if (state := _state(self._tokenizer)) != self._made_for:
            with self._lock:
                self._build(state)

    def _build(self, state: tuple[Any, ...]) -> None:
        from transformers import AddedToken

        self.sentinel = f"<|sp-{secrets.token_hex(8)}|>"
        self._copy = copy.deepcopy(self._tokenizer)
        token = AddedToken(self.sentinel, special=True, normalized=False, lstrip=False, rstrip=False)
        self._copy.add_tokens([token], special_tokens=True)
        self.sentinel_id = int(self._copy.convert_tokens_to_ids(self.sentinel))
        self.specials = {each for each, token in self._copy.added_tokens_decoder.items() if token.special}
        self.specials.update(each for each in self._copy.all_special_ids if each is not None)
        self.seams = Seams(self.encode, self.sentinel, self.sentinel_id)
        self._made_for = state

    def encode(self, text: str, add_special_tokens: bool) -> list[int]:
        """The ids of `text`, in which sentinels may stand."""
        with self._lock:
            encoded = self._copy(text, add_special_tokens=add_special_tokens, split_special_tokens=False, verbose=False)
        return list(encoded["input_ids"])

    def decode(self, ids: list[int], **options: Any) -> str:
        """The text of `ids`, in which sentinel ids may stand."""
        with self._lock:
            return str(self._copy.decode(ids, **options))


def _state(tokenizer: Any) -> tuple[Any, ...]:
    """What a copy depends on and programs change: added tokens, specials, what is put around a text."""
    switches = [getattr(tokenizer, name, None) for name in ("add_bos_token", "add_eos_token")]
    template = getattr(getattr(tokenizer, "backend_tokenizer", None), "post_processor", None)
    return len(tokenizer), str(tokenizer.special_tokens_map), *switches, template and template.__getstate__()
