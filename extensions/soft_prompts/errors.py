"""`except soft_prompts.SoftPromptError as problem:` catches everything this library raises on purpose."""

from __future__ import annotations

PAGE = "docs/errors.md"
"""An entry for every class below and for every class of theirs, under its own name as the heading."""


class SoftPromptError(Exception):
    """Base of every error of this library; the message says what, where, and what to do next.

    A traceback of Python 3.11 or newer ends with where more of it stands; `str(problem)` is the message alone.
    """

    def __init__(self, *words: object) -> None:
        super().__init__(*words)
        self.__notes__ = [f"{self.entry} says more"]

    @property
    def entry(self) -> str:
        """`docs/errors.md#unknownprompt`: where this kind of error is explained, with its cause and cure."""
        return f"{PAGE}#{type(self).__name__.lower()}"


class UnknownPrompt(SoftPromptError, KeyError):
    """A tag or a lookup names a soft prompt that nothing holds."""

    # KeyError would show the repr of the message, quotes and all.
    __str__ = Exception.__str__


class AmbiguousPrompt(SoftPromptError):
    """One name stands for two different contents."""


class InvalidTag(SoftPromptError):
    """A tag has a name or a strength that no soft prompt can have."""


class InvalidPrompt(SoftPromptError, ValueError):
    """Vectors, a name or metadata that no soft prompt can have."""


class InvalidFile(SoftPromptError):
    """A file that cannot be read as a soft prompt, or one that cannot be written."""


class Misfit(SoftPromptError):
    """A soft prompt that was made for another model than the one in use."""


class UnsupportedModel(SoftPromptError):
    """A model or tokenizer that soft prompts cannot be attached to."""


class UnsupportedInput(SoftPromptError, ValueError):
    """A call of tokenizer or model that cannot be answered for a text with tags."""


class UnknownPlaceholder(SoftPromptError):
    """A placeholder id whose vectors this attachment does not hold (any more)."""


class TrainingError(SoftPromptError):
    """A training that cannot start or go on."""
