"""`said("Emma", "hair", "long, blonde")`: as a sentence, ("Emma's hair is", " long, blonde", a question)."""

from __future__ import annotations

import re

from .questions import inner

_IS, _IS_A = "is", "is a"
_SAID = {
    **dict.fromkeys(("personality", "traits", "trait", "mind", "character"), _IS),
    **dict.fromkeys(("type", "kind", "class", "species", "race"), _IS_A),
    **dict.fromkeys(("occupation", "job", "profession", "work", "role"), "works as"),
    **dict.fromkeys(("likes", "like", "loves", "love"), "likes"),
    **dict.fromkeys(("dislikes", "dislike", "hates", "hate"), "dislikes"),
    **dict.fromkeys(("clothes", "clothing", "outfit", "attire", "wears", "wearing"), "wears"),
    **dict.fromkeys(("fears", "fear"), "fears"),
    **dict.fromkeys(("residence", "home", "lives in", "lives"), "lives in"),
    **dict.fromkeys(("birthplace", "from", "origin"), "comes from"),
    **dict.fromkeys(("speaks", "languages", "language"), "speaks"),
}
_ASKED = {
    "works as": "What does {0} work as?",
    "likes": "What does {0} like?",
    "dislikes": "What does {0} dislike?",
    "wears": "What does {0} wear?",
    "fears": "What does {0} fear?",
    "lives in": "Where does {0} live?",
    "comes from": "Where does {0} come from?",
    "speaks": "What does {0} speak?",
    "is": "What is {0} like?",
    "is a": "What is {0}?",
}
_ONE = ("ss", "us", "is")
"""How words end that only look like many."""


def said(name: str, key: str, value: str) -> tuple[str, str, str]:
    """(call, answer, question)."""
    owner = re.sub(rf"^{re.escape(name)}['’]s?\s+", "", key.strip(), flags=re.IGNORECASE)  # noqa: RUF001
    key = owner if any(each.isupper() for each in owner[1:]) else owner.lower()
    who = inner(name)
    if key.lower() == name.lower() or not key:
        return f"{name}:", " " + value, f"What is {who}?"
    if key == "age" and re.fullmatch(r"\d{1,6}", value.strip()):
        return f"{name} is", f" {value.strip()} years old", f"How old is {who}?"
    verb = _SAID.get(key)
    if verb is not None:
        return f"{name} {verb.removesuffix(' a')}", " " + _article(value, verb), _ASKED[verb].format(who)
    be = "are" if key.endswith("s") and not key.endswith(_ONE) else "is"
    asked = "Who" if re.match(r"[^\W\d_][\w'’-]+ [A-Z]", value) and value[0].isupper() else "What"  # noqa: RUF001
    return f"{name}'s {key} {be}", " " + value, f"{asked} {be} {who}'s {key}?"


def _article(value: str, verb: str) -> str:
    """A detective, where the file has only the word."""
    if verb not in ("works as", _IS_A) or value.lower().startswith(("a ", "an ", "the ")) or "," in value:
        return value
    plain = value if value[1:2].isupper() else value[0].lower() + value[1:]
    return f"{'an' if plain[:1].lower() in 'aeiou' else 'a'} {plain}"
