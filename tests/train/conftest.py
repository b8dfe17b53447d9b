"""A training in memory, without a Run folder: tables, blueprint and session from a few lines."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from polytask.balance import BALANCERS
from polytask.config import Choice, as_choice, build
from polytask.data import Preprocessor, Table, TensorTable, encode_targets, fit_task
from polytask.encoders import ENCODERS
from polytask.model import Blueprint
from polytask.runs import read_checkpoint, write_checkpoint
from polytask.sharing import SHARINGS
from polytask.tasks import Classification, Regression, Task
from polytask.train import AGENDAS, Session, Training, TrainingData

TASKS = (Regression("price"), Classification("sold"))


def houses(rows: int = 64, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(rows, 3))
    frame = pd.DataFrame(x, columns=["a", "b", "c"])
    frame["price"] = x @ [1.0, -2.0, 0.5]
    frame["sold"] = (x[:, 0] + generator.normal(size=rows) > 0).astype(int)
    return frame


def tensors(
    frame: pd.DataFrame, tasks: Sequence[Task], fitted: Mapping[str, Any], inputs: Sequence[str]
) -> TensorTable:
    table, rows = Table.of(frame), np.arange(len(frame))
    inputs_of = Preprocessor.fit(table, list(inputs), rows).transform(table)
    return TensorTable(inputs_of, encode_targets(table, tasks, fitted, rows))


def make_data(frames: Mapping[str, tuple[pd.DataFrame, Sequence[Task]]]) -> tuple[TrainingData, Any]:
    """Training data (validated on themselves), and the specification of their inputs."""
    inputs = ["a", "b", "c"]
    fitted = {t.name: fit_task(Table.of(f), t, np.arange(len(f))) for f, tasks in frames.values() for t in tasks}
    tables = {name: tensors(frame, tasks, fitted, inputs) for name, (frame, tasks) in frames.items()}
    first = Table.of(next(iter(frames.values()))[0])
    spec = Preprocessor.fit(first, inputs, np.arange(first.num_rows)).spec
    tasks = {task.name: task for _, members in frames.values() for task in members}
    return TrainingData(tables, tables, tasks, fitted), spec


def make_session(
    frames: Mapping[str, tuple[pd.DataFrame, Sequence[Task]]] | None = None,
    *,
    encoder: Any = None,
    sharing: Any = "hard",
    balancer: Any = "sum",
    agenda: Any = "joint",
    batch_size: int = 16,
    seed: int = 0,
    **train: Any,
) -> Session:
    data, spec = make_data(frames or {"all": (houses(), TASKS)})
    blueprint = Blueprint(
        tasks=tuple(data.tasks.values()),
        fitted=data.fitted,
        encoder=as_choice(encoder or {"mlp": {"widths": [8, 4], "dropout": 0.0}}, ENCODERS, "encoder"),
        sharing=as_choice(sharing, SHARINGS, "sharing"),
        spec=spec,
        seed=seed,
    )
    walk = as_choice(agenda, AGENDAS, "agenda")(data.training, batch_size, seed)
    chosen: Choice[Any] = as_choice(balancer, BALANCERS, "balancer")
    balancing = chosen(list(data.tasks), torch.Generator().manual_seed(seed))
    return Session(blueprint.build(), data, balancing, walk, build(Training, {"epochs": 4, **train}))


@pytest.fixture
def training() -> SimpleNamespace:
    """`.session(...)`, `.data(...)`, `.houses(...)`: see the functions of these names above."""
    makers: dict[str, Callable[..., Any]] = {"session": make_session, "data": make_data, "houses": houses}
    return SimpleNamespace(**makers, tasks=TASKS)


def same(one: Any, other: Any) -> None:
    """Bit for bit."""
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            same(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b)
    else:
        assert one == other


@pytest.fixture(name="same")
def same_bits() -> Callable[[Any, Any], None]:
    return same


@pytest.fixture
def check_resumes(tmp_path: Path) -> Callable[..., None]:
    """N steps, a checkpoint, and N steps of a fresh session: bit for bit what 2N steps are."""

    def check(make: Callable[[], Session], go: Callable[[Session, int], list[Any]], steps: int = 6) -> None:
        torch.manual_seed(3)
        whole = make()
        whole.model.train()
        expected = go(whole, 2 * steps)
        torch.manual_seed(3)
        first = make()
        first.model.train()
        seen = go(first, steps)
        write_checkpoint(tmp_path / "checkpoint", first.state())
        torch.manual_seed(99)
        fresh = make()
        fresh.model.train()
        fresh.restore(read_checkpoint(tmp_path / "checkpoint")[0], {})
        same(fresh.state(), first.state())
        seen += go(fresh, steps)
        assert seen == expected
        same(fresh.state(), whole.state())

    return check
