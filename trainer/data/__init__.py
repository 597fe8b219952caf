"""What there is to learn from: texts, without torch."""

from .corpus import Corpus, Parts

__all__ = ["Corpus", "Parts"]
