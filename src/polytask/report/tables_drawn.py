"""Small tables of numbers as pictures: what a sharing scheme has learnt about who shares what."""

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from polytask.report.blocks import Cell, Chart, Table
from polytask.report.charts import SERIES, by, finished
from polytask.report.numbers import NONE, fixed, is_number

#: Rows and columns that are drawn at most.
MOST = 24
#: Columns that leave room for a number in every cell.
MOST_WRITTEN = 8

#: How the cells of each kind are to be read.
KINDS: Mapping[str, str] = {
    "shares": "Shares: a row sums to 1; the stronger the colour, the larger the share.",
    "weights": "Weights: blue above 0, orange below; the stronger the colour, the further from 0.",
    "groups": "Groups: tasks with the same number and colour in a row share.",
    "amounts": "Amounts: the stronger the colour, the larger, against the largest of its table.",
}


def heatmap_of(title: str, record: Mapping[str, Any]) -> Chart:
    """A record as `Record.to_json` wrote it, drawn: a coloured cell a number."""
    rows, columns = record["rows"][:MOST], record["columns"][:MOST]
    numbers = [number for line in record["values"] for number in line if is_number(number)]
    largest = max((abs(number) for number in numbers), default=0.0) or 1.0
    cells: dict[str, list[Any]] = {key: [] for key in ("row", "column", "down", "across", "colour", "strength", "text")}
    for down, (row, line) in enumerate(zip(rows, record["values"], strict=False)):
        for across, (column, number) in enumerate(zip(columns, line, strict=False)):
            colour, strength = _look(record["kind"], number, largest)
            found = (row, column, down, across, colour, strength, _text(record["kind"], number))
            for key, entry in zip(cells, found, strict=True):
                cells[key].append(entry)
    return Chart(
        spec=_spec(len(rows), len(columns)),
        series=({"keys": {}, "columns": cells},),
        caption=_cut(record),
        description=described(title, record),
        title=title,
    )


def table_of(title: str, record: Mapping[str, Any]) -> Table:
    """The numbers of a record."""
    kind, columns = record["kind"], record["columns"][:MOST]
    rows = tuple(
        (Cell(str(row)), *(Cell(_text(kind, number), number if is_number(number) else None) for number in line[:MOST]))
        for row, line in zip(record["rows"][: 4 * MOST], record["values"], strict=False)
    )
    return Table(title, ("", *map(str, columns)), rows, frozenset(range(1, len(columns) + 1)))


def described(title: str, record: Mapping[str, Any]) -> str:
    """What a reader sees in it."""
    named = [
        (number, row, column)
        for row, line in zip(record["rows"], record["values"], strict=False)
        for column, number in zip(record["columns"], line, strict=False)
        if is_number(number)
    ]
    size = f"{len(record['rows'])} rows and {len(record['columns'])} columns"
    if not named:
        return f"Table of {record['kind']}, {title}: {size}, without a number."
    if record["kind"] == "groups":
        groups = [
            f"{row} {len({n for n in line if is_number(n)})}" for row, line in _lines(record)
        ]  # fmt: skip
        return f"Table of groups, {title}: {size}; how many groups each has: {', '.join(groups[:MOST])}."
    least, most = min(named, key=lambda found: found[0]), max(named, key=lambda found: found[0])
    ends = [f"{row}, {column} {_text(record['kind'], number)}" for number, row, column in (least, most)]
    return f"Table of {record['kind']}, {title}: {size}. Lowest: {ends[0]}; highest: {ends[1]}."


def _lines(record: Mapping[str, Any]) -> list[tuple[str, Sequence[Any]]]:
    return list(zip(record["rows"], record["values"], strict=False))


def _look(kind: str, number: Any, largest: float) -> tuple[str, float]:
    """Colour of a cell, and how strong it is."""
    if not is_number(number):
        return "var(--paper)", 0.0
    if kind == "groups":
        return SERIES[round(number) % len(SERIES)], 0.45
    colour = {"weights": SERIES[0] if number >= 0 else SERIES[1], "amounts": SERIES[2]}.get(kind, SERIES[0])
    part = number if kind == "shares" else abs(number) / largest
    return colour, round(0.05 + 0.55 * min(max(part, 0.0), 1.0), 3)


def _text(kind: str, number: Any) -> str:
    if not is_number(number):
        return NONE
    if kind == "groups":
        return f"{number:.0f}"
    if abs(number) >= 100:
        return fixed(number, 0)
    return fixed(number, 2, sign=kind == "weights")


def _cut(record: Mapping[str, Any]) -> str:
    """A sentence where not all is drawn."""
    parts = [
        f"the first {MOST} of {len(record[name])} {name}" for name in ("rows", "columns") if len(record[name]) > MOST
    ]
    return f"Drawn are {' and '.join(parts)}." if parts else ""


def _spec(num_rows: int, num_columns: int) -> dict[str, Any]:
    """Cells of any colours, the number in each where there is room."""
    is_slanted = num_columns > 3
    overlap: Any = "greedy" if num_columns > MOST_WRITTEN else False
    across = alt.X("column:N", sort=by("across"), title=None).axis(
        labelAngle=-35 if is_slanted else 0,
        labelLimit=110,
        labelOverlap=overlap,
        orient="bottom",
        domain=False,
        ticks=False,
    )
    down = alt.Y("row:N", sort=by("down"), title=None).axis(labelLimit=130, domain=False, ticks=False)
    base = alt.Chart(alt.NamedData("rows")).encode(x=across, y=down)
    cells = base.mark_rect(stroke="var(--paper)", strokeWidth=2).encode(
        color=alt.Color("colour:N", scale=None),
        opacity=alt.Opacity("strength:Q", scale=None),
        tooltip=["row:N", "column:N", alt.Tooltip("text:N", title="value")],
    )
    layers = [cells]
    if num_columns <= MOST_WRITTEN:
        layers.append(base.mark_text(color="var(--ink)", fontSize=12).encode(text="text:N"))
    return finished(alt.layer(*layers), height=30 * num_rows)
