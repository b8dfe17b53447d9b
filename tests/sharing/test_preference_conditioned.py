import copy

import numpy as np
import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.balance import BALANCERS
from polytask.errors import ConfigError
from polytask.experiment import Experiment


def test_worked_by_hand(conditioned):
    """r = (1/4, 3/4), G = [[4, 0]], B = [[0, 8]] on the last channel of the last stage: (1 + 1) h + 6."""
    sharing = conditioned.build("preference_conditioned", {"stage": -1}, tasks={"x": (-1,), "y": (-1,)}).eval()
    before = conditioned.outputs(sharing)["x"][-1]
    sharing.prefer({"x": 1.0, "y": 3.0})
    with torch.no_grad():
        sharing.gain[-1, 0], sharing.shift[-1, 1] = 4.0, 8.0
    after = conditioned.outputs(sharing)["x"][-1]
    assert torch.equal(after[:, :-1], before[:, :-1])
    torch.testing.assert_close(after[:, -1], 2 * before[:, -1] + 6)


def test_a_ray_is_drawn_in_training_only_and_goes_by_name(conditioned):
    sharing = conditioned.build("preference_conditioned")
    seen = []
    for _ in range(3):
        sharing.train()(conditioned.inputs, ["x"])
        seen.append(sharing.preference_of_last_forward)
        assert set(seen[-1]) == {"x", "y", "z"}
        assert sum(seen[-1].values()) == pytest.approx(1)
    assert seen[0] != seen[1] != seen[2]
    sharing.eval()(conditioned.inputs, ["x"])
    assert sharing.preference_of_last_forward is None
    assert int(sharing.num_draws) == 3
    turned = conditioned.build("preference_conditioned", tasks=dict(reversed(conditioned.tasks.items())))
    turned.train()(conditioned.inputs, ["x"])
    assert turned.preference_of_last_forward == pytest.approx(seen[0])


def test_rays_are_dirichlet(conditioned):
    """Mean 1/T and variance (1/T)(1 - 1/T)/(T α + 1)."""
    sharing = conditioned.build("preference_conditioned", {"alpha": 1.2})
    rays = torch.stack([sharing._draw() for _ in range(4000)])
    torch.testing.assert_close(rays.mean(dim=0), torch.full((3,), 1 / 3, dtype=torch.float64), atol=0.015, rtol=0)
    expected = torch.full((3,), (1 / 3) * (2 / 3) / (3 * 1.2 + 1), dtype=torch.float64)
    torch.testing.assert_close(rays.var(dim=0), expected, rtol=0.08, atol=0)


def test_a_copy_from_its_state_goes_on_with_the_same_rays(conditioned):
    one, other = conditioned.build("preference_conditioned"), conditioned.build("preference_conditioned")
    one.train()(conditioned.inputs, ["x"])
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for sharing in (one, other):
        sharing.train()(conditioned.inputs, ["x"])
    assert one.preference_of_last_forward == other.preference_of_last_forward


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"alpha": 0.0}, "alpha=0.0, a number above 0 is wanted"),
        ({"stage": 3}, "there is no stage 3: the encoder has 3 stages"),
        ({"preference": {"x": 1.0, "y": 1.0}}, "no preference for task 'z'"),
        ({"preference": {"x": 1.0, "y": 1.0, "z": -1.0}}, "the preference for task 'z' is -1.0"),
        ({"preference": {"x": 0.0, "y": 0.0, "z": 0.0}}, "every preference is 0"),
        ({"preference": {"x": 1.0, "y": 1.0, "q": 1.0}}, "a preference for the unknown task 'q'"),
    ],
)
def test_settings_that_cannot_be_are_refused(conditioned, settings, sentence):
    with pytest.raises(ValueError, match=f"sharing 'preference_conditioned': {sentence}"):
        conditioned.build("preference_conditioned", settings)


def step(balancer, losses, **more):
    w = torch.nn.Parameter(torch.ones(2))
    return balancer.backward({n: w[k] * value for k, (n, value) in enumerate(losses.items())}, shared=[w], **more)


def test_cosmos_follows_the_ray_of_the_forward():
    """It is what it is with the same fixed preferences; of the tasks present only, their shares sum to 1."""
    losses, ray = {"a": 1.0, "b": 0.5}, {"a": 0.1, "b": 0.3, "c": 0.6}
    follows = BALANCERS["cosmos"](["a", "b", "c"], strength=0.5)
    fixed = BALANCERS["cosmos"](["a", "b"], strength=0.5, preferences={"a": 0.25, "b": 0.75})
    assert step(follows, losses, preference=ray) == pytest.approx(step(fixed, losses))
    assert step(follows, {"a": 1.0}, preference=ray) == {"a": 1.0}
    assert step(follows, losses, preference={"a": 0.0, "b": 0.0, "c": 1.0}) == pytest.approx(
        step(BALANCERS["cosmos"](["a", "b"], strength=0.5), losses)
    )


def test_a_balancer_that_follows_none_refuses_one():
    with pytest.raises(ValueError, match=r"PCGrad: the network reads a preference .* COSMOS would work"):
        step(BALANCERS["pcgrad"](["a", "b"]), {"a": 1.0, "b": 0.5}, preference={"a": 0.5, "b": 0.5})
    with pytest.raises(ValueError, match="COSMOS: the preference has no share for task 'b'"):
        step(BALANCERS["cosmos"](["a", "b"]), {"a": 1.0, "b": 0.5}, preference={"a": 0.5})


@pytest.mark.parametrize(
    ("balancer", "sentence"),
    [
        ("sum", "draws a preference .* but Sum does not follow it: write balancer: cosmos"),
        ({"smooth": {"of": "cosmos"}}, "but Smooth does not follow it"),
        ({"cosmos": {"preferences": [0.5, 0.5]}}, "preferences has no effect beside sharing preference_conditioned"),
    ],
    ids=str,
)
def test_an_experiment_wants_the_balancer_that_follows(balancer, sentence):
    tasks = {"price": {"kind": "regression"}, "age": {"kind": "regression"}}
    with pytest.raises(ConfigError, match=sentence):
        Experiment.read({"tasks": tasks, "sharing": "preference_conditioned", "balancer": balancer})


def opposed(rows=300):
    """Two targets that no one output can meet: a trunk of one channel has to choose."""
    x = np.random.default_rng(0).normal(size=(rows, 2))
    return pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "first": x[:, 0] * 2, "second": x[:, 1] * 2})


def test_one_model_moves_along_the_front(tmp_path):
    table = opposed()
    run = pt.fit(
        table,
        [pt.Regression("first"), pt.Regression("second")],
        encoder={"mlp": {"widths": [16, 1], "dropout": 0.0, "activation": "silu"}},
        sharing={"preference_conditioned": {"alpha": 0.5}},
        balancer="cosmos",
        folder=tmp_path / "run",
        quiet=True,
        epochs=60,
        batch_size=32,
        learning_rate=0.01,
    )
    model = run.model().eval()
    assert model.sharing.preference.tolist() == [0.5, 0.5]
    inputs = {"<numbers>": torch.tensor(table[["a", "b"]].to_numpy(), dtype=torch.float32)}
    error = {}
    for name, ray in {"first": (0.95, 0.05), "second": (0.05, 0.95)}.items():
        model.sharing.prefer(dict(zip(("first", "second"), ray, strict=True)))
        with torch.no_grad():
            outputs = model(inputs)
        error[name] = {
            task: 1 - np.corrcoef(outputs[task].numpy(), table[task].to_numpy())[0, 1] ** 2 for task in outputs
        }
    assert error["first"]["first"] < error["second"]["first"] - 0.3
    assert error["second"]["second"] < error["first"]["second"] - 0.3
