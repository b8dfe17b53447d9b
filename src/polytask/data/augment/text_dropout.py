"""Copies of texts that lack some words."""

from typing import Any, ClassVar

import numpy as np

from polytask.data.augment.base import checked
from polytask.data.augment.rows import RowAugmentation
from polytask.data.augment.words import like, words_of


class TextDropout(RowAugmentation):
    """Copies of rows whose texts lack some words, with the tags of lists of tokens; one word at least is left.

    Args:
        probability: that a word is left out, in [0, 1).
        copies: of each row, from 1.
        columns: the text and token columns that change; all where not given.

    Paper: Wei, Zou: EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks, EMNLP
        2019, arXiv 1901.11196.
    """

    name: ClassVar[str] = "text_dropout"
    paper: ClassVar[str] = "wei2019"
    kinds: ClassVar[tuple[str, ...]] = ("text", "tokens")
    use_when: ClassVar[str] = "few texts, read by features that are made before training (TF-IDF, say)"

    def __init__(self, *, probability: float = 0.1, copies: int = 1, columns: tuple[str, ...] | None = None) -> None:
        super().__init__(copies, columns)
        self.probability = checked(self.name, "probability", probability, 0, 0.99)

    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """See `RowAugmentation.changed`."""
        words = words_of(cell, place)
        if not words:
            return cell, None
        kept = np.flatnonzero(generator.random(len(words)) >= self.probability)
        kept = kept if len(kept) else generator.integers(len(words), size=1)
        return like(cell, [words[k] for k in kept]), kept.tolist()
