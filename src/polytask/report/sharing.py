"""Who shares what: the model's graph, and what the sharing scheme has learnt."""

from collections.abc import Mapping, Sequence
from typing import Any

from polytask.report.blocks import Block, Cell, Chart, Folded, Gallery, Paragraph, Section, Table
from polytask.report.charts import series_style
from polytask.report.curves import Reader, curve
from polytask.report.diagram import diagram_of
from polytask.report.source import History
from polytask.report.tables_drawn import KINDS, MOST_WRITTEN, heatmap_of, table_of
from polytask.report.training import MANY_TASKS, NO_HISTORY, line_chart
from polytask.runs import ModelGraph

#: Cells of all tables that are drawn: together they stay far below half a megabyte.
ALL_CELLS = 2400
#: Rows of a graph's table.
MOST_PARTS = 200

#: A record as `Record.to_json` wrote it.
Written = Mapping[str, Any]

#: What is on the vertical axis of a record's curves.
MEASURES = {"shares": "share", "weights": "weight", "amounts": "amount"}


def sharing_section(
    graph: ModelGraph | None, judged: str, others: Sequence[str], histories: Sequence[History]
) -> Section:
    """The graph of the model that is judged; what it and the other candidates keep of who shares what.

    Args:
        graph: of the judged model; None where it could not be made.
        judged: its arm.
        others: the other candidates.
        histories: of all arms.
    """
    first = {h.arm: h for h in reversed(histories)}
    blocks = _drawn(graph) if graph else []
    if blocks and others:
        blocks = [Paragraph(f"The model of {judged}, the candidate that is judged."), *blocks]
    room = ALL_CELLS
    for arm in (judged, *others):
        epoch, records = kept_records(first[arm]) if arm in first else (0, {})
        shown = {title: record for title, record in records.items() if (room := room - _cells(record)) >= 0}
        found = _learnt(first[arm], shown) if shown else []
        if len(shown) < len(records):
            found.append(Paragraph(f"{len(records) - len(shown)} tables more of {arm} are in its history.jsonl."))
        if found and arm == judged:
            several = any(h is not first[arm] and h.arm == arm for h in histories)
            blocks += [Paragraph(_said(arm, epoch, is_first=several)), *found]
        elif found:
            blocks.append(Folded(f"What {arm} has learnt about who shares what", tuple(found)))
    if not any(kept_records(history)[1] for history in first.values()):
        blocks.append(Paragraph("Its sharing scheme records nothing that it has learnt." if first else NO_HISTORY))
    return Section("sharing", "Who shares what", tuple(blocks))


def kept_records(history: History) -> tuple[int, dict[str, Written]]:
    """The epoch whose weights were kept, and the scheme's records of it by title."""
    if not history.records:
        return 0, {}
    best = [record for record in history.records if "mean" in record.get("improved", ())]
    record = (best or history.records)[-1]
    return int(record.get("epoch", 0)), dict(record.get("sharing", {}))


def _said(arm: str, epoch: int, *, is_first: bool) -> str:
    whose = (
        f"the first Run of {arm} (in another Run the same part may have learnt something else, so no mean is taken)"
        if is_first
        else arm
    )
    return f"What {whose} has learnt about who shares what, after epoch {epoch}, whose weights were kept."


def _cells(record: Written) -> int:
    return len(record["rows"]) * len(record["columns"])


def _drawn(graph: ModelGraph) -> list[Block]:
    headings = ("part", "kind", "stage", "parameters", "kilobytes", "output of a row", "reached by")
    rows = tuple(
        (
            Cell(node.label),
            Cell(node.kind),
            Cell("" if node.stage is None else str(node.stage), node.stage),
            Cell(f"{node.parameters:,}", node.parameters),
            Cell(f"{node.bytes / 1000:,.1f}", node.bytes),
            Cell("" if node.shape is None else "×".join(map(str, node.shape)) or "1"),
            Cell("all" if len(node.tasks) == len(graph.tasks) > 1 else ", ".join(node.tasks[:MANY_TASKS]) or "no task"),
        )
        for node in graph.nodes
        if node.kind not in ("input", "task")
    )
    cut = f", the first {MOST_PARTS} of {len(rows)}" if len(rows) > MOST_PARTS else ""
    table = Table(f"Parts of the model{cut}", headings, rows[:MOST_PARTS], frozenset({2, 3, 4}), frozenset({6}))
    return [diagram_of(graph), Folded("The parts in numbers", (table,))]


def _learnt(history: History, records: Mapping[str, Written]) -> list[Block]:
    """Curves of what is one row, pictures of the rest, all of it in numbers."""
    curves = {title: found for title, record in records.items() if (found := _curves(history, title, record))}
    maps = {title: heatmap_of(title, record) for title, record in records.items() if title not in curves}
    blocks: list[Block] = []
    small = tuple(found for title, found in maps.items() if len(records[title]["columns"]) <= MOST_WRITTEN)
    if small:
        blocks.append(Gallery(small))
    blocks += [found for title, found in maps.items() if len(records[title]["columns"]) > MOST_WRITTEN]
    kinds = dict.fromkeys(records[title]["kind"] for title in maps)
    if kinds:
        blocks.append(Paragraph(" ".join(KINDS[kind] for kind in kinds), "caption"))
    by_names: dict[tuple[str, ...], list[Chart]] = {}
    for title, chart in curves.items():
        by_names.setdefault(tuple(_line(records[title])), []).append(chart)
    for names, charts in by_names.items():
        legend = tuple((name, *look) for name, look in series_style(names).items())
        blocks.append(Gallery(tuple(charts), legend, "By epoch."))
    tables = tuple(table_of(title, record) for title, record in records.items())
    return [*blocks, Folded("These tables in numbers", tables)]


def _line(record: Written) -> dict[str, tuple[int, int]]:
    """Name -> place of every number of a record that has but one row or one column; empty for others."""
    if len(record["rows"]) == 1:
        return {str(name): (0, place) for place, name in enumerate(record["columns"])}
    if len(record["columns"]) == 1:
        return {str(name): (place, 0) for place, name in enumerate(record["rows"])}
    return {}


def _curves(history: History, title: str, record: Written) -> Chart | None:
    """A record of one row or column over epochs; None for others, and where there is one epoch or too many lines."""
    line = _line(record)
    if record["kind"] not in MEASURES or not 1 <= len(line) <= MANY_TASKS:
        return None
    found = {name: curve([history], _value(title, *place)) for name, place in line.items()}
    if max(len(columns.get("epoch", ())) for columns in found.values()) < 2:
        return None
    return line_chart(found, series_style(list(found)), title, MEASURES[record["kind"]], strong=list(found))


def _value(title: str, row: int, column: int) -> Reader:
    def read(record: Mapping[str, Any]) -> Any:
        values = record.get("sharing", {}).get(title, {}).get("values", ())
        return values[row][column] if row < len(values) and column < len(values[row]) else None

    return read
