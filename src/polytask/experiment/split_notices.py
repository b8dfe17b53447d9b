"""What is said of tables whose rows are divided as they came."""

from collections.abc import Iterator, Mapping

from polytask.data import settings_by_table
from polytask.experiment.choices import DataSettings
from polytask.experiment.sources import ALL, Source


def of_made_splits(settings: DataSettings, sources: Mapping[str, Source]) -> Iterator[str]:
    """That a column which a reader made of the parts divides the rows, though no settings name it."""
    tables = {name: source.table for name, source in sources.items()}
    for name, split in settings_by_table(tables, settings.split, settings.splits).items():
        if split.column is not None and settings.splits.get(name, settings.split).column is None:
            where = "" if name == ALL else f"{name}: "
            yield (
                f"{where}rows are split by the column {split.column!r}, the parts in which the data come; "
                "settings of split, as {seed: 1}, draw them anew"
            )
