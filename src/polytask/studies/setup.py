"""What a study starts from: candidates, tables, divisions of the rows; checked before anything is trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from polytask.config import Source as Place
from polytask.config import plain
from polytask.data import Finding, Split, make_folds, make_splits, settings_by_table
from polytask.errors import ConfigError, SchemaError, nearest
from polytask.experiment import Experiment, Source, as_trained, input_columns, load_sources, look_over
from polytask.studies.baselines import BASELINES
from polytask.studies.candidates import read_candidates
from polytask.studies.data import POOLED, StudyData
from polytask.studies.folder import digest_of
from polytask.studies.names import slug
from polytask.studies.plan import ALONE, check_grid
from polytask.studies.settings import StudySettings

#: Names of arms that no candidate can have.
RESERVED = (ALONE, POOLED, "placebo", "twins of equal parameters", *BASELINES)


@dataclass(frozen=True)
class Setup:
    """A study before its first Run.

    Attributes:
        experiment: that all candidates override.
        settings: of the study.
        candidates: by name.
        overrides: candidate -> what it overrides.
        sources: the tables.
        asked: the experiment as it was written, before its tables and tasks were made.
    """

    experiment: Experiment
    settings: StudySettings
    candidates: dict[str, Experiment]
    overrides: dict[str, dict[str, Any]]
    sources: Mapping[str, Source]
    asked: Experiment

    @property
    def fingerprints(self) -> dict[str, str]:
        """Table -> digest of its cells."""
        return {name: source.table.fingerprint() for name, source in self.sources.items()}

    @property
    def written(self) -> dict[str, Any]:
        """The experiment with its `study:` section, as YAML holds them."""
        settings = replace(self.settings, candidates=self.overrides)
        return self.asked.written() | {"study": plain(settings)}

    @property
    def digest(self) -> str:
        """Says which study this is."""
        return digest_of(self.written, self.fingerprints)

    @property
    def seeds(self) -> list[int]:
        """Of every net."""
        return [self.experiment.seed + k for k in range(self.settings.seeds)]

    @property
    def group(self) -> str | None:
        """The column whose groups of test rows belong together."""
        data = self.experiment.data
        has_key = all(data.key in source.table.columns for source in self.sources.values())
        return self.settings.group or data.split.by_group or (data.key if has_key else None)

    @property
    def is_by_time(self) -> bool:
        """Whether the test rows of some table are the latest ones."""
        data = self.experiment.data
        return any(split.by_time is not None for split in (data.split, *data.splits.values()))

    def splits(self) -> list[dict[str, Split]]:
        """The divisions of the rows.

        Raises:
            SchemaError: a part would be empty.
            ConfigError: repeated splits of rows that a column or time divides, or no test rows.
        """
        tables = {name: (s.table, s.tasks) for name, s in self.sources.items()}
        data, number = self.experiment.data, self.settings.num_splits
        if self.settings.num_folds is not None:
            return make_folds(tables, data.split, self.settings.num_folds, key=data.key, own=data.splits)
        of = settings_by_table({name: s.table for name, s in self.sources.items()}, data.split, data.splits)
        for split in of.values():
            if number > 1 and (split.column or split.by_time or split.largest_first):
                how = f"column {split.column!r}" if split.column else f"time ({split.by_time!r})"
                how = f"the size of groups ({split.by_group!r})" if split.largest_first else how
                anew = "" if split in (data.split, *data.splits.values()) else ", or draw anew by split: {seed: 1}"
                raise ConfigError(
                    f"study.resplits: the rows are divided by {how}, in one way only; leave resplits out{anew}"
                )
        found = []
        for k in range(number):
            own = {name: replace(split, seed=split.seed + k) for name, split in of.items()}
            found.append(make_splits(tables, data.split, key=data.key, own=own))
        for name, of_table in found[0].items():
            if not len(of_table.rows("test")):
                raise ConfigError(
                    f"data.split: table {name!r} has no test rows, and a verdict is given on them; give them a share, "
                    "as test: 0.15"
                )
        return found

    def data(self, splits: Sequence[dict[str, Split]], findings: Sequence[Finding] | None = None) -> StudyData:
        """The rows, looked over by the lint where that was not done before."""
        tables = {name: source.table for name, source in self.sources.items()}
        settings = self.experiment.data
        if findings is None:
            findings = look_over(self.sources, splits[0], input_columns(settings, self.sources), settings.key)
        of = {task.name: name for name, source in self.sources.items() for task in source.tasks}
        return StudyData(tables, self.experiment.tasks, list(splits), list(findings), of)


def set_up(experiment: Experiment, settings: StudySettings, data: Any = None, place: Place = Place()) -> Setup:
    """Reads candidates and tables, and refuses what could not be judged.

    Raises:
        ConfigError: candidates, grid, baselines, region or group that do not fit.
        SchemaError: the data do not fit the tasks.
    """
    read = read_candidates(experiment, settings.candidates, place)
    for name in read:
        if slug(name) in map(slug, RESERVED) or slug(name).startswith(f"{ALONE}-of-"):
            raise ConfigError(f"study.candidates: {name!r} is the name of something else in a study; choose another")
    _check_names("baselines", settings.baselines, BASELINES)
    for name in settings.baselines:
        BASELINES[name].check_installed()
    experiment = _without(settings.group, experiment)
    candidates = {name: _without(settings.group, found) for name, (found, _) in read.items()}
    for candidate in candidates.values():
        check_grid(candidate, settings.grid)
    if experiment.data.stream:
        raise ConfigError(
            "data.stream: a study holds all rows in memory, for its baselines, statistics and resampling; study a "
            "sample of the rows without stream, and train the winner on all of them with fit"
        )
    sources = load_sources(experiment, data)
    asked, experiment = experiment, as_trained(experiment, sources)
    candidates = {name: as_trained(candidate, sources) for name, candidate in candidates.items()}
    _check_region(settings, [task.name for task in experiment.tasks])
    _check_tasks(experiment, sources)
    if settings.group is not None:
        for name, source in sources.items():
            if settings.group not in source.table.columns:
                known = source.table.columns
                raise SchemaError(
                    f"study.group: table {name!r} has no column {settings.group!r}; {nearest(settings.group, known)}"
                )
    overrides = {name: over for name, (_, over) in read.items()}
    return Setup(experiment, settings, candidates, overrides, sources, asked)


def _check_tasks(experiment: Experiment, sources: Mapping[str, Source]) -> None:
    if len(experiment.tasks) < 2:
        raise ConfigError(
            f"a study asks whether tasks should share a model, and there is one task only, "
            f"{experiment.tasks[0].name!r}; name another, or train it with fit"
        )
    for source in sources.values():
        seen: dict[tuple[str, ...], str] = {}
        for task in source.tasks:
            other = seen.setdefault((task.kind, *task.columns), task.name)
            if other != task.name:
                raise ConfigError(
                    f"tasks {other!r} and {task.name!r} predict the same column {task.columns[0]!r}; take one out"
                )


def _without(group: str | None, experiment: Experiment) -> Experiment:
    """The experiment with the groups' column left out of its inputs, unless it is named among them."""
    data = experiment.data
    if group is None or data.inputs is not None or group in data.ignore:
        return experiment
    return replace(experiment, data=replace(data, ignore=(*data.ignore, group)))


def _check_names(setting: str, names: Sequence[str], known: Mapping[str, Any]) -> None:
    for k, name in enumerate(names):
        if name not in known:
            raise ConfigError(f"study.{setting}: unknown name {name!r}; {nearest(name, known)}")
        if name in names[:k]:
            raise ConfigError(f"study.{setting}: {name!r} stands twice; name it once")


def _check_region(settings: StudySettings, tasks: Sequence[str]) -> None:
    if not isinstance(settings.region, Mapping):
        return
    for name in settings.region:
        if name not in tasks:
            raise ConfigError(f"study.region: {name!r} is no task; {nearest(name, tasks)}")
    for name in tasks:
        if name not in settings.region:
            raise ConfigError(f"study.region: task {name!r} has none; name all tasks, or give one number for all")
