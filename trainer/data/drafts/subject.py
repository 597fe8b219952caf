"""`Subject(entry)`: what an entry is about, how its text names it, and whom a pronoun means."""

from __future__ import annotations

import re

from ..entries import Entry
from . import english

_PRONOUNS = {"he": "he", "she": "she", "they": "they", "it": "it"}
_POSSESSIVES = {"his": "he", "her": "she", "their": "they", "its": "it"}
_PLACED = english.words("in from at of near to on through around the a an")
_TITLES = english.words("the a an of and sir lady lord king queen captain doctor dr mr mrs ms")


class Subject:
    """name: as the entry has it. form: as its text last named it, "Emma" or "The tower"."""

    def __init__(self, entry: Entry) -> None:
        self.name = re.sub(r"\s*\([^)]*\)\s*$", "", entry.name) or entry.name
        self.form = ""
        self._forms = _pattern(_forms(entry))
        self.pronoun = _gender(entry.text)
        self._clear = self._rival = False

    def is_person(self, form: str) -> bool:
        """As far as the text says so of whom it calls this; a ship may be a she."""
        return self.pronoun in ("he", "she") and not form.lower().startswith(("the ", "a "))

    @property
    def known(self) -> str:
        """What to call it where the text has not yet named it."""
        return self.form or self.name

    def begins(self, sentence: str) -> str:
        """The name with which a sentence begins, as it stands there; empty where it does not."""
        match = self._forms.match(sentence) if self._forms else None
        return match[0] if match else ""

    def named(self, text: str) -> bool:
        """Whether a text begins with its name or with a pronoun."""
        return bool(self.begins(text)) or text.split(" ", 1)[0].lower() in english.PRONOUNS

    def stands_in(self, text: str) -> bool:
        """Whether the text names it anywhere."""
        return bool(self._forms and self._forms.search(text))

    def resolved(self, sentence: str) -> str:
        """With the name in place of a pronoun at its beginning, where that can mean nothing else; else as it is."""
        first, _, rest = sentence.partition(" ")
        word = first.lower()
        meant = _PRONOUNS.get(word) or _POSSESSIVES.get(word, "")
        if not meant or not ((meant == self.pronoun and not self._rival) or (self._clear and not self.pronoun)):
            self._rival = self._rival and not (meant and meant != self.pronoun)
            return sentence
        self.pronoun = meant
        owner = "’" if self.known.endswith("’") else "'s"  # noqa: RUF001
        return f"{self.known}{owner if word in _POSSESSIVES else ''} {rest}"

    def saw(self, sentence: str) -> None:
        """Remember whom a pronoun in the next sentence could mean."""
        form = self.begins(sentence)
        found = self._forms.search(sentence) if self._forms else None
        others = self._others(sentence)
        owns = bool(found) and sentence[found.end() :].startswith(("'s", "’s"))  # type: ignore[union-attr]  # noqa: RUF001
        self._clear = bool(found) and not owns and not others
        self._rival = others or (self._rival and not self._clear)
        self.form = form or self.form

    def _others(self, sentence: str) -> bool:
        """Whether somebody else is named, whom a pronoun could mean as well; places are nobody."""
        words = (self._forms.sub("...", sentence) if self._forms else sentence).split()
        for before, word in zip(["", *words], words, strict=False):
            name = word[:1].isupper() and word.strip(",.;:").lower() not in english.OPENERS | english.PRONOUNS
            if name and not before[:1].isupper() and before.lower() not in _PLACED and (before or len(word) > 3):
                return True
        return False


def _forms(entry: Entry) -> list[str]:
    name = re.sub(r"^(?:the|a|an)\s+|\s*\([^)]*\)\s*$", "", entry.name.strip(), flags=re.IGNORECASE)
    words = name.split()
    parts = [each for each in words if len(each) > 2 and each[0].isupper() and each.lower() not in _TITLES]
    whole = len(words) <= 3 and all(each[0].isupper() for each in words if each.lower() not in _TITLES)
    keys = [each for each in entry.keys if not each.startswith("/") and (len(each) > 2 or not each.isascii())]
    return [name, *(parts if whole else []), *keys]


def _pattern(forms: list[str]) -> re.Pattern[str] | None:
    """The longest first. Scripts without spaces have no ends of words."""
    known = sorted({each.strip() for each in forms if each.strip()}, key=lambda each: (-len(each), each))[:64]
    if not known:
        return None
    ends = [
        re.escape(each) + (r"(?!\w)" if each.isascii() or " " in each or each.upper() != each else "") for each in known
    ]
    return re.compile(rf"(?:(?:the|a|an)\s+)?(?<!\w)(?:{'|'.join(ends)})", re.IGNORECASE)


def _gender(text: str) -> str:
    """By what the first sentence calls it; empty where that does not tell, or tells both."""
    words = re.findall(r"[^\W\d_]+", re.split(r"[.!?\n]", text.lower(), maxsplit=1)[0])[:40]
    told = [("he" if word in english.HE else "she") for word in words if word in english.HE | english.SHE]
    return told[0] if told and len(set(told)) == 1 else ""
