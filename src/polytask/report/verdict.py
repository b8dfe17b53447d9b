"""The verdict of a study: the forest plot, a sentence a task, what the words mean, what to be warned of."""

from collections.abc import Iterator, Mapping
from typing import Any

from polytask.report.blocks import Block, Bullets, Cell, Chart, Folded, Paragraph, Section, Table
from polytask.report.charts import forest
from polytask.report.numbers import NONE, count, decimals_of, fixed, is_number, p_value, span
from polytask.studies import metric_name, repeats_name, verdict_table

#: What has to fit into the forest plot.
ENDS = ("difference", "low", "high", "adjusted_low", "adjusted_high")

#: What the numbers in the picture and in the sentences are.
UNITS = (
    "The picture and the tables of differences are in skill: 0 the best constant, 1 perfect. Sentences are in the "
    "metric's own units."
)

MEANINGS = (
    ("helps", "the shared model is better than the model for this task alone, and chance is no good explanation."),
    ("hurts", "it is worse, and chance is no good explanation."),
    ("practically equal", "any difference is too small to matter: its whole 95 % interval lies in the shaded region."),
    ("cannot tell", "this study cannot say. It does not mean equal; its sentence says what could have been found."),
    ("no verdict", "even that would claim too much, for the reason given."),
)


def verdict_section(results: Mapping[str, Any]) -> Section:
    """The part that comes first."""
    verdict, warnings = results["verdict"], results["warnings"]
    blocks: list[Block] = [forest_chart(results), Paragraph(UNITS, kind="caption")]
    if warnings:
        blocks.append(Bullets(tuple(("", text) for text in warnings), kind="warnings", label="Warnings"))
    blocks += [*_sentences(results), _numbers(results)]
    beside = _beside(results)
    if beside.rows:
        said = Paragraph("Their intervals are at 95 % each and are not adjusted for how many there are.")
        blocks.append(Folded("Other comparisons, outside the verdict", (said, beside)))
    meaning = (
        f"Compared are {_named(results, verdict['candidate'])} and its twins: the same model trained for one task at a "
        "time, with the same rows, seeds and tuning. Skill puts every metric on one scale: 0 is the best constant "
        f"prediction, 1 is perfect. The 95 % interval is where the difference in skill may well lie, counting "
        f"{_chances(results)}. The adjusted interval is wider, so that all "
        f"tasks together are wrong with at most {100 * results['design']['level']:g} % chance; helps and hurts need it "
        "to leave out 0."
    )
    blocks.append(
        Folded(
            "What skill, the intervals and the words mean",
            (
                Paragraph(meaning),
                Bullets(MEANINGS, kind="meanings", label="The words"),
                Paragraph("All of it, with what it does not say: docs/verdict.md of polytask."),
            ),
        )
    )
    return Section("verdict", "Verdict", tuple(blocks))


def forest_chart(results: Mapping[str, Any], *, has_numbers: bool = False) -> Chart:
    """The forest plot of all tasks and their mean; with the differences beside the words, where there is room."""
    found = verdict_table(results).forest
    rows = [_row(name, verdict, found.regions.get(name)) for name, verdict in found.verdicts.items()]
    for order, row in enumerate(rows):
        row["order"] = order
        row["label"] = f"{row['text']} {row['word']}" if has_numbers else row["word"]
    bound = 1.06 * found.bound  # so that the ends of the longest interval are seen as such
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "label"}
    is_cut = any(is_number(row[key]) and abs(row[key]) > bound for row in rows for key in ENDS)
    cut = " Intervals that end beyond the picture are cut off." if is_cut else ""
    said = "; ".join(f"{row['task']}: {row['word']}, {row['text']} {row['interval']}".strip() for row in rows)
    return Chart(
        spec=forest(rows, bound=bound),
        series=({"keys": {}, "columns": columns},),
        caption="Right of 0 sharing is better. Thick line: 95 % interval; thin line: the same, adjusted for the number "
        f"of tasks; shaded: practically equal.{cut}",
        description=f"Forest plot of differences in skill. {said}.",
    )


def _row(task: str, verdict: Mapping[str, Any], region: float | None) -> dict[str, Any]:
    low, high = verdict.get("interval") or (None, None)
    adjusted_low, adjusted_high = verdict.get("adjusted_interval") or (None, None)
    return {
        "task": task,
        "word": verdict.get("word") or "",
        "difference": verdict.get("difference"),
        "low": low,
        "high": high,
        "adjusted_low": adjusted_low,
        "adjusted_high": adjusted_high,
        "region_low": None if region is None else -region,
        "region_high": region,
        "text": fixed(verdict.get("difference"), sign=True),
        "interval": span((low, high), sign=True),
        "adjusted": span((adjusted_low, adjusted_high), sign=True),
    }


def _sentences(results: Mapping[str, Any]) -> Iterator[Block]:
    """A sentence a task; where the verdict is on the mean, that first, then the screen, and the tasks folded away."""
    table = verdict_table(results)
    said = {
        name: (v.get("word") or "", table.sentence(name) if name in results["verdict"]["tasks"] else _of_mean(v))
        for name, v in table.forest.verdicts.items()
    }
    each = Bullets(tuple(said.values()), kind="sentences", label="The verdict on each task")
    if results["design"]["primary"] != "mean" or not results["verdict"].get("mean"):
        yield each
        return
    yield Bullets((said.popitem()[1],), kind="sentences", label="The verdict on the mean of tasks")
    named = [name for name, is_named in (results["verdict"].get("screen") or {}).items() if is_named]
    yield Paragraph(
        "With so many tasks the verdict is on their mean; single tasks are screened: of those named, at most one in "
        f"ten is wrong on average. It says where to look, not what is so. Named: {', '.join(named) or 'none'}."
    )
    yield Folded("Each task", (Bullets(tuple(said.values()), kind="sentences", label="Each task"),))


def _of_mean(verdict: Mapping[str, Any]) -> str:
    if verdict.get("reason"):
        return f"On average over tasks: {verdict['reason']}."
    difference, interval = fixed(verdict["difference"], sign=True), span(verdict["interval"], sign=True)
    return f"On average over tasks: a difference in skill of {difference}, 95 % {interval}."


def _numbers(results: Mapping[str, Any]) -> Folded:
    """All numbers behind the verdict, a row a task."""
    explained = "Detectable: the difference in skill that this study would have found about three times in four."
    if repeats_name(results["design"]) == "seeds":
        explained += (
            " Error from seeds: how much of the squared error comes from training again rather than from which rows "
            "were tested."
        )
    return Folded("The verdict in numbers", (_found(results), _certainty(results), Paragraph(explained)))


def _found(results: Mapping[str, Any]) -> Table:
    table = verdict_table(results)
    tasks = {task["name"]: task for task in results["tasks"]}
    arms = {arm["name"]: arm for arm in results["arms"]}
    shared, alone = (arms[results["verdict"][key]]["scores"] for key in ("candidate", "twins"))
    rows = []
    for name, verdict in table.forest.verdicts.items():
        task = tasks.get(name, {})
        places = decimals_of(task.get("unit"))
        values = [(scores.get(name) or {}).get("value") for scores in (alone, shared)]
        rows.append(
            (
                Cell(name, note=metric_name(task.get("metric") or "")),
                Cell(verdict.get("word") or NONE),
                *(Cell(fixed(value, places), value) for value in values),
                Cell(fixed(verdict["difference"], sign=True), verdict["difference"]),
                Cell(span(verdict["interval"], sign=True) or NONE),
                Cell(span(verdict["adjusted_interval"], sign=True) or NONE),
            )
        )
    headings = ("task", "verdict", "alone", "shared", "difference in skill", "95 %", "adjusted")
    return Table("What was found", headings, tuple(rows), frozenset(range(2, 7)))


def _certainty(results: Mapping[str, Any]) -> Table:
    table = verdict_table(results)
    repeats = repeats_name(results["design"])
    columns = {
        "p": (p_value, "p"),
        "detectable": (fixed, "mde"),
        repeats: (count, "seeds"),
        "test rows": (count, "rows"),
        "groups": (count, "groups"),
    }
    if repeats == "seeds":  # with repeated splits the two cannot be told apart
        columns["error from seeds"] = (_share, "seed_share")
    rows = []
    for name, verdict in table.forest.verdicts.items():
        beats = {True: "yes", False: "no"}.get(verdict.get("beats_constant", NONE), NONE)
        numbers = (Cell(write(verdict.get(key)), verdict.get(key)) for write, key in columns.values())
        rows.append((Cell(name), *numbers, Cell(beats)))
    headings = ("task", *columns, "shared beats the constant")
    return Table("How sure it can be", headings, tuple(rows), frozenset(range(1, 1 + len(columns))))


def _beside(results: Mapping[str, Any]) -> Table:
    rows = []
    for name, verdict in verdict_table(results).forest.verdicts.items():
        others = [("weights that are best for this task, minus alone", verdict.get("own_best"))]
        others += [(f"shared model minus {arm}", other) for arm, other in (verdict.get("beside") or {}).items()]
        for what, other in others:
            if other:
                difference = Cell(fixed(other["difference"], sign=True), other["difference"])
                rows.append((Cell(name), Cell(what), difference, Cell(span(other["interval"], sign=True) or NONE)))
    return Table(
        "Other comparisons, in skill",
        ("task", "compared", "difference", "95 %"),
        tuple(rows),
        frozenset({2, 3}),
        frozenset({1}),
    )


def _chances(results: Mapping[str, Any]) -> str:
    repeats = repeats_name(results["design"])
    if repeats == "seeds":
        return "both chance in training (seeds) and chance in which rows were tested"
    return f"chance in training and in which rows were trained on and tested, over {repeats} of the rows"


def _share(value: float | None) -> str:
    return NONE if not is_number(value) else f"{100 * value:.0f} %"


def _named(results: Mapping[str, Any], arm: str) -> str:
    summary = next((found["summary"] for found in results["arms"] if found["name"] == arm), None)
    return f"{arm} ({summary})" if summary else arm
