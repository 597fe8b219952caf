"""`texts(source)`: the texts at the top of a YAML file, as the webui's characters are written.

A few lines in place of a library: names with texts in all the ways that YAML writes them, and nothing of what makes
it dangerous (tags, anchors, references). Nested values are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise, takewhile

from ....errors import InvalidFile

_NAME = re.compile(r"(\"[^\"\\]*\"|'[^']*'|[^\s#:&*!|>'\"%@`\[\]{},?-][^#:]{0,80}?)\s*:(?=\s|$)[ \t]*(.*)")
_BLOCK = re.compile(r"([|>])(?:([+-])?([1-9])?|([1-9])([+-])?)[ \t]*(?:#.*)?$")
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", re.DOTALL)
_PLAIN_ESCAPES = {
    **{"0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b"},
    **{"N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029"},
}
_NOTHING = ("", "~", "null", "Null", "NULL")


def texts(source: str) -> dict[str, str]:
    """{name: text}; raises InvalidFile with the line where it is no such file."""
    lines = list(takewhile(lambda line: not re.match(r"\.\.\.(?:\s|$)", line), source.removesuffix("\n").split("\n")))
    found: dict[str, str] = {}
    for name, value, first, stop in _items(lines):
        try:
            text = _value(value, lines[first + 1 : stop])
        except InvalidFile as problem:
            raise InvalidFile(f"line {first + 1:,}: {problem}") from None
        if text is not None:
            found[name] = text
    return found


def _items(lines: list[str]) -> Iterator[tuple[str, str, int, int]]:
    """(name, what stands behind the colon, its line, the line of the next one)."""
    starts = [number for number, line in enumerate(lines) if _begins(line)]
    for number, stop in pairwise([*starts, len(lines)]):
        match = _NAME.match(lines[number])
        if match is None:
            if _closes(lines, number):
                continue
            raise InvalidFile(f"line {number + 1:,}: it is no YAML of names and texts, as characters of the webui are")
        yield match[1].strip("\"'"), match[2], number, stop


def _begins(line: str) -> bool:
    return bool(line.strip()) and line[0] not in " \t#" and not line.startswith(("---", "- ")) and line != "-"


def _closes(lines: list[str], number: int) -> bool:
    return lines[number].strip() in ("]", "}", "'", '"')


def _value(value: str, more: list[str]) -> str | None:
    """None for nothing and for what is nested."""
    if block := _BLOCK.match(value):
        return _block(more, block[1] == ">", block[2] or block[5] or "", int(block[3] or block[4] or 0))
    if value[:1] in "'\"" and value:
        return _quoted(value, more)
    if value[:1] in "&*!{[":
        return None
    rest = [_bare(each) for each in more if not each.lstrip().startswith("#")]
    if not value and any(each.strip().startswith(("- ", "? ")) or _NAME.match(each.strip()) for each in more):
        return None
    text = _folded([_bare(value), *rest])
    return None if text in _NOTHING else text


def _bare(line: str) -> str:
    return re.sub(r"(?:^|[ \t])#.*$", "", line).strip()


def _folded(lines: list[str]) -> str:
    """One line end is a space, and each further one is itself."""
    text = "\n".join(each.strip() for each in lines).strip("\n")
    return re.sub(r"\n+", lambda ends: "\n" * (len(ends[0]) - 1) or " ", text)


def _quoted(value: str, more: list[str]) -> str:
    mark = value[0]
    whole = "\n".join([value[1:], *more])
    pattern = r"((?:[^']|'')*)'" if mark == "'" else r"((?:[^\"\\]|\\.)*)\""
    match = re.match(pattern, whole, re.DOTALL)
    if match is None:
        raise InvalidFile(f"the text that begins with {mark} has no {mark} at its end")
    if mark == "'":
        return _joined(match[1]).replace("''", "'")
    # An escaped line end joins without a space; other escapes are no line ends yet.
    parts = re.split(r"\\\n[ \t]*", match[1])
    return _ESCAPE.sub(_escaped, "".join(_joined(each) for each in parts))


def _joined(text: str) -> str:
    return re.sub(r"(?<![ \t])[ \t]*\n[ \t\n]*", lambda gap: "\n" * (gap[0].count("\n") - 1) or " ", text)


def _escaped(match: re.Match[str]) -> str:
    code = match[1]
    if len(code) > 1:
        number = int(code[1:], 16)
        return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else ""
    return _PLAIN_ESCAPES.get(code, code)


def _block(lines: list[str], folded: bool, chomp: str, indent: int) -> str:
    depth = indent or next((len(each) - len(each.lstrip(" ")) for each in lines if each.strip()), 0)
    kept = [each[depth:] if each[:depth].strip() == "" else each.lstrip() for each in lines]
    body = "".join(f"{each}\n" for each in kept)
    text = body.rstrip("\n")
    ending = body[len(text) :] if chomp == "+" else "" if chomp == "-" or not text else "\n"
    return (_unfolded(text) if folded else text) + ending


def _unfolded(text: str) -> str:
    """Lines of one paragraph become one; those that are indented more stay as they are."""
    found = before = ""
    ends = 0
    for line in text.split("\n"):
        if line:
            indented = before[:1] in " \t" if before else False
            apart = indented or line[0] in " \t"
            found += "\n" * (ends - (0 if apart or not before else 1)) or (" " if before else "")
            found, before, ends = found + line, line, 0
        ends += 1
    return found
