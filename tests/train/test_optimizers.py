import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from polytask.config import build
from polytask.errors import ConfigError
from polytask.train import OPTIMIZERS, TaskOptimizer, Training
from polytask.train.optimizers import LEFT_OUT, make_optimizer, make_schedule


def optimizer_for(**train):
    return make_optimizer([nn.Parameter(torch.ones(3))], build(Training, train))


TORCHS = [name for name, cls in OPTIMIZERS.items() if not issubclass(cls, TaskOptimizer)]


@pytest.mark.parametrize("name", TORCHS)
def test_every_optimizer_trains_a_model_with_biases(name):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    optimizer = make_optimizer(model.parameters(), Training(optimizer=name, learning_rate=0.01))
    inputs, before = torch.randn(16, 3), [p.detach().clone() for p in model.parameters()]
    for _ in range(3):
        optimizer.zero_grad(set_to_none=True)
        (model(inputs) - 3).square().mean().backward()
        optimizer.step()
    assert all(torch.isfinite(p).all() for p in model.parameters())
    assert any(not torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))
    assert optimizer.param_groups[0]["lr"] == 0.01


def test_all_of_torchs_optimizers_are_there_but_those_left_out():
    torchs = {
        name
        for name, cls in vars(torch.optim).items()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    }
    assert {name.lower() for name in torchs - LEFT_OUT} == set(TORCHS)


@pytest.mark.parametrize("name", sorted(LEFT_OUT & set(vars(torch.optim))))
def test_what_is_left_out_cannot_train_such_a_model(name):
    model = nn.Linear(3, 1)
    model(torch.ones(2, 3)).sum().backward()
    with pytest.raises((TypeError, ValueError, RuntimeError)):
        getattr(torch.optim, name)(model.parameters(), lr=0.1).step()


def test_settings_of_an_optimizer():
    optimizer = optimizer_for(optimizer={"sgd": {"momentum": 0.9, "nesterov": True}}, weight_decay=0.2)
    group = optimizer.param_groups[0]
    assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.9, True, 0.2)
    assert optimizer_for(optimizer={"adamw": None}).param_groups[0]["weight_decay"] == 0.01, "torch's own default"


@pytest.mark.parametrize(
    ("train", "says"),
    [
        ({"optimizer": "adamm"}, r"unknown optimizer 'adamm'; did you mean 'adam"),
        ({"optimizer": "Adam"}, r"unknown optimizer 'Adam'; did you mean 'adam'"),
        ({"optimizer": "lbfgs"}, r"unknown optimizer 'lbfgs'"),
        ({"optimizer": {"sgd": {"momentun": 0.9}}}, r"train\.optimizer\.sgd: unknown setting 'momentun'; did you mean 'momentum'"),
        ({"optimizer": {"sgd": {"lr": 0.9}}}, r"unknown setting 'lr'; it is train\.learning_rate"),
        ({"optimizer": {"sgd": {}, "adam": {}}}, r"one name with its settings"),
        ({"optimizer": {"adam": {"betas": (2.0, 0.9)}}}, r"train\.optimizer\.adam: .*beta"),
        ({"optimizer": {"sgd": {"nesterov": True}}}, r"train\.optimizer\.sgd: .*momentum"),
        ({"optimizer": {"adamw": {"weight_decay": 0.1}}, "weight_decay": 0.1}, r"both given; keep one"),
        ({"optimizer": "rprop", "weight_decay": 0.1}, r"rprop has no weight decay"),
    ],
)  # fmt: skip
def test_settings_that_cannot_be(train, says):
    with pytest.raises(ConfigError, match=says):
        optimizer_for(**train)


def test_weight_decay_spares_mixing_weights(training):
    decay = {"learning_rate": 0.01, "weight_decay": 0.5}
    session = training.session(sharing="cross_stitch", optimizer="adamw", **decay)
    groups = {id(p): g["weight_decay"] for g in session.optimizer.param_groups for p in g["params"]}
    spared = [id(p) for p in session.model.sharing.undecayed_parameters()]
    assert {groups[p] for p in spared} == {0.0}
    assert {weight for p, weight in groups.items() if p not in spared} == {0.5}
    assert set(groups) == {id(p) for p in session.model.parameters()}
    before = [p.detach().clone() for p in session.model.sharing.undecayed_parameters()]
    for p in session.model.parameters():
        p.grad = torch.zeros_like(p)
    session.optimizer.step()
    assert all(map(torch.equal, before, session.model.sharing.undecayed_parameters()))


def test_mixing_weights_may_learn_faster_also_along_a_schedule(training):
    session = training.session(
        sharing={"cross_stitch": {"unit_rate": 50.0}}, optimizer="sgd", learning_rate=0.01, schedule="cosine"
    )
    units = {id(p) for p in session.model.sharing.undecayed_parameters()}
    for _ in range(3):
        first, second = session.optimizer.param_groups
        assert {id(p) for p in second["params"]} == units
        assert second["lr"] == pytest.approx(50 * first["lr"])
        session.optimizer.step()
        session.schedule.step()
    assert first["lr"] < 0.01


@pytest.mark.parametrize("sharing", ["hard", "cross_stitch"])
def test_one_group_where_nothing_is_spared_or_nothing_decays(sharing, training):
    optimizer = {"hard": "adamw", "cross_stitch": "adam"}[sharing]
    assert len(training.session(sharing=sharing, optimizer=optimizer).optimizer.param_groups) == 1


def test_an_optimizer_that_decays_all_alike_is_refused_beside_mixing_weights(training):
    training.session(sharing="cross_stitch", optimizer="adatask")
    for unit_rate, decay in ((1.0, 0.1), (100.0, 0.0)):
        sharing = {"cross_stitch": {"unit_rate": unit_rate}}
        with pytest.raises(ConfigError, match=r"adatask decays all weights alike.* or choose another optimizer"):
            training.session(sharing=sharing, optimizer="adatask", weight_decay=decay)
    training.session(sharing="hard", optimizer="adatask", weight_decay=0.1)


def rates(num_steps, steps_per_epoch=10, **train):
    """The learning rate of each of the first steps."""
    settings = build(Training, {"optimizer": "sgd", "learning_rate": 0.5, **train})
    optimizer = make_optimizer([nn.Parameter(torch.ones(1))], settings)
    schedule = make_schedule(optimizer, settings, steps_per_epoch)
    found = []
    for _ in range(num_steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return found


def test_constant():
    assert rates(5) == [0.5] * 5


def test_cosine_falls_to_zero_over_all_epochs():
    expected = [0.25 * (1 + math.cos(math.pi * step / 40)) for step in range(41)]
    assert rates(41, epochs=4, schedule="cosine") == pytest.approx(expected, abs=1e-15)
    assert rates(41, epochs=4, schedule="cosine")[-1] == pytest.approx(0, abs=1e-15)


def test_warmup_rises_linearly():
    found = rates(12, epochs=1, warmup=0.4)
    assert found == pytest.approx([0.5 * (step + 1) / 5 for step in range(4)] + [0.5] * 8)


def test_warmup_then_cosine():
    found = rates(40, epochs=4, schedule="cosine", warmup=0.25)
    rise = [0.5 * (step + 1) / 11 for step in range(10)]
    fall = [0.25 * (1 + math.cos(math.pi * step / 30)) for step in range(30)]
    assert found == pytest.approx(rise + fall)
    assert max(found) == found[10] == 0.5


def test_plateau_cuts_the_rate_when_the_skill_stays():
    settings = build(Training, {"learning_rate": 0.5, "schedule": "plateau", "early_stopping": {"patience": 4}})
    optimizer = make_optimizer([nn.Parameter(torch.ones(1))], settings)
    schedule = make_schedule(optimizer, settings, 10)
    assert isinstance(schedule, ReduceLROnPlateau)
    seen = []
    for skill in (0.1, 0.2, 0.2, 0.2, 0.2, 0.3, 0.4):
        schedule.step(skill)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.5] * 4 + [0.05] * 3)


def test_plateau_takes_no_fall_for_a_gain_where_the_skill_is_negative():
    settings = build(Training, {"learning_rate": 0.5, "schedule": "plateau", "early_stopping": {"patience": 2}})
    optimizer = make_optimizer([nn.Parameter(torch.ones(1))], settings)
    schedule = make_schedule(optimizer, settings, 10)
    for skill in (-0.5, -0.50001, -0.50002):
        schedule.step(skill)
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.05)


def test_plateau_and_warmup_exclude_each_other():
    settings = Training(schedule="plateau", warmup=0.1)
    with pytest.raises(ConfigError, match="warmup has no effect with schedule: plateau"):
        make_schedule(make_optimizer([nn.Parameter(torch.ones(1))], settings), settings, 10)
