"""From an opened folder to the report: which sections there are, in which order."""

from collections.abc import Mapping
from typing import Any

from polytask.report.blocks import Report, Section
from polytask.report.conflict import cosines_section
from polytask.report.data import data_section
from polytask.report.leaderboard import leaderboard_section, scores_section
from polytask.report.numbers import count, duration, moment
from polytask.report.record import cite_section, repeat_section, tried_section
from polytask.report.sharing import kept_records, sharing_section
from polytask.report.source import Source
from polytask.report.training import curves_section, weights_section
from polytask.report.verdict import verdict_section
from polytask.studies import repeats_name


def report_of(source: Source) -> Report:
    """The report of a study or of a Run."""
    return _of_study(source) if source.results["kind"] == "study" else _of_run(source)


def _of_study(source: Source) -> Report:
    results = source.results
    judged, twins = results["verdict"]["candidate"], results["verdict"]["twins"]
    tasks = [task["name"] for task in results["tasks"]]
    candidates = [arm["name"] for arm in results["arms"] if arm["role"] == "candidate"]
    drawn = [name for name in (*candidates, twins) if any(h.arm == name for h in source.histories)]
    sections = (
        verdict_section(results),
        leaderboard_section(results),
        curves_section(tasks, drawn, judged, twins, source.histories),
        weights_section(tasks, candidates, source.histories),
        cosines_section(tasks, judged, source.histories),
        sharing_section(source.graph, judged, [c for c in candidates if c != judged], source.histories),
        data_section(source),
        tried_section(results),
        *_last(source),
    )
    facts = (
        f"{_many(len(tasks), 'task')}, {_many(len(candidates), 'candidate')}, {_repeats(results)}, "
        f"{count(results['cost']['runs'])} trainings; {_made(results)}"
    )
    title = results.get("title") or f"Does sharing help {', '.join(tasks[:4])}{', …' if len(tasks) > 4 else ''}?"
    return Report(title, results["verdict"]["headline"], facts, sections, results)


def _of_run(source: Source) -> Report:
    results = source.results
    tasks, arm = [task["name"] for task in results["tasks"]], source.histories[0].arm
    parameters = results["parameters"]
    sections = (
        scores_section(results),
        curves_section(tasks, [arm], arm, None, source.histories),
        weights_section(tasks, [arm], source.histories),
        cosines_section(tasks, arm, source.histories),
        sharing_section(source.graph, arm, [], source.histories),
        data_section(source),
        *_last(source),
    )
    lead = (
        f"One model for {', '.join(tasks)}: trained {_many(results['epochs'], 'epoch')} in "
        f"{duration(results['seconds'])}, weights of epoch {results['best_epoch']}."
    )
    facts = (
        f"{count(parameters['total'])} parameters, {count(parameters['shared'])} of them shared by at least two tasks; "
        f"{_made(results)}"
    )
    graph = source.graph.to_json() if source.graph else None
    shown = {**results, "graph": graph, "sharing": kept_records(source.histories[0])[1]}
    return Report(f"Run {source.path.resolve().name}", lead, facts, sections, shown)


def _repeats(results: Mapping[str, Any]) -> str:
    """`5 seeds`; `5 folds of 3 seeds each`."""
    seeds, splits = _many(len(results["design"]["seeds"]), "seed"), results["design"].get("splits") or 1
    return f"{splits} {repeats_name(results['design'])} of {seeds} each" if splits > 1 else seeds


def _last(source: Source) -> tuple[Section, Section]:
    return repeat_section(source), cite_section(source)


def _made(results: Mapping[str, Any]) -> str:
    return f"polytask {results.get('polytask', '?')}, {moment(results.get('written'))}"


def _many(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
