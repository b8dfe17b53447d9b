"""CSV text as a DataFrame, strictly: rows as long as the header, and every name once."""

import csv
import io
from collections import Counter
from pathlib import Path

import pandas as pd

from polytask.errors import SchemaError


def frame_of_csv(text: str, delimiter: str, path: Path) -> pd.DataFrame:
    """Reads CSV text; a header without commas but with semicolons is taken to be separated by these.

    Raises:
        SchemaError: a name that stands twice in the header, a row with too few or too many fields; says the
            line.
    """
    header_line = text.lstrip("\r\n").split("\n", 1)[0]
    if delimiter == "," and "," not in header_line and ";" in header_line:
        delimiter = ";"
    header = _check_rows(text, delimiter, path)
    # Of names that stand twice pandas would make "a" and "a.1" without a word.
    twice = [name for name, count in Counter(header).items() if count > 1 and name]
    if twice:
        raise SchemaError(f"{path}: the column {twice[0]!r} stands {header.count(twice[0])} times in the header")
    try:
        return pd.read_csv(io.StringIO(text), sep=delimiter, low_memory=False, index_col=False)
    except (ValueError, OverflowError) as error:
        raise SchemaError(f"{path}: broken CSV: {str(error).strip().splitlines()[0]}") from None


def _check_rows(text: str, delimiter: str, path: Path) -> list[str]:
    """The header; pandas would fill short rows with missing cells, so they are counted here."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header: list[str] = []
    line = 1
    try:
        for row in rows:
            if not header:
                header = row
            elif row and len(row) != len(header):
                raise SchemaError(
                    f"{path}, line {line}: {len(row)} fields, but the header has {len(header)} "
                    f"({', '.join(header[:4])}{', …' if len(header) > 4 else ''})"
                )
            line = rows.line_num + 1
    except csv.Error as error:
        raise SchemaError(f"{path}, line {line}: broken CSV: {error}; is a quote left open?") from None
    return header
