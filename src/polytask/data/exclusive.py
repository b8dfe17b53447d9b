"""Several columns of 0 and 1, of which one is 1 in every row, as one column of classes."""

import numpy as np

from polytask.errors import SchemaError
from polytask.tasks import Classification
from polytask.wording import shown


def exclusive_classes(values: np.ndarray, present: np.ndarray, task: Classification) -> tuple[np.ndarray, np.ndarray]:
    """The name of the column that is 1, and whether there is one.

    A row without any cell is missing, and so is one without a 1 in which a cell is missing: the 1 may be there.

    Args:
        values: cells `[rows, columns]`.
        present: which of them are there.
        task: names the columns, and the class of rows of zeros, if there is one.

    Returns:
        Objects `[rows]`, and which rows have a class.

    Raises:
        SchemaError: a cell that is neither 0 nor 1, two ones in a row, or none where there is no class for that; names
            columns and row.
    """
    is_one, is_zero = (present & np.asarray(values == one, dtype=bool) for one in (1, 0))
    odd = present & ~is_one & ~is_zero
    if odd.any():
        row, k = (int(place[0]) for place in np.nonzero(odd))
        cell = values[row, k].item() if isinstance(values[row, k], np.generic) else values[row, k]
        raise SchemaError(
            f"task {task.name!r} (column {task.columns[k]!r}): of exclusive columns each is 0 or 1 (or missing), got "
            f"{shown(cell)} in row {row}"
        )
    number = is_one.sum(axis=1)
    if (number > 1).any():
        row = int(np.argmax(number > 1))
        named = " and ".join(repr(task.columns[k]) for k in np.flatnonzero(is_one[row]).tolist())
        raise SchemaError(
            f"task {task.name!r}: row {row} is 1 in {named}, of which one only can be; a task of kind multilabel takes "
            "several"
        )
    names: np.ndarray = np.array([*task.columns, task.none_class], dtype=object)
    found = np.where(number == 1, is_one.argmax(axis=1), len(task.columns))
    is_none = (number == 0) & present.all(axis=1)
    if is_none.any() and task.none_class is None:
        raise SchemaError(
            f"task {task.name!r}: row {int(np.argmax(is_none))} is 0 in all of {shown(list(task.columns))}; give such "
            "rows a class: none_class='none', or make them empty"
        )
    return names[found], (number == 1) | is_none
