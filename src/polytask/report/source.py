"""The folder of a study or a Run, opened: all that a report says of it, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from polytask.errors import PolytaskError, RunError
from polytask.model import count_parameters
from polytask.report.contract import check
from polytask.report.numbers import is_number
from polytask.runs import ModelGraph, Run, RunFolder
from polytask.tasks import Task

#: The version of results.json that is read and written here.
FORMAT = 1


@runtime_checkable
class Recorded(Protocol):
    """What has a folder: a Run or a Study."""

    @property
    def path(self) -> Path:
        """The folder."""


@dataclass(frozen=True)
class History:
    """What one training went through.

    Attributes:
        arm: it belongs to.
        task: of a twin; None where all tasks were trained.
        records: one an epoch, as history.jsonl has them.
    """

    arm: str
    task: str | None
    records: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Source:
    """A study or a Run.

    Attributes:
        path: its folder.
        results: of a study: its results.json; of a Run: the same for one Run (`kind` tells which).
        histories: of the trainings that the results rest on, where their folders are there.
        schema: table -> its columns.
        parts: table -> part -> number of rows.
        classes: task -> (class, training labels) of tasks that have classes.
        config: the YAML it was started with.
        citations: BibTeX of the methods used.
        graph: of the model that is judged; None where its Run is not there, or cannot be loaded.
    """

    path: Path
    results: Mapping[str, Any]
    histories: tuple[History, ...]
    schema: Mapping[str, Mapping[str, Any]]
    parts: Mapping[str, Mapping[str, int]]
    classes: Mapping[str, tuple[tuple[str, int], ...]]
    config: str
    citations: str
    graph: ModelGraph | None = None


def open_source(source: str | Path | Recorded) -> Source:
    """Opens a study or a Run.

    Raises:
        RunError: it is neither, is unfinished, or damaged.
    """
    path = source.path if isinstance(source, Recorded) else Path(source)
    if not path.is_dir():
        raise RunError(f"{path}: there is no such folder{RunFolder(path).neighbours()}")
    folder = RunFolder(path)
    if (path / "run.json").is_file():
        return _run(path)
    if not (path / "results.json").is_file():
        if (path / "study.json").is_file():
            raise RunError(f"{path} is an unfinished study: start its command again, and it goes on where it was")
        raise RunError(f"{path} is neither a study nor a Run: it has no results.json and no run.json")
    results = folder.read_json("results.json")
    check(results, path / "results.json", FORMAT)
    return _study(path, results)


def _study(path: Path, results: Mapping[str, Any]) -> Source:
    main = [run for run in results["runs"] if run["is_main"] and run["state"] == "finished"]
    histories = [
        History(run["arm"], run["task"], records)
        for run in main
        if run["folder"] and (records := _records(path / run["folder"]))
    ]
    chosen = results["verdict"]["candidate"]
    typical = next((path / run["folder"] for run in main if run["arm"] == chosen and run["folder"]), path)
    return Source(
        path=path,
        results=results,
        histories=tuple(histories),
        schema=_json(path, "schema.json") or _json(typical, "schema.json"),
        parts=_parts(typical),
        classes=_classes(typical),
        config=_text(path, "config.yaml"),
        citations=_text(path, "citations.bib"),
        graph=_graph(typical),
    )


def _graph(path: Path) -> ModelGraph | None:
    """Of a Run's model; None where its folder holds none, or one whose methods are in no catalogue here."""
    try:
        return Run(path).graph()
    except PolytaskError:
        return None


def _run(path: Path) -> Source:
    run = Run(path)
    head, metrics, model = run.folder.read_json("run.json"), run.metrics, run.model()
    results = {
        "format": FORMAT,
        "kind": "run",
        "polytask": head["polytask"],
        "written": head["written"],
        "tasks": [_task(run, task, metrics["validation"][task.name]) for task in run.tasks],
        "scores": {part: metrics[part] for part in ("validation", "test") if metrics.get(part)},
        "test_opened": metrics.get("test_opened"),
        "epochs": head["epochs"],
        "best_epoch": head["best_epoch"],
        "seconds": head["seconds"],
        "parameters": {
            "total": count_parameters(model.parameters()),
            "shared": count_parameters(model.shared_parameters()),
        },
        "lint": run.findings,
        "environment": run.folder.read_json("environment.json"),
    }
    return Source(
        path=path,
        results=results,
        histories=(History("this Run", None, _records(path)),),
        schema=_json(path, "schema.json"),
        parts=_parts(path),
        classes=_classes(path),
        config=_text(path, "config.yaml"),
        citations=_text(path, "citations.bib"),
        graph=run.graph(),
    )


def _task(run: Run, task: Task, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Name, kind and metric; and what a skill of 1 is worth in the metric, where its scores tell."""
    metric = task.primary_metric(run.blueprint.fitted[task.name])
    value, skill = scores[metric.name], scores["skill"]
    is_known = is_number(value) and is_number(skill) and abs(1 - skill) > 1e-9
    unit = abs(metric.perfect - value) / abs(1 - skill) if is_known else None
    return {"name": task.name, "kind": task.kind, "metric": metric.name, "unit": unit}


def _text(path: Path, name: str) -> str:
    file = path / name
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def _json(path: Path, name: str) -> Any:
    return RunFolder(path).read_json(name) if (path / name).is_file() else {}


def _records(path: Path) -> tuple[Mapping[str, Any], ...]:
    try:
        return tuple(json.loads(line) for line in _text(path, "history.jsonl").splitlines())
    except ValueError as error:
        raise RunError(
            f"{path / 'history.jsonl'} is damaged ({error}); restore it from a copy or train again"
        ) from None


def _parts(path: Path) -> dict[str, dict[str, int]]:
    if not (path / "splits.parquet").is_file() or not (path / "run.json").is_file():
        return {}
    try:
        frame = pd.read_parquet(path / "splits.parquet")
        found = frame.groupby(["table", "part"]).size()
    except (ValueError, KeyError, OSError) as error:
        raise RunError(
            f"{path / 'splits.parquet'} is damaged ({error}); restore it from a copy or train again"
        ) from None
    return {table: {part: int(rows) for part, rows in found[table].items()} for table in frame["table"].unique()}


def _classes(path: Path) -> dict[str, tuple[tuple[str, int], ...]]:
    """Classes of the tasks that keep their training counts: one list of each, of one length."""
    found = {}
    for name, fitted in (_json(path, "model.json") or {}).get("fitted", {}).items():
        classes, counts = fitted.get("classes"), fitted.get("counts")
        if isinstance(classes, list) and isinstance(counts, list) and len(classes) == len(counts):
            found[name] = tuple((str(label), int(number)) for label, number in zip(classes, counts, strict=True))
    return found
