"""Methods with a memory: against their definition on the whole history, by task, and saved halfway."""

import numpy as np
import pytest
import torch

from polytask.balance import BALANCERS, STCH, CoVWeighting

RESUMED = {
    "fixed": {"weights": [1.0, 2.0, 3.0]},
    "cosine_gate": {"main": "a"},
    "metabalance": {"main": "a"},
    "gradnorm": {"warmup": 5},
    "excess_mtl": {"warmup": 5},
    "smooth": {"of": {"rlw": {"distribution": "bernoulli"}}},
}


def variation(history: list[float]) -> float:
    """sd/mean of the ratios of losses to the mean of those before, from the whole history."""
    ratios = [1.0] + [history[t] / np.mean(history[:t]) for t in range(1, len(history))]
    return np.sqrt(np.var(ratios) + 1e-8) / np.mean(ratios)


def test_cov_weighting_is_its_definition_on_the_whole_history(step) -> None:
    random = np.random.default_rng(0)
    balancer, seen = CoVWeighting(["a", "b", "c"]), {"a": [], "b": [], "c": []}
    for _ in range(200):
        present = [name for name in seen if random.random() < 0.7] or ["a"]
        losses = {name: float(random.uniform(0.1, 2)) for name in present}
        weights = step(balancer, losses)
        known = {name: variation(seen[name]) for name in present if len(seen[name]) >= 2}
        for name in present:
            share = known[name] / sum(known.values()) * len(known) if name in known else 1
            assert weights[name] == pytest.approx(share / len(present))
            seen[name].append(losses[name])


def test_losses_that_never_vary_weigh_alike(step) -> None:
    balancer = CoVWeighting(["a", "b"])
    for _ in range(5):
        weights = step(balancer, {"a": 3.0, "b": 0.1})
    assert weights == pytest.approx({"a": 0.5, "b": 0.5})


def test_stch_measures_each_task_in_its_own_first_epoch_after_the_warm_up(step) -> None:
    balancer = STCH(["a", "b"], warmup=1, mu=0.5)
    step(balancer, {"a": 7.0, "b": 7.0}, epoch=0)
    step(balancer, {"a": 4.0}, epoch=1)  # b has no label in this epoch
    assert step(balancer, {"a": 2.0, "b": 0.4}, epoch=2) == pytest.approx({"a": 1 / 2, "b": 1 / 0.4})
    assert balancer.nadir[0] == 4
    assert balancer.nadir[1].isnan()
    step(balancer, {"b": 0.6}, epoch=2)
    assert step(balancer, {"a": 2.0, "b": 0.5}, epoch=3) == pytest.approx({"a": 0.2, "b": 3.2})
    step(balancer, {"a": 9.0, "b": 9.0}, epoch=4)
    assert balancer.nadir.tolist() == pytest.approx([4, 0.5])


def test_stch_by_windows_of_steps(step) -> None:
    balancer = STCH(["a"], warmup=2, window=3)
    for k in range(10):
        step(balancer, {"a": float(k + 1)})
    assert balancer.nadir.tolist() == [8]  # steps 6, 7, 8: losses 7, 8, 9


def test_a_small_mu_leaves_the_worst_task_alone(step) -> None:
    weights = step(STCH(["a", "b"], of="losses", mu=1e-3), {"a": 2.0, "b": 1.0})
    assert weights == pytest.approx(step(BALANCERS["tchebycheff"](["a", "b"]), {"a": 2.0, "b": 1.0}))


@pytest.mark.parametrize("name", BALANCERS)
def test_saved_halfway_it_goes_on_bit_for_bit(step, name: str) -> None:
    """Tasks come and go, epochs and skills are counted: 40 steps are 20, saved and loaded, and 20 more."""
    random = np.random.default_rng(1)
    steps = []
    for k in range(40):
        present = [task for task in "abc" if random.random() < 0.8] or ["b"]
        skills = {task: np.floor(k / 5) * 0.1 + 0.05 * ord(task) % 0.2 for task in "abc"}
        steps.append(({task: float(random.uniform(0.1, 3)) for task in present}, k // 5, skills if k > 5 else None))

    def run(balancer, part):
        return [step(balancer, losses, epoch=epoch, scores=scores) for losses, epoch, scores in part]

    def make(seed: int):
        return BALANCERS[name](list("abc"), torch.Generator().manual_seed(seed), **RESUMED.get(name, {}))

    unbroken = run(make(5), steps)
    first, second = make(5), make(6)
    begun = run(first, steps[:20])
    second.load_state_dict({key: value.clone() for key, value in first.state_dict().items()})
    assert begun + run(second, steps[20:]) == unbroken
