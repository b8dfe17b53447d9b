import math

import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS, Engine
from polytask.encoders import LeNet
from polytask.feature import InputSpec
from polytask.sharing import RotoGrad
from polytask.sharing.rotation import Rotation

TWO = {"x": (-1,), "y": (-1,)}


def heads_of(tasks, width=4):
    torch.manual_seed(7)
    return nn.ModuleDict({task: nn.Linear(width, 1) for task in tasks})


def losses_of(sharing, heads, inputs, scales=None):
    features = sharing(inputs, list(heads))
    return {
        task: (scales or {}).get(task, 1.0) * (head(features[task][-1].values) - k).square().mean()
        for k, (task, head) in enumerate(heads.items())
    }


def moments(sharing):
    return {task: sharing._rotation(2, task).moment for task in sharing.tasks}


def by_hand(sharing, heads, inputs, rotated=True):
    """Σ_n g_n v_nᵀ of each task, its gradient at its rotated feature taken apart."""
    z = sharing.trunk[0](inputs)
    for stage in sharing.trunk[1:]:
        z = stage(z)
    found, back = {}, {}
    for k, (task, head) in enumerate(heads.items()):
        matrix = sharing._rotation(2, task).learnt().detach()
        turned = (z.values.detach() @ matrix.T).requires_grad_()
        (gradient,) = torch.autograd.grad((head(turned) - k).square().mean(), turned)
        found[task] = gradient / gradient.norm()
        back[task] = found[task] @ matrix
    common = sum(back.values()) / len(back)
    return {task: gradient.T @ common for task, gradient in found.items()}


def turned(sharing, size=0.5):
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in sharing.penalty_parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=generator))
    return sharing


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("sum", Engine()),
        ("uncertainty", Engine()),
        ("gradnorm", Engine()),
        ("pcgrad", Engine()),
        ("mgda", Engine(level="representation")),
        ("pcgrad", Engine(every=2)),
        ("upgrad", Engine(chunk=10)),
        ("graddrop", Engine()),
    ],
)
def test_every_way_of_balancing_shows_each_tasks_own_gradient(conditioned, name, engine):
    """Up to its length, which is taken out: weights of losses do not matter."""
    sharing = turned(conditioned.build("rotograd", tasks=TWO)).train()
    heads = heads_of(TWO)
    balancer = BALANCERS[name](list(TWO), engine=engine)
    for _ in range(2):  # the second step of every=2 uses the first one's weights
        expected = by_hand(sharing, heads, conditioned.inputs)
        losses = losses_of(sharing, heads, conditioned.inputs)
        balancer.backward(losses, shared=sharing.shared_parameters())
        sharing.take_in()
        for task, moment in moments(sharing).items():
            torch.testing.assert_close(moment, expected[task], rtol=1e-4, atol=1e-6)


def test_one_task_at_a_time_by_the_loop_shows_the_same(conditioned):
    sharing = turned(conditioned.build("rotograd", tasks=TWO)).train()
    heads = heads_of(TWO)
    expected = by_hand(sharing, heads, conditioned.inputs)
    losses = losses_of(sharing, heads, conditioned.inputs, {"x": 1e-3, "y": 1e4})
    shared = list(sharing.shared_parameters())
    for loss in losses.values():
        torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
    sharing.take_in()
    for task, moment in moments(sharing).items():
        torch.testing.assert_close(moment, expected[task], rtol=1e-4, atol=1e-6)


def test_the_penalty_is_the_papers_loss_of_the_step_before(conditioned):
    """−Σ_t Σ_n ⟨R_tᵀ g_nt, v_n⟩, row by row."""
    sharing = turned(conditioned.build("rotograd", tasks=TWO)).train()
    heads = heads_of(TWO)
    losses_of(sharing, heads, conditioned.inputs)
    assert sharing.penalties() == {}  # nothing has arrived yet
    z = sharing.trunk[2](sharing.trunk[1](sharing.trunk[0](conditioned.inputs))).values.detach()
    gradients, matrices = {}, {}
    for k, task in enumerate(TWO):
        matrices[task] = sharing._rotation(2, task).learnt().detach()
        point = (z @ matrices[task].T).requires_grad_()
        (g,) = torch.autograd.grad((heads[task](point) - k).square().mean(), point)
        gradients[task] = g / g.norm()
    sum(losses_of(sharing, heads, conditioned.inputs).values()).backward()
    sharing.take_in()
    expected = 0.0
    for row in range(len(z)):
        v = sum(matrices[task].T @ gradients[task][row] for task in TWO) / 2
        expected -= sum(float((matrices[task].T @ gradients[task][row]) @ v) for task in TWO)
    assert float(sharing.penalties()["rotation"].detach()) == pytest.approx(expected, rel=1e-4)


def test_task_losses_do_not_move_rotations_and_the_penalty_moves_nothing_else(conditioned):
    sharing = conditioned.build("rotograd", tasks=TWO).train()
    heads = heads_of(TWO)
    sum(losses_of(sharing, heads, conditioned.inputs).values()).backward()
    assert all(p.grad is None for p in sharing.penalty_parameters())
    sharing.zero_grad(set_to_none=True)
    losses_of(sharing, heads, conditioned.inputs)
    sharing.penalties()["rotation"].backward()
    assert all(p.grad is not None and p.grad.any() for p in sharing.penalty_parameters())
    assert all(p.grad is None for p in sharing.shared_parameters())


def test_the_penaltys_gradient_by_finite_differences(conditioned):
    rotation = Rotation(3).double()
    with torch.no_grad():
        rotation.skew.normal_()
    rotation.keep(torch.randn(3, 3).double())
    assert torch.autograd.gradcheck(
        lambda skew: torch.func.functional_call(Disagreement(rotation), {"rotation.skew": skew}, ()), rotation.skew
    )


class Disagreement(nn.Module):
    def __init__(self, rotation):
        super().__init__()
        self.rotation = rotation

    def forward(self):
        return self.rotation.disagreement()


def test_opposed_gradients_are_turned_to_agree_and_rotations_stay_rotations(conditioned):
    """Heads that want nearly the opposite of one feature; only the rotations train."""
    sharing = conditioned.build("rotograd", tasks=TWO).train()
    heads = heads_of(TWO)
    with torch.no_grad():
        heads["x"].weight.copy_(torch.tensor([[1.0, 0.3, 0.0, -0.2]]))
        heads["y"].weight.copy_(torch.tensor([[-1.0, 0.2, 0.1, 0.0]]))
        heads["x"].bias.fill_(-3.0)
        heads["y"].bias.fill_(-3.0)
    optimizer = torch.optim.SGD(sharing.penalty_parameters(), lr=0.3)
    shared = list(sharing.shared_parameters())

    def cosine():
        losses = losses_of(sharing, heads, conditioned.inputs)
        rows = [
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)])
            for loss in losses.values()
        ]
        return float(torch.cosine_similarity(*rows, dim=0))

    before = cosine()
    for _ in range(60):
        optimizer.zero_grad()
        losses = losses_of(sharing, heads, conditioned.inputs)
        (sum(losses.values()) + sharing.penalties()["rotation"]).backward()
        optimizer.step()
    after = cosine()
    assert before < -0.5
    assert after > 0.5
    for task in TWO:
        matrix = sharing._rotation(2, task).learnt().detach()
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(4), rtol=0, atol=1e-5)
        assert float(torch.linalg.det(matrix)) == pytest.approx(1, abs=1e-4)
        assert not torch.allclose(matrix, torch.eye(4), atol=0.1)


def test_an_absent_task_is_not_aligned_with_older_rows(conditioned):
    sharing = conditioned.build("rotograd").train()
    heads = heads_of(conditioned.tasks)
    sum(losses_of(sharing, heads, conditioned.inputs).values()).backward()
    features = sharing({k: v[:2] for k, v in conditioned.inputs.items()}, ["x", "y"])
    sum(heads[task](features[task][-1].values).square().mean() for task in ("x", "y")).backward()
    sharing.take_in()
    found = moments(sharing)
    assert found["x"].any()
    assert not found["z"].any()
    sharing(conditioned.inputs, ["x"])["x"][-1].values.sum().backward()
    sharing.take_in()
    assert not any(moment.any() for moment in moments(sharing).values())


def test_a_look_without_gradients_and_an_evaluation_leave_no_trace(conditioned):
    sharing = conditioned.build("rotograd", tasks=TWO).train()
    heads = heads_of(TWO)
    sum(losses_of(sharing, heads, conditioned.inputs).values()).backward()
    arrived = sharing._arrived
    with torch.no_grad():
        losses_of(sharing, heads, conditioned.inputs)
    losses_of(sharing.eval(), heads, conditioned.inputs)["x"].backward()
    assert sharing._arrived is arrived


def test_a_stage_that_one_task_reads_alone_is_not_rotated(conditioned):
    sharing = conditioned.build("rotograd", tasks={"x": (-1,), "y": (1,)})
    assert not list(sharing.penalty_parameters())
    assert sharing.penalties() == {}


def test_pictures_are_rotated_at_every_pixel():
    """As their pooled feature is; its gradient is the sum over pixels."""

    def make_encoder(copy):
        torch.manual_seed(0)
        return LeNet(InputSpec(images={"photo": (1, 16, 16)}), channels=(3, 4), widths=(6,))

    sharing = turned(RotoGrad(make_encoder, {"a": (1,), "b": (1,)}, torch.Generator())).train()
    inputs = {"photo": torch.randn(5, 1, 16, 16)}
    features = sharing(inputs, ["a", "b"])
    plain = sharing.trunk[1](sharing.trunk[0](inputs))
    rotation = sharing._rotation(1, "a")
    assert features["a"][1].values.shape == plain.values.shape
    torch.testing.assert_close(features["a"][1].pooled(), plain.pooled() @ rotation.matrix.T)
    seen = {}
    for task in ("a", "b"):
        pooled = features[task][1].pooled()
        pooled.register_hook(lambda g, task=task: seen.__setitem__(task, g))
        pooled.exp().sum().backward(retain_graph=True)
    arrived = {task: gradient for (_, task), (gradient, _) in sharing._arrived.items()}
    for task in ("a", "b"):
        torch.testing.assert_close(arrived[task], seen[task])


def test_the_rotation_of_evaluation_is_that_of_the_parameters(conditioned):
    sharing = turned(conditioned.build("rotograd")).eval()
    for rotation in sharing.rotations["stage_2"].values():
        assert torch.equal(rotation.matrix, rotation.learnt())
    again = conditioned.build("rotograd").eval()
    again.load_state_dict(turned(sharing).state_dict())
    for task, values in conditioned.outputs(sharing).items():
        assert all(map(torch.equal, values, conditioned.outputs(again)[task]))


def test_many_channels_are_told_of(conditioned):
    def wide(copy):
        return type(conditioned.make_encoder(0))(conditioned.spec, widths=(1100,))

    (notice,) = conditioned.build("rotograd", encoder=wide).notices()
    assert "rotograd' rotates 1100 channels after stage 1: 3 square matrices" in notice
    assert not list(conditioned.build("rotograd").notices())


def test_a_quarter_turn():
    rotation = Rotation(2)
    with torch.no_grad():
        rotation.skew[1, 0] = math.pi / 2
    torch.testing.assert_close(rotation.eval()(torch.tensor([[1.0, 0.0]])), torch.tensor([[0.0, 1.0]]))


def test_a_task_that_no_gradient_has_come_of_keeps_its_rotation(conditioned):
    """Absent for two steps: a gradient of 0 would let Adam's momentum turn it on."""
    sharing = conditioned.build("rotograd").train()
    optimizer = torch.optim.Adam(sharing.parameters(), lr=0.01)

    def step(tasks):
        optimizer.zero_grad(set_to_none=True)
        found = conditioned.losses(sharing, tasks)
        (sum(found.values()) + sum(sharing.penalties().values())).backward()
        optimizer.step()

    for tasks in (["x", "y", "z"], ["x", "y", "z"], ["x", "y"]):
        step(tasks)
    own = [p for name, p in sharing.named_parameters() if "task_z" in name]
    before = [p.detach().clone() for p in own]
    assert any(p.any() for p in before)
    step(["x", "y"])
    assert own
    assert all(p.grad is None for p in own)
    assert all(map(torch.equal, own, before))
