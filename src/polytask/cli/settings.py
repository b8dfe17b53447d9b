"""From a command line to an Experiment: a run.yaml or a data file, tasks, and overrides."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from polytask.config import Source, build
from polytask.data import StreamedTable, Table, infer_kind_of_task, is_url
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment import DataSettings, Experiment
from polytask.studies import StudySettings
from polytask.yaml_file import read_value, read_yaml


def read_fit(
    source: Path, tasks: Sequence[str], settings: Sequence[str], given: Mapping[str, Any]
) -> tuple[Experiment, Any]:
    """The experiment a command line describes, and its data where they were read already.

    Args:
        source: a run.yaml, or a data file.
        tasks: `name[=column][:kind]`, for a data file.
        settings: `key.in.run.yaml=value`.
        given: the same from options, by dotted key.

    Raises:
        ConfigError: a task or setting that cannot be read; says what would work.
    """
    values, place, data = _read(source, tasks, settings, given)
    values.pop("study", None)  # of `polytask study`; the experiment itself is trained here
    return Experiment.read(values, place), data


def read_study(
    source: Path, tasks: Sequence[str], settings: Sequence[str], given: Mapping[str, Any]
) -> tuple[Experiment, StudySettings, Any, Source]:
    """The experiment and the study that a command line describes, the data where they were read already, and the file.

    Args:
        source: a run.yaml with or without a `study:` section, or a data file.
        tasks: as `read_fit` takes them.
        settings: likewise.
        given: likewise.

    Raises:
        ConfigError: a task or setting that cannot be read; says what would work.
    """
    values, place, data = _read(source, tasks, settings, given)
    asked = values.pop("study", None) or {}
    experiment = Experiment.read(values, place)
    return experiment, build(StudySettings, asked, place, ("study",)), data, place


def _read(
    source: Path, tasks: Sequence[str], settings: Sequence[str], given: Mapping[str, Any]
) -> tuple[dict[str, Any], Source, Any]:
    """Nested plain values with all overrides in place, where they stand, and the table where it was read."""
    is_yaml = source.suffix.lower() in (".yaml", ".yml")
    data = None
    if is_yaml:
        values, place = read_yaml(source)
        if tasks:
            raise ConfigError(
                f"--task names tasks of a data file, but {source} has its own under tasks:; edit it there"
            )
        _resolve_paths(values, source.parent)
    else:
        if not tasks:
            raise ConfigError(
                f"{source}: name what to predict: --task name, once a task (or write a run.yaml: polytask init)"
            )
        values, place = {"data": {"path": str(source)}, "tasks": {}}, Source("the command line")
    overrides = {**given, **dict(_setting(text) for text in settings)}
    for key, value in overrides.items():
        if is_yaml or not key.startswith("tasks"):
            _put(values, key.split("."), value)
    if not is_yaml:
        chosen = build(DataSettings, values["data"], place, ("data",))
        data = StreamedTable(source, kinds=chosen.kinds) if chosen.stream else chosen.steps.read(source, chosen.kinds)
        shown = data.preview if isinstance(data, StreamedTable) else data
        values["tasks"] = dict(task_entry(text, shown) for text in tasks)
        if len(values["tasks"]) < len(tasks):
            raise ConfigError("two tasks have the same name; write --task another_name=column")
        for key, value in overrides.items():  # over the kinds that were inferred
            if key.startswith("tasks"):
                _put(values, key.split("."), value)
    return values, place, data


def parse_task(text: str) -> tuple[str, str, str | None]:
    """`name[=column][:kind]` as (name, column, kind or None).

    Example:
        >>> parse_task("sold=sold_in_30_days:classification"), parse_task("price")
        (('sold', 'sold_in_30_days', 'classification'), ('price', 'price', None))
    """
    rest, colon, kind = text.rpartition(":")
    if not colon:
        rest, kind = kind, ""
    name, _, column = rest.partition("=")
    if not name.strip():
        raise ConfigError(f"--task {text!r}: write name, name=column or name=column:kind")
    return name.strip(), (column or name).strip(), kind.strip() or None


def task_entry(text: str, table: Table) -> tuple[str, dict[str, Any]]:
    """One task as run.yaml writes it; its kind is inferred from the column where the text names none."""
    name, column, kind = parse_task(text)
    whole = text.partition("=")[2].strip()
    if whole in table.columns:  # a column with a colon in its name
        name, column, kind = text.partition("=")[0].strip(), whole, None
    if column not in table.columns:
        raise SchemaError(f"--task {text}: there is no column {column!r}; {nearest(column, table.columns)}")
    return name, written_task(name, column, kind or infer_kind_of_task(table, column))


def written_task(name: str, column: str, kind: str) -> dict[str, Any]:
    """What run.yaml says of a task."""
    return {"kind": kind} | ({} if column == name else {"column": column})


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: write key=value, such as train.learning_rate=0.01")
    return key.strip(), read_value(value)


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for position, key in enumerate(keys[:-1]):
        inner = values.setdefault(key, {})
        if inner is None or isinstance(inner, str):  # `balancer: cagrad`, then balancer.cagrad.c=0.5
            inner = values[key] = {} if inner is None or inner != keys[position + 1] else {inner: {}}
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {'.'.join(keys[: position + 1])} is {inner!r}, not a section")
        values = inner
    values[keys[-1]] = value


def _resolve_paths(values: dict[str, Any], folder: Path) -> None:
    """Paths in a run.yaml are relative to its folder."""
    data = values.get("data")
    if not isinstance(data, dict):
        return
    path = data.get("path")
    if isinstance(path, dict):
        data["path"] = {name: _resolved(one, folder) for name, one in path.items()}
    elif path is not None:
        data["path"] = _resolved(path, folder)


def _resolved(path: Any, folder: Path) -> Any:
    if isinstance(path, list):
        return [_resolved(one, folder) for one in path]
    return path if is_url(path) else str(folder / str(path))
