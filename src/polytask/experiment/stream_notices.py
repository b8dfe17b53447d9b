"""What a user should know of rows that are streamed: what is read when, what was fitted on which rows."""

from collections.abc import Iterator, Mapping
from typing import Any

from polytask.data import rows_in_buffer
from polytask.experiment.choices import Experiment
from polytask.experiment.prepare import Prepared
from polytask.experiment.sources import ALL, Source


def of_streams(
    experiment: Experiment, prepared: Prepared, sources: Mapping[str, Source], streamed: Mapping[str, Any] | None
) -> Iterator[str]:
    """Sentences on every streamed table, and on tables that were to be streamed and are in memory.

    Args:
        experiment: the choices.
        prepared: what the Run's folder holds.
        sources: the tables.
        streamed: by streamed table, what its Run wrote down of it.
    """
    settings = experiment.data.streaming
    if settings is None:
        return
    for name, source in sources.items():
        where = "" if name == ALL else f"{name}: "
        if source.stream is None:
            yield f"warning: {where}stream has no effect on a table in memory; give the path of Parquet files"
            continue
        spec = prepared.preprocessor.spec
        buffer_rows = rows_in_buffer(spec, settings.buffer_rows)
        example = spec.example(1).values()
        row_bytes = sum(block.numel() * block.element_size() for block in example)
        training = prepared.splits[name].counts()["train"]
        groups = sum(len(footer.groups) for footer in source.stream.footers)
        yield (
            f"{where}streamed from {groups:,} row groups: the order of row groups is shuffled, and rows in buffers of "
            f"up to {buffer_rows:,}; two of them hold {_megabytes(2 * min(buffer_rows, training) * row_bytes)} of "
            f"inputs, the validation rows {_megabytes(prepared.splits[name].counts()['validation'] * row_bytes)}"
        )
        if buffer_rows < settings.buffer_rows:
            yield f"{where}a row has {row_bytes:,} bytes of inputs: {settings.buffer_rows:,} would not fit a buffer"
        yield from _fitted(where, (streamed or {}).get(name, {}), training)
        yield from _split(where, name, source, experiment)


def _fitted(where: str, record: Mapping[str, Any], training: int) -> Iterator[str]:
    if record and not record["is_whole"]:
        added = "; ".join(f"{count:,} for {task}" for task, count in record["added"].items())
        more = f", and tasks on more rows for the classes and labels that these lack ({added})" if added else ""
        yield (
            f"{where}preprocessing and tasks are fitted on {record['fitted_on']:,} of {training:,} training rows, "
            f"drawn at random{more}"
        )


def _split(where: str, name: str, source: Source, experiment: Experiment) -> Iterator[str]:
    data = experiment.data
    split = data.splits.get(name, data.split)
    together = split.by_group or (data.key if data.key in source.table.columns else None)
    if together:
        yield f"{where}groups of {together!r} are dealt out by chance: the shares hold on average over groups"
    elif split.stratify and not (split.by_time or split.column):
        yield f"{where}the parts are drawn at random, not stratified, since the rows are streamed"


def _megabytes(count: int) -> str:
    return f"{count / 1e6:,.0f} MB" if count >= 1e6 else "under 1 MB"
