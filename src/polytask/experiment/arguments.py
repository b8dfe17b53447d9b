"""`pt.fit`: three lines of Python, and the Experiment that its arguments describe."""

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from polytask.balance import Engine
from polytask.config import Choice, as_choice, build
from polytask.data import PreprocessSettings, SplitSettings
from polytask.errors import ConfigError, nearest
from polytask.experiment.choices import CATALOGUES, DataSettings, Experiment
from polytask.experiment.notices import to_stderr
from polytask.experiment.run import run
from polytask.model import read_regularizers
from polytask.runs import Run
from polytask.tasks import Task
from polytask.train import Training


def fit(
    data: Any,
    tasks: Sequence[Task],
    *,
    encoder: Any = None,
    sharing: Any = "hard",
    balancer: Any = "sum",
    agenda: Any = "joint",
    regularizers: Sequence[Any] = (),
    gradients: Engine | None = None,
    split: SplitSettings | Mapping[str, Any] | None = None,
    preprocess: PreprocessSettings | Mapping[str, Any] | None = None,
    inputs: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
    folder: str | Path | None = None,
    quiet: bool = False,
    **more: Any,
) -> Run:
    """Trains one model for all tasks.

    Killed and called again with the same arguments, it goes on where it was.

    Args:
        data: a DataFrame, Table, Arrow table or path (under `stream=True` also a list of paths); or `{task: table}`,
            each task with rows of its own.
        tasks: what to predict.
        encoder: a name, `{name: settings}`, a class or `Encoder.with_(…)`; chosen by the inputs where not given.
        sharing: who runs which stage with whom, written likewise.
        balancer: who yields when tasks disagree, written likewise.
        agenda: which tasks train at which step, written likewise.
        regularizers: a list of penalties that relate the tasks' heads and outputs, each written likewise.
        gradients: the gradient engine's settings.
        split: which rows train, validate, test: `SplitSettings`, or a dict of them.
        preprocess: how inputs are prepared: `PreprocessSettings`, or a dict of them.
        inputs: the input columns; all usable ones but targets where not given.
        ignore: columns that are no inputs.
        kinds: column -> kind, where the inferred one is wrong.
        seed: of initial weights, order of rows, dropout (the split has a seed of its own).
        folder: of the Run; `runs/<tasks>-<digest>` where not given.
        quiet: show nothing.
        **more: other settings of the data (see `DataSettings`) and of the training (see `Training`: `epochs`,
            `batch_size`, `learning_rate`, `early_stopping` …).

    Returns:
        The Run.

    Raises:
        SchemaError: the data do not fit the tasks; names column, row or task.
        ConfigError: a setting that is unknown or wrong; names the nearest.
        RunError: the folder cannot be written, or holds something else.
    """
    experiment = experiment_from(
        tasks,
        encoder=encoder,
        sharing=sharing,
        balancer=balancer,
        agenda=agenda,
        regularizers=regularizers,
        gradients=gradients,
        split=split,
        preprocess=preprocess,
        inputs=inputs,
        ignore=ignore,
        kinds=kinds,
        seed=seed,
        **more,
    )
    experiment = with_path(experiment, data)
    return run(experiment, data=data, folder=folder, quiet=quiet, say=(lambda _: None) if quiet else to_stderr)


def with_path(experiment: Experiment, data: Any) -> Experiment:
    """The experiment with the files that its data come from written down, so that its configuration repeats it."""
    files = data if isinstance(data, Mapping) else {"": data}
    if not files or not all(_is_place(one) for one in files.values()):
        return experiment
    path = {name: _place(one) for name, one in files.items()} if isinstance(data, Mapping) else _place(data)
    return replace(experiment, data=replace(experiment.data, path=path))


def _is_place(data: Any) -> bool:
    """Whether it is a path, or a list of them."""
    several = data if isinstance(data, list | tuple) and data else [data]
    return all(isinstance(one, str | Path) for one in several)


def _place(data: Any) -> Any:
    return [str(one) for one in data] if isinstance(data, list | tuple) else str(data)


def experiment_from(
    tasks: Sequence[Task],
    *,
    encoder: Any = None,
    sharing: Any = "hard",
    balancer: Any = "sum",
    agenda: Any = "joint",
    regularizers: Sequence[Any] = (),
    gradients: Engine | None = None,
    split: SplitSettings | Mapping[str, Any] | None = None,
    preprocess: PreprocessSettings | Mapping[str, Any] | None = None,
    inputs: Sequence[str] | None = None,
    ignore: Sequence[str] = (),
    kinds: Mapping[str, str] | None = None,
    seed: int = 0,
    **more: Any,
) -> Experiment:
    """The Experiment that `fit`'s arguments describe."""
    tasks = _listed(tasks)
    for name, given in (("split", split), ("preprocess", preprocess)):
        if isinstance(given, str):
            raise ConfigError(f"{name}: settings are wanted, got {given!r}; such as split={{'by_group': 'customer'}}")
    of_training, of_data = ({f.name for f in fields(cls)} for cls in (Training, DataSettings))
    for name in more:
        if name not in of_training | of_data:
            raise ConfigError(f"fit: unknown setting {name!r}; {nearest(name, of_training | of_data)}")
    data = {name: value for name, value in more.items() if name in of_data}
    for name, value in (("inputs", inputs), ("ignore", ignore)):
        if isinstance(value, str):
            raise ConfigError(f"{name}: a list of columns is wanted, got {value!r}; write [{value!r}]")
    choices: dict[str, Choice[Any]] = {}
    for name, value in {
        "encoder": encoder,
        "sharing": sharing,
        "balancer": balancer,
        "agenda": agenda,
    }.items():
        if value is not None:
            choices[name] = as_choice(value, CATALOGUES[name], name)
    return Experiment(
        tasks=tuple(tasks),
        data=_data(
            data,
            inputs=None if inputs is None else tuple(inputs),
            ignore=tuple(ignore),
            kinds=dict(kinds or {}),
            split=split if isinstance(split, SplitSettings) else build(SplitSettings, split or {}),
            preprocess=preprocess
            if isinstance(preprocess, PreprocessSettings)
            else build(PreprocessSettings, preprocess or {}),
        ),
        gradients=gradients or Engine(),
        train=build(Training, {name: value for name, value in more.items() if name in of_training}),
        seed=seed,
        regularizers=read_regularizers(regularizers),
        **choices,
    )


def _data(values: Mapping[str, Any], **more: Any) -> DataSettings:
    """The settings of the data; those that exclude each other are refused as a file's are."""
    try:
        return replace(build(DataSettings, values), **more)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _listed(tasks: Any) -> list[Task]:
    """The tasks as a list; one alone may stand for itself."""
    if isinstance(tasks, Mapping):
        raise ConfigError(f"tasks: a list of tasks is wanted, got a dict; write {[*tasks.values()]!r}")
    found: list[Any] = [tasks] if isinstance(tasks, Task | str) else list(tasks)
    for task in found:
        if not isinstance(task, Task):
            hint = "a task is made by a call, as pt.Regression('price')"
            if isinstance(task, str):
                hint = f"write pt.Classification({task!r}) or pt.Regression({task!r})"
            raise ConfigError(f"tasks: {task!r} is no task; {hint}")
    return found
