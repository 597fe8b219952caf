"""The rare register: hard-boiled scenes in short first-person sentences. Standard library only.

The storyteller saw very little of it, so that a style prompt has something to learn. Sentences are put together from
pools, so that a text of 50,000 tokens hardly repeats one.
"""

from __future__ import annotations

from random import Random

from . import words

POOLS: dict[str, tuple[str, ...]] = {
    "surname": words.pool(
        "Malone Kowalski Vance Doyle Marlow Rizzo Carver Stone Duvall Bishop Harlan Moretti Quinn Sawyer Novak Lang "
        "Costello Drake Finch Garrity"
    ),
    "rank": words.pool("Sergeant Inspector Doctor Mister Detective Boss Lawyer Professor"),
    "dame": words.phrases(
        "a blonde, a redhead, a dame, a widow, a dancer, a stranger, a client, a nurse, a singer, a liar"
    ),
    "crook": words.phrases(
        "the bookie, the fence, the bartender, the landlord, the cop, the coroner, the driver, the boxer, the "
        "butler, the banker, the bouncer, the pianist, the gambler, the forger, the smuggler"
    ),
    "quality": words.pool(
        "cheap cold stale bitter cracked rotten dirty hollow broken faded burnt tired empty nervous crooked rusty "
        "pale lonely"
    ),
    "liquor": words.pool("whiskey gin bourbon rye coffee scotch rum tonic"),
    "smoke": words.phrases("cigarette, cigar, Lucky Strike, match, pipe, last smoke"),
    "spot": words.phrases(
        "the docks, the alley, the hotel, the diner, the garage, the casino, the subway, the pawnshop, the morgue, "
        "the precinct, the racetrack, the pier, the bar on Ninth, the warehouse, the roof, the office, the phone "
        "booth, the laundry, the parking lot, the boxing club"
    ),
    "street": words.pool("Ninth Harbor Lexington Grand Cherry Flower Canal Mercer Hudson Vine Delancey Fulton"),
    "weapon": words.phrases(
        "a revolver, a knife, a .38, a razor, a lead pipe, a blackjack, a shotgun, a loaded question"
    ),
    "loot": words.phrases(
        "the envelope, the ledger, the necklace, the negatives, the briefcase, the will, the deed, the tape, the "
        "photograph, the cash, the ransom, the passport, the diamonds, the suitcase"
    ),
    "crime": words.phrases(
        "blackmail, murder, arson, fraud, a double-cross, a frame-up, a payoff, a kidnapping, perjury, a "
        "hit-and-run, a bad check, a missing husband"
    ),
    "sum": words.phrases(
        "two hundred, five grand, forty bucks, ten grand, a month's rent, a dollar, six bits, a fortune"
    ),
    "time": words.phrases(
        "midnight, three a.m., quarter past two, dawn, closing time, five o'clock, the witching hour, noon"
    ),
    "light": words.phrases(
        "Neon, A streetlamp, The headlights, A bare bulb, The moon, A siren, The sign outside, A police lamp"
    ),
    "bleed": words.phrases(
        "bled on the wet asphalt, blinked like a drunk, buzzed and died, painted the puddles red, cut the room in "
        "half, crawled up the wall, flickered over the blinds, burned a hole in the night, winked at nobody, hummed "
        "like a wasp"
    ),
    "rain": words.phrases(
        "Rain hit the window, The rain came down, Rain ran down my collar, The rain drummed on the roof, Fog rolled "
        "in, Sleet scratched the glass, The gutters choked, Wind rattled the blinds, Smoke hung in the air"
    ),
    "like": words.phrases(
        "like a bad debt, like an old grudge, like a cheap alibi, like a drunk at a wake, like bullets, like a tax "
        "man, like gravel, like a slow confession, like regret, like a landlord, like yesterday's news, like a jury, "
        "like a losing streak, like a stray dog, like a widow's veil, like a dirty secret"
    ),
    "thing": words.pool(
        "face smile voice handshake promise alibi laugh perfume suit conscience reputation heart memory nerve story"
    ),
    "did": words.phrases(
        "lied, shrugged, sweated, folded, coughed, blinked, talked, laughed, spat, ran, bled, winced, paid, "
        "swallowed hard, reached for a gun, went white, lit up, looked away"
    ),
    "mine": words.phrases(
        "I kept my mouth shut, I poured another, I loosened my tie, I checked my gun, I counted to ten, I turned up "
        "my collar, I pulled down my hat, I rubbed my jaw, I watched the door, I took the stairs, I didn't blink, I "
        "hung up, I needed sleep, I needed a drink, I followed the smoke, I flipped a coin, I counted the bills, I "
        "locked the drawer, I slid off the stool, I smelled a rat, I played dumb, I took a swing, I ducked, I felt "
        "for my wallet"
    ),
    "truth": words.phrases(
        "Nobody is clean in this town, Everybody owes somebody, Dead men don't pay, The city never forgives, Luck "
        "runs out, Trust is for suckers, Money talks, The night keeps its secrets, Honest work never paid my rent, "
        "Guilt is patient, Every alibi has a hole, This city eats its young"
    ),
}

OPENING = (
    "{rain} {like}. It was {time}, and I was out of {liquor}.",
    "{light} {bleed}. {Street} Street smelled of {liquor} and {crime}.",
    "The phone rang at {time}. It was {rank} {surname}, with {a_quality} {thing} and a case of {crime}.",
    "I owed {surname} {sum}. {rain} {like}.",
    "{Dame} walked into {spot} with {a_quality} {thing} and {weapon}.",
    "They found {surname} behind {spot}, face down, with {a_quality} {smoke} in the mouth.",
    "My name is {surname}. I work {street} Street, where {crime} costs {sum}.",
    "{time_} at {spot}. {light} {bleed}.",
    "The {liquor} was {quality}. So was {crook}.",
)
MIDDLE = (
    "{Crook} from {spot} {did}. {mine}.",
    "{mine} and thought of {loot}. {rain} {like}.",
    '"Hand over {loot}," I said. {Crook} {did} {like}.',
    '"You look {quality}, {surname}," I said. "Must be {crime}."',
    "{light} {bleed}. {mine} and waited for {crook}.",
    "I lit a {smoke}. It tasted {quality}, {like}.",
    "{Loot} was gone. So was {crook}. So was my {thing}.",
    "She had {a_quality} {thing} and {weapon}. I had a {smoke} and {sum}.",
    "Down at {spot} {crook} sold {crime} by the glass. {mine} until {time}.",
    "{surname} wanted {loot} by {time}. I wanted {liquor}.",
    "The {thing} hit me {like}.",
    "{truth}, said {rank} {surname}, and {did_}.",
    "{A_quality} {thing}. {weapon_}. {sum_} in small bills. It added up to {crime}.",
    "I drove to {spot} at {time}. {rain} {like}. Nobody followed but my {thing}.",
    '"It was {crime}," said {surname}, and {did_}. I didn\'t buy it.',
    "Somebody had left {loot} at {spot}. Somebody had left {weapon} too.",
    "{Crook} knew {surname}. {surname_} knew {spot}. I knew nothing.",
    "Two shots. Then {spot} went quiet {like}.",
)
CLOSING = (
    "I gave {rank} {surname} {loot} and {sum}. {truth}.",
    "{surname} took the fall for {crime}. I took {sum} and {a_quality} {smoke}.",
    "They booked {crook} at {time}. {rain} {like}.",
    "{truth}. I finished the {liquor} and went home to {a_quality} room on {street} Street.",
    "Case closed. {light} {bleed}.",
    "I burned {loot} at {spot} and watched {light_} fade.",
    "She kissed me {like} and left with {loot}. {truth}, even at {spot}.",
    "I still owe {surname} {sum}. {mine} and walked to {spot}.",
)


def _fill(rng: Random, template: str, surname: str) -> str:
    """The template with every slot drawn; `surname` is the case's own name, so that a scene stays with its people."""
    slots = {key: rng.choice(pool) for key, pool in POOLS.items()}
    slots["surname"] = surname
    slots["surname_"] = rng.choice([name for name in POOLS["surname"] if name != surname])
    slots["did_"] = rng.choice(("coughed", "blinked", "shrugged", "spat", "looked away"))
    slots["light_"] = rng.choice(("the neon", "the ashes", "the smoke", "the headlights", "the city"))
    slots["a_quality"] = words.an(slots["quality"])
    slots |= {key + "_": words.capital(slots[key]) for key in ("time", "weapon", "sum")}
    slots |= {words.capital(key): words.capital(slots[key]) for key in ("dame", "crook", "loot", "street", "a_quality")}
    return template.format_map(slots)


def story(rng: Random) -> str:
    """One scene of five to nine beats."""
    surname = rng.choice(POOLS["surname"])
    middle = rng.sample(MIDDLE, rng.randrange(3, 8))
    return " ".join(_fill(rng, template, surname) for template in (rng.choice(OPENING), *middle, rng.choice(CLOSING)))
