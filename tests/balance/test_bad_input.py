"""What a balancer refuses in a loop of one's own: one sentence that names the task, parameter or setting."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer
from polytask.balance.per_task import per_task
from polytask.gradients import Engine, Probe

#: Settings of methods that cannot be built without any.
SETTINGS: dict[str, dict[str, Any]] = {
    "fixed": {"weights": [1.0, 2.0]},
    "cosine_gate": {"main": "a"},
    "metabalance": {"main": "a"},
    "smooth": {"of": "pcgrad"},
}
READS_GRADIENTS = [name for name, cls in BALANCERS.items() if cls.reads & {"gramian", "jacobian"}]
#: Those that look at nothing but names and skills, so that no step waits for the device.
BLIND = [name for name, cls in BALANCERS.items() if not cls.reads]

every = pytest.mark.parametrize("name", BALANCERS)


def make(name: str, **settings: Any) -> Balancer:
    return BALANCERS[name](["a", "b"], **SETTINGS.get(name, {}), **settings)


def step(name: str, losses: Callable[[Tensor], Any]) -> dict[str, float]:
    """A step of the method on these losses, with the probe that it may ask for."""
    w, balancer = nn.Parameter(torch.ones(2)), make(name)
    more: dict[str, Any] = {}
    if balancer.looks_ahead:

        def again() -> dict[str, Tensor]:
            return {"a": w[0] * 1, "b": w[1] * 1}

        more["probe"] = Probe(nn.ParameterList([w]), losses=again, validation=again, learning_rate=0.1)
    return balancer.backward(losses(w), shared=[w], **more)


REFUSED = {
    "none": (lambda w: {}, r"losses is empty: a step needs the loss of at least one task"),
    "unknown": (lambda w: {"a": w[0], "bb": w[1]}, r"unknown task 'bb' in losses; did you mean 'b'\?"),
    "not scalar": (
        lambda w: {"a": w[0], "b": w},
        r"task 'b': its loss has shape \[2\], a scalar is wanted: take its mean",
    ),
    "no graph": (lambda w: {"a": w[0], "b": w[1].detach()}, r"task 'b': its loss has no graph"),
    "two devices": (
        lambda w: {"a": w[0], "b": torch.ones((), device="meta", requires_grad=True) * 1},
        r"task 'b': its loss is on meta, that of task 'a' on cpu: move it",
    ),
}


@every
@pytest.mark.parametrize("case", REFUSED)
def test_losses_that_cannot_be(name: str, case: str) -> None:
    losses, says = REFUSED[case]
    with pytest.raises(ValueError, match=says):
        step(name, losses)


@every
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_refused_by_all_that_look_at_any(name: str, value: float) -> None:
    def losses(w: Tensor) -> dict[str, Tensor]:
        return {"a": w[0] * 1, "b": w[1] * value}

    if name in BLIND:
        step(name, losses)
    else:
        with pytest.raises(ValueError, match=rf"task 'b': its loss is {value}: lower the learning rate"):
            step(name, losses)


@pytest.mark.parametrize("name", READS_GRADIENTS)
def test_shared_parameters_that_no_loss_reaches(name: str) -> None:
    w, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3, 2))
    balancer, losses = make(name, **({"warmup": 1} if name == "gradnorm" else {})), {"a": w[0], "b": w[1]}
    if name == "gradnorm":  # it looks at no gradient in its first steps
        balancer.backward(losses, shared=[other])
        losses = {"a": w[0], "b": w[1]}
    with pytest.raises(ValueError, match=r"no loss reaches any of the shared parameters \(shared\[0\] \[3, 2\]\)"):
        balancer.backward(losses, shared=[other])


@every
def test_a_task_that_is_missing_is_absent(name: str) -> None:
    assert list(step(name, lambda w: {"b": w[1] * 1})) == ["b"]


PREFERENCES = {
    "too few": ([1.0], r"1 {s} for the 2 tasks \['a', 'b'\]: {s}={{'a': 1.0, 'b': 1.0}}"),
    "negative": ([1.0, -1.0], r"the {one} of task 'b' is -1.0, a finite number >=? 0 is wanted"),
    "missing": ({"a": 1.0}, r"no {one} for task 'b': {s}={{'a': 1.0, 'b': 1.0}}"),
    "unknown": ({"a": 1.0, "bb": 1.0}, r"a {one} for the unknown task 'bb'; did you mean 'b'"),
    "infinite": ([1.0, float("inf")], r"the {one} of task 'b' is inf, a finite number >=? 0 is wanted"),
}
PREFERRING = {"epo", "cosmos", "tchebycheff", "stch", "aligned_mtl", "fixed"}


@pytest.mark.parametrize("name", sorted(PREFERRING))
@pytest.mark.parametrize("case", PREFERENCES)
def test_preferences_that_cannot_be(name: str, case: str) -> None:
    given, says = PREFERENCES[case]
    setting = "weights" if name == "fixed" else "preferences"
    more = {"of": "losses"} if name == "stch" else {}
    with pytest.raises(ValueError, match=f"{name}: " + says.format(s=setting, one=setting[:-1])):
        BALANCERS[name](["a", "b"], **{setting: given}, **more)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"a": 1.0, "b": "much"}, "epo: the preference of task 'b' is 'much', a finite number > 0 is wanted"),
        ([1.0, True], "epo: the preference of task 'b' is True, a finite number > 0 is wanted"),
        (3.0, "epo: preferences=3.0, a number for every task is wanted: preferences={'a': 1.0, 'b': 1.0}"),
        ("ab", "epo: preferences='ab', a number for every task is wanted"),
    ],
)
def test_preferences_that_are_no_numbers(given: Any, says: str) -> None:
    """Asked where the type hints of a constructor, which the tests check too, do not answer first."""
    with pytest.raises(ValueError, match=says):
        per_task(given, ["a", "b"], "preferences", "epo", above=0.0)


@pytest.mark.parametrize("every", [0, -1])
def test_weights_that_are_never_solved(every: int) -> None:
    with pytest.raises(ValueError, match=f"every={every}: a whole number of at least 1 is wanted"):
        Engine(every=every)


@every
def test_a_level_that_is_not_admitted(name: str) -> None:
    if "representation" in BALANCERS[name].levels:
        make(name, engine=Engine(level="representation"))
    else:
        with pytest.raises(ValueError, match=r"level='representation', but .*: level='exact'"):
            make(name, engine=Engine(level="representation"))


@every
def test_gradients_of_every_step_where_they_are_needed(name: str) -> None:
    if "jacobian" not in BALANCERS[name].reads or name == "smooth":
        make(name, engine=Engine(every=5))
    else:
        with pytest.raises(ValueError, match="every=5, but it needs the gradients of every step: every=1"):
            make(name, engine=Engine(every=5))


def test_a_state_of_tasks_in_another_order_is_refused() -> None:
    saved = BALANCERS["uncertainty"](["a", "b"]).state_dict()
    BALANCERS["uncertainty"](["a", "b"]).load_state_dict(saved)
    with pytest.raises(
        ValueError, match=r"Uncertainty: this state is of other tasks than \['b', 'a'\], or has them in"
    ):
        BALANCERS["uncertainty"](["b", "a"]).load_state_dict(saved)


def test_a_frozen_trunk_is_no_silent_sum() -> None:
    w, head = torch.nn.Parameter(torch.ones(2), requires_grad=False), torch.nn.Parameter(torch.ones(2))
    losses = {"a": (w * head).sum(), "b": (w * head).square().sum()}
    with pytest.raises(ValueError, match="all 1 shared parameters are frozen"):
        BALANCERS["pcgrad"](["a", "b"]).backward(losses, shared=[w])


@pytest.mark.parametrize("name", ["scales", "reads"])
def test_an_own_balancer_with_misspelt_traits(name: str) -> None:
    Own = type("Own", (BALANCERS["sum"],), {name: {"scales": "loss", "reads": frozenset({"loss"})}[name]})
    with pytest.raises(ValueError, match=f"Own: {name}="):
        Own(["a"])
