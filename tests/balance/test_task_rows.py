"""The [tasks, params] memory, alone and inside the methods that have one."""

import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS
from polytask.balance.from_jacobian.memory import TaskRows


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_memory_has_the_type_of_the_gradients_and_loads_into_a_fresh_one(dtype: torch.dtype) -> None:
    memory, fresh = TaskRows(3, "moco"), TaskRows(3, "moco")
    index, rows = torch.tensor([2, 0]), torch.randn(2, 5).to(dtype)
    assert memory.rows.shape == (3, 0)
    assert not memory.read(index, rows).any()
    memory.write(index, rows)
    fresh.load_state_dict(memory.state_dict())
    assert fresh.rows.dtype == dtype
    assert torch.equal(fresh.rows, memory.rows)
    fresh.rows[0] += 1
    assert not torch.equal(fresh.rows, memory.rows), "a copy"
    assert torch.equal(memory.read(index, rows), rows)
    assert not memory.rows[1].any()


def test_an_unused_memory_loads_too_and_one_of_other_tasks_does_not() -> None:
    used = TaskRows(2, "moco")
    used.read(torch.tensor([0]), torch.ones(1, 4))
    used.load_state_dict(TaskRows(2, "moco").state_dict())
    assert used.rows.shape == (2, 0)
    with pytest.raises(RuntimeError, match="size mismatch for rows"):
        TaskRows(3, "moco").load_state_dict(used.state_dict())


@pytest.mark.parametrize("name", ["moco", "db_mtl", "metabalance", "excess_mtl"])
def test_other_shared_parameters_are_refused(name: str) -> None:
    w, more = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    balancer = BALANCERS[name](["a", "b"], **({"main": "a"} if name == "metabalance" else {}))
    balancer.backward({"a": w[0], "b": w[1]}, shared=[w])
    what = r"2 shared parameters, and its memory is of 1" if name == "metabalance" else r"5 shared coordinates.* of 2"
    with pytest.raises(ValueError, match=f"{name}: there are {what}: pass the same shared parameters in every step"):
        balancer.backward({"a": w[0] + more.sum(), "b": w[1]}, shared=[w, more])


def test_without_a_memory_db_mtl_keeps_no_rows() -> None:
    balancer = BALANCERS["db_mtl"](["a"], beta=0.0)
    w = nn.Parameter(torch.ones(2))
    balancer.backward({"a": w.sum()}, shared=[w])
    assert balancer.average.rows.numel() == 0
