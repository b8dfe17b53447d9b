"""How far the tasks' gradients on the shared weights agree."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from polytask.report.blocks import Block, Cell, Chart, Folded, Gallery, Paragraph, Section, Table
from polytask.report.charts import bars, heatmap, series_style
from polytask.report.curves import cosine_of, curve, mean_of, recorded
from polytask.report.numbers import fixed
from polytask.report.source import History
from polytask.report.training import MANY_TASKS, NO_HISTORY, line_chart


def cosines_section(tasks: Sequence[str], arm: str, histories: Sequence[History]) -> Section:
    """How far the tasks' gradients on the shared weights agree, in the arm that is judged."""
    runs = [h for h in histories if h.arm == arm]
    means = {pair: value for pair in recorded(runs, "cosines") if (value := mean_of(runs, cosine_of(pair))) is not None}
    title = "Gradient cosines"
    if not means:
        said = "None were recorded: nothing is shared, or there is one task." if runs else NO_HISTORY
        return Section("cosines", title, (Paragraph(said),))
    ordered = sorted(means, key=means.__getitem__)
    rows = tuple((Cell(_shown(pair)), Cell(fixed(means[pair], 2, sign=True), means[pair])) for pair in ordered)
    listed = Table("Mean cosine of each pair", ("pair", "cosine"), rows[:200], frozenset({1}))
    said = (
        f"The cosine between two tasks' gradients on the shared weights of {arm}: above 0 they pull the same way, "
        f"below 0 against each other. Mean over epochs{' and Runs' if len(runs) > 1 else ''}."
    )
    picture = _square(tasks, means) if len(tasks) <= MANY_TASKS else _ends(ordered, means)
    blocks: list[Block] = [Paragraph(said), picture]
    over_time = _over_time(ordered, runs)
    if over_time:
        blocks.append(over_time)
    return Section("cosines", title, (*blocks, Folded("The cosines in numbers", (listed,))))


def _square(tasks: Sequence[str], means: Mapping[str, float]) -> Chart:
    cells: dict[str, list[Any]] = {
        "first": [],
        "second": [],
        "column": [],
        "row": [],
        "cosine": [],
        "strength": [],
        "text": [],
    }
    place = {task: number for number, task in enumerate(tasks)}
    for one, other in combinations(tasks, 2):
        value = means.get(f"{one}|{other}", means.get(f"{other}|{one}"))
        if value is None:
            continue
        for pair in ((one, other), (other, one)):
            row = (
                *pair,
                *(place[task] for task in pair),
                round(value, 4),
                abs(round(value, 4)),
                fixed(value, 2, sign=True),
            )
            for key, entry in zip(cells, row, strict=True):
                cells[key].append(entry)
    return Chart(
        spec=heatmap(tasks),
        series=({"keys": {}, "columns": cells},),
        caption="Mean cosine of each pair of tasks; the stronger the colour, the further from 0.",
        description=f"Table of cosines between tasks. {_extremes(means)}",
    )


def _ends(ordered: Sequence[str], means: Mapping[str, float]) -> Chart:
    pairs = list(dict.fromkeys([*ordered[:10], *ordered[-10:]]))
    columns = {
        "name": [_shown(pair) for pair in pairs],
        "cosine": [round(means[pair], 4) for pair in pairs],
        "text": [fixed(means[pair], 2, sign=True) for pair in pairs],
    }
    return Chart(
        spec=bars("cosine", len(pairs)),
        series=({"keys": {}, "columns": columns},),
        caption=f"The pairs that disagree most and agree most, of {len(means)}.",
        description=f"Bars of cosines between tasks. {_extremes(means)}",
    )


def _over_time(ordered: Sequence[str], runs: Sequence[History]) -> Gallery | None:
    """Cosines by epoch: of all pairs where they are few, else of the three at either end."""
    pairs = list(ordered) if len(ordered) <= 6 else [*ordered[:3], *ordered[-3:]]
    found = {_shown(pair): curve(runs, cosine_of(pair)) for pair in pairs}
    style = series_style(list(found))
    chart = line_chart(found, style, "over epochs", "cosine", strong=list(found))
    if not chart:
        return None
    said = ["Mean over Runs, as far as all of them trained."] if len(runs) > 1 else []
    said += ["The three pairs at either end."] if len(ordered) > 6 else []
    return Gallery((chart,), tuple((name, *look) for name, look in style.items()), " ".join(said))


def _extremes(means: Mapping[str, float]) -> str:
    least, most = min(means, key=means.__getitem__), max(means, key=means.__getitem__)
    return (
        f"Lowest: {_shown(least)} {fixed(means[least], 2, sign=True)}; "
        f"highest: {_shown(most)} {fixed(means[most], 2, sign=True)}."
    )


def _shown(pair: str) -> str:
    return pair.replace("|", " and ")
