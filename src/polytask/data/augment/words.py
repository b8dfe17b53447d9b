"""Texts and lists of tokens as words, and back in the form they came in."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from polytask.errors import SchemaError


def words_of(cell: Any, place: str) -> list[Any]:
    """The words of a text (between blanks), or the tokens of a list.

    Raises:
        SchemaError: the cell is neither.
    """
    if isinstance(cell, str):
        return list(cell.split())
    if isinstance(cell, (list, tuple, np.ndarray)):
        return list(cell)
    raise SchemaError(f"{place}: a {type(cell).__name__} has no words to change; a text or a list of tokens has")


def like(cell: Any, words: Sequence[Any]) -> Any:
    """The words as a text where the cell was one, else as a list."""
    return " ".join(words) if isinstance(cell, str) else list(words)
