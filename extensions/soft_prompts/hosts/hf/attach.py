"""`with attach(model, tokenizer, library) as attached: ...`: inside, tokenizer and generate understand tags."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from types import TracebackType
from typing import Any

from ...errors import InvalidPrompt, UnsupportedInput, UnsupportedModel
from ...fingerprint import Described, Fit
from ...library import Library
from ...prompt import Prompt, SoftPrompt
from ...resolve import Resolver, Unresolved
from ...slots import Slot, Slots
from ...tags import Tag
from .generation import SafeGeneration, neutral_id
from .injection import Injection
from .selftest import check
from .tokenizer import TaggedTokenizer
from .view import Codec, ModelView, called, codec_of, origin_of, text_embedding, unwrap

_log = logging.getLogger(__name__)
_FOR_PROGRAMS = "An f-string keeps only a prompt's name: write prompt + text, or attach(..., prompts=[prompt])."
_FOR_BOTH = (
    "revision", "subfolder", "cache_dir", "token", "local_files_only", "trust_remote_code", "force_download", "proxies",
    "code_revision", "gguf_file",
)  # fmt: skip


class Attachment:
    """What `attach` returns: a context, or an object to `close()`. model and tokenizer are the ones given.

    remark: what to know of soft prompts on this model, mostly nothing.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        view: ModelView,
        resolver: Resolver,
        injection: Injection,
        undo: ExitStack,
        remark: str = "",
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.remark = remark
        self.view = view
        self.slots = injection.slots
        self.reading = injection.reading
        self._resolver = resolver
        self._undo = undo

    @property
    def head(self) -> list[int]:
        """The special tokens that this tokenizer puts before a text."""
        return self.view.head

    def fit(self, prompt: Described) -> Fit:
        """Whether `prompt`, or the one whose file's header this is, was made for this model, and why (not)."""
        return self._resolver.fit(prompt)

    def place(self, tag: Tag) -> Slot:
        """The ids and vectors that `tag` means here; raises as `Resolver.place` does."""
        return self._resolver.place(tag)

    def close(self) -> None:
        """Undo everything, the last change first; a second call does nothing. Let running generations end before."""
        self._undo.close()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def attach(
    model: Any,
    tokenizer: Any,
    library: Library | str | os.PathLike[str] | None = None,
    *,
    prompts: Iterable[Prompt] = (),
    allow_strangers: bool = False,
    self_test: bool = True,
    unresolved: Unresolved | None = None,
) -> Attachment:
    """`with attach(model, tokenizer, library): ...` mutates both; undone on exit or by `close()`.

    model: any causal language model of Transformers, also inside PEFT, DDP or torch.compile. library: a Library or a
    folder. prompts: known by name besides the library's, TextPrompts too. allow_strangers: take prompts that were made
    for another model of equal width. self_test: make sure, in two short runs, that this model takes soft vectors as
    tokens. unresolved: called with (tag, problem) for a tag that cannot be used, which is then left out; else that
    raises.

    Raises UnsupportedModel, and leaves model and tokenizer as they were.
    """
    _check_given(model, tokenizer)
    base = unwrap(model)
    _refuse_second(base, tokenizer)
    text_embedding(base)
    if isinstance(library, (str, os.PathLike)):
        library = Library(library)
    codec = Codec(tokenizer)
    view = ModelView(base, codec)
    slots = Slots(view.width)
    injection = Injection(base, slots)
    generation = SafeGeneration(base, injection, neutral_id(base, tokenizer))
    hint = _FOR_PROGRAMS if unresolved is None else ""
    resolver = Resolver(view, slots, library, prompts, allow_strangers, hint)
    tagged = TaggedTokenizer(tokenizer, codec, resolver, slots, unresolved)
    with ExitStack() as undo:
        _install(undo, injection.install, injection.remove)
        _install(undo, generation.install, generation.remove)
        remark = check(base, view, injection) if self_test else ""
        if remark:
            _log.warning("%s: %s", called(base), remark)
        _install(undo, tagged.install, tagged.remove)
        return Attachment(model, tokenizer, view, resolver, injection, undo.pop_all(), remark)
    raise AssertionError("an ExitStack without a suppressing exit returns or raises")


def from_pretrained(
    name: str | os.PathLike[str],
    library: Library | str | os.PathLike[str] | None = None,
    *,
    tokenizer: Any = None,
    prompts: Iterable[Prompt] = (),
    allow_strangers: bool = False,
    self_test: bool = True,
    **options: Any,
) -> tuple[Any, Any]:
    """`model, tokenizer = from_pretrained("...", library="soft_prompts/")`: both understand tags, for good.

    options go to Transformers' `AutoModelForCausalLM.from_pretrained`, and those that say where the files are to the
    tokenizer's as well. tokenizer: one that you have loaded, with options of its own; else it is the model's. prompts,
    allow_strangers, self_test: as in `attach`. The model comes in evaluation mode.

    Raises UnsupportedModel as `attach` does, and whatever Transformers raises.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if options.get("output_loading_info"):
        raise UnsupportedInput(
            "from_pretrained gives back a model and a tokenizer, and no output_loading_info: load the model by "
            "AutoModelForCausalLM.from_pretrained, then soft_prompts.attach(model, tokenizer, library)"
        )
    where = {key: options[key] for key in _FOR_BOTH if key in options}
    tokenizer = AutoTokenizer.from_pretrained(name, **where) if tokenizer is None else tokenizer
    try:
        model = AutoModelForCausalLM.from_pretrained(name, **options).eval()
    except ValueError as problem:
        if "Unrecognized configuration class" not in str(problem):
            raise
        # Transformers' own words are a page of the classes that it would have taken.
        kind = str(problem).partition("'>")[0].rpartition(".")[2].removesuffix("Config")
        raise UnsupportedModel(
            f"{name} is a {kind} model, and Transformers has none of that kind that writes on from a text, as Llama, "
            "Qwen and GPT-2 do: choose such a model"
        ) from None
    attach(model, tokenizer, library, prompts=prompts, allow_strangers=allow_strangers, self_test=self_test)
    return model, tokenizer


def text_prompt(text: str, model: Any, tokenizer: Any, name: str) -> SoftPrompt:
    """The soft prompt that is the embeddings of `text`, as its tokens stand after other text: SoftPrompt.from_text."""
    base = unwrap(model)
    view = ModelView(base, codec_of(tokenizer))
    ids = view.inner_ids(text)
    if not ids:
        raise InvalidPrompt(f"soft prompt '{name}': the text {text!r} has no tokens")
    return SoftPrompt(name, view.embed(ids), metadata={**origin_of(base, tokenizer), "method": "text"})


def _check_given(model: Any, tokenizer: Any) -> None:
    for what, given in (("model", model), ("tokenizer", tokenizer)):
        if isinstance(given, (str, os.PathLike)):
            raise UnsupportedModel(
                f"attach(model, tokenizer) wants a {what} that is loaded, and {str(given)!r} is a name: "
                f"soft_prompts.from_pretrained({str(given)!r}) loads both"
            )
        if given is None:
            raise UnsupportedModel(
                f"attach(model, tokenizer) was given no {what}: soft_prompts.from_pretrained loads both"
            )


def _install(undo: ExitStack, install: Callable[[], None], remove: Callable[[], None]) -> None:
    # Registered first: a change that fails half-way is undone as well.
    undo.callback(remove)
    install()


def _refuse_second(base: Any, tokenizer: Any) -> None:
    hooks = [getattr(hook, "__self__", None) for hook in base._forward_pre_hooks.values()]
    if hasattr(type(tokenizer), "soft_prompts_text") or any(isinstance(each, Injection) for each in hooks):
        raise UnsupportedModel("soft prompts are attached to this model or tokenizer already: close() that one first")
