"""Copies of texts in other words."""

from typing import Any, ClassVar

import numpy as np

from polytask.data.augment.base import checked
from polytask.data.augment.rows import RowAugmentation
from polytask.data.augment.words import like, words_of


class Synonyms(RowAugmentation):
    """Copies of rows in whose texts some words stand for each other, by a list of yours.

    A word is looked up as it is written, then in small letters; signs around it (“good,”) stay. The number of tokens of
    a list stays, so that its tags fit.

    Args:
        words: word -> the words that may stand for it.
        probability: that a word which is in the list is replaced, in [0, 1].
        copies: of each row, from 1.
        columns: the text and token columns that change; all where not given.

    Paper: Wei, Zou: EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks, EMNLP
        2019, arXiv 1901.11196.

    Example:
        >>> like = Synonyms(words={"good": ["fine"]}, probability=1.0)
        >>> like.changed("A good, Good deed", "", "text", np.random.default_rng(0))[0]
        'A fine, Fine deed'
    """

    name: ClassVar[str] = "synonyms"
    paper: ClassVar[str] = "wei2019"
    kinds: ClassVar[tuple[str, ...]] = ("text", "tokens")
    use_when: ClassVar[str] = "few texts, and you know which words mean the same"

    def __init__(
        self,
        *,
        words: dict[str, list[str]],
        probability: float = 0.3,
        copies: int = 1,
        columns: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(copies, columns)
        self.probability = checked(self.name, "probability", probability)
        empty = [word for word, others in words.items() if not others]
        if not words or empty:
            what = "no word" if not words else f"no synonym of {empty[0]!r}"
            raise ValueError(f"augmentation {self.name}: words has {what}; {{good: [fine, nice]}} is a list")
        self.words = words

    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """See `RowAugmentation.changed`."""
        words = [self._replaced(str(word), generator) for word in words_of(cell, place)]
        return like(cell, words), None

    def _replaced(self, word: str, generator: np.random.Generator) -> str:
        bare = word.strip("""!"'()*,-./:;?[]_“”‘’«»…""")
        others = self.words.get(bare) or self.words.get(bare.lower())
        if not bare or others is None or generator.random() >= self.probability:
            return word
        chosen = others[int(generator.integers(len(others)))]
        if bare[0].isupper() and bare not in self.words:
            chosen = chosen[:1].upper() + chosen[1:]
        return word.replace(bare, chosen, 1)
