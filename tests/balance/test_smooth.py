"""Smooth: around every other balancer, and as a choice in Python and YAML."""

from typing import Any

import pytest
import torch
from torch import nn

from polytask.balance import BALANCERS, CAGrad, PCGrad, Probe, Smooth
from polytask.config import ConfigError, Source, as_choice, constructors, plain, written

SETTINGS = {
    "fixed": {"weights": [1.0, 2.0, 3.0]},
    "cosine_gate": {"main": "a"},
    "smooth": {"of": "uw_o", "momentum": 0.5},
}
others = pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if not cls.gives_direction])
LOSSES = [{"a": 1.0, "b": 2.0, "c": 0.3}, {"b": 1.5, "a": 0.8}, {"c": 0.2, "a": 0.7, "b": 1.0}, {"a": 0.6, "c": 0.1}]


def around(name: str, momentum: float, seed: int = 3) -> Smooth:
    of = {name: SETTINGS.get(name, {})}
    return Smooth(list("abc"), torch.Generator().manual_seed(seed), of=of, momentum=momentum)


def itself(name: str, seed: int = 3) -> Any:
    return BALANCERS[name](list("abc"), torch.Generator().manual_seed(seed), **SETTINGS.get(name, {}))


@others
def test_without_momentum_it_is_the_other_one_bit_for_bit(step, name: str) -> None:
    smooth, other = around(name, 0.0), itself(name)
    for losses in LOSSES:
        assert step(smooth, losses, epoch=0) == step(other, losses, epoch=0)


@others
def test_its_weights_are_averages_by_task(step, name: str) -> None:
    smooth, other = around(name, 0.8), itself(name)
    average: dict[str, float] = {}
    for losses in LOSSES:
        for task, weight in step(other, losses, epoch=0).items():
            average[task] = 0.8 * average[task] + 0.2 * weight if task in average else weight
        assert step(smooth, losses, epoch=0) == pytest.approx({task: average[task] for task in losses})


@others
def test_it_reads_and_scales_what_the_other_one_does(name: str) -> None:
    other = itself(name)
    smooth = around(name, 0.9)
    assert (smooth.reads, smooth.scales) == (other.reads, other.scales)
    w = nn.Parameter(torch.ones(3, dtype=torch.float64))
    head = nn.Parameter(torch.ones(3, dtype=torch.float64))

    def losses() -> dict[str, torch.Tensor]:
        return {task: (k + 1) * w[k] * head[k] for k, task in enumerate("abc")}

    probe = Probe(nn.ParameterList([w, head]), losses=losses, validation=losses, learning_rate=0.1)
    weights = smooth.backward(losses(), shared=[w], probe=probe)
    expected = [1.0, 1.0, 1.0] if other.scales == "gradients" else list(weights.values())
    found = [0.0, 0.0, 0.0] if head.grad is None else (head.grad / torch.tensor([1.0, 2.0, 3.0])).tolist()
    assert found == pytest.approx(expected)


def test_only_the_default_of_the_class_is_known_before_it_is_built() -> None:
    assert Smooth.reads == {"losses", "gramian", "jacobian", "probe"}
    assert around("mean", 0.9).reads == frozenset()


def test_around_itself_it_averages_twice(step) -> None:
    twice = Smooth(["a"], of={"smooth": {"of": "uw_o", "momentum": 0.5}}, momentum=0.5)
    step(twice, {"a": 1.0})
    assert step(twice, {"a": 0.5})["a"] == pytest.approx(1.25)


def test_around_imtl_heads_are_scaled_as_by_imtl_and_raw_weights_are_averaged() -> None:
    w, heads = nn.Parameter(torch.eye(2)), nn.ParameterDict({"a": torch.ones(2), "b": torch.ones(2)})
    smooth, other = Smooth(["a", "b"], of={"imtl": {"learning_rate": 0.5}}, momentum=0.5), BALANCERS["imtl"]
    alone = other(["a", "b"], learning_rate=0.5)
    found = []
    for balancer in (smooth, alone):
        for _ in range(2):
            heads.zero_grad()
            terms = {"a": (w[0] * heads["a"]).sum(), "b": 4 * (w[1] * heads["b"]).sum()}
            found.append(balancer.backward(terms, shared=[w]))
        found.append(heads["b"].grad.tolist())
    first, averaged, scaled, _, fresh, expected = found
    assert scaled == expected != [0.0, 4.0]
    for task in "ab":
        assert averaged[task] == pytest.approx((first[task] + fresh[task]) / 2)


def test_an_overflow_moves_nothing() -> None:
    w = nn.Parameter(torch.ones(2))
    smooth = Smooth(["a", "b"], of="pcgrad")
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)
    weights = smooth.backward({"a": 9 * w.sum(), "b": 9 * w[0]}, shared=[w], scaler=scaler)
    assert weights == {"a": 1, "b": 1}
    assert smooth.weights.isnan().all()


@pytest.mark.parametrize(
    "of",
    ["cagrad", CAGrad, {"cagrad": None}, {"cagrad": {}}, CAGrad.with_()],
)
def test_every_way_to_write_a_choice(of: Any) -> None:
    choice = as_choice({"smooth": {"of": of, "momentum": 0.5}}, BALANCERS, "balancer")
    assert list(constructors(choice)) == [Smooth, CAGrad]
    assert isinstance(choice(["a", "b"]).of, CAGrad)
    assert isinstance(Smooth(["a", "b"], of=of).of, CAGrad)
    assert Smooth.with_(of=of, momentum=0.5) == choice
    assert written(choice, BALANCERS, "balancer") == {"smooth": {"of": "cagrad", "momentum": 0.5}}


def test_what_is_written_is_read_again() -> None:
    choice = Smooth.with_(of=Smooth.with_(of=CAGrad.with_(c=0.2)), momentum=0.25)
    text = written(choice, BALANCERS, "balancer")
    assert text == {"smooth": {"of": {"smooth": {"of": {"cagrad": {"c": 0.2}}}}, "momentum": 0.25}}
    assert as_choice(text, BALANCERS, "balancer") == choice
    assert plain(choice) == text
    assert choice(["a"]).of.of.c == 0.2


@pytest.mark.parametrize(
    ("of", "says"),
    [
        ("pcgard", r"run.yaml, line 7, balancer.smooth.of.pcgard: unknown balancer 'pcgard'; did you mean 'pcgrad'\?"),
        ({"cagrad": {"see": 1}}, r"line 7, balancer.smooth.of.cagrad.see: unknown setting 'see'"),
        ({"cagrad": {"c": "1"}}, r"line 7, balancer.smooth.of.cagrad.c: got '1', a number is wanted"),
        (3, r"line 7, balancer.smooth.of: a balancer is a name or one name with its settings"),
        (dict, r"balancer: dict is not in the catalogue"),
    ],
)
def test_a_wrong_choice_is_answered_when_it_is_written(of: Any, says: str) -> None:
    source = Source("run.yaml", {("balancer",): 7})
    with pytest.raises(ConfigError, match=says):
        as_choice({"smooth": {"of": of}}, BALANCERS, "balancer", source, ("balancer",))


def test_settings_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="smooth: it needs the balancer whose weights it averages: of=pcgrad"):
        Smooth(["a"])
    for momentum in (-0.1, 1.0, float("nan")):
        with pytest.raises(ValueError, match=f"smooth: momentum={momentum}"):
            Smooth(["a"], of=PCGrad, momentum=momentum)


@pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if cls.gives_direction])
def test_one_that_gives_no_weights_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"smooth: {BALANCERS[name].__name__} gives a direction of its own and no wei"):
        Smooth(["a", "b"], of=name)


def test_draws_are_those_of_the_generator_that_is_passed(step) -> None:
    found = [step(around("rlw", 0.5, seed), LOSSES[0]) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
