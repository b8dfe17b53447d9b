import pytest
import torch

from polytask.sharing import Independent, Soft
from polytask.sharing.soft import FLOOR

TASKS = {"x": (-1,), "y": (-1,), "z": (-1,)}


def soft(chains, tasks=None, **settings):
    return Soft(chains.mlp, tasks or TASKS, torch.Generator(), **{"initialisation": "own", **settings}).double()


def penalty(sharing, chains, present=("x", "y", "z")):
    inputs = {key: v.double() if v.is_floating_point() else v for key, v in chains.inputs().items()}
    sharing(inputs, list(present))
    return sharing.penalties()


def stacked(sharing, stage, members):
    """The weights of a stage, a row a task: with a graph."""
    rows = [[p.flatten() for p in sharing.chains[f"task_{task}"][stage].parameters()] for task in members]
    return torch.stack([torch.cat(row) for row in rows])


def plain_penalty(sharing, distance, weights, depths):
    """Written from the definition: sums over pairs, and singular values."""
    total = 0.0
    for stage, weight in enumerate(weights):
        rows = stacked(sharing, stage, [task for task, depth in depths.items() if depth > stage])
        if distance == "trace":
            total = total + weight * torch.linalg.svdvals(rows).sum()
        else:
            pairs = [(rows[i] - rows[j]).square().mean() for i in range(len(rows)) for j in range(i)]
            total = total + weight * sum(pairs) / len(rows)
    return total


@pytest.mark.parametrize("distance", ["l2", "trace"])
@pytest.mark.parametrize("tasks", [TASKS, {"x": (-1,), "y": (1,), "z": (-1,)}])
def test_value_and_gradient_are_those_of_the_definition(distance, tasks, chains):
    weights = (0.5, 1.0, 2.0)
    sharing = soft(chains, tasks, distance=distance, weight=weights)
    parts = penalty(sharing, chains)
    assert set(parts) == {"soft: x", "soft: y", "soft: z"}
    plain = plain_penalty(sharing, distance, weights, {task: sharing.depth(task) for task in tasks})
    torch.testing.assert_close(sum(parts.values()), plain)
    parameters = list(sharing.parameters())
    found = torch.autograd.grad(sum(parts.values()), parameters, allow_unused=True)
    expected = torch.autograd.grad(plain, parameters, allow_unused=True)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other)


@pytest.mark.parametrize("distance", ["l2", "trace"])
def test_each_part_reaches_its_task_alone_with_the_gradient_that_it_has_among_all(distance, chains):
    sharing = soft(chains, distance=distance)
    whole = sum(penalty(sharing, chains).values())
    own = {task: list(sharing.task_parameters(task)) for task in TASKS}
    expected = torch.autograd.grad(whole, own["y"])
    (name, part), *others = penalty(sharing, chains, ["y"]).items()
    assert (name, others) == ("soft: y", [])
    part.backward()
    assert all(p.grad is None for task in "xz" for p in own[task])
    for p, gradient in zip(own["y"], expected, strict=True):
        torch.testing.assert_close(p.grad, gradient)


def test_finite_differences(chains):
    """The parts hold the tasks' mean and directions fixed, so their sum is checked against the definition's slope."""
    for distance in ("l2", "trace"):
        sharing = soft(chains, distance=distance)
        sum(penalty(sharing, chains).values()).backward()
        weight = sharing.chains["task_x"][1].layers[0].weight
        gradient, step = weight.grad[2, 1].item(), 1e-6
        values = []
        with torch.no_grad():
            for sign in (1, -1):
                weight[2, 1] += sign * step
                values.append(sum(penalty(sharing, chains).values()).item())
                weight[2, 1] -= sign * step
        assert gradient == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4)


def test_equal_tasks_have_no_l2_and_the_least_trace_norm_without_nan(chains):
    equal = soft(chains, initialisation="equal")
    assert all(part.item() == 0 for part in penalty(equal, chains).values())
    for make in (torch.nn.Module.double, torch.nn.Module.float):
        equal = make(soft(chains, initialisation="equal", distance="trace", weight=1.0))
        inputs = {k: make_like(v, equal) for k, v in chains.inputs().items()}
        equal(inputs, list(TASKS))
        total = sum(equal.penalties().values())
        norms = sum(stacked(equal, stage, ["x"]).norm() for stage in range(3))
        torch.testing.assert_close(total, 3**0.5 * norms, rtol=1e-4, atol=0)
        total.backward()
        assert all(torch.isfinite(p.grad).all() for p in equal.parameters())
        assert any(p.grad.any() for p in equal.parameters())


def make_like(values, module):
    return values.to(next(module.parameters()).dtype) if values.is_floating_point() else values


def test_trace_norm_of_orthogonal_tasks_and_of_nothing(chains):
    sharing = soft(chains, {"x": (0,), "y": (0,)}, distance="trace", weight=1.0)
    with torch.no_grad():
        for k, task in enumerate("xy"):
            for p in sharing.chains[f"task_{task}"].parameters():
                p.zero_().flatten()[k] = 3.0
    assert sum(penalty(sharing, chains, "xy").values()).item() == pytest.approx(2 * 3.0)
    with torch.no_grad():
        for p in sharing.parameters():
            p.zero_()
    total = sum(penalty(sharing, chains, "xy").values())
    total.backward()
    assert total.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in sharing.parameters())
    assert 0 < FLOOR < 0.1


def test_weight_zero_is_independent_with_no_penalty_at_all(chains):
    independent = Independent(chains.mlp, TASKS, torch.Generator())
    for weight in (0.0, (0.0, 0.0, 0.0)):
        sharing = Soft(chains.mlp, TASKS, torch.Generator(), weight=weight)
        assert chains.same(sharing(chains.inputs(), list(TASKS)), independent(chains.inputs(), list(TASKS)))
        assert sharing.penalties() == {}
    assert penalty(soft(chains), chains)


def test_a_large_weight_trains_towards_hard_sharing(chains):
    sharing = soft(chains, weight=1e4)
    optimizer = torch.optim.Adam(sharing.parameters(), lr=1e-2)
    before = sharing.records()["distance between tasks at stage 1"].values[0][1]
    for _ in range(60):
        optimizer.zero_grad()
        sum(penalty(sharing, chains).values()).backward()
        optimizer.step()
    assert sharing.records()["distance between tasks at stage 1"].values[0][1] < 0.1 * before


def test_running_statistics_and_frozen_weights_are_left_out(chains):
    sharing = Soft(lambda copy: chains.mlp(copy, batch_norm=True), TASKS, torch.Generator(), initialisation="own")
    sharing(chains.inputs(), list(TASKS))
    before = sum(sharing.penalties().values())
    sharing.chains["task_x"][1].layers[1].running_mean.add_(5.0)
    assert torch.equal(sum(sharing.penalties().values()), before)
    frozen = sharing.chains["task_y"][2].layers[0].weight
    frozen.requires_grad_(False)  # of one task
    without = sum(sharing.penalties().values())
    assert without < before
    with torch.no_grad():
        frozen.add_(1.0)
    assert torch.equal(sum(sharing.penalties().values()), without)
    for p in sharing.parameters():
        p.requires_grad_(False)
    assert sharing.penalties() == {}


def test_records_are_root_mean_square_distances(chains):
    sharing = soft(chains, {"x": (-1,), "y": (-1,), "z": (0,)})
    records = sharing.records()
    assert list(records) == [f"distance between tasks at stage {stage}" for stage in range(3)]
    record = records["distance between tasks at stage 2"]
    rows = stacked(sharing, 2, "xy").detach()
    expected = (rows[0] - rows[1]).square().mean().sqrt().item()
    assert (record.kind, list(record.rows)) == ("amounts", ["x", "y"])
    assert record.values == [[0.0, pytest.approx(expected)], [pytest.approx(expected), 0.0]]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"weight": -1.0}, "weight=-1.0, numbers >= 0 are wanted"),
        ({"weight": float("nan")}, "weight=nan, numbers >= 0"),
        ({"weight": (1.0, 1.0)}, "2 weights, but the encoder has 3 stages: one weight for all, or one a stage"),
    ],
)
def test_settings_that_cannot_be(settings, says, chains):
    with pytest.raises(ValueError, match=says):
        soft(chains, **settings)
