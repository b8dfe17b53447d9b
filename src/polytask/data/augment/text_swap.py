"""Copies of texts with words that changed places."""

from typing import Any, ClassVar

import numpy as np

from polytask.data.augment.base import checked
from polytask.data.augment.rows import RowAugmentation
from polytask.data.augment.words import like, words_of


class TextSwap(RowAugmentation):
    """Copies of rows in whose texts pairs of words changed places, with the tags of lists of tokens.

    Args:
        share: pairs of words that are swapped, as a share of the words (one pair at least), in [0, 1].
        copies: of each row, from 1.
        columns: the text and token columns that change; all where not given.

    Paper: Wei, Zou: EDA: Easy Data Augmentation Techniques for Boosting Performance on Text Classification Tasks, EMNLP
        2019, arXiv 1901.11196.
    """

    name: ClassVar[str] = "text_swap"
    paper: ClassVar[str] = "wei2019"
    kinds: ClassVar[tuple[str, ...]] = ("text", "tokens")
    use_when: ClassVar[str] = "few texts, whose features know of the order of words (n-grams, sequences)"

    def __init__(self, *, share: float = 0.1, copies: int = 1, columns: tuple[str, ...] | None = None) -> None:
        super().__init__(copies, columns)
        self.share = checked(self.name, "share", share)

    def changed(self, cell: Any, place: str, column: str, generator: np.random.Generator) -> tuple[Any, Any]:
        """See `RowAugmentation.changed`."""
        words = words_of(cell, place)
        if len(words) < 2:
            return cell, None
        order = list(range(len(words)))
        for _ in range(max(1, round(self.share * len(words)))):
            one, other = generator.choice(len(words), size=2, replace=False)
            order[one], order[other] = order[other], order[one]
        return like(cell, [words[k] for k in order]), order
