"""`made("T5", folder)`: a tokenizer of each kind that models come with, trained on the tests' own story."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GPTSw3Tokenizer, PreTrainedTokenizerFast

from ..conftest import TEXT, make_tokenizer

SPECIALS = ["<unk>", "<s>", "</s>", "<pad>"]
LLAMA_3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Llama 3, Qwen and their kin divide a text before they look for pairs of bytes."""


def _fast(backend: Tokenizer, first: str = "<s>", last: str = "") -> Any:
    ids = [(each, backend.token_to_id(each)) for each in (first, last) if each]
    backend.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}".strip(), special_tokens=ids)
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    return PreTrainedTokenizerFast(tokenizer_object=backend, **names)


def _options(**more: Any) -> dict[str, Any]:
    return {"vocab_size": 380, "special_tokens": SPECIALS, "show_progress": False, **more}


def _llama_3(folder: Path) -> Any:
    backend = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(LLAMA_3), "isolated")
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(False, use_regex=False)])
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    backend.train_from_iterator([TEXT] * 4, trainers.BpeTrainer(**_options(initial_alphabet=alphabet)))
    return _fast(backend)


def _never(folder: Path) -> Any:
    backend = Tokenizer(models.BPE(unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    backend.decoder = decoders.Metaspace(prepend_scheme="never")
    backend.train_from_iterator([TEXT] * 4, trainers.BpeTrainer(**_options(max_token_length=8)))
    return _fast(backend)


def _word_piece(folder: Path) -> Any:
    backend = Tokenizer(models.WordPiece(unk_token="<unk>"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.train_from_iterator([TEXT] * 4, trainers.WordPieceTrainer(**_options()))
    return _fast(backend, last="</s>")


def _unigram(first: str, last: str, *before: Any) -> Any:
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), *before])
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    backend.train_from_iterator([TEXT] * 4, trainers.UnigramTrainer(**_options(unk_token="<unk>")))
    return _fast(backend, first, last)


def _t5(folder: Path) -> Any:
    return _unigram("", "</s>", normalizers.Replace(Regex(" {2,}"), " "))


def _xlm_r(folder: Path) -> Any:
    return _unigram("<s>", "</s>", normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁"))


def _sentencepiece(folder: Path) -> Any:
    """One without Rust: Python around the C++ library."""
    import sentencepiece

    (folder / "story.txt").write_text(TEXT, "utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "story.txt"),
        model_prefix=str(folder / "story"),
        vocab_size=380,
        model_type="bpe",
        byte_fallback=True,
        minloglevel=2,
        **{"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": 3},
    )
    return GPTSw3Tokenizer(str(folder / "story.model"))


KINDS: dict[str, Callable[[Path], Any]] = {
    "GPT-2": lambda folder: make_tokenizer("bytes"),
    "Llama 3": _llama_3,
    "Metaspace, always": lambda folder: make_tokenizer("always"),
    "Metaspace, first": lambda folder: make_tokenizer("first"),
    "Metaspace, never": _never,
    "Llama 2": lambda folder: make_tokenizer("prepend"),
    "Unigram": lambda folder: make_tokenizer("unigram"),
    "WordPiece": _word_piece,
    "T5": _t5,
    "XLM-R": _xlm_r,
    "SentencePiece": _sentencepiece,
}
