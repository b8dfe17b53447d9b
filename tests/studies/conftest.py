"""Houses with missing targets, a study of them small enough to be made many times, and its parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import polytask as pt
from polytask.experiment import Experiment, experiment_from
from polytask.studies import Study, StudySettings
from polytask.studies.data import StudyData
from polytask.studies.setup import Setup, set_up

#: Settings that make a training take a twentieth of a second.
TINY: dict[str, Any] = {
    "epochs": 2,
    "batch_size": 32,
    "learning_rate": 0.02,
    "encoder": {"mlp": {"widths": [8, 4]}},
}


def make_houses(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    frame = pd.DataFrame(x, columns=["rooms", "age", "distance"])
    frame["area"] = generator.choice(["north", "south", "east"], rows)
    frame["price"] = x @ [3.0, -1.0, 0.5] + 0.5 * generator.normal(size=rows)
    frame.loc[generator.random(rows) < 0.2, "price"] = np.nan
    frame["sold"] = np.where(x[:, 0] + 0.5 * generator.normal(size=rows) > 0, "yes", "no")
    return frame


def make_tasks() -> list[Any]:
    return [pt.Regression("price"), pt.Classification("sold")]


def make_setup(data: Any = None, tasks: Any = None, settings: dict[str, Any] | None = None, **experiment: Any) -> Setup:
    asked = experiment_from(tasks or make_tasks(), **{**TINY, **experiment})
    return set_up(asked, StudySettings(**(settings or {})), make_houses() if data is None else data)


@pytest.fixture
def houses() -> pd.DataFrame:
    return make_houses()


@pytest.fixture
def tasks() -> list[Any]:
    return make_tasks()


@pytest.fixture
def setup() -> Callable[..., Setup]:
    """What a study starts from, on the houses; `settings` are the study's, all else the experiment's."""
    return make_setup


@pytest.fixture
def rows_of() -> Callable[..., StudyData]:
    """The rows of a study on the houses."""

    def made(*args: Any, **settings: Any) -> StudyData:
        found = make_setup(*args, **settings)
        return found.data(found.splits())

    return made


@pytest.fixture
def experiment() -> Callable[..., Experiment]:
    return lambda **changes: experiment_from(make_tasks(), **{**TINY, **changes})


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """`pt.study` on the houses, tiny, quiet, in this process; any argument can be given otherwise."""

    def made(data: Any = None, tasks: Any = None, candidates: Any = None, *, folder: Any = "study", **settings: Any):
        return pt.study(
            make_houses() if data is None else data,
            tasks or make_tasks(),
            candidates,
            folder=tmp_path / folder,
            **{"quiet": True, "jobs": 0, "seeds": 3, "baselines": (), **TINY, **settings},
        )

    return made


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study of two candidates, a baseline and a placebo, finished; not to be changed."""
    return pt.study(
        make_houses(),
        make_tasks(),
        ["sum", {"encoder": {"mlp": {"widths": [6]}}}],
        folder=tmp_path_factory.mktemp("studies") / "houses",
        seeds=3,
        baselines=("linear",),
        companions=("placebo",),
        title="houses",
        jobs=0,
        quiet=True,
        **TINY,
    )
