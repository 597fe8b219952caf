"""`pieces(text)`: what of an entry is prose and what is a list of attributes, in the ways in which writers note them.

| in the file | becomes |
|---|---|
| `Age: 34`, `- Age: 34`, `**Age:** 34`, `age = 34` | the attribute age |
| `[Emma: tall, blonde; Emma's job: detective]` | an attribute for each part |
| `Age("34") Appearance("tall" + "blonde")` | the same |
| `## Likes` or `Likes:` with `- rain` and `- jazz` under it | the attribute likes: rain, jazz |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from . import english

_ATTRIBUTE = re.compile(r"^\s*(?:[-*•+]\s+)?[*_]*([^\W\d_][^:=.!?\n\"“(]{0,38}?)[*_]*\s*(?:[:：]|=)[*_]*\s*(\S.*)$")  # noqa: RUF001
_HEADING = re.compile(r"^\s*(?:#{1,6}\s+(\S.{0,200})|[*_]*([^\W\d_][^:.!?\n]{0,38}?)[*_]*[:：][*_]*)\s*$")  # noqa: RUF001
_BULLET = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+(\S.*)$")
_BRACKETS = re.compile(r"^\s*[\[{](.*?)[\]}]\s*$", re.DOTALL)
_QUOTED = re.compile(r"([^\W\d_][\w '’-]{0,38}?)\s*\(\s*(\"[^\"]*\"(?:\s*\+?\s*\"[^\"]*\")*)\s*\)")  # noqa: RUF001
_RULE = re.compile(r"^\s*([-=*_~]\s*){3,}$")
_WRAPPED = 60
"""Characters of a line behind which a sentence goes on in the next one."""


@dataclass(frozen=True)
class Piece:
    """Prose has no key. An attribute has one, such as "age"."""

    text: str
    key: str = ""


def pieces(text: str) -> list[Piece]:
    """In their order; each as it can be read alone."""
    # A run of spaces says nothing, and long ones would keep the patterns below busy for hours.
    text = re.sub(r"[^\S\n]{2,}", " ", text)
    found: list[Piece] = []
    for block in re.split(r"\n[ \t]*\n", text):
        found += _of_block(block.strip("\n"))
    return found


def _of_block(block: str) -> Iterator[Piece]:
    quoted = [(key, re.findall(r'"([^"]*)"', values)) for key, values in _QUOTED.findall(block)]
    if len(quoted) >= 2 or (quoted and block.lstrip(" [{").lower().startswith("character")):
        yield from (Piece(", ".join(filter(None, values)), key.strip()) for key, values in quoted)
        return
    if inner := _BRACKETS.match(block):
        lines = [each for line in inner[1].split("\n") for each in line.split(";")]
        yield from _of_lines([each.strip() for each in lines if each.strip()])
        return
    yield from _of_lines(block.split("\n"))


def _of_lines(lines: list[str]) -> Iterator[Piece]:
    heading, listed, prose = "", list[str](), list[str]()
    for line in [*lines, ""]:
        bullet, attribute, title = _BULLET.match(line), _attribute(line), _HEADING.match(line)
        if prose and (bullet or attribute or title or not line.strip()):
            yield from _joined(prose)
            prose = []
        if listed and (attribute or title or not bullet):
            yield from _list(heading, listed)
            listed = []
        if attribute:
            yield attribute
        elif title:
            heading = (title[1] or title[2]).strip(" #")
        elif bullet:
            listed.append(_bare(bullet[1]))
        elif line.strip() and not _RULE.match(line):
            prose.append(line)


def _attribute(line: str) -> Piece | None:
    match = _ATTRIBUTE.match(line)
    if match is None:
        return None
    words = match[1].split()
    if len(words) > 4 or any(english.is_verb(word, False) for word in words[1:]) or match[2].startswith("//"):
        return None
    return Piece(_bare(match[2]), match[1].strip())


def _list(heading: str, listed: list[str]) -> Iterator[Piece]:
    """Short ones are one attribute of what the heading says; sentences stand for themselves."""
    short = [each for each in listed if len(each.split()) <= 8 and not re.search(r"[.!?]$", each)]
    if heading and short:
        yield Piece(", ".join(short), heading)
    yield from (Piece(each) for each in listed if not heading or each not in short)


def _joined(lines: list[str]) -> Iterator[Piece]:
    """Lines that were broken at a width are one again."""
    text = ""
    for line in map(_bare, lines):
        if text and len(text.rsplit("\n", 1)[-1]) >= _WRAPPED and not re.search(r"[.!?…:\"”*]$", text):
            text += " " + line
        else:
            text += ("\n" if text else "") + line
    yield Piece(text)


def _bare(line: str) -> str:
    """Without the marks of Markdown."""
    return re.sub(r"\*\*|__", "", line).strip()
