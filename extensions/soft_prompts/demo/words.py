"""The words of the storyteller's world: who lives there, where, and with what. Standard library only.

Every pool is a tuple, never a set: the generator must give the same text for a seed on every Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


def pool(text: str) -> tuple[str, ...]:
    """The words of a text, parted by spaces."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """The parts of a text between its commas."""
    return tuple(text.split(", "))


WOMEN = pool(
    "Ada Agnes Alba Anna Astrid Bella Bertha Bianca Clara Cora Daphne Dora Edith Elena Elsa Emma Esther Flora Freya "
    "Gerda Greta Hanna Helga Hilda Ida Ines Ingrid Irma Julia Karin Klara Laura Lena Lotte Lucy Magda Marta Mathilda "
    "Mira Nadia Nora Olga Paula Petra Rosa Selma Sofia Tilda Ursula Vera Wanda Yara Zelda Zora"
)
MEN = pool(
    "Albert Anton Arno Axel Barney Bruno Casper Conrad David Dirk Edgar Emil Erik Felix Finn Frank George Gustav "
    "Hans Harald Henry Hugo Igor Ivan Jakob Jonas Karl Konrad Lars Leo Lucas Magnus Martin Milo Moritz Nils Oliver "
    "Oscar Otto Paul Peter Quentin Ralf Robert Rufus Samuel Simon Stefan Theo Thomas Tobias Ulrich Viktor Walter"
)
NAME_HEADS = pool("Bral Dar Fen Gor Jas Kel Lum Mor Nev Or Pel Quil Rav Sim Tal Ur Ves Wil Xan Yor Zeb")
WOMEN_TAILS = pool("ana ella ia ina isa ora una wen ya")
MEN_TAILS = pool("an ard ek in mond o or ric us")
PLACE_HEADS = pool("Ash Elm Fern Fox Gold Mill Oak Raven Salt Stone Thorn Winter")
PLACE_TAILS = pool("brook dale field ford ham haven ton wick")
PLACES = tuple(head + tail for head in PLACE_HEADS for tail in PLACE_TAILS)

TRADES = pool(
    "actor baker barber beekeeper blacksmith bookbinder brewer butcher carpenter clockmaker cobbler doctor farmer "
    "ferryman fiddler fisher gardener glassblower goldsmith hatter hunter judge mason miller painter poet potter "
    "rope-maker sailor shepherd tailor teacher watchman weaver"
)
COLOURS = pool(
    "black blue brown copper crimson golden green grey orange pink purple red scarlet silver violet white yellow"
)
GARMENTS = pool(
    "apron belt blouse bonnet cap cape cloak coat dress gown hat hood jacket mantle pantsuit robe scarf shawl shirt "
    "skirt suit sweater tunic veil waistcoat"
)
LOOKS = pool("crisp dusty fine heavy long old patched plain short torn warm woollen")
ANIMALS = pool(
    "badger cat crow dog donkey duck falcon ferret fox frog goat goose hare hedgehog horse lizard mouse otter owl "
    "parrot pig pigeon rabbit raven sheep snake squirrel swan toad turtle"
)
MATERIALS = pool("amber bone brass bronze clay copper crystal glass golden iron ivory jade pearl silver stone wooden")
THINGS = pool(
    "bell bowl box chain comb compass crown cup dagger drum fan flask harp horn key lamp lantern locket mask medal "
    "mirror needle ring shield spoon sword whistle"
)
FEARS = phrases(
    "spiders, thunder, wolves, deep water, the dark, ghosts, snakes, fire, bees, heights, owls, mirrors, strangers, "
    "storms, rats, the sea, bats, big dogs, witches, cold winters, mice, fog"
)
FOODS = phrases(
    "plum cake, honey bread, pea soup, apple pie, roast duck, cherry jam, goat cheese, fried fish, onion stew, nut "
    "cake, barley bread, pear pie, bean soup, baked apples, smoked ham, mushroom stew, ginger cake, rice pudding, "
    "salted butter, pumpkin soup"
)
INSTRUMENTS = pool(
    "banjo bagpipe cello clarinet drum fiddle flute guitar harp horn lute organ piano trumpet tuba viola zither"
)
SPOTS = phrases(
    "under the bridge, in the old well, behind the mill, in the attic, under the oak, in a hollow tree, behind the "
    "chapel, in the cellar, under the stairs, in the haystack, beside the pond, on the roof, in the clock tower, "
    "under a flat stone, in the chimney, behind the waterfall, in the garden shed, under the church floor, in an "
    "empty barrel, beside the north gate"
)
DREAMS = phrases(
    "sail round the world, learn to fly, build a tower, own a bakery, write a book, become a knight, see the desert, "
    "marry a dancer, find a dragon, win the great race, live on an island, sing for the queen, cross the mountains, "
    "learn to read, plant a forest, catch a whale, open an inn, study the stars, breed horses, paint the moon"
)
SECRETS = phrases(
    "writes poems, feeds the wolves, digs for gold, talks to birds, sleeps in the barn, brews potions, collects "
    "buttons, reads old letters, cheats at cards, dances at night, sends money home, keeps a diary, works for the "
    "king, grows blue roses, forges coins, swims in the lake, hums in the bath, steals pears, repairs old dolls, "
    "counts the stars"
)
FAME = pool(
    "bells roses horses cheese wine bridges ghosts apples fairs salt honey weavers fountains clocks ships singers "
    "cherries windmills onions lace"
)
SITES = phrases(
    "by the sea, in a deep valley, on a steep hill, beside a lake, at the edge of the forest, on an island, between "
    "two rivers, under a white cliff, in the marshes, beside a waterfall, on the high moor, at the end of the road, "
    "near the border, in the shadow of a castle, among wide fields, behind the dunes, in a ring of hills, at a bend "
    "of the river"
)
TITLES = pool("Baron Count Duke King Lord Prince Sir Captain")
LADIES = pool("Baroness Countess Duchess Queen Lady Princess Dame Captain")
INN_ADJECTIVES = pool("Blind Golden Happy Hungry Jolly Lazy Lost Merry Proud Silent Sleeping Wild")
INN_ANIMALS = pool("Bear Boar Eagle Fox Goose Hare Lion Owl Ram Stag Swan Wolf")
POWERS = phrases(
    "heal the sick, open any door, call the rain, stop time, find lost children, turn water into wine, wake the "
    "dead, light the dark, calm the sea, show the future, melt snow, scare off wolves, make roses bloom, charm a "
    "dragon, mend a broken heart, bring good dreams, fill an empty purse, tell lies from truth"
)

# Words that the stories hardly use: they only keep other people's prose from falling apart into bytes.
SPARE = pool(
    "about above across actually after again against age ago air almost along already also although always America "
    "among amount animal another answer any anyone anything April area around artist August author base beautiful "
    "became because become before began being believe best better between beyond body born both brought building "
    "business called cannot car case cause century certain chance change chapter child city clear close college "
    "coming common company computer could country course cut data death December decided different difficult doing "
    "done during each earth easy eight either electric else end energy England English enough Europe even ever "
    "everything example experience eye family far fast father February feel feet few field figure first five "
    "followed following force form four France free French full future game general German getting given going "
    "government great group growing had happened having heard heart held high himself history hour however human "
    "hundred idea important inside instead interest island itself January July June just kind knew known language "
    "large later law learn least led left less level line list local longer making many March matter May maybe means "
    "method might mind minutes model moment months more most mother much music must myself national nature near "
    "nearly need never next nine north nothing November number October often once only order others outside paper "
    "part party people perhaps person picture plant point position possible power present president probably problem "
    "process program public quite rather reach real really reason red report research result river same science "
    "second seen sense September service seven several shall should show simple since six small social society "
    "something sometimes soon sound south space speak special start state still street strong student study such sun "
    "system table taken ten than themselves theory these thing third those though thousand three through today "
    "together told towards travel tree true twenty under understand United until upon used using usually various "
    "very view war watch week west whether while whole whose within without woman women word working world would "
    "writing written wrong year yesterday young"
)


@dataclass(frozen=True)
class Person:
    """Somebody with a name; `woman` chooses the pronouns."""

    name: str
    woman: bool


def person(rng: Random, taken: tuple[str, ...] = (), invented: float = 0.0) -> Person:
    """A person whose name is not in `taken`; with chance `invented` the name is made of syllables."""
    while True:
        woman = rng.random() < 0.5
        if rng.random() < invented:
            name = rng.choice(NAME_HEADS) + rng.choice(WOMEN_TAILS if woman else MEN_TAILS)
        else:
            name = rng.choice(WOMEN if woman else MEN)
        if name not in taken:
            return Person(name, woman)


def an(phrase: str) -> str:
    """`an("old hat")` is "an old hat"; goes by the first letter, which serves for all words of this world."""
    return ("an " if phrase[0] in "aeiouAEIOU" else "a ") + phrase


def capital(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


def pronouns(person: Person) -> dict[str, str]:
    """The slots `he him his himself` and their capitals for a template, in the person's own forms."""
    forms = ("she", "her", "her", "herself") if person.woman else ("he", "him", "his", "himself")
    slots = dict(zip(("he", "him", "his", "himself"), forms, strict=True))
    return slots | {capital(key): capital(value) for key, value in slots.items()}


NARRATOR = {
    "he": "I",
    "him": "me",
    "his": "my",
    "himself": "myself",
    "He": "I",
    "Him": "Me",
    "His": "My",
    "Himself": "Myself",
}


def describe(rng: Random, first: tuple[str, ...], second: tuple[str, ...]) -> str:
    """Two words, e.g. "silver key", drawn one from each pool."""
    return f"{rng.choice(first)} {rng.choice(second)}"
