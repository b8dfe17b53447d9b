"""What stands behind the numbers: what was tried, what it cost, how to do it again, whom to cite."""

from collections.abc import Mapping, Sequence
from typing import Any

from polytask import __version__
from polytask.report.blocks import Block, Bullets, Cell, Code, Folded, Paragraph, Section, Table
from polytask.report.data import MOST_ROWS, left_out
from polytask.report.numbers import NONE, count, duration, energy, fixed, moment
from polytask.report.source import Source
from polytask.studies import repeats_name

#: CITATION.cff as BibTeX.
CITATION = f"""@software{{polytask,
  author  = {{{{The polytask developers}}}},
  title   = {{{{polytask: multi-task learning on PyTorch}}}},
  version = {{{__version__}}},
  license = {{Apache-2.0}}
}}
"""


def tried_section(results: Mapping[str, Any]) -> Section:
    """Every training of a study, those that failed too, and what all of it cost."""
    cost, design = results["cost"], results["design"]
    crashed = [run for run in results["runs"] if run["state"] == "crashed"]
    grid = "; ".join(f"{key}: {', '.join(map(str, values))}" for key, values in design["grid"].items())
    splits, repeats = design.get("splits") or 1, repeats_name(results["design"])
    said = [
        f"{count(cost['runs'])} trainings took {duration(cost['training_seconds'])} of computing, "
        f"{duration(cost['wall_seconds'])} on the clock ({design.get('jobs') or 1} at a time)."
        + (f" They used {energy(cost['joules'])}." if cost.get("joules") else ""),
        f"Seeds: {', '.join(map(str, design['seeds']))}."
        + (f" Repeated over {splits} {repeats}." if splits > 1 else ""),
        f"Tried for every candidate and every twin: {grid}." if grid else "No settings were tuned.",
        f"Rows were kept together by {design['group']}." if design.get("group") else "",
        f"Test rows were opened on {moment(design['test_opened'])}." if design.get("test_opened") else "",
    ]
    blocks: list[Block] = [Bullets(tuple(("", text) for text in said if text), label="What it cost")]
    if crashed:
        blocks.append(_runs(crashed, "Trainings that crashed"))
    blocks += [
        _arms(results),
        Folded("Every training", (_runs(results["runs"], "Every training"), *left_out(len(results["runs"])))),
    ]
    return Section("tried", "What was tried and what it cost", tuple(blocks))


def _arms(results: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            Cell(arm["name"]),
            Cell(_written(arm["overrides"])),
            Cell(count(arm.get("settings_tried")), arm.get("settings_tried")),
            Cell(_kept(arm.get("setting") or {})),
            Cell(count(arm["runs"]), arm["runs"]),
            Cell(fixed(arm.get("validation_skill")), arm.get("validation_skill")),
            Cell(duration(arm.get("seconds")), arm.get("seconds")),
        )
        for arm in results["arms"]
    )
    headings = ("arm", "differs in", "settings tried", "setting kept", "trainings", "validation skill", "time")
    return Table("Arms", headings, rows, frozenset({2, 4, 5, 6}))


def _runs(runs: Sequence[Mapping[str, Any]], caption: str) -> Table:
    has_splits = any(run.get("split") for run in runs)
    rows = tuple(
        (
            Cell(run["arm"]),
            Cell(run.get("task") or "all"),
            *([Cell(count(run.get("split")), run.get("split"))] if has_splits else []),
            Cell(count(run.get("seed")), run.get("seed")),
            Cell(_written(run.get("setting") or {})),
            Cell(run["state"] if run["is_main"] else f"{run['state']}, a trial", note=run.get("reason") or ""),
            Cell(duration(run.get("seconds")), run.get("seconds")),
            Cell(count(run.get("epochs")), run.get("epochs")),
            Cell(fixed(run.get("validation")), run.get("validation")),
        )
        for run in runs[:MOST_ROWS]
    )
    split = ("split",) if has_splits else ()
    headings = ("arm", "task", *split, "seed", "setting", "state", "time", "epochs", "validation skill")
    numbers = ("split", "seed", "time", "epochs", "validation skill")
    return Table(caption, headings, rows, frozenset(headings.index(name) for name in numbers if name in headings))


def repeat_section(source: Source) -> Section:
    """The exact configuration and the environment."""
    environment = source.results["environment"]
    flat = {key: value for key, value in environment.items() if key != "packages" and value is not None}
    flat |= environment.get("packages") or {}
    rows = tuple((Cell(key), Cell(str(value))) for key, value in flat.items())
    config = Code(source.config, "yaml") if source.config else Paragraph("There is no config.yaml in the folder.")
    return Section(
        "configuration",
        "Configuration and environment",
        (config, Table("Environment", ("what", "version or value"), rows)),
    )


def cite_section(source: Source) -> Section:
    """BibTeX of polytask and of every method that was used."""
    said = Paragraph("Cite polytask, and the methods that these results rest on.")
    return Section("cite", "How to cite", (said, Code(CITATION + source.citations, "bibtex")))


def _kept(setting: Mapping[str, Any]) -> str:
    """The settings an arm kept; of twins that all kept the same, once.

    Example:
        >>> _kept({"left": {"rate": 0.1}, "right": {"rate": 0.1}})
        'each task: rate=0.1'
    """
    values = list(setting.values())
    if len(values) > 1 and isinstance(values[0], Mapping) and all(value == values[0] for value in values):
        return f"each task: {_written(values[0])}"
    return _written(setting)


def _written(values: Mapping[str, Any]) -> str:
    """Nested settings on one line.

    Example:
        >>> _written({"balancer": "sum", "train": {"epochs": 3}})
        'balancer=sum, train={epochs=3}'
    """
    parts = [f"{k}={{{_written(v)}}}" if isinstance(v, Mapping) else f"{k}={v}" for k, v in values.items()]
    return ", ".join(parts) or NONE
