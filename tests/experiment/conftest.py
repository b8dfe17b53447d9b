"""Houses with every kind of column, and a training small enough to be run many times."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.runs import Run

#: Settings that make a training take a tenth of a second.
TINY: dict[str, Any] = {"epochs": 2, "batch_size": 32, "encoder": {"mlp": {"widths": [8, 4]}}}


def make_houses(rows: int = 96, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    frame = pd.DataFrame(x, columns=["rooms", "age", "distance"])
    frame["area"] = generator.choice(["north", "south", "east"], rows)
    frame["price"] = x @ [3.0, -1.0, 0.5] + (frame["area"] == "north") + 0.1 * generator.normal(size=rows)
    frame["sold"] = np.where(x[:, 0] + 0.3 * generator.normal(size=rows) > 0, "yes", "no")
    return frame


@pytest.fixture
def houses() -> pd.DataFrame:
    return make_houses()


@pytest.fixture
def tasks() -> list[pt.tasks.Task]:
    return [pt.Regression("price"), pt.Classification("sold")]


@pytest.fixture
def fit(houses: pd.DataFrame, tasks: list[Any], tmp_path: Path) -> Callable[..., Run]:
    """`pt.fit` on the houses, tiny and quiet; any argument can be given otherwise."""

    def fitted(data: Any = None, wanted: Any = None, folder: str = "run", **settings: Any) -> Run:
        return pt.fit(
            houses if data is None else data,
            tasks if wanted is None else wanted,
            folder=tmp_path / folder,
            **{"quiet": True, **TINY, **settings},
        )

    return fitted
