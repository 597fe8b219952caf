"""`alice(root)`, `noir()`, `random_llama(32_000)`: the models that are trained on, each with a text cut into blocks.

Every part of a text is tokenised whole, without specials, and cut into blocks of 256 tokens; the rest is dropped. All
that trains here gets the same blocks, and all results are counted on them by `counting`, not by who made them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from soft_prompts import demo
from soft_prompts.demo import stories
from soft_prompts.trainer import Corpus

BLOCK = 256
ALICE = "Alice's adventures in a strange country where animals talk and nothing makes sense."
NOIR = "A noir story, told by a detective with a gun and a bottle of bourbon."


@dataclass(frozen=True)
class Blocks:
    """Token ids in rows of one length: (rows, tokens) each."""

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor

    def __str__(self) -> str:
        return f"{len(self.train)} / {len(self.validation)} / {len(self.test)} blocks of {self.train.shape[1]} tokens"


@dataclass(frozen=True)
class Subject:
    """A frozen model, its tokenizer, a text to learn, and a sentence about that text for a rival to start from."""

    name: str
    model: Any
    tokenizer: Any
    folder: Path
    text: str
    about: str

    @property
    def head(self) -> list[int]:
        """What stands before every row: BOS."""
        return [int(self.tokenizer.bos_token_id)]

    def blocks(self, length: int = BLOCK) -> Blocks:
        """The text's three parts, cut."""
        parts = Corpus(self.text).parts()
        return Blocks(*(self._cut(part, length) for part in (parts.train, parts.validation, parts.test)))

    def _cut(self, text: str, length: int) -> torch.Tensor:
        ids = self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return torch.tensor(ids[: len(ids) // length * length]).view(-1, length)


def shared(root: Path) -> Path | None:
    """The folder beside the checkout with a real small model and a real text, where there is one."""
    found = root.parent / "shared"
    return found if (found / "models" / "stories260k").is_dir() and (found / "data" / "alice.txt").is_file() else None


def alice(folder: Path) -> Subject:
    """stories260k, and the novel that it never read."""
    where = folder / "models" / "stories260k"
    text = (folder / "data" / "alice.txt").read_text("utf-8")
    return Subject("stories260k, alice.txt", *_loaded(where), where, text, ALICE)


def noir(documents: int = 600) -> Subject:
    """The storyteller, and stories in the manner that it hardly knows; their seed is none of its training."""
    where = demo.path()
    text = stories.corpus("noir", documents=documents, seed=20_000)
    return Subject("storyteller, noir", *_loaded(where), where, text, NOIR)


def random_llama(vocabulary: int, width: int = 384, layers: int = 6) -> Subject:
    """A random Llama of the size at which speed and memory are measured; the storyteller's tokenizer feeds it."""
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=width * 8 // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=1_024,
        tie_word_embeddings=True,
        pad_token_id=None,
    )
    model = transformers.LlamaForCausalLM(config).eval().requires_grad_(False)
    source = noir(100)
    name = f"random Llama, hidden {width}, {layers} layers, vocabulary {vocabulary:,}"
    return Subject(name, model, source.tokenizer, source.folder, source.text, NOIR)


def _loaded(folder: Path) -> tuple[Any, Any]:
    model: Any = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    return model.eval().requires_grad_(False), transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
