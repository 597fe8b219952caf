"""`Seams(encode, sentinel, sentinel_id).splice(pieces, place)` turns text with tags into token ids.

The aim: the ids of the text before a tag, the placeholders, then exactly the ids that the text after it would have had
in the whole text. Tokenizers differ at such borders; each is probed once, and the recipe that holds for it is used:

- *sentinel*: every tag becomes one special token of a copy of the tokenizer, and the whole text is encoded once;
- *anchor*: where a tokenizer treats the text after a special token as a new beginning, each segment after a tag is the
  tail of `encode(anchor + segment)`. The best anchor is the word before the tag, with the space behind it, for which
  some tokenizers write nothing.

Texts and ids only; the tokenizer itself stays in the host.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .errors import UnsupportedModel
from .tags import Piece, Tag

Encode = Callable[[str, bool], list[int]]
"""`encode(text, add_special_tokens)` of the copy that knows the sentinel."""

ANCHORS = ("x", ")", "。", "\n", "0", '"')
_LAST_WORD = re.compile(r"\S*\s*\Z")
_FAR = 64
"""Characters before a tag among which its anchor is looked for."""
_PROBES = (",", ".", ")", "text", " text")


@dataclass(frozen=True)
class Spliced:
    """ids of a text; spans: (start, stop) of each tag in them; head and tail: how many specials stand at the ends."""

    ids: list[int]
    spans: tuple[tuple[int, int], ...]
    head: int = 0
    tail: int = 0


class Seams:
    """How one tokenizer joins text and tags. sentinel: a text that its copy encodes as the one id sentinel_id.

    Where no copy can be had, as of a tokenizer in another program, there is no sentinel, and every seam is an anchor's.
    """

    def __init__(self, encode: Encode, sentinel: str = "", sentinel_id: int = -1) -> None:
        self._encode = encode
        self._sentinel = sentinel
        self._sentinel_id = sentinel_id
        self.anchored = True
        if not sentinel:
            self.head, self.tail = _specials(encode)
            return
        around = encode(sentinel, True)
        if around.count(sentinel_id) != 1:
            raise UnsupportedModel(
                "this tokenizer does not keep a special token whole: tags cannot be placed in its text"
            )
        place = around.index(sentinel_id)
        self.head, self.tail = around[:place], around[place + 1 :]
        self.anchored = any(self._after_sentinel(probe) != self._after_anchor(probe) for probe in _PROBES)

    def inner(self, text: str) -> list[int]:
        """The ids that `text` has where it stands after other text, without specials."""
        return self._after_anchor(text) if self.anchored else self._after_sentinel(text)

    def splice(
        self, pieces: Sequence[Piece], place: Callable[[Tag], Sequence[int]], add_special_tokens: bool = True
    ) -> Spliced:
        """The ids of parsed text, with `place(tag)` where tags stand; special tokens once, around the whole."""
        head, tail = (self.head, self.tail) if add_special_tokens else ([], [])
        segments = self._segments(pieces, add_special_tokens)
        ids = list(segments[0])
        spans = []
        tags = [piece for piece in pieces if isinstance(piece, Tag)]
        for tag, segment in zip(tags, segments[1:], strict=True):
            spans.append((len(ids), len(ids) + len(place(tag))))
            ids += place(tag)
            ids += segment
        return Spliced(ids, tuple(spans), len(head), len(tail))

    def _segments(self, pieces: Sequence[Piece], specials: bool) -> list[list[int]]:
        """The ids between the tags, one list more than there are tags; specials stand in the first and the last."""
        if self.anchored:
            return self._anchored_segments(pieces, specials)
        text = "".join(self._sentinel if isinstance(piece, Tag) else piece for piece in pieces)
        segments: list[list[int]] = [[]]
        for each in self._encode(text, specials):
            if each == self._sentinel_id:
                segments.append([])
            else:
                segments[-1].append(each)
        return segments

    def _anchored_segments(self, pieces: Sequence[Piece], specials: bool) -> list[list[int]]:
        texts = [""]
        for piece in pieces:
            if isinstance(piece, Tag):
                texts.append("")
            else:
                texts[-1] += piece
        segments = [
            self._encode(texts[0], False) if texts[0] else [],
            *(self._after_anchor(text, before) for before, text in pairwise(texts)),
        ]
        if specials:
            segments[0] = self.head + segments[0]
            segments[-1] = segments[-1] + self.tail
        return segments

    def _after_sentinel(self, text: str) -> list[int]:
        ids = self._encode("x" + self._sentinel + text, False)
        return ids[ids.index(self._sentinel_id) + 1 :]

    def _after_anchor(self, text: str, before: str = "") -> list[int]:
        if not text:
            return []
        for anchor in (*_own_anchor(before), *ANCHORS):
            alone, whole = self._encode(anchor, False), self._encode(anchor + text, False)
            if alone and whole[: len(alone)] == alone:
                return whole[len(alone) :]
        # Every anchor melts into the text's beginning; the sentinel at least never does.
        return self._after_sentinel(text) if self._sentinel else self._encode(text, False)


def _own_anchor(before: str) -> list[str]:
    """The last word of what stands before a tag, and the space behind it; one of ours where there is space only."""
    found = _LAST_WORD.findall(before[-_FAR:])[0] if before else ""
    return [ANCHORS[0] + found if found.isspace() else found] if found else []


def _specials(encode: Encode) -> tuple[list[int], list[int]]:
    """What `encode` puts before and behind a text."""
    for probe in ANCHORS:
        bare, around = encode(probe, False), encode(probe, True)
        for place in range(len(around) - len(bare) + 1):
            if bare and around[place : place + len(bare)] == bare:
                return around[:place], around[place + len(bare) :]
    raise UnsupportedModel(
        "this tokenizer writes a text in another way behind its special tokens: tags cannot be placed"
    )


def truncate(text: Spliced, limit: int, side: str) -> Spliced:
    """At most `limit` ids: cut on `side` ("left" or "right"), specials at the ends kept, a tag whole or not at all."""
    if len(text.ids) <= limit:
        return text
    head, tail = text.ids[: text.head], text.ids[len(text.ids) - text.tail :]
    room = limit - len(head) - len(tail)
    if room < 0:
        return Spliced((head + tail)[:limit], ())
    start, stop = text.head, len(text.ids) - text.tail
    if side == "left":
        start = _outside(text.spans, stop - room, forward=True)
    else:
        stop = _outside(text.spans, start + room, forward=False)
    shift = len(head) - start
    spans = tuple((a + shift, b + shift) for a, b in text.spans if start <= a and b <= stop)
    return Spliced(head + text.ids[start:stop] + tail, spans, text.head, text.tail)


def _outside(spans: tuple[tuple[int, int], ...], cut: int, forward: bool) -> int:
    for start, stop in spans:
        if start < cut < stop:
            return stop if forward else start
    return cut
