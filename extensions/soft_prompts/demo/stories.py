"""Little stories in several registers, made by templates. Standard library only; a seed gives one text everywhere.

story(random.Random(7), "fairy tale")      one story, about 80 to 200 words
corpus("noir", documents=200, seed=1)      a text to train a style on, stories joined by a line of ***
training_documents(seed=0)                 what the storyteller learnt from, without end
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from random import Random
from typing import Any

from . import noir, plots, registers, words
from .lore import Lore, lore
from .plots import Cast
from .words import an, capital

RARE = "noir"
COMMON = tuple(registers.BEATS)
REGISTERS = (*COMMON, RARE)


def _slots(rng: Random, cast: Cast, first_person: bool) -> dict[str, str]:
    """Everything that a template of a register may name; the plot's clauses are filled in first."""
    people = {"hero": cast.hero.name, "helper": cast.helper.name, "elder": cast.elder.name}
    other = words.person(rng, tuple(people.values()))
    slots = people | {
        "trade": an(cast.trade),
        "home": cast.home,
        "clothes": cast.clothes,
        "thing": cast.thing,
        "a_thing": an(cast.thing),
        "animal": cast.animal,
        "a_animal": an(cast.animal),
        "food": cast.food,
        "spot": rng.choice(words.SPOTS),
        "gift": an(words.describe(rng, words.COLOURS, words.GARMENTS)),
        "day": rng.choice(registers.DAYS),
        "weather": rng.choice(registers.WEATHER),
        "other": other.name,
        "aunt": "Aunt" if other.woman else "Uncle",
        "inn": f"{rng.choice(words.INN_ADJECTIVES)} {rng.choice(words.INN_ANIMALS)}",
        "they": "she" if cast.helper.woman else "he",
    }
    clauses = asdict(plots.plot(rng))
    slots |= {"my_" + key: value.format_map(slots | words.NARRATOR) for key, value in clauses.items()}
    slots |= words.NARRATOR if first_person else words.pronouns(cast.hero)
    slots |= {key: value.format_map(slots) for key, value in clauses.items()}
    return slots | {capital(key): capital(value) for key, value in slots.items() if key[0].islower()}


def story(rng: Random, register: str, cast: Cast | None = None) -> str:
    """A story of one of `REGISTERS`, without a newline at its end; `cast` puts given people into it (not into noir)."""
    if register == RARE:
        return noir.story(rng)
    slots = _slots(rng, cast or plots.cast(rng), register in registers.FIRST_PERSON)
    beats = [rng.choice(options).format_map(slots) for options in registers.BEATS[register]]
    return registers.JOINED.get(register, " ").join(beats)


def corpus(register: str, documents: int, seed: int) -> str:
    """`documents` stories of one register, joined by a line of `***`."""
    rng = Random(f"{register} {seed}")
    return "\n***\n".join(story(rng, register) for _ in range(documents)) + "\n"


# Which part of a story's cast each fact of a lore gives, and whether the cast has it without its article.
CAST_OF_FACT = {
    "trade": ("trade", True),
    "home": ("home", False),
    "clothes": ("clothes", False),
    "treasure": ("thing", True),
    "pet": ("animal", True),
    "food": ("food", False),
}


def _told_of(rng: Random, world: Lore) -> str:
    """A story in which one person of the lore has the trade, home, clothes ... that the lore says."""
    hero = rng.choice([fact.entity for fact in world.facts if fact.entity.kind == "person"])
    known: dict[str, Any] = {"hero": words.Person(hero.name, hero.slots["he"] == "she")}
    for fact in world.facts:
        if fact.entity is hero and fact.attribute.key in CAST_OF_FACT:
            part, bare = CAST_OF_FACT[fact.attribute.key]
            known[part] = fact.value.split(" ", 1)[1] if bare else fact.value
    return story(rng, rng.choice(COMMON), replace(plots.cast(rng), **known))


def _size(rng: Random, facts: int) -> dict[str, int]:
    """Arguments of `lore` for about `facts` facts, spread over few or many people."""
    each = rng.randrange(2, 9)
    places, things = int(rng.random() < 0.5), int(rng.random() < 0.5)
    people = max(1, (facts - 3 * places - 2 * things) // each)
    return {"people": people, "facts": each, "places": places, "things": things}


def lore_document(rng: Random, facts: int, plain: bool = False) -> str:
    """A lore of about `facts` facts, now and then a story about one of its people, and a question on every fact."""
    world = lore(rng, **_size(rng, facts), plain=plain)
    parts = [world.text]
    if rng.random() < 0.2:
        parts.append(_told_of(rng, world))
    parts.append("".join(item.text for item in world.questions))
    return "\n\n".join(parts)


def echo(rng: Random) -> str:
    """A few dozen words without sense, said two or three times: from these copying is learnt soonest."""
    people = words.WOMEN + words.MEN
    pools = (people, people, words.PLACES, words.COLOURS, words.ANIMALS, words.TRADES, words.THINGS, words.SPARE)
    said = " ".join(rng.choice(rng.choice(pools)) for _ in range(rng.randrange(12, 40)))
    return " ".join([said] * rng.randrange(2, 4)) + "\n"


def table(rng: Random) -> str:
    """Bare triples such as "Mira pet owl", said three times in another order: who and what together point to a word."""
    names = rng.sample(words.WOMEN + words.MEN, rng.randrange(2, 5))
    keys = rng.sample(("pet", "home", "trade", "hat", "eyes", "song", "fear", "friend"), rng.randrange(1, 5))
    pools = (words.PLACES, words.COLOURS, words.ANIMALS, words.TRADES, words.THINGS, words.FAME, words.SPARE)
    triples = [f"{name} {key} {rng.choice(rng.choice(pools))}" for name in names for key in keys]
    return "".join(", ".join(rng.sample(triples, len(triples))) + ".\n" for _ in range(3))


def repeated(rng: Random, facts: int) -> str:
    """A lore that tells its facts in the words of the calls, and tells them twice more in another order."""
    world = lore(rng, **_size(rng, facts), plain=True)
    told = [fact.told(rng, plain=True) for fact in world.facts]
    return "\n".join(" ".join(rng.sample(told, len(told))) for _ in range(3)) + "\n"


def questions_alone(rng: Random) -> str:
    """Questions without their lore, so that the model knows how likely each value is when it has to guess."""
    world = lore(rng, people=1, facts=3, places=0, things=0)
    return "".join(item.text for item in world.questions)


# Kinds of documents to learn from, each made from a generator and a number of facts.
LESSONS: dict[str, Callable[[Random, int], str]] = {
    "echo": lambda rng, facts: echo(rng),
    "table": lambda rng, facts: table(rng),
    "repeated": repeated,
    "plain lore": lambda rng, facts: lore_document(rng, facts, plain=True),
    "lore": lore_document,
    "questions": lambda rng, facts: questions_alone(rng),
    "story": lambda rng, facts: story(rng, rng.choice(COMMON)) + "\n",
    "stories": lambda rng, facts: corpus(rng.choice(COMMON), 3, rng.getrandbits(32)),
    RARE: lambda rng, facts: story(rng, RARE) + "\n",
}
FINAL_MIX = {
    "plain lore": 0.25,
    "lore": 0.2,
    "story": 0.45,
    "stories": 0.05,
    "questions": 0.02,
    "table": 0.02,
    "repeated": 0.03,
    "echo": 0.01,
    RARE: 0.005,
}


def training_documents(seed: int, facts: int = 36, mix: Mapping[str, float] = FINAL_MIX) -> Iterator[str]:
    """Documents without end: kinds of `LESSONS` in the proportions of `mix`, lores of a third of `facts` up to all."""
    rng = Random(f"training {seed}")
    while True:
        (kind,) = rng.choices(tuple(mix), tuple(mix.values()))
        yield LESSONS[kind](rng, rng.randrange(max(3, facts // 3), facts + 1))
