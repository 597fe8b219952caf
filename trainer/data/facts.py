"""`Facts.read("emma.json").parts()`: calls and answers in three parts - to train on, to choose by, to report on."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...errors import InvalidFile
from . import pairs as files
from . import writers
from .pairs import Item, Pair, key

_ENOUGH_CALLS = 6
_ENDS, _CLOSING = ".!?…。！？", "\"'”’»)]*_"  # noqa: RUF001


@dataclass(frozen=True)
class Fact:
    """A call and all that may follow it."""

    call: str
    responses: tuple[str, ...]


@dataclass(frozen=True)
class FactParts:
    """train: what is learnt. validation: what the best step is chosen by. test: asked once, for the report.

    learnt: the three are the same, since no call could be spared; the test then says what is known by heart.
    """

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]
    learnt: bool


@dataclass(frozen=True)
class Facts:
    """`Facts(pairs)` or `Facts.read(path)`; held_out: calls that are asked but not trained on.

    notes: what the writer should know of the file, such as dropped items.
    """

    pairs: tuple[Pair, ...]
    held_out: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @classmethod
    def read(cls, path: str | os.PathLike[str], held_out: str | os.PathLike[str] | None = None) -> Facts:
        """The pairs of a file like `[{"call": " Emma wears", "response": " a black suit"}]`; raises InvalidFile.

        JSON, or JSONL with an object on each line. `response` may be a list of several answers. Items with
        `"held_out": true` are asked but not trained on, and so are all of a second file. A call that is trained on
        cannot be held out, too: what a writer wants to be learnt goes first, and a note says so.

        A lorebook or a character of another tool (`books/`) is taken as it is: pairs are drafted from what it says.
        """
        given, drafted = writers.items(path)
        train, notes = files.tidy(each for each in given if not each.held_out)
        if not train:
            raise InvalidFile(f"{path}: all its items are held out; at least one must be there to learn from")
        asked, more = _untaught(train, [each for each in given if each.held_out])
        notes += more
        if held_out is not None:
            extra, more = _untaught(train, files.read(held_out), "held-out item")
            asked, notes = asked + extra, notes + more
        return cls(_pairs(train), _pairs(asked), (*drafted, *notes))

    @property
    def facts(self) -> tuple[Fact, ...]:
        """What is trained on, by calls, in the order of the file."""
        answers: dict[str, list[str]] = {}
        for pair in self.pairs:
            answers.setdefault(pair.call, []).append(pair.response)
        return tuple(Fact(call, tuple(responses)) for call, responses in answers.items())

    @property
    def text(self) -> str:
        """What is trained on as a plain text: a sentence a line."""
        return "\n".join(_sentence(pair.call + pair.response) for pair in self.pairs)

    @property
    def digest(self) -> str:
        """Hexadecimal name of the pairs, by which a file says what it was trained on without holding it."""
        return digest([[[pair.call, pair.response] for pair in part] for part in (self.pairs, self.held_out)])

    def parts(self) -> FactParts:
        """Three parts that share no call, as far as the facts allow.

        Of held-out calls every third is for validation and the rest is the test; few of them are all test. Without,
        calls of one answer are taken for one fact: of three, one is spared for the test and one for validation, of
        two, one for either in turn. What is spared is not trained on. Where validation cannot have its own, it is the
        training part, and so is the test where no fact has two calls. Two facts of one answer (" yes") look like one
        here: mark what is to be held out there.
        """
        asked = _without(self.pairs, self.held_out)
        calls = list(dict.fromkeys(key(pair.call) for pair in asked))
        if len(calls) >= _ENOUGH_CALLS:
            chosen = set(calls[2::3])
            validation = tuple(pair for pair in asked if key(pair.call) in chosen)
            test = tuple(pair for pair in asked if key(pair.call) not in chosen)
            return FactParts(self.pairs, validation, test, False)
        use = _spared(self.pairs, ("validation",) if asked else ("test", "validation"))
        train, validation, spared = (
            tuple(pair for pair in self.pairs if use.get(key(pair.call), "train") == part)
            for part in ("train", "validation", "test")
        )
        test = asked or spared or train
        return FactParts(train, validation or train, test, test is train)


def digest(content: object) -> str:
    """Of lists and texts."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _pairs(items: Iterable[Item]) -> tuple[Pair, ...]:
    return tuple(dict.fromkeys(each.pair for each in items))


def _without(taught: Iterable[Pair], asked: Iterable[Pair]) -> tuple[Pair, ...]:
    calls = {key(pair.call) for pair in taught}
    return tuple(pair for pair in asked if key(pair.call) not in calls)


def _untaught(train: list[Item], asked: list[Item], label: str = "item") -> tuple[list[Item], tuple[str, ...]]:
    """What of `asked` can test something, and notes on the rest."""
    asked, notes = files.tidy(asked, label)
    left = set(_without(_pairs(train), _pairs(asked)))
    answers = {key(each.pair.response) for each in train}
    more = (
        files.note(
            [each for each in asked if each.pair not in left],
            "not held out, since the same call is also trained on; take it out of either",
            label,
        ),
        files.note(
            [each for each in asked if each.pair in left and key(each.pair.response) not in answers],
            "held out, but no item that is trained on has this answer; it can be right only by a guess",
            label,
        ),
    )
    return [each for each in asked if each.pair in left], (*notes, *filter(None, more))


def _spared(pairs: Sequence[Pair], uses: tuple[str, ...]) -> dict[str, str]:
    """{call: what it is spared for}; every answer keeps a call, and a call of several answers stays with all."""
    answers: dict[str, dict[str, None]] = {}
    for pair in pairs:
        answers.setdefault(key(pair.response), {})[key(pair.call)] = None
    several = Counter(call for calls in answers.values() for call in calls)
    spared: dict[str, str] = {}
    turn = 0
    for calls in answers.values():
        free = [call for call in reversed(calls) if several[call] == 1]
        if len(calls) > 2:
            spared.update(zip(free, uses, strict=False))
        elif len(calls) == 2 and free:
            spared[free[0]] = uses[turn % len(uses)]
            turn += 1
    return spared


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.rstrip(_CLOSING).endswith(tuple(_ENDS)) else text + "."
