"""How training went: learning curves, the balancer's weights, how far the tasks' gradients agree."""

from collections.abc import Mapping, Sequence
from typing import Any

from polytask.report.blocks import Chart, Folded, Gallery, Paragraph, Section
from polytask.report.charts import lines, series_style
from polytask.report.curves import curve, is_weighted, points_for, skill_of, weight_of
from polytask.report.numbers import fixed
from polytask.report.source import History

#: More tasks than this are folded away, and of their weights and cosines only the most telling are drawn.
MANY_TASKS = 12

#: Why curves end where they do.
EARLY = (
    "A Run stops early once its validation skill has not risen for a while, a twin as soon as that of its one task has "
    "not: so curves end at different epochs, most of all those of the twins."
)

#: Weights whose largest is more than this many times their smallest are drawn on a logarithmic axis.
MOST_RATIO = 20

#: Why a section has nothing to show.
NO_HISTORY = "The folders of the Runs are not here, so there is nothing to draw."


def curves_section(
    tasks: Sequence[str], arms: Sequence[str], judged: str, twins: str | None, histories: Sequence[History]
) -> Section:
    """The validation skill of every task by epoch.

    Args:
        tasks: in order.
        arms: that have histories, in order.
        judged: the arm that is drawn strongest.
        twins: the arm of single-task models; None for a Run.
        histories: of all arms.
    """
    style = {arm: ("var(--quiet)", True) for arm in arms if arm not in (judged, twins)}
    if twins:
        style[twins] = ("var(--alone)", False)
    style[judged] = ("var(--shared)", False)
    by_arm = {arm: [h for h in histories if h.arm == arm] for arm in style}
    most = points_for((len(tasks) + 1) * len(style))

    def chart(task: str | None) -> Chart | None:
        # A twin has one task only, so its own mean says nothing of all tasks.
        found = {
            arm: curve([h for h in runs if h.task in (None, task)], skill_of(task), most)
            for arm, runs in by_arm.items()
            if task is not None or arm != twins
        }
        return line_chart(found, style, task or "mean of tasks", "skill", strong=[judged, *([twins] if twins else [])])

    whole = f"Mean and range over the Runs of an arm, as far as all of them trained. {EARLY}"
    caption = f"Skill on validation rows by epoch. {whole if twins else ''}".strip()
    legend = _legend(style, judged, twins)
    mean, each = chart(None), [found for task in tasks if (found := chart(task))]
    if not each:
        return Section("curves", "Learning curves", (Paragraph(NO_HISTORY),))
    if len(tasks) <= MANY_TASKS:
        return Section("curves", "Learning curves", (Gallery(tuple(each), legend, caption),))
    first = (Gallery((mean,), legend, caption),) if mean else ()
    folded = Folded(f"The curves of all {len(each)} tasks", (Gallery(tuple(each), legend),))
    return Section("curves", "Learning curves", (*first, folded))


def weights_section(tasks: Sequence[str], candidates: Sequence[str], histories: Sequence[History]) -> Section:
    """The balancer's weights by epoch, of every candidate that has any but 1."""
    by_arm = {arm: [h for h in histories if h.arm == arm] for arm in candidates}
    weighted = {arm: runs for arm, runs in by_arm.items() if is_weighted(runs)}
    title = "Balancer weights"
    if not weighted:
        said = "Every task had the weight 1 throughout." if any(by_arm.values()) else NO_HISTORY
        return Section("weights", title, (Paragraph(said),))
    most = points_for(len(tasks) * len(weighted))
    charts = []
    style, is_log = series_style(tasks), False
    for arm, runs in weighted.items():
        found = {task: curve(runs, weight_of(task), most) for task in tasks}
        shown = _most_varied(found)
        drawn = style if len(tasks) <= MANY_TASKS else series_style(shown)
        chart = line_chart({task: found[task] for task in shown}, drawn, arm, "weight", strong=shown)
        is_log |= _log_range([found[task] for task in shown]) is not None
        if chart:
            charts.append((chart, drawn))
    several = any(len(runs) > 1 for runs in weighted.values())
    caption = (
        f"Mean weight of each task in an epoch{', over all Runs, as far as all of them trained' if several else ''}."
        f"{' The axis is logarithmic where weights are far apart.' if is_log else ''}"
    )
    if len(tasks) <= MANY_TASKS:
        legend = tuple((task, colour, dashed) for task, (colour, dashed) in style.items())
        return Section("weights", title, (Gallery(tuple(chart for chart, _ in charts), legend, caption),))
    caption += f" Drawn are the {MANY_TASKS} tasks whose weight varied most."
    galleries = tuple(
        Gallery((chart,), tuple((task, *look) for task, look in drawn.items()), caption) for chart, drawn in charts
    )
    return Section("weights", title, galleries)


def line_chart(
    found: Mapping[str, Mapping[str, Any]],
    style: Mapping[str, tuple[str, bool]],
    title: str,
    measure: str,
    *,
    strong: Sequence[str],
) -> Chart | None:
    """Curves of this measure over epochs, one a name; None where nothing was recorded."""
    drawn = {name: columns for name, columns in found.items() if columns}
    if not drawn:
        return None
    banded = [name for name in strong if name in drawn and drawn[name]["low"] != drawn[name]["high"]]
    banded = banded if measure == "skill" else []
    log = _log_range(list(drawn.values())) if measure == "weight" else None
    epochs = min(c["epoch"][0] for c in drawn.values()), max(c["epoch"][-1] for c in drawn.values())
    keep = ("epoch", "mean", "low", "high")
    series = tuple(
        {"keys": {"name": name}, "columns": {k: columns[k] for k in (keep if name in banded else keep[:2])}}
        for name in style
        if (columns := drawn.get(name))
    )
    ends = "; ".join(f"{name} {fixed(columns['mean'][-1])}" for name, columns in drawn.items())
    return Chart(
        spec=lines(
            {name: style[name] for name in style if name in drawn},
            title=f"{measure}, logarithmic" if log else measure,
            is_banded=bool(banded),
            strong=strong,
            epochs=epochs,
            log=log,
        ),
        series=series,
        caption="",
        description=f"Curves of {measure} by epoch, {title}. At the end: {ends}.",
        title=title,
    )


def _legend(style: Mapping[str, tuple[str, bool]], judged: str, twins: str | None) -> tuple[tuple[str, str, bool], ...]:
    found = [(judged, *style[judged])]
    if twins:
        found.append((f"{twins} (alone)", *style[twins]))
    others = [arm for arm in style if arm not in (judged, twins)]
    if others:
        found.append((f"other candidates: {', '.join(others)}", *style[others[0]]))
    return tuple(found) if twins or others else ()


def _log_range(curves: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """The least and the largest value, where only a logarithmic axis shows all of these."""
    values = [value for columns in curves if columns for value in columns["mean"]]
    is_wide = bool(values) and min(values) > 0 and max(values) / min(values) > MOST_RATIO
    return (min(values), max(values)) if is_wide else None


def _most_varied(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    ranges = {task: max(c["mean"]) - min(c["mean"]) for task, c in found.items() if c}
    kept = set(sorted(ranges, key=lambda task: -ranges[task])[:MANY_TASKS])
    return [task for task in found if task in kept]
