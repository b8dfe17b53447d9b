"""How settings say which cells are labels: checked, and all in one form."""

from collections.abc import Mapping
from typing import Any


def as_values(value: Any) -> tuple[Any, ...]:
    """One value or a list of them, as a list; None: none.

    Example:
        >>> as_values(None), as_values(-1), as_values(["?", -1])
        ((), (-1,), ('?', -1))
    """
    if value is None:
        return ()
    return tuple(value) if isinstance(value, (list, tuple)) else (value,)


def check_label_columns(task: str, setting: str, value: Any, num_columns: int) -> None:
    """Raises ValueError for a setting that names neither a column nor as many as the task has."""
    names = as_values(value)
    if not all(isinstance(name, str) for name in names):
        more = "; a task's own weight is set by the balancer fixed" if setting == "weight" else ""
        raise ValueError(f"task {task!r}: {setting} is the name of a column, got {value!r}{more}")
    if not isinstance(value, str) and len(names) not in (0, 1, num_columns):
        raise ValueError(
            f"task {task!r}: {setting} names one column, or one for each of the task's {num_columns}; got {len(names)}"
        )


def checked_where(task: str, where: Any) -> dict[str, tuple[Any, ...]] | None:
    """Columns and the values that they are to have.

    Raises:
        ValueError: no mapping of columns to values.
    """
    if where is None:
        return None
    if not isinstance(where, Mapping) or not all(isinstance(column, str) for column in where):
        raise ValueError(f"task {task!r}: where is {{column: value or list of values}}, got {where!r}")
    found = {column: as_values(value) for column, value in where.items()}
    for column, values in found.items():
        if not values or not all(isinstance(value, (bool, int, float, str)) for value in values):
            raise ValueError(
                f"task {task!r}: where wants a value or a list of values of {column!r}, got {where[column]!r}"
            )
    return found
