"""How a target's classes are found, named and compared, whatever type a reader gave them.

A class is a JSON value (bool, int, float, str). The same class may come as `1`, `1.0`, `"1"` or
`np.int64(1)`: files and readers differ, above all where a column has missing cells.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from polytask.errors import SchemaError

#: A class as JSON writes it.
Class = bool | int | float | str


def natural(value: Any) -> Class:
    """The value as JSON writes it: whole floats as int, dates and all else as text.

    Example:
        >>> natural(np.float32(3.0)), natural(np.True_), natural("a")
        (3, True, 'a')
    """
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value.is_integer() else value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return str(value)


def class_key(value: Any) -> str:
    """The text under which a class is compared.

    Example:
        >>> class_key(1), class_key(1.0), class_key("1"), class_key(True)
        ('1', '1', '1', 'True')
    """
    return str(natural(value))


def class_order(value: Class) -> tuple[int, float, str]:
    """Sorts numbers by value, and texts behind them."""
    return (1, 0.0, value) if isinstance(value, str) else (0, float(value), "")


def class_index(classes: Sequence[Class]) -> dict[str, int]:
    """Class key -> position; true and false are also found as 1 and 0, and the other way round."""
    index = {class_key(value): k for k, value in enumerate(classes)}
    if all(key in ("0", "1", "True", "False") for key in index):
        for texts in (("0", "False", "false"), ("1", "True", "true")):
            known = [index[text] for text in texts if text in index]
            index.update({text: known[0] for text in texts if known and text not in index})
    return index


def factorized(values: np.ndarray, present: np.ndarray, place: str) -> tuple[np.ndarray, list[Class]]:
    """Codes into the list of distinct values; -1 where there is none.

    Args:
        values: cells, `[rows]`.
        present: which of them count, `[rows]`.
        place: task and column, for the error.

    Raises:
        SchemaError: cells that are lists, or more than one axis.
    """
    codes = np.full(len(values), -1, dtype=np.int64)
    kept = values[present]
    if values.ndim != 1:
        raise SchemaError(f"{place}: one value a row is wanted, got an array of shape {values.shape}: name one column")
    try:
        found, distinct = pd.factorize(kept)
    except TypeError:
        listed = next(value for value in kept if not isinstance(value, (str, bytes)) and hasattr(value, "__len__"))
        raise SchemaError(
            f"{place}: one value a row is wanted, got {listed!r}; lists of labels are for a multilabel task"
        ) from None
    codes[present] = found
    return codes, [natural(value) for value in distinct]


def counted(values: np.ndarray, present: np.ndarray, place: str) -> dict[str, tuple[Class, int]]:
    """Class key -> class and its number of cells, in the order of `class_order`.

    Raises:
        SchemaError: no cell at all, or cells that are lists.
    """
    codes, distinct = factorized(values, present, place)
    numbers = np.bincount(codes[codes >= 0], minlength=len(distinct))
    found: dict[str, tuple[Class, int]] = {}
    for value, number in zip(distinct, numbers.tolist(), strict=True):
        first, before = found.get(class_key(value), (value, 0))
        found[class_key(value)] = (first, before + number)
    if not found:
        raise SchemaError(f"{place}: every cell of the training rows is missing; leave the task out or fill its column")
    return dict(sorted(found.items(), key=lambda item: class_order(item[1][0])))


def positions(values: np.ndarray, present: np.ndarray, classes: Sequence[Class], place: str) -> np.ndarray:
    """Each cell's position among the classes, `[rows]`; -1 where it is missing or of no known class."""
    codes, distinct = factorized(values, present, place)
    index = class_index(classes)
    table = np.array([index.get(class_key(value), -1) for value in distinct] + [-1], dtype=np.int64)
    return table[codes]


def as_array(classes: Sequence[Class]) -> np.ndarray:
    """The classes as an array for predictions to index; of objects unless all are numbers or booleans."""
    kinds = {type(value) for value in classes}
    plain = kinds <= {int, float} or kinds == {bool}
    return np.array(classes, dtype=None if plain else object)


def weights_by_class(
    weight: str | Mapping[Class, float] | None, classes: Sequence[Class], counts: Sequence[int], beta: float = 0.0
) -> list[float]:
    """Each class's weight in the loss: 1, by how many cells it has, or as given (1 where not named).

    "balanced": N/(C n_c), so that the mean weight of the cells counted is 1. "effective": in proportion to
    (1 − β)/(1 − β^n_c), the inverse of the effective number of cells, with sum C. C is the number of classes that have
    cells; a class without any weighs 1.
    """
    if weight is None:
        return [1.0] * len(classes)
    if isinstance(weight, str):
        num_classes = max(sum(number > 0 for number in counts), 1)
        if weight == "balanced":
            share = sum(counts) / num_classes
            return [share / number if number else 1.0 for number in counts]
        inverse = [_inverse_effective_number(number, beta) if number else 0.0 for number in counts]
        return [num_classes * one / sum(inverse) if one else 1.0 for one in inverse]
    index = class_index(classes)
    given = {index[class_key(name)]: value for name, value in weight.items()}
    return [float(given.get(k, 1.0)) for k in range(len(classes))]


def _inverse_effective_number(number: int, beta: float) -> float:
    """(1 − β)/(1 − β^n): 1 for β = 0, about 1/n for β near 1."""
    return (1 - beta) / -math.expm1(number * math.log(beta)) if beta else 1.0
