"""Entities: whose rows stand in several tables, and the one side that each of them is on."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from polytask.data.cells import keys_of
from polytask.data.parts import PARTS, TEST, TRAIN, VALIDATION
from polytask.data.table import Table
from polytask.errors import SchemaError, nearest

#: No unit, no side.
NONE = -1
_NAMES = {part: name for name, part in PARTS.items()}


def group_keys(table: Table, column: str, rows: np.ndarray, place: str = "") -> np.ndarray:
    """The group of each of these rows, as text.

    Args:
        table: of the rows.
        column: that says it.
        rows: positions in the table.
        place: which table it is, for an error.

    Raises:
        SchemaError: a row without one.
    """
    keys, present = keys_of(table, column)
    missing = rows[~present[rows]]
    if len(missing):
        raise SchemaError(
            f"the group column {column!r}{place} is missing in {len(missing)} of {len(rows)} rows, the first in "
            f"row {missing[0]}; fill it in, for instance with a group of its own for each row"
        )
    return keys[rows]


def check_key(key: str, tables: Mapping[str, Table]) -> None:
    """Refuses a key that no table has.

    Raises:
        SchemaError: names the nearest column.
    """
    known = {column for table in tables.values() for column in table.columns}
    if key not in known:
        raise SchemaError(f"key: no table has a column {key!r}; {nearest(key, known)}")


class Entities:
    """Rows that stay on one side, over all tables: those of one key, and those of one group.

    Where rows have a key and a group, those that either of them joins are one unit (a connected component).

    Args:
        rows: table -> its rows that count.
        tables: by name.
        columns: table -> its columns that hold rows together; one of the same name means the same in every table.

    Raises:
        SchemaError: a row without a key or group.
    """

    def __init__(
        self, rows: Mapping[str, np.ndarray], tables: Mapping[str, Table], columns: Mapping[str, Sequence[str]]
    ) -> None:
        self.tables = {name: tables[name] for name, of in columns.items() if of}
        starts, number = {}, 0
        for name in self.tables:
            starts[name], number = number, number + len(rows[name])
        edges: list[tuple[np.ndarray, np.ndarray]] = []
        num_nodes = number
        for column in dict.fromkeys(column for of in columns.values() for column in of):
            holders = [name for name in self.tables if column in columns[name]]
            places = {name: f" of table {name!r}" if len(tables) > 1 else "" for name in holders}
            keys = np.concatenate([group_keys(tables[name], column, rows[name], places[name]) for name in holders])
            codes, levels = pd.factorize(keys)
            nodes = np.concatenate([np.arange(len(rows[name])) + starts[name] for name in holders])
            edges.append((nodes, codes + num_nodes))
            num_nodes += len(levels)
        unit = _components(edges, num_nodes)[:number]
        #: Table -> the unit of each row of the table; `NONE` where the row does not count.
        self.units: dict[str, np.ndarray] = {}
        for name in self.tables:
            found = np.full(tables[name].num_rows, NONE)
            found[rows[name]] = unit[starts[name] : starts[name] + len(rows[name])]
            self.units[name] = found
        #: The side of each unit so far.
        self.sides = np.full(int(unit.max(initial=NONE)) + 1, NONE)

    def sides_of(self, name: str, rows: np.ndarray) -> np.ndarray:
        """The side of each of these rows, as far as its unit has one."""
        return self.sides[self.units[name][rows]]

    def put(self, name: str, rows: np.ndarray, parts: np.ndarray) -> None:
        """These rows are on these sides from now on."""
        self.sides[self.units[name][rows]] = parts

    def forget(self) -> None:
        """No unit has a side any more."""
        self.sides[:] = NONE


def settle(entities: Entities, key: str, parts: Mapping[str, np.ndarray], drawn: Mapping[str, np.ndarray]) -> None:
    """Takes down the sides that columns and times say; rows yet to be drawn are in training or validation there.

    Args:
        entities: whose sides are set.
        key: the column of entities.
        parts: table -> the part of every row so far.
        drawn: table -> the rows whose part is yet to be drawn.

    Raises:
        SchemaError: one entity on two sides; says which, where, and how many there are.
    """
    found = []
    for name, units in entities.units.items():
        rows = np.flatnonzero((parts[name] != NONE) & (units != NONE))
        is_open = np.isin(rows, drawn[name])
        side, unit = parts[name][rows], units[rows]
        found.append(pd.DataFrame({"table": name, "row": rows, "unit": unit, "side": side, "is_open": is_open}))
    said = pd.concat(found, ignore_index=True)
    # A row that may still become a validation row goes along with one that is.
    firm = said[~said["is_open"]]
    is_valid = said["unit"].isin(firm.loc[firm["side"] == VALIDATION, "unit"])
    said.loc[said["is_open"] & is_valid, "side"] = VALIDATION
    sides = said.groupby("unit")["side"].nunique()
    torn = sides.index[sides > 1]
    if len(torn):
        raise SchemaError(_torn(entities, key, said[said["unit"] == torn[0]], len(torn)))
    entities.sides[firm["unit"]] = firm["side"]


def _torn(entities: Entities, key: str, rows: pd.DataFrame, number: int) -> str:
    places = []
    for side in (TRAIN, VALIDATION, TEST):
        there = rows[rows["side"] == side]
        if len(there):
            name, row = there.iloc[0][["table", "row"]]
            value = entities.tables[name].values(key)[row] if key in entities.tables[name].columns else "?"
            places.append(f"{str(value)!r} is in the {_NAMES[side]} part of table {name!r} (row {row})")
    many = f"{number} values of the key {key!r} are" if number > 1 else f"one value of the key {key!r} is"
    return (
        f"split: {many} on two sides: {' and '.join(places)}; let columns and times say one side for all rows of "
        "a key, leave such rows out, or leave the key out"
    )


def _components(edges: Sequence[tuple[np.ndarray, np.ndarray]], num_nodes: int) -> np.ndarray:
    left, right = (np.concatenate([np.zeros(0, dtype=int), *(edge[side] for edge in edges)]) for side in (0, 1))
    graph = coo_matrix((np.ones(len(left), dtype=bool), (left, right)), shape=(num_nodes, num_nodes))
    return np.asarray(connected_components(graph, directed=False)[1])
