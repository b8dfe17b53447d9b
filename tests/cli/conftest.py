"""A folder with houses in it, and the command line called in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from polytask.cli import app

TINY = ["--set", "encoder={mlp: {widths: [8]}}", "--set", "train.batch_size=16"]


def make_houses(rows: int = 80) -> pd.DataFrame:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(rows, 2))
    frame = pd.DataFrame(x, columns=["rooms", "age"])
    frame["area"] = generator.choice(["north", "süd"], rows)
    frame["price"] = x @ [3.0, -1.0]
    frame["sold_in_30_days"] = (x[:, 0] > 0).astype(int)
    return frame


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with houses.csv in it."""
    monkeypatch.chdir(tmp_path)
    make_houses().to_csv("houses.csv", index=False)
    return tmp_path


@pytest.fixture
def polytask(here: Path) -> Callable[..., Result]:
    """Runs a command that must end with exit code 0; `.stdout` and `.stderr` are apart."""

    def call(*words: str) -> Result:
        result = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished Run on houses.csv in the folder beside it; not to be changed."""
    folder = tmp_path_factory.mktemp("trained")
    make_houses().to_csv(folder / "houses.csv", index=False)
    words = ["fit", str(folder / "houses.csv"), "-t", "price", "-t", "sold=sold_in_30_days", "-o", str(folder / "run")]
    result = CliRunner().invoke(app, [*words, "--epochs", "2", "-q", *TINY], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return folder / "run"
