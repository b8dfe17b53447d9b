"""One table a value of a column: each school, domain or machine has rows, and tasks, of its own."""

import numpy as np

from polytask.data.cells import keys_of
from polytask.data.table import Table
from polytask.errors import SchemaError, nearest

#: The longest name of a value, so that a task's name with it stays a name.
LONGEST = 40


def tables_by_value(table: Table, column: str) -> dict[str, Table]:
    """The rows of each value of a column as a table of their own, without that column.

    Args:
        table: all rows.
        column: whose values part them; every row has one.

    Returns:
        `<column>-<value>` -> table, in the order of the values' first appearance. The kinds of columns are those of
        the whole table, and `Table.value` says the value.

    Raises:
        SchemaError: no such column, a row without a value, one value in all rows, or values of one name.

    Example:
        >>> import pandas as pd
        >>> whole = Table(pd.DataFrame({"school": ["a", "b", "a"], "score": [1.0, 2.0, 3.0]}))
        >>> {name: part.values("score").tolist() for name, part in tables_by_value(whole, "school").items()}
        {'school-a': [1.0, 3.0], 'school-b': [2.0]}
    """
    if column not in table.columns:
        raise SchemaError(f"by: there is no column {column!r}; {nearest(column, table.columns)}")
    keys, present = keys_of(table, column)
    if not present.all():
        raise SchemaError(
            f"by: the column {column!r} is missing in {int((~present).sum())} of {table.num_rows} rows, the first in "
            f"row {int(np.argmin(present))}; fill it in, or leave these rows out"
        )
    values = list(dict.fromkeys(keys))
    if len(values) < 2:
        raise SchemaError(f"by: the column {column!r} has one value only ({values[0]}); leave by out")
    named: dict[str, str] = {}
    for value in values:
        # Folders and files know no capitals on some machines.
        other = named.setdefault(clean(value).lower(), value)
        if other != value:
            raise SchemaError(
                f"by: the values {other!r} and {value!r} of column {column!r} would have one name, {clean(value)!r}, "
                "since a name has letters, digits, '_' and '-' alone and no two differ in capitals only; rename one"
            )
    found = {}
    for value in values:
        part = table.take(np.flatnonzero(keys == value))
        kinds = {name: part.kind(name) for name in part.columns if name != column}
        rest = part.frame.drop(columns=column)
        found[f"{clean(column)}-{clean(value)}"] = Table(
            rest,
            kinds=kinds,
            source=table.source,
            notes=table.notes,
            value=value,
            merged_from=table.merged_from,
            split_column=table.split_column if table.split_column != column else None,
        )
    return found


def clean(value: str) -> str:
    """A value as a part of a name: letters, digits, `_` and `-`, all else an `_`.

    Raises:
        SchemaError: the name would be too long, or of `_` and `-` alone.

    Example:
        >>> clean("sports & outdoors")
        'sports___outdoors'
    """
    name = "".join(c if c.isalnum() or c in "_-" else "_" for c in value)
    if not name.strip("_-") or len(name) > LONGEST:
        raise SchemaError(
            f"by: the value {value[:60]!r} cannot be the end of a task's name, which is letters, digits, '_' and '-', "
            f"at most {LONGEST} of them; rename it in the table"
        )
    return name
