"""What a Run is asked for: which of its tasks, on which rows."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from polytask.config import build
from polytask.data import StreamedTable, Table, WindowSettings, label_columns, open_rows
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.tasks import Task


def tasks_of(tasks: Sequence[Task], names: Sequence[str] | None) -> list[Task]:
    """The tasks of these names, in their order; all where no names are given.

    Raises:
        ConfigError: a name that is no task's, or no name at all.
    """
    known = {task.name: task for task in tasks}
    if names is None:
        return list(tasks)
    if isinstance(names, str) or not names:
        raise ConfigError(f"tasks: a list of this Run's tasks is wanted ({', '.join(known)}), got {names!r}")
    for name in names:
        if name not in known:
            raise ConfigError(f"{name!r} is no task of this Run; {nearest(name, known)}")
    return [known[name] for name in names]


def tables_of(
    rows: Any, tasks: Sequence[Task], origin: Mapping[str, Any] | None = None
) -> list[tuple[Table | StreamedTable, list[Task]]]:
    """Given rows as tables, each with the tasks it is for: one for all, or one a task.

    Args:
        rows: in any form that `open_rows` opens, or a mapping of such by the tasks' names.
        tasks: to be judged.
        origin: see `open_rows`.

    Raises:
        ConfigError: a task without rows.
        SchemaError: rows that are no table.
    """
    if not isinstance(rows, Mapping):
        return [(open_rows(rows, origin), list(tasks))]
    for task in tasks:
        if task.name not in rows:
            raise ConfigError(f"task {task.name!r} has no rows; rows are given for {', '.join(map(str, rows))}")
    return [(open_rows(rows[task.name], origin), [task]) for task in tasks]


def check_answerable(
    columns: Collection[str], tasks: Sequence[Task], inputs: Mapping[str, Collection[str]], *, is_judged: bool
) -> None:
    """Refuses rows that some of the tasks can be asked of and others not; names those that can.

    Rows that no task can be asked of are refused where their columns are read.

    Args:
        columns: of the rows.
        tasks: that are asked.
        inputs: task -> the input columns that it wants.
        is_judged: whether the columns of labels are wanted too.

    Raises:
        SchemaError: names what is missing, the tasks that these rows can answer, and how to ask for them.
    """
    refused: list[str] = []
    able: list[str] = []
    for task in tasks:
        lacking = [name for name in inputs[task.name] if name not in columns]
        unlabelled = [name for name in label_columns(task) if is_judged and name not in columns]
        if lacking:
            names = ", ".join(map(repr, lacking))
            refused.append(f"the table lacks {names}, which the model was trained on for task {task.name!r}")
        elif unlabelled:
            near = nearest(unlabelled[0], columns)
            refused.append(f"task {task.name!r}: there is no column {unlabelled[0]!r} in the table; {near}")
        else:
            able.append(task.name)
    if refused and able:
        options = " ".join(f"-t {name}" for name in able)
        raise SchemaError(
            f"{refused[0]}. These rows {'judge' if is_judged else 'answer'} {', '.join(able)}: "
            f"ask with tasks={able!r} (on the command line {options})"
        )


def check_windows(columns: Collection[str], settings: Mapping[str, Any] | None, notes: Sequence[str]) -> None:
    """Refuses rows of a time series where the Run was trained on windows of one.

    Args:
        columns: of the rows.
        settings: how the series was cut (see `WindowSettings`); None: it was not.
        notes: what was said of the Run's tables, among it by what the series are scaled.

    Raises:
        SchemaError: says how a history is made of them.
    """
    if not settings or "history" in columns:
        return
    windows = build(WindowSettings, settings)
    each, long = windows.per_series, windows.history
    series = list(windows.series[:1] if each else windows.series)
    scale = next((note for note in notes if note.startswith("series are in standard deviations")), None)
    scaled = f"((rows[{series!r}] - mean) / deviation)" if scale else f"rows[{series!r}]"
    cell = f"{scaled}.to_numpy()[-{long}:]" + (".ravel()" if windows.flat else "")
    raise SchemaError(
        f"the rows have no column 'history', which this Run reads: it was trained on windows of a series. A row of new "
        f"data is a history, here of the last {long} rows{' of one series' if each else ''}: "
        f'run.predict(pd.DataFrame({{"history": [{cell}]}}))'
        + (f"; predictions · deviation + mean are in the series' own units: {scale}" if scale else "")
    )
