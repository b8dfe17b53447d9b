"""People in a Parquet file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamed_people import make_people


@pytest.fixture
def people(tmp_path: Path) -> Callable[..., Path]:
    """Writes people to a file, in row groups of so many rows."""

    def write(rows: int = 100, group: int = 16, name: str = "people.parquet", **cells: Any) -> Path:
        path = tmp_path / name
        make_people(rows).assign(**cells).to_parquet(path, row_group_size=group, index=False)
        return path

    return write
