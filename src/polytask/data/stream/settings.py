"""How a table that is larger than memory is streamed."""

from dataclasses import dataclass

#: Rows that are shuffled together, where nothing else is asked for.
BUFFER_ROWS = 2**19


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """How Parquet files are streamed.

    Args:
        buffer_rows: training rows that are held and shuffled at once, > 0; two buffers are in memory, encoded. Of rows
            with pictures there are fewer, as many as 256 MiB hold.
        fit_rows: training rows, drawn at random, that preprocessing and tasks learn from, > 0; for a class that none of
            them has, a row is added.

    Raises:
        ValueError: a number of rows below 1.
    """

    buffer_rows: int = BUFFER_ROWS
    fit_rows: int = 200_000

    def __post_init__(self) -> None:
        for name in ("buffer_rows", "fit_rows"):
            if getattr(self, name) < 1:
                raise ValueError(f"stream.{name}={getattr(self, name)}: at least 1 row is wanted")
