"""`TaggedTokenizer(tokenizer, codec, resolver, slots).install()`: the tokenizer reads and writes tags.

Its class is swapped for a subclass of the same name, so that nothing of ours stands in the object: pickle, deepcopy and
`save_pretrained` give the clean original. Text without a tag takes the original path untouched.
"""

from __future__ import annotations

import copyreg
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from transformers import BatchEncoding
from transformers.tokenization_utils_base import PaddingStrategy, TruncationStrategy

from ...errors import UnsupportedInput
from ...prompt import SoftPrompt
from ...resolve import Resolver, Unresolved
from ...slots import FIRST_ID, Slots
from ...splice import Spliced, truncate
from ...tags import has_tags
from . import chats
from .view import Codec

_REFUSED = {
    "return_offsets_mapping": "offsets into a text whose tags are vectors mean nothing",
    "return_overflowing_tokens": "cut the text yourself, tags are never split",
    "is_split_into_words": "give the text as one string",
    "sanitize_control_tokens": "give the rendered text as one string",
    "split_special_tokens": "take the tag, or what should not be read as special tokens, out of the text",
}


class TaggedTokenizer:
    """Mutates the tokenizer: its class, until `remove()`."""

    def __init__(
        self, tokenizer: Any, codec: Codec, resolver: Resolver, slots: Slots, unresolved: Unresolved | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self.codec = codec
        self._resolver = resolver
        self._slots = slots
        self._unresolved = unresolved
        self._original: type = type(tokenizer)

    def install(self) -> None:
        """Swap the class in."""
        object.__setattr__(self._tokenizer, "__class__", _subclass(self._original, self))

    def remove(self) -> None:
        """Swap the original class back."""
        object.__setattr__(self._tokenizer, "__class__", self._original)

    def encode(
        self, plain: Callable[..., BatchEncoding], text: Any, text_pair: Any = None, **options: Any
    ) -> BatchEncoding:
        """What `_encode_plus` gives, with placeholder ids where tags stand."""
        text = chats.given_back(_spelled(text))
        if not _any_tags(text) and not _any_tags(text_pair):
            return plain(text=text, text_pair=text_pair, **options)
        _refuse(text, text_pair, options)
        batch = [text] if isinstance(text, str) else list(text)
        rows = [self._cut(self.splice(each, options.get("add_special_tokens", True)), options) for each in batch]
        columns = self._columns(rows, options)
        tensors = options.get("return_tensors")
        if isinstance(text, str) and tensors is None:
            columns = {key: column[0] for key, column in columns.items()}
        return BatchEncoding(columns, tensor_type=tensors)

    def splice(self, text: str, add_special_tokens: bool = True) -> Spliced:
        """The ids of one text; its own prompts (TaggedText) go before all others."""
        self.codec.refresh()
        return self._resolver.splice(text, self.codec.seams, add_special_tokens, self._unresolved)

    def chat(self, plain: Callable[..., Any], conversation: Any, *args: Any, **options: Any) -> Any:
        """What `apply_chat_template` gives; a text that it writes out carries the prompts of its messages."""
        words = chats.leaves(chats.spelled(conversation))
        if options.get("return_assistant_tokens_mask") and any(map(_any_tags, words)):
            raise UnsupportedInput(
                "the chat holds soft prompts, so return_assistant_tokens_mask cannot be served: mask the labels by hand"
            )
        with chats.following(chats.rows_of(conversation, args, options)):
            written = plain(chats.spelled(conversation), *args, **options)
            return chats.given_back(written) if _is_text(written) else written

    def decode(self, plain: Callable[..., str], ids: Any, skip_special_tokens: bool = False, **options: Any) -> str:
        """What `_decode` gives, with tags where placeholder ids stand."""
        ids = ids["input_ids"] if isinstance(ids, Mapping) else [ids] if isinstance(ids, int) else list(ids)
        if not any(each >= FIRST_ID for each in ids):
            return plain(ids, skip_special_tokens=skip_special_tokens, **options)
        self.codec.refresh()
        # Before ours are put in: the sentinel is special, too, and has the first id that this tokenizer lacks, which a
        # model with padding rows may write.
        dropped = self.codec.specials if skip_special_tokens else {self.codec.sentinel_id}
        ids = [each for each in ids if each not in dropped]
        runs = list(self._slots.runs(ids))
        tags = [run for run in runs if isinstance(run, str)]
        # One sentinel for each tag.
        marked = [each for run in runs for each in ([self.codec.sentinel_id] if isinstance(run, str) else run)]
        parts = self.codec.decode(marked, skip_special_tokens=False, **options).split(self.codec.sentinel)
        return "".join(part + tag for part, tag in zip(parts, [*tags, ""], strict=True))

    def token(self, plain: Callable[..., Any], placeholder: int) -> str:
        """The token string of one id: of a placeholder, its tag."""
        return self._slots.name(placeholder) if placeholder >= FIRST_ID else plain(placeholder)

    def _cut(self, row: Spliced, options: Mapping[str, Any]) -> Spliced:
        limit = options.get("max_length")
        strategy = options.get("truncation_strategy", TruncationStrategy.DO_NOT_TRUNCATE)
        if limit is None or strategy == TruncationStrategy.DO_NOT_TRUNCATE:
            return row
        if strategy == TruncationStrategy.ONLY_SECOND:
            raise UnsupportedInput("there is no second text to truncate: say truncation=True")
        return truncate(row, limit, self._tokenizer.truncation_side)

    def _columns(self, rows: Sequence[Spliced], options: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The columns of a BatchEncoding, padded."""
        strategy = options.get("padding_strategy", PaddingStrategy.DO_NOT_PAD)
        length = options.get("max_length")
        if strategy == PaddingStrategy.LONGEST:
            strategy, length = PaddingStrategy.MAX_LENGTH, max((len(row.ids) for row in rows), default=0)
        columns: dict[str, list[Any]] = {}
        for row in rows:
            fields = self._fields(row, options)
            padded = self._tokenizer._pad(
                fields,
                max_length=length,
                padding_strategy=strategy,
                pad_to_multiple_of=options.get("pad_to_multiple_of"),
                padding_side=options.get("padding_side"),
                return_attention_mask="attention_mask" in fields,
            )
            for key, value in padded.items():
                columns.setdefault(key, []).append(value)
        return columns

    def _fields(self, row: Spliced, options: Mapping[str, Any]) -> dict[str, Any]:
        names = self._tokenizer.model_input_names
        fields: dict[str, Any] = {"input_ids": row.ids}
        if _wanted(options.get("return_attention_mask"), "attention_mask" in names):
            fields["attention_mask"] = [1] * len(row.ids)
        if _wanted(options.get("return_token_type_ids"), "token_type_ids" in names):
            fields["token_type_ids"] = [0] * len(row.ids)
        if options.get("return_special_tokens_mask"):
            fields["special_tokens_mask"] = [int(each in self.codec.specials) for each in row.ids]
        if options.get("return_length"):
            fields["length"] = len(row.ids)
        return fields


def _subclass(original: Any, tagged: TaggedTokenizer) -> type:
    """A subclass of `original` that goes by its name; the only thing it adds to an object is behaviour."""

    def _encode_plus(self: Any, text: Any, text_pair: Any = None, **options: Any) -> BatchEncoding:
        return tagged.encode(partial(original._encode_plus, self), text, text_pair, **options)

    def apply_chat_template(self: Any, conversation: Any, *args: Any, **options: Any) -> Any:
        return tagged.chat(partial(original.apply_chat_template, self), conversation, *args, **options)

    def _decode(self: Any, token_ids: Any, skip_special_tokens: bool = False, **options: Any) -> str:
        return tagged.decode(partial(original._decode, self), token_ids, skip_special_tokens, **options)

    def convert_ids_to_tokens(self: Any, ids: Any, skip_special_tokens: bool = False) -> Any:
        plain = partial(original.convert_ids_to_tokens, self)
        if isinstance(ids, int):
            return tagged.token(plain, ids)
        if not any(int(each) >= FIRST_ID for each in ids):
            return plain(ids, skip_special_tokens=skip_special_tokens)
        kept = [int(each) for each in ids if not (skip_special_tokens and int(each) in self.all_special_ids)]
        return [tagged.token(plain, each) for each in kept]

    def tokenize(self: Any, text: str, *args: Any, **options: Any) -> Any:
        if not _any_tags(text) or args or options.get("pair"):
            return original.tokenize(self, text, *args, **options)
        return self.convert_ids_to_tokens(tagged.splice(text, options.get("add_special_tokens", False)).ids)

    def __reduce_ex__(self: Any, protocol: int) -> Any:
        function, arguments, *rest = original.__reduce_ex__(self, protocol)
        if function is copyreg.__newobj__ and arguments == (attached,):  # type: ignore[attr-defined]
            # pickle insists that such an object is of the class that it is asked to make.
            return copyreg._reconstructor, (original, object, None), *rest  # type: ignore[attr-defined]
        return function, tuple(original if each is attached else each for each in arguments), *rest

    names = ("__module__", "__qualname__", "__doc__")
    methods = (_encode_plus, apply_chat_template, _decode, convert_ids_to_tokens, tokenize, __reduce_ex__)
    members = {name: getattr(original, name) for name in names} | {method.__name__: method for method in methods}
    attached = type(original.__name__, (original,), {**members, "soft_prompts_text": tagged})
    return attached


def _spelled(text: Any) -> Any:
    bare = isinstance(text, SoftPrompt) or (
        isinstance(text, list) and any(isinstance(each, SoftPrompt) for each in text)
    )
    return chats.spelled(text) if bare else text


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and isinstance(value[0], str))


def _any_tags(text: Any) -> bool:
    if isinstance(text, str):
        return has_tags(text)
    return isinstance(text, (list, tuple)) and any(map(_any_tags, text))


def _refuse(text: Any, text_pair: Any, options: Mapping[str, Any]) -> None:
    if text_pair is not None:
        raise UnsupportedInput("a text pair cannot hold soft prompts: join the two texts into one")
    for option, instead in _REFUSED.items():
        if options.get(option):
            raise UnsupportedInput(f"the text holds soft prompts, so {option} cannot be served: {instead}")
    if not isinstance(text, str) and not all(isinstance(each, str) for each in text):
        raise UnsupportedInput("a batch with soft prompts is a list of strings, each one whole text")


def _wanted(asked: bool | None, default: bool) -> bool:
    return default if asked is None else asked
