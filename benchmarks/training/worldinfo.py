"""World info: facts by soft prompt against the same facts as a text in the context, on calls never trained on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from soft_prompts.demo import stories
from soft_prompts.demo.lore import Fact, Lore, lore
from soft_prompts.trainer import Facts, Pair, Training, WorldInfo

from ..common.tables import Section
from ..common.turns import difference
from .counting import Answer, answers, divergence, ids_of, text_vectors
from .subjects import Subject, noir

SIZES: dict[str, Any] = {"people": 6, "facts": 8, "places": 2, "things": 2}
"""Of a lore: 58 facts, three calls of each to learn from, three others held out (a third of those for validation)."""

WAYS = ("nothing", "the lore in context", "soft prompt, defaults")


class Asked(NamedTuple):
    """What one seed found: the answers each way, the tokens before them, and KL on unrelated text."""

    answers: list[list[Answer]]
    tokens: list[int]
    unrelated: float


def worldinfo(seeds: Sequence[int]) -> Section:
    """Loss and greedy recall on held-out calls, and what the prompt costs on unrelated text."""
    subject = noir(1)
    found = [asked(subject, seed) for seed in seeds]
    ways = [[each for one in found for each in one.answers[way]] for way in range(len(WAYS))]
    section = Section("World info: storyteller")
    rows = []
    for number, (way, all_of_it) in enumerate(zip(WAYS, ways, strict=True)):
        loss = sum(each.nats for each in all_of_it) / sum(each.tokens for each in all_of_it)
        recall = sum(each.right for each in all_of_it) / len(all_of_it)
        rows.append((way, " / ".join(str(one.tokens[number]) for one in found), f"{loss:.3f}", f"{recall:.0%}"))
    section.table(("before the call", "tokens", "nats per token of the answer", "recalled, greedily"), rows)
    _, text, prompt = ways
    less = difference([each.nats for each in prompt], [each.nats for each in text])
    more = difference([each.right for each in prompt], [each.right for each in text])
    unrelated = sum(one.unrelated for one in found) / len(found)
    section.say(
        f"{len(prompt)} held-out calls of {len(seeds)} lore(s); prompt less lore, paired bootstrap: {less} nats an "
        f"answer, {more} of recall. KL on unrelated stories: {unrelated:.3f} nats per token."
    )
    section.least("held-out calls", len(prompt), 100)
    section.most("nats an answer, prompt less lore, upper end", less.high, 0)
    section.least("recall, prompt less lore, lower end", more.low, 0)
    section.most("KL on unrelated text", unrelated, 0.08)
    return section


def asked(subject: Subject, seed: int) -> Asked:
    """Train on a new lore's facts, and ask."""
    world = lore(Random(f"benchmark {seed}"), **SIZES)
    facts = facts_of(world, seed)
    training = Training(subject.model, subject.tokenizer, WorldInfo(facts, lore=world.text), seed=seed)
    for _ in training:
        pass
    vectors = training.state.best
    before = [None, text_vectors(subject, world.text + "\n\n"), vectors]
    calls = [ids_of(subject, pair.call, pair.response) for pair in facts.parts().test]
    told = [answers(subject, each, calls) for each in before]
    tokens = [0 if each is None else len(each) for each in before]
    return Asked(told, tokens, divergence(subject, None, vectors, unrelated_stories(subject)))


def facts_of(world: Lore, seed: int) -> Facts:
    """Each fact in one phrasing to learn from, and in another to be asked; each as a question, in speech and begun."""
    chance = Random(f"calls {seed}")
    train, held_out = ([pair for fact in world.facts for pair in _calls(chance, fact, way)] for way in (0, 1))
    chance.shuffle(held_out)
    return Facts(tuple(train), tuple(held_out))


def _calls(chance: Random, fact: Fact, way: int) -> Iterator[Pair]:
    question, call = fact.fill(fact.attribute.asked[way]), fact.fill(fact.attribute.call)
    begun = fact.attribute.told[way].partition(" {value}")[0]
    asker = chance.choice(("Emma", "Oskar", "Nora", "Hugo"))
    for text in (f"Question: {question}\nAnswer: {call}", f'"{question}" asked {asker}. "{call}', fact.fill(begun)):
        yield Pair(text, f" {fact.value}")


def unrelated_stories(subject: Subject, number: int = 24, tokens: int = 128) -> list[list[int]]:
    """Stories of the common registers, in ids, of seeds that nothing else uses."""
    chance = Random("unrelated")
    texts = [stories.story(chance, stories.COMMON[each % len(stories.COMMON)]) for each in range(number)]
    return [subject.tokenizer(text, add_special_tokens=False)["input_ids"][:tokens] for text in texts]
