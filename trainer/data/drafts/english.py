"""What drafts know of English: verbs by which a statement is cut, and how one asks for what follows them.

Other languages need none of it: their statements are cut by the name, and no questions are made of them.
"""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """A list of words, as one reads it."""
    return frozenset(text.split())


_STOP = words(
    "the a an of and to in is was are were has have had with that for on at by from as it its his her their he she "
    "they not but or who which be been this"
)
_ELSEWHERE = words(
    "der das und ist ein eine nicht mit sie er es dem von zu im auf le la les et est un une des dans du il elle "
    "qui ne pas el los las y que en del por su di che non per della sono uma em het een van "
    "och att som det jest nie"
)
"""The same of other languages; what English has as well is left out."""
BE = words("is are was were")
HAVE = words("has have had")
MODAL = words("can could will would must may might should cannot can't won't doesn't does do did didn't isn't wasn't")
ADVERBS = words(
    "also always never often usually rarely seldom sometimes still only even just now once already secretly currently "
    "originally generally mostly mainly not no longer both either frequently later soon then really very"
)
PREPOSITIONS = words(
    "in on at as from to for with of by about like near under over above below behind beside between into onto "
    "against through without within around across along after before during inside outside toward towards among upon "
    "off out up beneath since until amid beyond"
)
_WHAT = words(
    "wear have like love hate fear dislike adore enjoy prefer carry own keep know want need believe drink eat sell "
    "make teach study lead rule guard protect hunt seek hold use collect write read play sing smell see hear remember "
    "cover build bring give call speak miss worship contain mean run serve grow paint repair mend brew bake trade "
    "command control follow share possess wield bear produce export import feed hide cost pay forget obey"
)
_WHERE = words("live reside dwell work sleep stand lie come sit stay rest grow meet hang")
_OTHER = words(
    "look seem feel become remain say tell talk think dream hope wish try walk move travel go get take work turn "
    "begin start end fight die act treat trust respect help let put show smile laugh cry sound taste act belong worry "
    "care refuse pretend tend appear happen flow rise fall open close border connect surround"
)
_PAST = words(
    "lived worked loved hated died fell came went lost found built made took gave became grew kept knew saw said told "
    "thought felt wore held ran ruled fought won met married killed served studied taught moved founded discovered "
    "betrayed raised trained escaped returned swore learned learnt began ended stood lay wrote spoke sang bore stole "
    "saved burned burnt bought sold brought used followed joined led hid ate drank slept drowned vanished disappeared "
    "opened closed inherited invented earned needed wanted carried owned called named started stopped remained "
    "happened"
)
PARTICIPLES = words(
    "born known made built told kept found seen written given taken called said lost hidden sworn bound worn held "
    "torn drawn led sold left driven grown set cut run ruled broken chosen spoken forbidden torn shot stolen bred"
)
_ADJECTIVES = words(
    "afraid fond proud capable full famous aware allergic loyal good bad known able close jealous tired made part "
    "ashamed wary suspicious responsible home rich similar equal devoted obsessed member head captain"
)
_BEHIND = words("left set put cut let lay rode drew drove flew")
"""Verbs that are other words elsewhere."""
_NO_VERB = words("perhaps always sometimes besides his hers its this whereas as plus unless towards afterwards news")
_NO_PARTICIPLE = words(
    "red bed sacred wicked naked ragged hundred aged blessed beloved crooked rugged wretched jagged need seed"
)
HE = words("man boy male gentleman king lord prince duke monk widower")
SHE = words("woman girl female lady queen princess duchess nun widow lass")
PRONOUNS = words("he she they it his her their its i you we")
OPENERS = words(
    "the a an in on at by for from with every each no nobody nothing everyone everybody old most many some all two "
    "three its their his her when while after before since there this that these those only few people members once "
    "during under like even if as both one"
)
"""Words with which sentences begin, and which are no names."""


def base(verb: str) -> str:
    """`wear` of "wears", `carry` of "carries"."""
    if verb in ("has", "does", "goes"):
        return {"has": "have", "does": "do", "goes": "go"}[verb]
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith(("sses", "shes", "ches", "xes", "zes")):
        return verb[:-2]
    return verb.removesuffix("s")


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("s", "sh", "ch", "x", "z", "o")) else "s")


PLURAL = words(
    "live wear have carry keep know want believe eat sell make teach speak hide obey pay bring give take get go come "
    "say tell forget remember seem become remain refuse belong grow wield serve follow protect worship meet begin "
    "think write read sleep fear hate love need"
)
"""What many do, where it is hardly ever anything but a verb."""
WHAT, WHERE = _WHAT, _WHERE
COMMON = frozenset(map(_third, _WHAT | _WHERE | _OTHER)) | _PAST | BE | HAVE | MODAL
"""Forms that are taken for a verb wherever they stand."""


def is_english(text: str) -> bool:
    """By the little words that no text does without; a list in Latin letters has none, and passes."""
    letters = [each for each in text if each.isalpha()]
    if sum(not each.isascii() for each in letters) * 20 > len(letters):
        return False
    found = re.findall(r"[^\W\d_]+", text.lower())
    return sum(word in _STOP for word in found) >= sum(word in _ELSEWHERE for word in found)


def is_verb(word: str, behind_name: bool) -> bool:
    """behind_name: what ends like a verb is one there."""
    word = word.lower()
    if word in COMMON:
        return True
    ends = re.fullmatch(r"[a-z]{2,}(?:[^su'’]s|ed)", word)  # noqa: RUF001
    return behind_name and (bool(ends) or word in _BEHIND) and word not in _NO_VERB | _NO_PARTICIPLE


def is_adverb(word: str) -> bool:
    return word.lower() in ADVERBS or bool(re.fullmatch(r"[a-z]{3,}ly", word.lower()))


def ties(word: str) -> bool:
    """Whether a word behind "is" belongs to it where a preposition follows: "is afraid of", "was born in"."""
    word = word.lower()
    return word in PARTICIPLES or word in _ADJECTIVES or (word.endswith("ed") and word not in _NO_PARTICIPLE)
