"""Plots: who wants what, what is in the way, who helps and how it ends. Standard library only.

Every register tells the same plots. The clauses are in the past tense, where "I" and "he" take the same verb, so one
clause serves a tale and a diary.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from . import words
from .words import Person, an, describe

# (trouble, goal, result)
GOALS = (
    ("{he} had lost {his} {thing}", "find the {thing}", "{he} found the {thing} {spot}"),
    ("a thief had taken the {thing}", "catch the thief", "the thief gave back the {thing} and asked for pardon"),
    ("{his} {animal} had run away", "bring the {animal} home", "the {animal} came running and licked {his} hand"),
    ("the {animal} was ill and would not eat", "fetch the doctor for the {animal}",
     "the doctor came, and the {animal} was well by morning"),
    ("old {elder} lay ill with a fever", "fetch medicine for {elder}",
     "{elder} drank the medicine and was well by morning"),
    ("nobody had any {food} for the great feast", "bring {food} to the feast", "everyone at the feast had {food}"),
    ("a letter for {elder} had come to the wrong house", "carry the letter to {elder}",
     "{elder} read the letter and wept for joy"),
    ("{elder} had promised {his} {thing} to a stranger", "win the {thing} back",
     "the stranger smiled and put the {thing} into {his} hand"),
    ("the mill had stopped, and nobody had any flour", "bring a new wheel for the mill",
     "the mill turned again, and everyone had bread"),
    ("the well had run dry", "find new water", "clear water ran out of the rock {spot}"),
    ("{elder} had gone out and not come back", "look for {elder}", "{he} found {elder} {spot}, tired but unhurt"),
    ("the great bell was broken", "buy a new bell", "the new bell rang over all the roofs"),
)  # fmt: skip

# (obstacle, help, way out); the help is what the helper did
OBSTACLES = (
    ("the bridge was down", "brought a long rope", "{he} crossed the river on the rope"),
    ("the bridge was down", "had a small boat", "{he} rowed over the river in the boat"),
    ("the river had no ford", "knew where the stones lay", "{he} crossed the river from stone to stone"),
    ("a thick fog lay on the moor", "lit a lantern", "{he} followed the light out of the fog"),
    ("a thick fog lay on the moor", "rang a bell", "{he} followed the sound out of the fog"),
    ("a big dog stood at the gate", "threw a bone over the wall", "the dog ran after the bone, and the way was free"),
    ("a big dog stood at the gate", "sang a quiet song", "the dog fell asleep, and {he} walked past it"),
    ("the door of the tower was locked", "had an old key", "the old key turned in the lock"),
    ("the door of the tower was locked", "held a ladder", "{he} climbed in at the window"),
    ("snow closed the road", "lent {him} a sled", "{he} rode over the snow on the sled"),
    ("snow closed the road", "came with two shovels", "{he} dug a path through the snow"),
    ("thorns grew over the path", "lent {him} an axe", "{he} cut a way through the thorns"),
    ("thorns grew over the path", "knew a tunnel under the hill", "{he} went through the tunnel with a candle"),
    ("a guard would let nobody pass", "told the guard a long joke", "the guard laughed and opened the gate"),
    ("a guard would let nobody pass", "gave the guard a warm pie", "the guard ate the pie and looked away"),
    ("night fell, and wolves howled", "lit a torch", "the wolves ran from the fire"),
    ("night fell, and wolves howled", "beat a drum", "the wolves ran from the noise"),
    ("the old map was torn", "had the other half of the map", "the two halves showed the way"),
    ("the old map was torn", "knew the way by heart", "{he} walked without the map and did not get lost"),
    ("the cart lost a wheel", "was good with a hammer", "the wheel was back on the cart within the hour"),
    ("the cart lost a wheel", "lent {him} a mule", "{he} rode on upon the mule"),
    ("a storm came up", "opened the door of a hut", "{he} slept in the hut until the storm was over"),
    ("a storm came up", "knew of a dry cave", "{he} sat in the cave until the rain stopped"),
    ("the purse was empty", "paid for the journey", "{he} could go on and promised to pay it back"),
)  # fmt: skip


@dataclass(frozen=True)
class Cast:
    """The people and things of one story; a lore's own people can be put here."""

    hero: Person
    helper: Person
    elder: Person
    trade: str
    home: str
    clothes: str
    thing: str
    animal: str
    food: str


@dataclass(frozen=True)
class Plot:
    """Clauses of one story with slots for pronouns still open."""

    trouble: str
    goal: str
    result: str
    obstacle: str
    help: str
    solution: str


def cast(rng: Random) -> Cast:
    """People and things drawn anew."""
    hero = words.person(rng, invented=0.05)
    helper = words.person(rng, (hero.name,), invented=0.05)
    return Cast(
        hero=hero,
        helper=helper,
        elder=words.person(rng, (hero.name, helper.name)),
        trade=rng.choice(words.TRADES),
        home=rng.choice(words.PLACES),
        clothes=an(describe(rng, words.COLOURS, words.GARMENTS)),
        thing=describe(rng, words.MATERIALS, words.THINGS),
        animal=describe(rng, words.COLOURS, words.ANIMALS),
        food=rng.choice(words.FOODS),
    )


def plot(rng: Random) -> Plot:
    """One goal and one obstacle with its way out."""
    trouble, goal, result = rng.choice(GOALS)
    obstacle, helped, solution = rng.choice(OBSTACLES)
    return Plot(trouble, goal, result, obstacle, helped, solution)
