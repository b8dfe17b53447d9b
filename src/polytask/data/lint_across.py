"""A look over all tables of one model: targets among other tables' inputs, rows and entities on two sides."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from polytask.data.cells import keys_of
from polytask.data.finding import Finding
from polytask.data.leaks import find_leaks
from polytask.data.lint import SAMPLE, repeats
from polytask.data.parts import DROPPED, TRAIN, Split
from polytask.data.related_targets import COMMON, Labels, labels_of_tasks, redundant
from polytask.data.table import Table, hash_rows
from polytask.tasks import Task

#: Of more pairs of tables with common rows than this, the first are looked at.
MOST_PAIRS = 200
#: Two tables have the same rows in the same order where this share of rows has the same common inputs.
SAME_ROWS = 0.99
#: Names in a sentence.
MOST_NAMES = 5
NOTHING = np.zeros(0, dtype=np.int64)


def lint_across(
    tables: Mapping[str, Table],
    splits: Mapping[str, Split],
    inputs: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    tasks: Mapping[str, Sequence[Task]] | None = None,
    key: str | None = None,
) -> list[Finding]:
    """Warns of what several tables that train one model give away between them; never changes anything.

    Rows of two tables belong together where they have the same key; without a key, where both tables have the same
    number of rows and 99 % of them the same common inputs, row by row.

    - *leak-across*: an input of one table is the target of another table's task, by its name, or predicts it with an
      AUC or R² above 0.97 on training rows that belong together.
    - *entity-sides*: the key is on two sides; or, without a key, a column of kind id that two tables have in common.
    - *duplicates*: more than 1 % of the validation or test rows have the inputs of a training row of another table.
    - *redundant-tasks*: see `lint`, on training rows that belong together.

    Args:
        tables: by name.
        splits: of each.
        inputs: the columns that are read, of all tables or by table.
        tasks: table -> the tasks whose targets it holds.
        key: the column that identifies an entity, where there is one.
    """
    if len(tables) < 2:
        return []
    read = {name: list(inputs[name] if isinstance(inputs, Mapping) else inputs) for name in tables}
    of = tasks or {}
    findings = [*_named(tables, read, of), *_sides(tables, splits, key)]
    looked = 0
    of_key = _training_keys(tables, splits, key) if key is not None else None
    for first, second in combinations(tables, 2):
        if looked == MOST_PAIRS:
            break
        if of_key is not None:
            here, there = _of_one_key(of_key, first, second)
        else:
            here = there = _in_step(tables, splits, read, first, second)
        if len(here) < COMMON:
            continue
        looked += 1
        findings += _given_away(tables, read, of.get(second, ()), first, second, here, there, key)
        findings += _given_away(tables, read, of.get(first, ()), second, first, there, here, key)
        findings += _redundant(tables, of, first, second, here, there)
    return findings + list(_repeated(tables, splits, read))


def _named(
    tables: Mapping[str, Table], read: Mapping[str, Sequence[str]], tasks: Mapping[str, Sequence[Task]]
) -> Iterator[Finding]:
    targets = {column: task.name for of in tasks.values() for task in of for column in task.columns}
    for name in tables:
        for column in (column for column in read[name] if column in targets):
            yield Finding(
                "leak-across",
                column,
                targets[column],
                f"input {column!r} of table {name!r} is the target of task {targets[column]!r}",
                f"take it out of the inputs, or ignore it: ignore: [{column}]",
            )


def _sides(tables: Mapping[str, Table], splits: Mapping[str, Split], key: str | None) -> Iterator[Finding]:
    columns = [key] if key is not None else _ids(tables)
    for column in columns:
        frames = []
        for name, table in tables.items():
            if column in table.columns:
                keys, present = keys_of(table, column)
                known = present & (splits[name].parts != DROPPED)
                frames.append(pd.DataFrame({"key": keys[known], "part": splits[name].parts[known]}))
        sides = pd.concat(frames).groupby("key")["part"].nunique()
        torn = sides.index[sides > 1]
        if len(torn):
            remedy = f"keep all rows of one on one side: key: {column}"
            yield Finding(
                "entity-sides",
                column,
                None,
                f"{len(torn)} of {len(sides)} values of {column!r} have rows on two sides of the splits, such as "
                f"{str(torn[0])!r}",
                "let splits that are given agree, or leave such rows out" if key is not None else remedy,
            )


def _ids(tables: Mapping[str, Table]) -> list[str]:
    """Columns of kind id that two tables have in common."""
    found = [column for table in tables.values() for column in table.columns if table.kind(column) == "id"]
    return [column for column in dict.fromkeys(found) if found.count(column) > 1]


def _training_keys(tables: Mapping[str, Table], splits: Mapping[str, Split], key: str) -> dict[str, "pd.Series[int]"]:
    """Of each table that has the key, the first training row of every value of it."""
    found = {}
    for name, table in tables.items():
        if key in table.columns:
            rows = splits[name].rows(TRAIN)
            of_row = pd.Series(rows, index=keys_of(table, key)[0][rows])
            found[name] = of_row[~of_row.index.duplicated() & of_row.index.notna()]
    return found


def _of_one_key(of_key: Mapping[str, "pd.Series[int]"], first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Training rows of two tables that have the same key, side by side."""
    if first not in of_key or second not in of_key:
        return NOTHING, NOTHING
    common = of_key[first].index.intersection(of_key[second].index)[:SAMPLE]
    return np.array(of_key[first].loc[common]), np.array(of_key[second].loc[common])


def _in_step(
    tables: Mapping[str, Table],
    splits: Mapping[str, Split],
    read: Mapping[str, Sequence[str]],
    first: str,
    second: str,
) -> np.ndarray:
    """Training rows of both tables, where row by row they are the same ones."""
    one, other = tables[first], tables[second]
    if one.num_rows != other.num_rows:
        return NOTHING
    shared = [column for column in read[first] if column in read[second]]
    if not shared:
        return NOTHING
    same = hash_rows(one, shared) == hash_rows(other, shared)
    is_training = (splits[first].parts == TRAIN) & (splits[second].parts == TRAIN)
    return np.flatnonzero(same & is_training)[:SAMPLE] if same.mean() >= SAME_ROWS else NOTHING


def _given_away(
    tables: Mapping[str, Table],
    read: Mapping[str, Sequence[str]],
    tasks: Sequence[Task],
    first: str,
    second: str,
    here: np.ndarray,
    there: np.ndarray,
    key: str | None,
) -> Iterator[Finding]:
    """Inputs of the first table that predict tasks of the second."""
    targets = {column for task in tasks for column in task.columns}
    inputs = [column for column in read[first] if column not in targets]
    one, other = tables[first], tables[second]
    rest = [column for column in other.columns if column not in inputs]
    frames = [one.frame[inputs].iloc[here].reset_index(drop=True), other.frame[rest].iloc[there].reset_index(drop=True)]
    kinds = {column: one.kind(column) for column in inputs} | {column: other.kind(column) for column in rest}
    joined = Table(pd.concat(frames, axis=1), kinds=kinds, source=one.source)
    leaks = [leak for leak in find_leaks(joined, tasks, np.arange(len(here)), inputs) if leak.by == "value"]
    how = f"rows of the same {key!r}" if key is not None else "rows that both tables have"
    for task in dict.fromkeys(leak.task for leak in leaks):
        mine = sorted((leak for leak in leaks if leak.task == task), key=lambda leak: -leak.value)
        names = ", ".join(repr(leak.column) for leak in mine[:MOST_NAMES])
        more = f", … {len(mine) - MOST_NAMES} more" if len(mine) > MOST_NAMES else ""
        yield Finding(
            "leak-across",
            mine[0].column,
            task,
            f"input {names}{more} of table {first!r} predicts task {task!r} of table {second!r} alone: "
            f"{mine[0].measure} {mine[0].value:.3f} on {len(here)} training {how}",
            f"if it is not known when you predict, ignore it: ignore: [{names.replace(chr(39), '')}]",
        )


def _redundant(
    tables: Mapping[str, Table],
    tasks: Mapping[str, Sequence[Task]],
    first: str,
    second: str,
    here: np.ndarray,
    there: np.ndarray,
) -> Iterator[Finding]:
    found: list[list[Labels]] = []
    for name, rows in ((first, here), (second, there)):
        found.append(labels_of_tasks(tables[name], tasks.get(name, ()), rows))
    yield from redundant(*found)


def _repeated(
    tables: Mapping[str, Table], splits: Mapping[str, Split], read: Mapping[str, Sequence[str]]
) -> Iterator[Finding]:
    hashes = {name: hash_rows(table, sorted(read[name])) for name, table in tables.items()}
    for name, found in hashes.items():
        alike = [other for other in tables if other != name and set(read[other]) == set(read[name])]
        train = [hashes[other][splits[other].parts == TRAIN] for other in alike]
        if train and read[name]:
            whose = "a training row of another table"
            yield from repeats(found, splits[name], np.concatenate(train), f" of table {name!r}", whose)
