import math

import pandas as pd
import pytest
import torch

import polytask as pt
from polytask.encoders import MLP
from polytask.errors import ConfigError
from polytask.feature import NUMBERS, InputSpec
from polytask.sharing import SharedPrivate
from polytask.sharing.shared_private import overlap

SPEC = InputSpec(numbers=("a", "b"))
INPUTS = {NUMBERS: torch.randn(5, 2, generator=torch.Generator().manual_seed(0))}
TASKS = {"x": (-1,), "y": (-1,), "z": (0,)}


def make_encoder(copy):
    torch.manual_seed(sum(str(copy).encode()))
    return MLP(SPEC, widths=(8, 4), dropout=0.0)


def shared_private(tasks=None, **settings):
    return SharedPrivate(make_encoder, tasks or TASKS, torch.Generator(), **settings)


def test_the_discriminator_starts_at_chance_and_each_stage_has_its_own():
    sharing = shared_private({"x": (0, -1), "y": (-1,), "z": (0,), "w": (1,)})
    assert {key: d.out_features for key, d in sharing.discriminators.items()} == {"stage_0": 2, "stage_2": 2}
    sharing(INPUTS, ["x"])
    assert sharing.penalties()["adversarial"].item() == pytest.approx(0.05 * math.log(2))
    sharing(INPUTS, ["w"])  # alone at its stage: there is nobody to be told from
    assert "adversarial" not in sharing.penalties()


def test_the_discriminator_learns_what_the_shared_chain_unlearns():
    """Finite differences: D goes down the loss, s up, and nothing else moves."""
    sharing = shared_private(adversarial=0.5, orthogonality=0.0).double()
    inputs = {NUMBERS: INPUTS[NUMBERS].double()}
    (discriminator,) = sharing.discriminators.values()
    torch.nn.init.normal_(discriminator.weight)

    def penalty():
        sharing(inputs, ["y"])
        return sharing.penalties()["adversarial"]

    penalty().backward()
    assert all(p.grad is None for p in sharing.task_parameters("y"))
    for parameter, sign in ((discriminator.weight, 1), (sharing.trunk[1].layers[0].weight, -1)):
        with torch.no_grad():
            expected = torch.zeros_like(parameter)
            for k in range(parameter.numel()):
                for step in (1e-6, -1e-6):
                    parameter.view(-1)[k] += step
                    expected.view(-1)[k] += penalty() / (2 * step)
                    parameter.view(-1)[k] -= step
        torch.testing.assert_close(parameter.grad, sign * expected, rtol=1e-5, atol=1e-8)
        assert parameter.grad.abs().sum() > 0


def test_overlap_against_a_plain_loop():
    s, p = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 2, dtype=torch.float64)

    def rows(values):
        centred = values - values.mean(dim=0)
        return [row / row.norm() for row in centred]

    total = 0.0
    for i in range(3):
        for j in range(2):
            total += sum(float(a[i] * b[j]) for a, b in zip(rows(s), rows(p), strict=True)) ** 2
    assert overlap(s, p).item() == pytest.approx(total / 6)


def test_overlap_is_zero_of_orthogonal_features_and_of_one_row():
    s = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    p = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
    assert overlap(s, p) == 0
    assert overlap(s, s) == pytest.approx(4.0)  # (4² + 0 + 0 + 0) / 4
    one = torch.ones(1, 2, requires_grad=True)
    overlap(one, one * 2).backward()
    assert torch.equal(one.grad, torch.zeros(1, 2))


def test_the_orthogonality_penalty_is_a_mean_over_tasks_and_zero_weights_give_none():
    sharing = shared_private(adversarial=0.0, orthogonality=0.3)
    each = []
    for task in ("x", "y"):
        sharing(INPUTS, [task])
        each.append(sharing.penalties()["orthogonality"])
    sharing(INPUTS, ["x", "y"])
    torch.testing.assert_close(sharing.penalties(), {"orthogonality": torch.stack(each).mean()})
    silent = shared_private(adversarial=0.0, orthogonality=0.0)
    silent(INPUTS, ["x", "y"])
    assert silent.penalties() == {}
    assert not list(silent.penalty_parameters())


def test_evaluation_leaves_no_penalty():
    sharing = shared_private()
    sharing(INPUTS, ["x"])
    sharing.eval()(INPUTS, ["x", "y"])
    assert sharing.penalties() == {}


def test_several_tasks_on_the_same_rows_are_refused():
    sharing = shared_private()
    with pytest.raises(ValueError, match=r"shared_private: got rows for 2 tasks at once.*adversarial: 0"):
        sharing(INPUTS, ["x", "y"])
    with pytest.raises(ValueError, match=r"shared_private: a step trains several tasks .*agenda: alternating"):
        sharing.check_rows([["x", "y"], ["z"]], is_one_task_a_step=False)
    sharing.check_rows([["x"], ["y"], ["z"]], is_one_task_a_step=False)
    sharing.check_rows([["x", "y"]], is_one_task_a_step=True)
    shared_private(adversarial=0.0).check_rows([["x", "y"]], is_one_task_a_step=False)


def test_one_table_for_all_is_refused_before_training(tmp_path):
    frame = pd.DataFrame({name: torch.randn(40).numpy() for name in ("a", "x", "y")})
    tasks = [pt.Regression("x"), pt.Regression("y")]
    with pytest.raises(ConfigError, match=r"shared_private: a step trains several tasks .*agenda: alternating"):
        pt.fit(frame, tasks, sharing="shared_private", folder=tmp_path / "run", quiet=True)


@pytest.mark.parametrize("setting", ["adversarial", "orthogonality"])
def test_a_weight_below_zero_is_refused(setting):
    with pytest.raises(ValueError, match=f"shared_private: {setting}=-1.0, a number from 0"):
        shared_private(**{setting: -1.0})


def test_a_table_for_each_task_trains_it(tmp_path):
    frames = {
        name: pd.DataFrame({"a": torch.randn(40).numpy(), "b": torch.randn(40).numpy(), name: torch.randn(40).numpy()})
        for name in ("x", "y")
    }
    run = pt.fit(
        frames,
        [pt.Regression("x"), pt.Regression("y")],
        sharing="shared_private",
        encoder={"mlp": {"widths": [4]}},
        epochs=2,
        folder=tmp_path / "run",
        quiet=True,
    )
    assert set(run.predict(frames["x"][["a", "b"]])) >= {"x", "y"}
