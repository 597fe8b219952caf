"""`plain(text, "Emma", "User")`: what a chat's tool would make of a text before the model reads it."""

from __future__ import annotations

import re

USER = "User"
"""Who talks to a character, where nobody says who that is."""

_COMMENT = re.compile(r"\{\{\s*(?://|comment\s*:|hidden_key\s*:)[^{}]*\}\}", re.IGNORECASE)
_NOTHING = re.compile(r"\{\{\s*(?:trim|noop|original)\s*\}\}", re.IGNORECASE)
_BREAK = re.compile(r"\{\{\s*newline\s*\}\}", re.IGNORECASE)
_CHAR = re.compile(r"\{\{\s*(?:char|charIfNotGroup|bot)\s*\}\}|<(?:BOT|CHAR)>", re.IGNORECASE)
_USER = re.compile(r"\{\{\s*user\s*\}\}|<USER>", re.IGNORECASE)
_DECORATOR = re.compile(r"\A(?:[ \t]*@@[^\n]*(?:\n|\Z))+")
_SPEAKS = re.compile(r"^[ \t]*(?:\{\{\s*(?:char|user)\s*\}\}|<(?:BOT|USER)>)[ \t]*:", re.IGNORECASE | re.MULTILINE)
_START = re.compile(r"^[ \t]*<START>[ \t]*$", re.IGNORECASE | re.MULTILINE)
_LEFT = re.compile(r"\{\{[^{}\n]*\}\}")


def plain(text: str, char: str, user: str = USER) -> str:
    """With names in place of `{{char}}` and `{{user}}`, and without what only the tool reads."""
    text = _DECORATOR.sub("", text)
    for pattern, words in ((_COMMENT, ""), (_NOTHING, ""), (_BREAK, "\n")):
        text = pattern.sub(words, text)
    text = _CHAR.sub(lambda _: char, text) if char else text
    return _USER.sub(lambda _: user, text)


def names_user(text: str) -> bool:
    """Whether it speaks of whoever chats."""
    return bool(_USER.search(text))


def is_dialogue(text: str) -> bool:
    """Whether it holds lines that `{{char}}:` or `{{user}}:` begin."""
    return bool(_SPEAKS.search(text) or _START.search(text))


def blocks(text: str) -> list[str]:
    """The conversations that `<START>` begins."""
    return [each.strip("\n") for each in _START.split(text) if each.strip()]


def left(text: str) -> bool:
    """Whether a macro is left that only the tool can fill in, such as `{{random:a,b}}`."""
    return bool(_LEFT.search(text))
