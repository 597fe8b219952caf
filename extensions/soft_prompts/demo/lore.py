"""Lores: small worlds written down as facts, and questions whose answers only the lore holds. Standard library only.

world = lore(random.Random(7), people=5, facts=6)
world.text                     'Mira lives in Oakham. She wears a red cloak. ...'
world.questions[0].call        'Question: Where does Mira live?\\nAnswer: Mira lives in'
world.questions[0].answer      ' Oakham'
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from . import words
from .words import an, capital, describe

FORMS = ("question", "statement", "dialogue", "short")
# How often a lore asks in each form, in tenths.
ASKED = ("question",) * 4 + ("statement",) * 3 + ("dialogue",) * 2 + ("short",)


@dataclass(frozen=True)
class Attribute:
    """One kind of fact: how its value is drawn, told, asked for, and begun (`call` ends where the value begins)."""

    key: str
    draw: Callable[[Random], str]
    told: tuple[str, ...]
    asked: tuple[str, ...]
    call: str


@dataclass(frozen=True)
class Entity:
    """A person, place or thing of a lore; `kind` is the key into `ATTRIBUTES`."""

    kind: str
    name: str
    slots: dict[str, str]


@dataclass(frozen=True)
class Fact:
    """One attribute of one entity with its value, e.g. Mira, home, "Oakham"."""

    entity: Entity
    attribute: Attribute
    value: str

    def fill(self, template: str) -> str:
        """The template with this fact's name, pronouns and value put in."""
        return template.format_map(self.entity.slots | {"value": self.value})

    def told(self, rng: Random, pronoun: bool = False, plain: bool = False) -> str:
        """The fact as a sentence; `plain`: in the call's words, `pronoun`: "She wears ..." where that can be said."""
        template = self.attribute.told[0] if plain else rng.choice(self.attribute.told)
        if pronoun:
            template = _with_pronoun(template)
        return self.fill(template)


@dataclass(frozen=True)
class Question:
    """A text that asks for a fact (`call`) and what must follow it (`answer`, which begins with a space)."""

    entity: str
    attribute: str
    form: str
    call: str
    answer: str

    @property
    def ending(self) -> str:
        """What stands after the answer in a written text."""
        return '," was the answer.\n' if self.form == "dialogue" else ".\n"

    @property
    def text(self) -> str:
        """Call, answer and ending: a line or two of a document."""
        return self.call + self.answer + self.ending


@dataclass(frozen=True)
class Lore:
    """A world in words: `text` tells every fact once, `questions` ask for each fact in one form."""

    text: str
    facts: tuple[Fact, ...]
    questions: tuple[Question, ...]


def _pool(values: tuple[str, ...]) -> Callable[[Random], str]:
    return lambda rng: rng.choice(values)


def _pair(first: tuple[str, ...], second: tuple[str, ...], article: str = "") -> Callable[[Random], str]:
    return lambda rng: (
        " ".join((article, describe(rng, first, second))) if article else an(describe(rng, first, second))
    )


def _name(rng: Random) -> str:
    return words.person(rng).name


def _ruler(rng: Random) -> str:
    ruler = words.person(rng)
    return f"{rng.choice(words.LADIES if ruler.woman else words.TITLES)} {ruler.name}"


def _clothes(rng: Random) -> str:
    look = rng.choice(words.LOOKS) + " " if rng.random() < 0.3 else ""
    return an(look + describe(rng, words.COLOURS, words.GARMENTS))


def _with_pronoun(template: str) -> str:
    if template.startswith("{Name} "):
        return "{He} " + template[len("{Name} ") :]
    return template.replace(" of {name}", "").replace("The ", "{His} ", 1) if " of {name}" in template else template


ATTRIBUTES: dict[str, tuple[Attribute, ...]] = {
    "person": (
        Attribute("home", _pool(words.PLACES),
                  ("{Name} lives in {value}.", "{Name} has a house in {value}.", "The home of {name} is {value}."),
                  ("Where does {name} live?", "What is the home of {name}?"), "{Name} lives in"),
        Attribute("trade", lambda rng: an(rng.choice(words.TRADES)),
                  ("{Name} works as {value}.", "{Name} earns a living as {value}.",
                   "The trade of {name} is that of {value}."),
                  ("What does {name} do for a living?", "What is the trade of {name}?"), "{Name} works as"),
        Attribute("clothes", _clothes,
                  ("{Name} wears {value}.", "{Name} is always dressed in {value}.",
                   "{Name} never goes out without {value}."),
                  ("What does {name} wear?", "How is {name} dressed?"), "{Name} wears"),
        Attribute("pet", _pair(words.COLOURS, words.ANIMALS),
                  ("{Name} keeps {value}.", "{Name} shares a room with {value}.", "The pet of {name} is {value}."),
                  ("Which pet does {name} keep?", "What is the pet of {name}?"), "{Name} keeps"),
        Attribute("fear", _pool(words.FEARS),
                  ("{Name} fears {value}.", "{Name} is afraid of {value}.", "The great fear of {name} is {value}."),
                  ("What does {name} fear?", "What is {name} afraid of?"), "{Name} fears"),
        Attribute("food", _pool(words.FOODS),
                  ("{Name} loves {value}.", "{Name} likes to eat {value}.", "The favourite food of {name} is {value}."),
                  ("What does {name} like to eat?", "What is the favourite food of {name}?"), "{Name} loves"),
        Attribute("music", lambda rng: "the " + rng.choice(words.INSTRUMENTS),
                  ("{Name} plays {value}.", "{Name} makes music on {value}.", "The instrument of {name} is {value}."),
                  ("What does {name} play?", "What is the instrument of {name}?"), "{Name} plays"),
        Attribute("treasure", _pair(words.MATERIALS, words.THINGS),
                  ("{Name} owns {value}.", "{Name} is the owner of {value}.", "The treasure of {name} is {value}."),
                  ("What does {name} own?", "What is the treasure of {name}?"), "{Name} owns"),
        Attribute("hoard", _pool(words.SPOTS),
                  ("{Name} hides money {value}.", "{Name} has buried coins {value}.",
                   "The savings of {name} lie {value}."),
                  ("Where does {name} hide money?", "Where do the savings of {name} lie?"), "{Name} hides money"),
        Attribute("friend", _name,
                  ("{Name} trusts {value}.", "{Name} is fond of {value}.", "The best friend of {name} is {value}."),
                  ("Who does {name} trust?", "Who is the best friend of {name}?"), "{Name} trusts"),
        Attribute("dream", _pool(words.DREAMS),
                  ("{Name} wants to {value}.", "{Name} hopes to {value}.", "The dream of {name} is to {value}."),
                  ("What does {name} want to do?", "What is the dream of {name}?"), "{Name} wants to"),
        Attribute("eyes", _pool(words.COLOURS),
                  ("The eyes of {name} are {value}.", "{Name} looks at you with eyes of {value}."),
                  ("Which colour are the eyes of {name}?",
                   "What colour of eyes does {name} have?"), "The eyes of {name} are"),
        Attribute("secret", _pool(words.SECRETS),
                  ("{Name} secretly {value}.", "{Name} tells nobody, but {he} {value}.",
                   "The secret of {name} is that {he} {value}."),
                  ("What does {name} secretly do?", "What is the secret of {name}?"), "{Name} secretly"),
    ),
    "place": (
        Attribute("fame", lambda rng: "its " + rng.choice(words.FAME),
                  ("{Name} is known for {value}.", "{Name} is proud of {value}."),
                  ("What is {name} known for?", "What is {name} proud of?"), "{Name} is known for"),
        Attribute("site", _pool(words.SITES),
                  ("{Name} lies {value}.", "{Name} was built {value}."),
                  ("Where does {name} lie?", "Where was {name} built?"), "{Name} lies"),
        Attribute("ruler", _ruler,
                  ("{Name} is ruled by {value}.", "{Name} obeys {value}.", "The ruler of {name} is {value}."),
                  ("Who rules {name}?", "Who is the ruler of {name}?"), "{Name} is ruled by"),
        Attribute("inn", _pair(words.INN_ADJECTIVES, words.INN_ANIMALS, "the"),
                  ("The inn of {name} is called {value}.", "The inn of {name} bears the name of {value}."),
                  ("What is the inn of {name} called?",
                   "Which name does the inn of {name} bear?"), "The inn of {name} is called"),
    ),
    "thing": (
        Attribute("spot", _pool(words.SPOTS),
                  ("{Name} lies {value}.", "{Name} was lost {value}."),
                  ("Where does {name} lie?", "Where was {name} lost?"), "{Name} lies"),
        Attribute("maker", _name,
                  ("{Name} was made by {value}.", "{Name} is the work of {value}."),
                  ("Who made {name}?", "Whose work is {name}?"), "{Name} was made by"),
        Attribute("power", _pool(words.POWERS),
                  ("{Name} can {value}.", "{Name} has the power to {value}."),
                  ("What can {name} do?", "Which power does {name} have?"), "{Name} can"),
    ),
}  # fmt: skip


def _entity(rng: Random, kind: str, taken: tuple[str, ...]) -> Entity:
    if kind == "person":
        who = words.person(rng, taken, invented=0.12)
        return Entity(kind, who.name, words.pronouns(who) | {"name": who.name, "Name": who.name})
    while True:
        name = rng.choice(words.PLACES) if kind == "place" else "the " + describe(rng, words.MATERIALS, words.THINGS)
        if name not in taken:
            pronouns = {"he": "it", "He": "It", "his": "its", "His": "Its"}
            return Entity(kind, name, pronouns | {"name": name, "Name": capital(name)})


def _facts(rng: Random, entity: Entity, count: int, used: dict[str, list[str]]) -> list[Fact]:
    """`count` facts on the entity, with values that no other entity of the lore has for that attribute."""
    pool = ATTRIBUTES[entity.kind]
    facts = []
    for attribute in rng.sample(pool, min(count, len(pool))):
        values = used.setdefault(f"{entity.kind} {attribute.key}", [entity.name])
        value = attribute.draw(rng)
        while value in values:
            value = attribute.draw(rng)
        values.append(value)
        facts.append(Fact(entity, attribute, value))
    return facts


def _tell(rng: Random, groups: list[list[Fact]], plain: bool) -> str:
    """The facts as text: a paragraph for each entity (half of them with pronouns), or all sentences shuffled."""
    style = rng.choice(("named", "shuffled") if plain else ("named", "pronouns", "pronouns", "shuffled"))
    if style == "shuffled":
        sentences = [fact.told(rng, plain=plain) for group in groups for fact in group]
        rng.shuffle(sentences)
        return " ".join(sentences)
    paragraphs = []
    for group in groups:
        chance = 0.6 if style == "pronouns" else 0.0
        told = [fact.told(rng, n > 0 and rng.random() < chance, plain) for n, fact in enumerate(group)]
        paragraphs.append(" ".join(told))
    return "\n".join(paragraphs)


def question(rng: Random, fact: Fact, form: str) -> Question:
    """A question on the fact in one of `FORMS`: "question", "short", "statement" or "dialogue"."""
    asked, call = fact.fill(rng.choice(fact.attribute.asked)), fact.fill(fact.attribute.call)
    texts = {
        "question": f"Question: {asked}\nAnswer: {call}",
        "short": f"Question: {asked}\nAnswer:",
        "statement": call,
        "dialogue": f'"{asked}" asked {_name(rng)}. "{call}',
    }
    return Question(fact.entity.name, fact.attribute.key, form, texts[form], " " + fact.value)


def lore(rng: Random, people: int = 5, facts: int = 6, places: int = 1, things: int = 1, plain: bool = False) -> Lore:
    """A lore of `people` with `facts` facts each, `places` and `things` with two or three, and one question a fact.

    A `plain` lore repeats itself: every fact is told and asked for in the same words, without pronouns.
    """
    groups: list[list[Fact]] = []
    taken: tuple[str, ...] = ()
    used: dict[str, list[str]] = {}
    for kind, number, count in (("person", people, facts), ("place", places, 3), ("thing", things, 2)):
        for _ in range(number):
            entity = _entity(rng, kind, taken)
            taken += (entity.name,)
            groups.append(_facts(rng, entity, count, used))
    rng.shuffle(groups)
    everything = [fact for group in groups for fact in group]
    asked = list(everything)
    rng.shuffle(asked)
    forms = ("statement", "question") if plain else ASKED
    questions = tuple(question(rng, fact, rng.choice(forms)) for fact in asked)
    return Lore(_tell(rng, groups, plain), tuple(everything), questions)
