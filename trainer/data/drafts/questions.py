"""`question("Emma", ["wears"], "a suit", True)`: how one asks for a statement, "What does Emma wear?"; or ""."""

from __future__ import annotations

from . import english

_PLACES = english.words("in at on near behind under above beside between by beyond below within")
_LIES = english.words("born buried hidden kept found built set located raised married imprisoned stored founded made")
_BY_SOMEBODY = english.words("founded built made found raised kept")
_WHOM = english.words("love hate fear dislike adore guard protect hunt seek serve worship follow miss trust call")


def question(subject: str, verb: list[str], rest: str, person: bool) -> str:
    """verb: with what belongs to it, ["is", "afraid", "of"]. person: "who" in place of "what"."""
    who = inner(subject)
    first, tail = verb[0].lower(), [each.lower() for each in verb[1:] if not english.is_adverb(each)]
    if first in english.BE:
        return _of_being(who, first, tail, rest, person)
    if first in english.HAVE:
        return "" if tail else f"What {'did' if first == 'had' else 'does' if first == 'has' else 'do'} {who} have?"
    if first in english.MODAL:
        asks = len(tail) == 1 and tail[0] in english.WHAT and "n't" not in first and first != "cannot"
        return f"What {first} {who} {tail[0]}?" if asks else ""
    return _of_doing(who, first, tail, rest)


def topic(subject: str) -> str:
    """What always asks for it."""
    return f"Tell me about {inner(subject)}."


def _of_being(who: str, verb: str, tail: list[str], rest: str, person: bool) -> str:
    first = rest.split()[0] if rest.split() else ""
    named = first[:1].isupper()
    if not tail:
        owned = "'s " in who or "’s " in who  # noqa: RUF001
        is_thing = first.lower() in ("a", "an", "the", "one") or named or first[:1].isdigit()
        asked = "Who" if (named if owned else person) else "What"
        return f"{asked} {verb} {who}?" if is_thing else f"What {verb} {who} like?"
    last, between = tail[-1], tail[:-1]
    if last == "in" and between == ["born"] and first[:1].isdigit():
        return f"When {verb} {who} born?"
    # "built by the sea" is a place, "built by Tom" is none.
    by = last == "by" and verb in ("was", "were") and (named or between == ["founded"])
    if by and len(between) == 1 and between[0] in _BY_SOMEBODY:
        return f"Who {between[0]} {who}?"
    if last in _PLACES:
        there = named or first.lower() in ("the", "a", "an", "his", "her", "their", "its")
        where = all(each in _LIES for each in between)
        return f"Where {verb} {' '.join([who, *between])}?" if there and where else ""
    if last == "from":
        return f"Where {verb} {who} from?" if not between else ""
    return f"{'Who' if named and last in ('to', 'with', 'by') else 'What'} {verb} {who} {' '.join(tail)}?"


def _of_doing(who: str, verb: str, tail: list[str], rest: str) -> str:
    if not verb.endswith("s"):
        return ""
    base = english.base(verb)
    if not tail:
        whom = "Whom" if base in _WHOM and rest.lstrip()[:1].isupper() else "What"
        return f"{whom} does {who} {base}?" if base in english.WHAT else ""
    if tail == ["from"] and base == "come":
        return f"Where does {who} come from?"
    if base in english.WHERE and tail[0] in _PLACES:
        return f"Where does {who} {base}?"
    return f"What does {who} {base} {tail[0]}?" if tail[0] in ("as", "of", "about", "for", "like", "with") else ""


def inner(subject: str) -> str:
    """As it stands within a sentence."""
    for article in ("The ", "A ", "An "):
        if subject.startswith(article):
            return article.lower() + subject[len(article) :]
    return subject
