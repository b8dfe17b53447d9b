"""The data of a report: rows by part, columns by kind, labels by task, what the lint warned of."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from polytask.report.blocks import Block, Cell, Folded, Paragraph, Section, Table
from polytask.report.numbers import NONE, count
from polytask.report.source import Source
from polytask.studies import repeats_name

#: Rows of a table at most; results.json and the folders hold the rest.
MOST_ROWS = 400

#: Parts of a table, in the order they are shown.
PARTS = ("train", "validation", "test", "dropped")


def data_section(source: Source) -> Section:
    """Rows by part, columns by kind, labels by task, and what the lint warned of."""
    blocks: list[Block] = []
    if source.parts:
        parts = [part for part in PARTS if any(part in found for found in source.parts.values())]
        rows = tuple(
            (Cell(_table_name(name)), *(Cell(count(found.get(part, 0)), found.get(part, 0)) for part in parts))
            for name, found in source.parts.items()
        )
        blocks.append(Table("Rows by part", ("table", *parts), rows, frozenset(range(1, len(parts) + 1))))
    blocks += [_labels(source), *_columns(source.schema)]
    blocks += _redundant(source.results.get("redundant") or ())
    blocks.append(_lint(source.results["lint"]))
    return Section("data", "Data", tuple(blocks))


def _labels(source: Source) -> Table:
    parts = PARTS[:3]
    rows = []
    for task in source.results["tasks"]:
        labelled = task.get("rows") or {
            part: (scores.get(task["name"]) or {}).get("rows") for part, scores in source.results["scores"].items()
        }
        classes = source.classes.get(task["name"], ())
        shown = ", ".join(f"{label}: {count(number)}" for label, number in classes[:12])
        more = f", … ({len(classes)} classes)" if len(classes) > 12 else ""
        numbers = [Cell(count(labelled.get(part)), labelled.get(part)) for part in parts]
        groups = task.get("groups")
        rows.append((Cell(task["name"]), *numbers, Cell(count(groups), groups), Cell(shown + more or NONE)))
    headings = ("task", *parts, "test groups", "training labels by class")
    design = source.results.get("design") or {}
    is_several = (design.get("splits") or 1) > 1
    several = f", in the first of {design['splits']} {repeats_name(source.results['design'])}" if is_several else ""
    return Table(f"Labelled rows by task{several}", headings, tuple(rows), frozenset({1, 2, 3, 4}), frozenset({5}))


def _columns(schema: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    blocks: list[Block] = []
    for name, table in schema.items():
        columns = table["columns"]
        kinds = Counter(column["kind"] for column in columns)
        said = ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        size = f"{count(table['num_rows'])} rows and {len(columns)} columns"
        blocks.append(Paragraph(f"{_table_name(name).capitalize()} has {size}, by kind: {said}."))
        rows = tuple(
            (
                Cell(column["name"]),
                Cell(column["kind"]),
                Cell(count(column["missing"]), column["missing"]),
                Cell(count(column["unique"]), column["unique"]),
                Cell(str(column["example"])[:60]),
            )
            for column in columns[:MOST_ROWS]
        )
        headings = ("column", "kind", "missing", "different values", "example")
        more = left_out(len(columns))
        listed = Table(f"Columns of {_table_name(name)}", headings, rows, frozenset({2, 3}))
        blocks.append(Folded(f"The columns of {_table_name(name)}", (listed, *more)))
    return blocks


def _redundant(pairs: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Tasks that single-task models predict alike; nothing where there are none."""
    if not pairs:
        return []
    rows = tuple(
        (
            Cell(str(pair["tasks"][0])),
            Cell(str(pair["tasks"][1])),
            Cell(str(pair["measure"])),
            Cell(f"{pair['value']:.3f}", pair["value"]),
            Cell(count(pair["rows"]), pair["rows"]),
        )
        for pair in pairs[:MOST_ROWS]
    )
    said = "Single-task models predict these tasks alike on validation rows: merge them, or drop one."
    headings = ("task", "and", "measure", "value", "common rows")
    return [Paragraph(said), Table("Redundant tasks", headings, rows, frozenset({3, 4}))]


def _lint(findings: Sequence[Mapping[str, Any]]) -> Block:
    if not findings:
        return Paragraph("The lint found nothing to warn of.")
    rows = tuple(
        tuple(Cell(str(found.get(key) or NONE)) for key in ("what", "task", "column", "text", "remedy"))
        for found in findings[:MOST_ROWS]
    )
    return Table(
        "What the lint warned of", ("what", "task", "column", "finding", "what to do"), rows, wide=frozenset({3, 4})
    )


def left_out(length: int) -> tuple[Paragraph, ...]:
    """A note where a table does not show all of so many rows."""
    if length <= MOST_ROWS:
        return ()
    return (Paragraph(f"Shown are the first {MOST_ROWS} of {count(length)}; the folder holds all."),)


def _table_name(name: str) -> str:
    return "the table" if name == "all" else name
