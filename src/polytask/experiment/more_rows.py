"""Training rows that are added to a table's own: changed copies, and those that make small tables match large ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from polytask.data import (
    Along,
    RowAugmentation,
    Split,
    Table,
    augment_rows,
    matching,
    row_augmentations,
    with_more_rows,
    with_rows,
)
from polytask.errors import ConfigError
from polytask.experiment.choices import Experiment
from polytask.experiment.sources import Source
from polytask.model import seed_of


@dataclass(frozen=True)
class MoreRows:
    """What is added to one table's training rows.

    Attributes:
        rows: its own training rows, as positions.
        inputs: its columns that the model reads.
        augmentations: those that change a column it has.
        num_matching: rows that it lacks to match the largest table, once copies are made.
    """

    rows: np.ndarray
    inputs: Sequence[str]
    augmentations: Sequence[RowAugmentation]
    num_matching: int = 0

    @property
    def num_copies(self) -> int:
        """Changed copies of its own rows."""
        return len(self.rows) * sum(augmentation.copies for augmentation in self.augmentations)

    def of(self, source: Source, generator: np.random.Generator) -> Table:
        """The training rows with all that is added, in a table of their own."""
        along = along_of(source, self.inputs, self.augmentations)
        found = augment_rows(source.table, self.rows, self.augmentations, generator, inputs=self.inputs, along=along)
        if not self.num_matching:
            return found
        own = found.take(np.arange(len(self.rows)))
        more = with_more_rows(own, self.num_matching, self.augmentations, generator, inputs=self.inputs, along=along)
        return with_rows(source.table, [found.frame, more.frame.iloc[len(self.rows) :]])


def along_of(source: Source, inputs: Sequence[str], augmentations: Sequence[RowAugmentation] = ()) -> Along:
    """The columns of tags, by the column of the tokens that they go with.

    Args:
        source: the table and its tasks.
        inputs: its columns that the model reads.
        augmentations: that change some of them.

    Raises:
        ConfigError: it cannot be told which column's tags change, or they cannot change with it.
    """
    found: dict[str, list[str]] = {}
    listed = [column for column in inputs if source.table.kind(column) in ("tokens", "sequence")]
    for task in source.tasks:
        if task.spatial != "places":
            continue
        tokens = getattr(task, "tokens", None) or (listed[0] if len(listed) == 1 else None)
        for augmentation in augmentations:
            changed = set(augmentation.columns_of(source.table, inputs)) & set(listed)
            if tokens is None and changed:
                raise ConfigError(
                    f"augmentation {augmentation.name}: the tags of task {task.name!r} go with one of "
                    f"{', '.join(listed)} alone; name that one in the task: tokens: {listed[0]}"
                )
            if tokens in changed and augmentation.loses_places:
                raise ConfigError(
                    f"augmentation {augmentation.name}: task {task.name!r} has a label at every place of {tokens!r}, "
                    "and places move; set shift: 0, or name other columns"
                )
        if tokens is not None:
            found.setdefault(tokens, []).extend(task.columns)
    return found


def plan(
    experiment: Experiment, inputs: Sequence[str], splits: Mapping[str, Split], sources: Mapping[str, Source]
) -> dict[str, MoreRows]:
    """What is added to each table's training rows; to streamed ones nothing can be.

    Args:
        experiment: the choices.
        inputs: the columns that the model reads.
        splits: of each table.
        sources: the tables.

    Raises:
        ConfigError: an augmentation finds no column that it can change in any table, or tags that cannot change along.
    """
    sources = {name: source for name, source in sources.items() if source.stream is None}
    own = {name: [column for column in inputs if column in s.table.columns] for name, s in sources.items()}
    chosen: dict[str, list[RowAugmentation]] = {name: [] for name in sources}
    for augmentation in row_augmentations(experiment.data.augment):
        errors = []
        for name, source in sources.items():
            try:
                augmentation.columns_of(source.table, own[name])
            except ValueError as error:
                errors.append(error)
            else:
                chosen[name].append(augmentation)
        if len(errors) == len(sources):
            raise ConfigError(str(errors[0]))
    found = {name: MoreRows(splits[name].rows("train"), own[name], chosen[name]) for name in sources}
    for name, source in sources.items():
        along_of(source, own[name], chosen[name])
    lacking = dict.fromkeys(sources, 0)
    if experiment.data.match:
        lacking = matching({n: len(m.rows) + m.num_copies for n, m in found.items()}, float(experiment.data.match))
    return {name: MoreRows(m.rows, m.inputs, m.augmentations, lacking[name]) for name, m in found.items()}


def more_rows(experiment: Experiment, name: str, source: Source, planned: MoreRows) -> tuple[Table, np.ndarray]:
    """A table with the training rows of a source, and which rows of it those are.

    Raises:
        SchemaError: a cell that cannot be changed; names column and row.
    """
    if not planned.augmentations and not planned.num_matching:
        return source.table, planned.rows
    table = planned.of(source, np.random.default_rng(seed_of(experiment.seed, "augment", name)))
    return table, np.arange(table.num_rows)


def notices(experiment: Experiment, planned: Mapping[str, MoreRows]) -> Iterator[str]:
    """What is added to which table, and a setting that has no effect."""
    for name, more in planned.items():
        where = f"{name}: " if len(planned) > 1 else ""
        if more.num_copies:
            by = ", ".join(augmentation.name for augmentation in more.augmentations)
            yield f"{where}{more.num_copies:,} changed copies of training rows are added ({by})"
        if more.num_matching:
            how = "changed copies" if more.augmentations else "repeated rows"
            yield f"{where}{more.num_matching:,} {how} are added to match the largest table"
    if experiment.data.match and not any(more.num_matching for more in planned.values()):
        why = "there is one table" if len(planned) == 1 else "no table lacks rows"
        yield f"warning: data.match={experiment.data.match} has no effect: {why}"
