"""What there is to learn from: texts, facts and lore, without torch."""

from .corpus import Corpus, Parts
from .facts import Fact, FactParts, Facts
from .lore import Lore
from .pairs import Pair

__all__ = ["Corpus", "Fact", "FactParts", "Facts", "Lore", "Pair", "Parts"]
