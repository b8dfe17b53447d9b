"""The training rows of one table, resampled and encoded; what became of them is said."""

from collections.abc import Callable, Mapping

import numpy as np

from polytask.data import Preprocessor, Resampler, Targets, encode_targets
from polytask.experiment.sources import Source
from polytask.ragged import InputRows
from polytask.tasks import Fitted


def resampled(
    source: Source,
    rows: np.ndarray,
    resampler: Resampler,
    generator: np.random.Generator,
    *,
    preprocessor: Preprocessor,
    fitted: Mapping[str, Fitted],
    say: Callable[[str], None],
) -> tuple[dict[str, InputRows], Targets]:
    """Inputs and targets of the training rows as the resampler wants them.

    Args:
        source: the table and its tasks.
        rows: its training rows.
        resampler: clones them, leaves them out, or makes new ones.
        generator: of the draws.
        preprocessor: of the inputs.
        fitted: what the tasks learnt, from the rows as they were.
        say: takes a sentence with the counts.

    Raises:
        ConfigError: rows that cannot be made.
    """
    before = encode_targets(source.table, source.tasks, fitted, rows)
    taken = np.asarray(rows)[resampler.positions(before, source.tasks, fitted, generator)]
    targets = encode_targets(source.table, source.tasks, fitted, taken)
    inputs = preprocessor.transform(source.table, taken, absent=preprocessor.lacking(source.table))
    inputs, targets = resampler.extended(inputs, targets, source.tasks, fitted, generator)
    about = resampler.said(before, targets, source.tasks, fitted)
    if about:
        number = targets.num_rows
        say(f"{resampler.name}: {number:,} training rows are made of {len(rows):,} ({about})")
    return inputs, targets
