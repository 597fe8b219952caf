r"""`parse("The sky, <<sp:noir:0.7>>and then")` gives `["The sky, ", Tag("noir", 0.7), "and then"]`.

The grammar of tags: `<<sp:NAME>>` or `<<sp:NAME:STRENGTH>>`. This module knows text only: no files, no vectors.

NAME is letters, marks and digits of any script, inner spaces and `. _ - /`; STRENGTH is `-?d+(.d+)?`. A backslash
right before a tag makes it a literal, and doubled backslashes there stand for single ones, so that every list of
pieces can be written down: `parse` and `join` are each other's inverse. Text that only looks like a tag stays text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

LONGEST_NAME = 200
LARGEST_STRENGTH = 4.0

# The name is bounded so that a text of nothing but "<<sp:" cannot make the scan quadratic.
_CANDIDATE = re.compile(rf"<<sp:([^<>:\r\n\t]{{1,{LONGEST_NAME}}})(?::(-?[0-9]{{1,20}}(?:\.[0-9]{{1,20}})?))?>>")
_ALSO_ALLOWED = frozenset(" ._-/\u200c\u200d")
"""Besides letters, marks and digits; the joiners without width are part of words in Persian and in India."""


@dataclass(frozen=True)
class Tag:
    """`Tag("noir", 0.7)`: a soft prompt's name in a text, and how strongly it is meant.

    strength is in steps of 0.01; 1 is the vectors as they are. `text` is how the writer spelled it (`<<sp:noir:1.0>>`)
    and takes no part in comparisons.
    """

    name: str
    strength: float = 1.0
    text: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        if self.strength == 1:
            return f"<<sp:{self.name}>>"
        return f"<<sp:{self.name}:{self.strength:.2f}".rstrip("0").rstrip(".") + ">>"

    @property
    def hundredths(self) -> int:
        """The strength as a whole number of its steps of 0.01."""
        return round(self.strength * 100)


Piece = str | Tag


def parse(text: str) -> list[Piece]:
    r"""`parse("a<<sp:x>>b")` gives `["a", Tag("x"), "b"]`; no piece is an empty string, no two strings are neighbours.

    `\<<sp:x>>` comes back as the literal text `<<sp:x>>`. Names are normalised to NFC.
    """
    pieces: list[Piece] = []
    literal = ""
    end = 0
    for tag, start, stop in _tags(text):
        before = text[end:start]
        bare = before.rstrip("\\")
        slashes = len(before) - len(bare)
        literal += bare + "\\" * (slashes // 2)
        if slashes % 2:
            literal += text[start:stop]
        else:
            pieces += [literal, tag] if literal else [tag]
            literal = ""
        end = stop
    literal += text[end:]
    return [*pieces, literal] if literal else pieces


def join(pieces: Iterable[Piece]) -> str:
    r"""`join(parse(text)) == text` for every text; literal tags get their backslash back."""
    pieces = list(pieces)
    out = []
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=False):
        if isinstance(piece, Tag):
            out.append(piece.text or str(piece))
        else:
            out.append(_escape(piece, before_tag=isinstance(following, Tag)))
    return "".join(out)


def replace(text: str, change: Callable[[str], str]) -> str:
    """`replace(text, str.upper)`: every tag as it is written, escaped ones too, changed; all around it is kept."""
    out = []
    end = 0
    for _, start, stop in _tags(text):
        out += [text[end:start], change(text[start:stop])]
        end = stop
    return "".join([*out, text[end:]])


def without(pieces: Iterable[Piece], dropped: Collection[Tag]) -> list[Piece]:
    """The pieces without some of their tags; the texts around them become one, as if no tag had stood there."""
    kept: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Tag) and piece in dropped:
            continue
        if isinstance(piece, str) and kept and isinstance(kept[-1], str):
            kept[-1] += piece
        else:
            kept.append(piece)
    return kept


def has_tags(text: str) -> bool:
    """Whether `parse` would find anything to do in `text`: a tag, or an escaped one."""
    return "<<sp:" in text and next(_tags(text), None) is not None


def tag_for(name: str, strength: float = 1.0) -> Tag:
    """`tag_for("noir", 0.7)`, with the strength brought to its steps of 0.01."""
    return Tag(unicodedata.normalize("NFC", name), round(strength * 100) / 100)


def name_problem(name: str) -> str:
    """Why `name` cannot name a soft prompt, as half a sentence; empty when it can."""
    if not name:
        return "it is empty"
    if len(name) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} characters"
    if unicodedata.normalize("NFC", name) != name:
        return "it is not in Unicode's composed form (NFC)"
    odd = sorted({character for character in name if not _allowed(character)})
    if odd:
        return f"it holds {', '.join(map(repr, odd[:5]))}; allowed are letters, digits, spaces and . _ - /"
    for part in name.split("/"):
        if part != part.strip(" .") or not part:
            return f"{part!r} cannot be a part of it: parts are not empty, and begin and end with no space or dot"
    return ""


def suggest_name(name: str) -> str:
    """`suggest_name("my*prompt?.")` gives `"my-prompt"`: the nearest valid name; "prompt" where nothing is left."""
    composed = unicodedata.normalize("NFC", name).replace("\\", "/")[:LONGEST_NAME]
    composed = re.sub("['\u2019]", "", composed)  # emma's: nobody would look for a dash there
    cleaned = "".join(character if _allowed(character) else "-" for character in composed)
    parts = (re.sub(r"-{2,}", "-", part).strip(" -.") for part in cleaned.split("/"))
    return "/".join(part for part in parts if part) or "prompt"


def _tags(text: str) -> Iterator[tuple[Tag, int, int]]:
    position = 0
    while match := _CANDIDATE.search(text, position):
        name = unicodedata.normalize("NFC", match[1])
        if name == name.strip(" ") and all(map(_allowed, name)):
            strength = round(float(match[2] or 1) * 100) / 100
            yield Tag(name, strength, match[0]), match.start(), match.end()
            position = match.end()
        else:
            position = match.start() + 1


def _allowed(character: str) -> bool:
    return character in _ALSO_ALLOWED or unicodedata.category(character)[0] in "LMN"


def _escape(text: str, before_tag: bool) -> str:
    out = []
    end = 0
    for _, start, stop in _tags(text):
        out += [_doubled(text[end:start]), "\\", text[start:stop]]
        end = stop
    out.append(_doubled(text[end:]) if before_tag else text[end:])
    return "".join(out)


def _doubled(text: str) -> str:
    bare = text.rstrip("\\")
    return bare + "\\" * (2 * (len(text) - len(bare)))
