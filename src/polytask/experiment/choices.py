"""The Experiment: every choice of one training, in Python and in YAML."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from polytask.balance import BALANCERS, Balancer, Engine
from polytask.config import Choice, Source, as_choice, build, name_of, plain, written
from polytask.data import (
    PreprocessSettings,
    SplitSettings,
    Steps,
    StreamSettings,
    WindowSettings,
    make_resampler,
    read_augmentations,
)
from polytask.encoders import ENCODERS, Encoder
from polytask.errors import ConfigError, nearest
from polytask.experiment.pseudo_labels import PseudoLabels
from polytask.experiment.streamable import check_streamable
from polytask.model import read_regularizers, written_tasks
from polytask.regularizers import REGULARIZERS, Regularizer
from polytask.sharing import SHARINGS, Sharing
from polytask.tasks import TASKS, Task
from polytask.train import AGENDAS, Agenda, Training, check_balancer


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """Which rows and columns.

    Args:
        path: a file, or a folder of Parquet files; by task where each has its own; None for a table in memory. Under
            `stream` also a list of Parquet files, and URLs.
        inputs: the input columns; all usable ones but targets where not given.
        ignore: columns that are no inputs (they give a target away, say).
        kinds: column -> kind, where the inferred one is wrong.
        split: which rows train, validate, test.
        splits: table -> a split of its own, in place of `split`.
        key: the column that identifies an entity in every table that has it: all examples of one entity are on one
            side of every split. It is no input unless `inputs` names it.
        preprocess: how inputs are prepared.
        augment: a list of changes of training rows, applied in this order: each a name, `{name: settings}`, a class or
            `TheAugmentation.with_(…)`.
        match: of tables of their own for each task: smaller ones get more training rows until they have this share of
            the largest table's, in (0, 1]; true: 1. Copies are made by those augmentations that make copies; without
            any, rows are repeated.
        resample: training rows of rare classes or labels more often: `oversample`, `undersample`, `ml_ros`, `smote`, or
            one of these with its settings. What tasks and preprocessing learn is learnt before it.
        format: of the files, where their paths do not say it: image_folder, coco, voc, masks, conll, npz, ….
        columns: of conll: the columns' names; of npz: the arrays to read.
        merge: a column that every table of `path` (or of the data given) has: rows of one key in several tables become
            one row, with the columns of all of them; the tables' names are no tasks.
        on_contradiction: of `merge`: what comes of two different cells of one key and column: error, or missing.
        windows: a time series is cut into windows, which are the rows: their input is `history`, their targets vectors
            called as the series. `split` then says the parts of the series' rows, a window is of that of its target.
        by: a column: the rows of each of its values are a table of their own, and every task is made once a value, as
            `<task>-<value>`; the column itself is no input.
        fewest_rows: of `by`: values with fewer labelled rows are left out, and said; not given: a value with too few
            for the split is refused.
        unreadable: what becomes of pictures, recordings and videos that cannot be read: "error" ends it with the first
            one's sentence; "skip" takes them for missing cells, which a notice and the Run count and name.
        workers: processes that decode pictures, recordings and videos, a batch's at a time while training goes on; 0:
            all are decoded before training and kept in memory. The same batches come either way.
        cache: a folder that keeps decoded pictures and features of recordings and videos on disk, for this Run and
            every other that wants the same of the same cells; batches are read from there.
        stream: whether Parquet files are read piece by piece while training, never whole; or how (`{buffer_rows:
            100000}`).
        pseudo_labels: train twice: the second training has labels besides that the first is sure of, for training rows
            without one, rows without any, and rows of other tasks' tables that have the inputs; None trains once.
    """

    path: str | list[str] | dict[str, str | list[str]] | None = None
    inputs: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    kinds: dict[str, str] = field(default_factory=dict)
    split: SplitSettings = field(default_factory=SplitSettings)
    splits: dict[str, SplitSettings] = field(default_factory=dict)
    key: str | None = None
    preprocess: PreprocessSettings = field(default_factory=PreprocessSettings)
    augment: Any = ()
    match: bool | float = False
    resample: str | dict[str, dict[str, Any] | None] | None = None
    format: str | None = None
    columns: tuple[str, ...] = ()
    merge: str | None = None
    on_contradiction: Literal["error", "missing"] = "error"
    windows: WindowSettings | None = None
    by: str | None = None
    fewest_rows: int | None = None
    unreadable: Literal["error", "skip"] = "error"
    workers: int = 0
    cache: str | None = None
    stream: bool | StreamSettings = False
    pseudo_labels: PseudoLabels | None = None

    def __post_init__(self) -> None:
        if self.unreadable not in ("error", "skip"):
            raise ValueError(f"unreadable={self.unreadable!r}: 'error' or 'skip' is wanted")
        if self.workers < 0:
            raise ValueError(f"workers={self.workers}: a number of processes >= 0 is wanted")
        if self.inputs is not None and not self.inputs:
            raise ValueError("inputs is empty; name a column, or leave it out to use all")
        if self.inputs is not None and self.ignore:
            raise ValueError("ignore has no effect where inputs names the input columns; keep one of the two")
        object.__setattr__(self, "augment", read_augmentations(self.augment))
        if not (isinstance(self.match, bool) or 0 < self.match <= 1):
            raise ValueError(f"match={self.match}: true, or a share of the largest table's rows in (0, 1], is wanted")
        if self.by is not None and self.windows is not None and self.windows.per_series:
            raise ValueError("by and windows.per_series exclude each other: each parts the rows into tables")
        to_come = set(self.inputs or ()) & set(self.windows.series if self.windows else ())
        if to_come:
            raise ValueError(
                f"inputs names {min(to_come)!r}, which holds the values to come of windows; name 'history'"
            )
        if self.on_contradiction != "error" and self.merge is None:
            raise ValueError("on_contradiction has no effect without merge")
        self._check_by()
        if self.by is not None and self.pseudo_labels is not None:
            raise ValueError(
                "pseudo_labels and by exclude each other: tasks of one value would borrow labels for rows of another; "
                "train without by, or each value by itself"
            )
        if self.stream:
            check_streamable(self)

    def _check_by(self) -> None:
        if self.fewest_rows is not None and self.by is None:
            raise ValueError("fewest_rows has no effect without by")
        if self.fewest_rows is not None and self.fewest_rows < 1:
            raise ValueError(f"fewest_rows={self.fewest_rows}: a number of rows from 1 is wanted")
        if self.by is None:
            return
        split = {"split.by_group": self.split.by_group, "split.by_time": self.split.by_time}
        named = {**split, "split.column": self.split.column}
        used = [name for name, column in named.items() if column == self.by and self.windows is None]
        used += ["key"] * (self.key == self.by)
        used += ["ignore"] * (self.by in self.ignore) + ["inputs"] * (self.by in (self.inputs or ()))
        if used:
            raise ValueError(f"{used[0]} names {self.by!r}, the column of by, which no table has any more; take it out")

    @property
    def streaming(self) -> StreamSettings | None:
        """How files are streamed; None: they are read whole."""
        return self.stream if isinstance(self.stream, StreamSettings) else StreamSettings() if self.stream else None

    @property
    def steps(self) -> Steps:
        """What is done to the tables before their rows are split."""
        return Steps(
            format=self.format,
            columns=self.columns,
            merge=self.merge,
            on_contradiction=self.on_contradiction,
            windows=self.windows,
            split=SplitSettings() if self.windows is None else self.split,
            by=self.by,
        )

    @property
    def splitting_columns(self) -> frozenset[str]:
        """The columns that say which rows belong together or on which side, in any table."""
        of = (self.split, *self.splits.values())
        found = {column for one in of for column in (one.by_group, one.by_time, one.column)}
        return frozenset(column for column in (*found, self.key) if column is not None)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The written choice of everything in one training.

    Args:
        tasks: what to predict.
        data: which rows and columns.
        encoder: None chooses by the inputs: `mlp` for tables, `lenet` for a picture, `fusion` for both.
        sharing: who runs which stage with whom.
        balancer: who yields when tasks disagree.
        gradients: the gradient engine's settings.
        agenda: which tasks train at which step.
        train: the training loop's settings.
        seed: of initial weights, order of rows, dropout (the split has a seed of its own).
        regularizers: penalties that relate the tasks' heads and outputs, under any sharing.

    Raises:
        ConfigError: no task, or two of one name; a balancer beside an optimiser that stands in its place.
    """

    tasks: tuple[Task, ...]
    data: DataSettings = field(default_factory=DataSettings)
    encoder: Choice[Encoder] | None = None
    sharing: Choice[Sharing] = field(default_factory=lambda: Choice(SHARINGS["hard"]))
    balancer: Choice[Balancer] = field(default_factory=lambda: Choice(BALANCERS["sum"]))
    gradients: Engine = field(default_factory=Engine)
    agenda: Choice[Agenda] = field(default_factory=lambda: Choice(AGENDAS["joint"]))
    train: Training = field(default_factory=Training)
    seed: int = 0
    regularizers: tuple[Choice[Regularizer], ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise ConfigError(f"seed: a whole number from 0 is wanted, got {self.seed!r}")
        names = [task.name for task in self.tasks]
        if not names:
            raise ConfigError("there is no task; name at least one thing to predict")
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"two tasks are called {name!r}; give each a name of its own")
            if name.lower() in ("mean", "all", "row", "table"):
                raise ConfigError(f"a task cannot be called {name!r}, a word of the Run folder; use column={name!r}")
            if [other.lower() for other in names].count(name.lower()) > 1:
                raise ConfigError(f"a task is called {name!r} and another the same but for capitals; rename one")
        for task in self.tasks:
            for other in task.after:
                if other not in names:
                    raise ConfigError(f"task {task.name!r} waits for {other!r}; {nearest(other, names)}")
        make_resampler(self.data.resample, self.tasks)  # what is wrong is said at once
        if self.data.streaming is not None and self.train.mean_teacher is not None:
            raise ConfigError(
                "train.mean_teacher and data.stream exclude each other: rows without labels are gathered in memory; "
                "train without stream, or leave mean_teacher out"
            )
        check_balancer(self.train, self.balancer.constructor)
        self._check_preference()

    def _check_preference(self) -> None:
        """A sharing that draws a preference in every step wants a balancer that follows it, and only it."""
        if not self.sharing.constructor.draws_preference:
            return
        name = name_of(self.sharing, SHARINGS, "sharing")
        if not self.balancer.constructor.follows_preference:
            raise ConfigError(
                f"sharing: {name} draws a preference among the tasks in every step, but "
                f"{self.balancer.constructor.__name__} does not follow it: write balancer: cosmos"
            )
        if self.balancer.settings.get("preferences") is not None:
            raise ConfigError(
                f"balancer: preferences has no effect beside sharing {name}, which draws its own in every step; "
                f"leave it out, or set {name}'s preference"
            )

    @classmethod
    def read(cls, values: Mapping[str, Any], source: Source = Source()) -> "Experiment":
        """An experiment from nested plain values, as YAML holds them.

        Raises:
            ConfigError: an unknown key or wrong value; names its line, and the nearest known one.
        """
        known = {*CATALOGUES, *SECTIONS, "tasks", "regularizers", "seed"}
        for key in values:
            if key not in known:
                inner = {f.name: f"{name}.{f.name}" for name, of in SECTIONS.items() for f in fields(of)}
                hint = f"did you mean {inner[key]!r}?" if key in inner else nearest(key, {*known, "study"})
                raise ConfigError(f"{source.place((str(key),))}: unknown key {key!r}; {hint}")
        if not isinstance(values.get("tasks"), Mapping):
            raise ConfigError(f"{source.name or 'tasks'}: tasks: wants a mapping (name: {{kind: …}})")
        found: dict[str, Any] = {"tasks": _read_tasks(values["tasks"], source)}
        for name, kind in SECTIONS.items():
            if values.get(name) is not None:
                found[name] = build(kind, values[name], source, (name,))
        for name, catalogue in CATALOGUES.items():
            if values.get(name) is not None:
                found[name] = as_choice(values[name], catalogue, name, source, (name,))
        if values.get("regularizers") is not None:
            found["regularizers"] = read_regularizers(values["regularizers"], source)
        if "seed" in values:
            found["seed"] = values["seed"]
        return cls(**found)

    def written(self) -> dict[str, Any]:
        """Nested plain values, as `read` takes them; defaults are left out within sections."""
        choices: dict[str, Choice[Any] | None] = {
            "encoder": self.encoder,
            "sharing": self.sharing,
            "balancer": self.balancer,
            "agenda": self.agenda,
        }
        values: dict[str, Any] = {"data": plain(self.data), "tasks": written_tasks(self.tasks)}
        for name, choice in choices.items():
            if choice is not None:
                values[name] = written(choice, CATALOGUES[name], name)
        if self.regularizers:
            values["regularizers"] = [written(choice, REGULARIZERS, "regularizer") for choice in self.regularizers]
        return values | {"gradients": plain(self.gradients), "train": plain(self.train), "seed": self.seed}


#: The sections of an experiment that are settings.
SECTIONS: dict[str, type[Any]] = {"data": DataSettings, "gradients": Engine, "train": Training}
#: Every choice of an experiment and the catalogue it is made from.
CATALOGUES: dict[str, dict[str, type[Any]]] = {
    "encoder": ENCODERS,
    "sharing": SHARINGS,
    "balancer": BALANCERS,
    "agenda": AGENDAS,
}


def _read_tasks(values: Mapping[str, Any], source: Source) -> tuple[Task, ...]:
    tasks = []
    for name, settings in values.items():
        path = ("tasks", str(name))
        if not isinstance(settings, Mapping) or "kind" not in settings:
            raise ConfigError(
                f"{source.place(path)}: a task wants its kind ({{kind: classification}}), got {settings!r}"
            )
        kind = settings["kind"]
        if kind not in TASKS:
            raise ConfigError(f"{source.place((*path, 'kind'))}: unknown kind of task {kind!r}; {nearest(kind, TASKS)}")
        rest = {key: value for key, value in settings.items() if key != "kind"}
        tasks.append(build(TASKS[kind], {"name": str(name), **rest}, source, path))
    return tuple(tasks)
