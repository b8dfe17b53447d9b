"""Known weights of every balancer: a row a method, with its source.

J2 = [[3, 0], [-1, 2]] and J3 = [[2, 0, 0], [-1, 1, 0], [0, -1, 3]] are gradients; the losses are 2 and 0.5. "agrees
with TorchJD" marks values that its implementation gives too.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm
from torch import Tensor, nn

from polytask.balance import BALANCERS, Balancer, Probe
from polytask.balance.from_gramian.cagrad import conflict_averse
from polytask.balance.from_gramian.epo import adjustments
from polytask.balance.from_gramian.gradvac import turned
from polytask.balance.from_gramian.pcgrad import projected
from polytask.balance.from_jacobian.graddrop import chance

J2 = [[3.0, 0.0], [-1.0, 2.0]]
J3 = [[2.0, 0.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 3.0]]
GRADIENTS = {"J2": J2, "J3": J3}

#: (balancer, settings, gradients, weights, where the numbers come from)
ROWS = [
    ("sum", {}, "J3", [1, 1, 1], "definition"),
    ("fixed", {"weights": {"c": 0.5, "a": 2.0, "b": 0.0}}, "J3", [2, 0, 0.5], "definition"),
    ("uncertainty", {}, "J2", [0.5, 0.5], "exp(-0)/2"),
    ("mean", {}, "J3", [1 / 3, 1 / 3, 1 / 3], "definition"),
    ("uncertainty_revised", {}, "J2", [0.5, 0.5], "exp(-0)/2"),
    ("uw_o", {}, "J2", [0.5, 2], "1/L"),
    ("uw_so", {}, "J2", [0.182426, 0.817574], "softmax of .5, 2"),
    ("uw_so", {"temperature": 2.0}, "J2", [0.320821, 0.679179], "softmax of .25, 1"),
    ("imtl_l", {}, "J2", [1, 1], "exp(0)"),
    ("scale_invariant", {}, "J2", [0.5, 2], "1/L"),
    ("scale_invariant", {"weights": {"b": 0.5, "a": 4.0}}, "J2", [2, 1], "c/L"),
    ("gls", {}, "J2", [0.25, 1], "sqrt(2 · .5) = 1 over 2L"),
    ("ema_normalised", {}, "J2", [0.5, 2], "the average starts at L"),
    ("ema_normalised", {"weights": [2.0, 1.0, 1.0]}, "J3", [1, 2, 1], "c/L"),
    ("dwa", {}, "J2", [1, 1], "no two epochs yet"),
    ("cov_weighting", {}, "J3", [1 / 3, 1 / 3, 1 / 3], "no two steps yet"),
    ("dtp", {}, "J2", [1, 1], "no validation yet"),
    ("achievement", {}, "J2", [0.25, 1], "no validation yet: the geometric mean, as gls"),
    ("achievement", {"mean": "arithmetic"}, "J2", [0.5, 0.5], "no validation yet"),
    ("penalty_coefficients", {}, "J2", [1, 1], "a first loss is as expected"),
    ("penalty_coefficients", {"expectations": [0.5, 1.0]}, "J2", [4, 1], "2/.5; .5 is below 1"),
    ("penalty_coefficients", {"expectations": [0.5, 1.0], "strength": 0.5}, "J2", [2.5, 1], "1 + .5 · 3"),
    ("penalty_coefficients", {"expectations": [0.1, 1.0], "limit": 5.0}, "J2", [5, 1], "20, limited"),
    ("tchebycheff", {}, "J2", [0.5, 0], "a has the largest loss"),
    ("tchebycheff", {"preferences": [1.0, 5.0]}, "J2", [0, 5], "max of 2, 2.5"),
    ("tchebycheff", {"preferences": [1.0, 1.0], "ideals": {"a": 1.9, "b": 0.0}}, "J2", [0, 1], "max of .1, .5"),
    ("stch", {"of": "losses", "mu": 0.5}, "J2", [0.408787, 0.091213], "half a softmax of 2, .5"),
    ("stch", {}, "J2", [0.5, 2], "warm-up: 1/L"),
    ("cosmos", {"strength": 0.0}, "J2", [0.5, 0.5], "the sum weighted by 1/T"),
    # |L|² = 4.25, r normed = (1, 1)/√2, cos = 2.5/√8.5; slopes (r − cos L/|L|)/|L|
    ("cosmos", {"strength": 1.0}, "J2", [0.560529, 0.257884], "by hand"),
    ("pcgrad", {}, "J2", [4 / 3, 1.6], "closed form for two tasks, 1 - min(G12, 0)/G_ii; agrees with TorchJD"),
    ("cagrad", {}, "J2", [0.503280, 0.754919], "enumeration of supports, SLSQP; agrees with TorchJD to 1e-4"),
    ("cagrad", {}, "J3", [0.409717, 0.697908, 0.333333], "enumeration of supports, SLSQP; agrees with TorchJD to 1e-4"),
    ("cagrad", {"rescale": 1}, "J2", [0.503280 / 1.16, 0.754919 / 1.16], "the row above over 1 + c^2"),
    ("cagrad", {"rescale": 2}, "J2", [0.503280 / 1.4, 0.754919 / 1.4], "the row above over 1 + c"),
    ("cagrad", {"c": 0.0}, "J3", [1 / 3, 1 / 3, 1 / 3], "the mean"),
    ("pcgrad", {"orders": "all"}, "J3", [1.625, 2.5, 1.15], "average over all orders by hand; agrees with TorchJD"),
    ("gradvac", {}, "J2", [4 / 3, 1.6], "the first step is PCGrad's; agrees with TorchJD"),
    ("mgda", {}, "J2", [0.4, 0.6], "closed form for two tasks, (G22 - G12)/(G11 + G22 - 2 G12); agrees with TorchJD"),
    ("mgda", {}, "J3", [41 / 115, 64 / 115, 10 / 115], "enumeration of supports; agrees with TorchJD"),
    ("mgda", {"normalization": "l2"}, "J2", [0.5 / 3, 0.5 / 5**0.5], "two unit gradients: halves, over their norms"),
    ("mgda", {"normalization": "loss"}, "J2", [23 / 56.5, 5.25 / 14.125], "the closed form on G_ij/(L_i L_j), over L"),
    ("mgda", {"normalization": "loss+"}, "J2", [0.144079, 0.121219], "the closed form on C_ij/(L_i L_j), over L n"),
    ("sdmgrad", {"weight": 1.0}, "J2", [0.4, 0.6], "enumeration of supports; agrees with TorchJD"),
    ("sdmgrad", {"weight": 1.0}, "J3", [0.316667, 0.516667, 0.166667], "enumeration of supports; agrees with TorchJD"),
    ("imtl_g", {}, "J2", [0.427051, 0.572949], "proportional to 1/n for two tasks; agrees with TorchJD"),
    ("imtl_g", {}, "J3", [0.355695, 0.535033, 0.109272], "two independent solvers; agrees with TorchJD"),
    ("imtl", {}, "J3", [0.355695, 0.535033, 0.109272], "the first step is IMTL-G's"),
    ("config", {}, "J2", [0.872678, 1.170820], "two independent solvers; agrees with TorchJD"),
    ("config", {}, "J3", [1.289831, 1.940154, 0.396245], "two independent solvers; agrees with TorchJD"),
    ("nash_mtl", {}, "J2", [0.448332, 0.601501], "closed form, 1/(n sqrt(1 + cos)); agrees with TorchJD (ECOS)"),
    ("nash_mtl", {}, "J3", [1.017066, 1.542522, 0.402623], "Newton in two forms; agrees with TorchJD (ECOS)"),
    ("nash_mtl", {"max_norm": 1.0}, "J2", [0.448332 / 2**0.5, 0.601501 / 2**0.5], "its length is sqrt(T)"),
    ("fairgrad", {"alpha": 2.0}, "J2", [0.352359, 0.495531], "Newton in two forms; agrees with TorchJD"),
    ("fairgrad", {}, "J3", [1.049187, 1.610236, 0.334044], "Newton in two forms; agrees with TorchJD"),
    ("fairgrad", {"alpha": 0.5}, "J3", [0.993763, 1.481229, 0.519153], "Newton in two forms; agrees with TorchJD"),
    ("upgrad", {}, "J2", [2 / 3, 0.8], "half of PCGrad's for two tasks; agrees with TorchJD at its reg_eps of 1e-12"),
    ("upgrad", {}, "J3", [2 / 3, 1.017544, 0.401754], "enumeration of supports; agrees with TorchJD, reg_eps 1e-12"),
    ("dualproj", {}, "J2", [0.5, 0.5], "the mean hurts nobody"),
    ("dualproj", {}, "J3", [1 / 3, 0.5, 1 / 3], "enumeration of supports; agrees with TorchJD, reg_eps 1e-12"),
    ("aligned_mtl", {}, "J2", [0.421546, 0.541987], "eigenvectors; agrees with TorchJD"),
    ("aligned_mtl", {}, "J3", [0.279072, 0.389116, 0.118747], "eigenvectors; agrees with TorchJD"),
    ("aligned_mtl", {"scale": "median"}, "J3", [0.767058, 1.069526, 0.326390], "eigenvectors; agrees with TorchJD"),
    ("aligned_mtl", {"scale": "rmse"}, "J3", [0.778283, 1.085177, 0.331166], "eigenvectors; agrees with TorchJD"),
    ("epo", {}, "J2", [1, 0], "a = .138629, -.554518, Ga = 2.911216, -3.188477: the first may not be hurt, by hand"),
    (
        "epo",
        {"preferences": {"a": 1.0, "b": 4.0}},
        "J2",
        [0.625, 0.375],
        "losses stand as preferred: best sum, by hand",
    ),
    ("cosine_gate", {"main": "a"}, "J2", [1, 0], "the cosine is -.447"),
    ("famo", {}, "J2", [0.2, 0.8], "k z/L with z = 1/2, k = 1 / (.25 + 1)"),
    ("famo", {"minimums": [1.0, 0.0]}, "J2", [1 / 3, 2 / 3], "both z over L - minimum: .5, 1"),
    ("auto_lambda", {}, "J2", [0.1001, 0.1001], "the slopes are -η(9 - 3), -η(5 - 3); Adam's first step is its rate"),
    ("smooth", {"of": "pcgrad"}, "J2", [4 / 3, 1.6], "the first step is the other balancer's"),
    ("gradnorm", {}, "J2", [1, 1], "no first losses yet"),
    ("excess_mtl", {}, "J2", [1, 1], "no first excess yet"),
]

#: (balancer that gives a direction, settings, gradients, update, recorded weights, where the numbers come from)
DIRECTIONS = [
    ("graddrop", {"leaks": [1.0, 1.0]}, "J2", [2, 2], [1, 1], "nothing is dropped: the sum"),
    # h = (2, 0), (-1, 2)/(2 sqrt 5); YY' = 4, -.447214, .25; the halves move by .1 times 1.776393, -.098607
    ("moco", {}, "J2", [0.679734, 0.265533], [0.40625, 0.59375], "by hand"),
    # (1.5, 0) and (-2, 4), the first at the length sqrt 20 of the second
    ("db_mtl", {}, "J2", [2.472136, 4], [1.490712, 2], "by hand"),
    ("metabalance", {"main": "a"}, "J2", [1.760851, 2.478297], [1, 1.239149], "b times .7 · 3/sqrt 5 + .3, by hand"),
    ("metabalance", {"main": "b"}, "J2", [1.465248, 2], [0.821749, 1], "a times .7 · sqrt 5/3 + .3, by hand"),
]


def backward(
    balancer: Balancer, jacobian: list[list[float]], losses: list[float], **more: object
) -> tuple[list, Tensor]:
    """Weights and the shared gradient of losses with these values and gradients."""
    shared = nn.Parameter(torch.zeros(len(jacobian[0]), dtype=torch.float64))
    rows = torch.tensor(jacobian, dtype=torch.float64)

    def terms() -> dict[str, Tensor]:
        return {name: row @ shared + loss for name, row, loss in zip("abc", rows, losses, strict=False)}

    if balancer.looks_ahead:
        more["probe"] = Probe(nn.ParameterList([shared]), losses=terms, validation=terms, learning_rate=0.1)
    return list(balancer.backward(terms(), shared=[shared], **more).values()), shared.grad


@pytest.mark.parametrize(("name", "settings", "gradients", "expected", "source"), ROWS)
def test_known_weights(name: str, settings: dict, gradients: str, expected: list[float], source: str) -> None:
    jacobian = GRADIENTS[gradients]
    balancer = BALANCERS[name](list("abc")[: len(jacobian)], **settings)
    weights, gradient = backward(balancer, jacobian, [2.0, 0.5, 1.0])
    assert weights == pytest.approx(expected, abs=1e-6), source
    np.testing.assert_allclose(gradient, np.array(weights) @ np.array(jacobian), rtol=1e-12)


def test_every_balancer_has_a_row() -> None:
    assert {row[0] for row in [*ROWS, *DIRECTIONS]} | {"rlw"} == set(BALANCERS)


@pytest.mark.parametrize(("name", "settings", "gradients", "update", "expected", "source"), DIRECTIONS)
def test_known_directions(
    name: str, settings: dict, gradients: str, update: list[float], expected: list[float], source: str
) -> None:
    jacobian = GRADIENTS[gradients]
    balancer = BALANCERS[name](list("abc")[: len(jacobian)], **settings)
    weights, gradient = backward(balancer, jacobian, [2.0, 0.5, 1.0])
    assert gradient.tolist() == pytest.approx(update, abs=1e-6), source
    assert weights == pytest.approx(expected, abs=1e-6), source


def test_graddrop_by_its_chances() -> None:
    """By hand: (1 + 2/4)/2 and 1; (1 + 1/3)/2, 1/2 and 1."""
    assert chance(torch.tensor(J2)).tolist() == pytest.approx([3 / 4, 1])
    assert chance(torch.tensor(J3)).tolist() == pytest.approx([2 / 3, 1 / 2, 1])


def test_gradnorm_in_the_step_after_its_first_losses() -> None:
    """Norms 3, 1 and L/L(0) = .5, 1: targets 1.088662, 3.079201; slopes 3, -1 (Chen 2018, worked by hand)."""
    balancer = BALANCERS["gradnorm"](["a", "b"], warmup=1)
    rows = [[3.0, 0.0], [0.0, 1.0]]
    assert [backward(balancer, rows, losses)[0] for losses in ([2.0, 0.5], [1.0, 0.5])] == [[1, 1], [1, 1]]
    assert backward(balancer, rows, [1.0, 0.5])[0] == pytest.approx([0.948718, 1.051282], abs=1e-6)


def test_excess_mtl_in_its_second_step() -> None:
    """E = 3, then 9/sqrt(9 + 9): relative .707107; b stays at rest: 1 and 0 (He 2024, eq. 9)."""
    balancer = BALANCERS["excess_mtl"](["a", "b"], warmup=1, rate=1.0)
    backward(balancer, [[3.0, 0.0], [0.0, 1.0]], [1.0, 1.0])
    weights, _ = backward(balancer, [[3.0, 0.0], [0.0, 0.0]], [1.0, 1.0])
    share = np.exp(0.5**0.5) / (1 + np.exp(0.5**0.5))
    assert weights == pytest.approx([2 * share, 2 - 2 * share])


def squared(density: Callable[[float], float], low: float, high: float) -> float:
    """Variance of 1/(1 + exp(−d)), the softmax of two draws whose difference d has this density."""
    return quad(lambda d: density(d) * (1 / (1 + np.exp(-d)) - 0.5) ** 2, low, high)[0]


#: (distribution, tasks, variance of a weight, where it comes from); every mean is 1/tasks.
MOMENTS = [
    ("dirichlet", 3, 1 / 18, "m(1 - m)/(tasks + 1)"),
    ("constrained_bernoulli", 3, 2 / 9, "m(1 - m)"),
    ("bernoulli", 2, 1 / 6, "0, 1/2 or 1, each in a third of the draws"),
    ("bernoulli", 1, 0.0, "drawn again until it is in"),
    ("normal", 2, squared(norm(scale=2**0.5).pdf, -12, 12), "softmax of a difference that is N(0, 2)"),
    ("uniform", 2, squared(lambda d: 1 - abs(d), -1, 1), "softmax of a difference that is triangular"),
]


@pytest.mark.parametrize(("distribution", "num_tasks", "variance", "source"), MOMENTS)
def test_rlw_by_its_moments(distribution: str, num_tasks: int, variance: float, source: str) -> None:
    balancer = BALANCERS["rlw"](list("abc")[:num_tasks], distribution=distribution)
    drawn = np.array([backward(balancer, J3[:num_tasks], [1.0, 2.0, 3.0])[0] for _ in range(3000)])
    np.testing.assert_allclose(drawn.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / num_tasks, atol=0.03)
    np.testing.assert_allclose(drawn.var(axis=0), variance, rtol=0.08, atol=1e-12, err_msg=source)


def test_pcgrad_and_gradvac_by_order() -> None:
    """1.5, 2.5, 1.2 for increasing orders (by hand; agrees with TorchJD)."""
    gramian = np.array(J3) @ np.array(J3).T
    order = np.tile(np.arange(3), (3, 1))
    assert projected(gramian, order).tolist() == pytest.approx([1.5, 2.5, 1.2])
    weights, seen = turned(gramian, order, np.zeros((3, 3)))
    assert weights.tolist() == pytest.approx([1.5, 2.5, 1.2])
    assert seen[0, 1] / 2 == pytest.approx(-0.353553, abs=1e-6)  # the target's move at a rate of one half


def test_epo_adjusts_by_how_far_a_loss_is_from_its_share() -> None:
    """L = (1, 2), r = (.5, .5): a = -.231049, .115525 (golden table of the method)."""
    preference, share = np.array([0.5, 0.5]), np.array([1 / 3, 2 / 3])
    pull, least = adjustments(np.eye(2), share, preference)
    assert pull.tolist() == pytest.approx([-0.231049, 0.115525], abs=1e-6)
    assert least.tolist() == pytest.approx([-0.231049, 0.0], abs=1e-6)


def test_pcgrad_draws_every_order() -> None:
    balancer = BALANCERS["pcgrad"](["a", "b", "c"])
    drawn = np.array([backward(balancer, J3, [1, 1, 1])[0] for _ in range(300)])
    np.testing.assert_allclose(drawn.mean(axis=0), [1.625, 2.5, 1.15], atol=0.03)


def test_uncertainty_settles_at_the_logarithm_of_the_loss() -> None:
    balancer = BALANCERS["uncertainty"](["a", "b"])
    backward(balancer, J2, [2.0, 0.5])
    # ds = (1 - exp(-s) L)/2 = -.5, .25 at s = 0; Adam's first step has the length of its rate.
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([-0.5, 0.25])
    assert balancer.log_variance.tolist() == pytest.approx([0.025, -0.025])
    for _ in range(400):
        weights, _ = backward(balancer, J2, [2.0, 0.5])
    assert balancer.log_variance.tolist() == pytest.approx(np.log([2.0, 0.5]).tolist(), abs=1e-3)
    assert weights == pytest.approx([0.25, 1.0], abs=1e-3)


def test_uncertainty_is_bounded_on_losses_below_zero() -> None:
    balancer = BALANCERS["uncertainty"](["a"], learning_rate=5.0)
    for _ in range(5):
        (weight,), _ = backward(balancer, [[1.0]], [-1.0])
    assert balancer.log_variance.tolist() == [-10]
    assert weight == pytest.approx(np.exp(10) / 2)


@pytest.mark.parametrize("epochs", [True, False])
def test_dwa_by_epochs_and_by_windows(epochs: bool) -> None:
    """Ratios .9 and .5 at temperature 2: 1.099668, .900332 (Liu 2019, eq. 7)."""
    balancer = BALANCERS["dwa"](["a", "b"], window=2)
    means = [(10.0, 4.0), (9.0, 2.0), (1.0, 1.0)]
    for epoch, (a, b) in enumerate(means):
        for half in (0.5, 1.5):  # two batches whose mean is the epoch's
            weights, _ = backward(balancer, J2, [a * half, b * half], epoch=epoch if epochs else None)
            assert weights == pytest.approx([1, 1] if epoch < 2 else [1.099668, 0.900332], abs=1e-6)


def test_dwa_counts_only_batches_where_the_task_was() -> None:
    balancer = BALANCERS["dwa"](["a", "b"])
    backward(balancer, J2, [10.0, 4.0], epoch=0)
    backward(balancer, J2[:1], [10.0], epoch=0)
    backward(balancer, J2[:1], [9.0], epoch=1)
    backward(balancer, J2, [9.0, 2.0], epoch=1)
    assert backward(balancer, J2, [1.0, 1.0], epoch=2)[0] == pytest.approx([1.099668, 0.900332], abs=1e-6)
    assert backward(balancer, J2[:1], [1.0], epoch=2)[0] == [1]


def test_dwa_has_state_of_its_own_only() -> None:
    """Its buffers are the five it had before other methods counted epochs, and those of every balancer."""
    assert set(BALANCERS["dwa"](["a"]).state_dict()) == {"step", "digest", "epoch", "total", "count", "last", "before"}


def test_uncertainty_revised_settles_at_its_closed_form() -> None:
    """2v² − Lv − L = 0 for v = σ²: where the slope 1/(1 + v) − L/(2v²) vanishes (Liebel 2018)."""
    balancer = BALANCERS["uncertainty_revised"](["a", "b"])
    losses = np.array([2.0, 0.5])
    backward(balancer, J2, losses.tolist())
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([0.5 - 1, 0.5 - 0.25])
    for _ in range(600):
        weights, _ = backward(balancer, J2, losses.tolist())
    variance = (losses + np.sqrt(losses**2 + 8 * losses)) / 4
    assert weights == pytest.approx((0.5 / variance).tolist(), abs=1e-3)


def test_imtl_l_settles_at_the_inverse_of_the_loss() -> None:
    balancer = BALANCERS["imtl_l"](["a", "b"])
    backward(balancer, J2, [2.0, 0.5])
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([2 - 1, 0.5 - 1])  # exp(0) L - 1
    for _ in range(400):
        weights, _ = backward(balancer, J2, [2.0, 0.5])
    assert weights == pytest.approx([0.5, 2], abs=1e-2)


def test_ema_normalised_in_its_second_step() -> None:
    balancer = BALANCERS["ema_normalised"](["a", "b"])
    backward(balancer, J2, [2.0, 0.5])
    assert backward(balancer, J2, [1.0, 0.5])[0] == pytest.approx([1 / 1.9, 2])


def test_cov_weighting_in_its_third_step() -> None:
    """Ratios 1, .5 and 1, .8: sd/mean = 1/3 and 1/9 (by hand; agrees with rickgroen/cov-weighting)."""
    balancer = BALANCERS["cov_weighting"](["a", "b"])
    for losses in ([2.0, 0.5], [1.0, 0.4], [0.8, 0.4]):
        weights, _ = backward(balancer, J2, losses)
    assert weights == pytest.approx([0.75, 0.25], abs=1e-6)


def test_stch_on_logarithms_after_its_warm_up() -> None:
    """Nadir 4, .5 and losses 2, .5 at mu = .5: softmax .2, .8, so weights 2 · .2/2, 2 · .8/.5 (Lin 2024's code)."""
    balancer = BALANCERS["stch"](["a", "b"], mu=0.5, warmup=1)
    assert backward(balancer, J2, [9.0, 9.0], epoch=0)[0] == pytest.approx([1 / 9, 1 / 9])
    assert backward(balancer, J2, [5.0, 0.25], epoch=1)[0] == pytest.approx([0.2, 4])
    assert backward(balancer, J2, [3.0, 0.75], epoch=1)[0] == pytest.approx([1 / 3, 4 / 3])
    assert backward(balancer, J2, [2.0, 0.5], epoch=2)[0] == pytest.approx([0.2, 3.2])


def test_dtp_of_known_skills() -> None:
    """−(1 − k)^γ log k at k = .5, .9 (Guo 2018)."""
    for gamma, expected in [(1.0, [0.346574, 0.010536]), (2.0, [0.173287, 0.001054]), (0.0, [0.693147, 0.105361])]:
        balancer = BALANCERS["dtp"](["a", "b"], gamma=gamma)
        assert backward(balancer, J2, [1.0, 1.0], scores={"a": 0.5, "b": 0.9})[0] == pytest.approx(expected, abs=1e-6)


def test_achievement_of_known_skills() -> None:
    """Shares .5 and 1 of the potential: softmax of .25, 0 is .562177, .437823 (Yun 2023's code)."""
    settings = {"targets": {"a": 0.8, "b": 0.5}, "margin": 0.0}
    exponents = [0.562177, 0.437823]
    scores = {"a": 0.4, "b": 0.5}
    balancer = BALANCERS["achievement"](["a", "b"], **settings, mean="arithmetic")
    assert backward(balancer, J2, [2.0, 0.5], scores=scores)[0] == pytest.approx(exponents, abs=1e-6)
    mean = 2 ** exponents[0] * 0.5 ** exponents[1]
    balancer = BALANCERS["achievement"](["a", "b"], **settings)
    expected = [exponents[0] * mean / 2, exponents[1] * mean / 0.5]
    assert backward(balancer, J2, [2.0, 0.5], scores=scores)[0] == pytest.approx(expected, abs=1e-6)


def test_penalty_coefficients_from_a_tasks_own_past() -> None:
    balancer = BALANCERS["penalty_coefficients"](["a", "b"], momentum=0.5)
    backward(balancer, J2, [2.0, 0.5])
    assert backward(balancer, J2, [4.0, 0.25])[0] == pytest.approx([2, 1])  # expected: 2, .5
    assert backward(balancer, J2, [4.5, 0.75])[0] == pytest.approx([1.5, 2])  # expected: 3, .375


def test_famo_after_its_first_step() -> None:
    """L = (2, .5), then (1.8, .49): slope .021289, -.021289 by hand; Adam's first step has the length of its rate."""
    balancer = BALANCERS["famo"](["a", "b"], decay=0.0)
    backward(balancer, J2, [2.0, 0.5])
    balancer.after_step({"a": torch.tensor(1.8), "b": torch.tensor(0.49)})
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([0.021289, -0.021289], abs=1e-6)
    assert balancer.logits.tolist() == pytest.approx([-0.025, 0.025], abs=1e-7)
    share = torch.tensor([0.487503, 0.512497], dtype=torch.float64)
    weights, _ = backward(balancer, J2, [2.0, 0.5])
    expected = share / torch.tensor([2.0, 0.5])
    assert weights == pytest.approx((expected / expected.sum()).tolist(), abs=1e-6)


def test_auto_lambda_by_hand() -> None:
    """L_val = g_b·θ at any θ, so d = g_b and the slopes are -η G_ab, -η G_bb = .3, -.5 at η = .1."""
    balancer = BALANCERS["auto_lambda"](["a", "b"], primary=["b"], learning_rate=0.01)
    weights, _ = backward(balancer, J2, [2.0, 0.5])
    assert (balancer.adam.mean * 10).tolist() == pytest.approx([0.3, -0.5])
    assert weights == pytest.approx([0.09, 0.11])


def test_smooth_in_its_second_step() -> None:
    balancer = BALANCERS["smooth"](["a", "b"], of="uw_o", momentum=0.75)
    backward(balancer, J2, [2.0, 0.5])
    assert backward(balancer, J2, [1.0, 0.25])[0] == pytest.approx([0.5 * 0.75 + 0.25, 2 * 0.75 + 1])


STATIONARY = {
    "two opposite rows, one twice as long": ([[1.0, 0], [-2, 0]], 1.0, [0, 0]),
    "the same below the critical radius: still the mean's side": ([[1.0, 0], [-2, 0]], 0.5, [-0.25, 0]),
    "equal opposite rows": ([[1.0, 0], [-1, 0]], 0.4, [0, 0]),
    "one task apart from a stationary pair": ([[1.0, 0], [-2, 0], [0, 3]], 2.0, [0, 1]),
    "all within a rank-deficient conflict": ([[1.0, 0], [0, 1], [-0.8, -0.8]], 1.5, [0, 0]),
}


@pytest.mark.parametrize("case", STATIONARY)
def test_cagrad_at_pareto_stationary_points(case: str) -> None:
    """By hand: d is the point of the ball nearest to g0 among those with the best worst task."""
    rows, c, expected = STATIONARY[case]
    jacobian = np.array(rows)
    gramian = jacobian @ jacobian.T
    weights = conflict_averse(gramian / gramian.diagonal().mean(), c)
    assert np.isfinite(weights).all()
    np.testing.assert_allclose(weights @ jacobian, expected, atol=1e-6)


def test_pcgrad_of_gradients_whose_squares_underflow() -> None:
    """LibMTL's 1e-8 beside the squared norm switches the projection off below 1e-4; float32 squares vanish at 1e-23."""
    shared = nn.Parameter(torch.zeros(2))
    rows = torch.tensor(J2) * 1e-30
    weights = BALANCERS["pcgrad"](["a", "b"]).backward(
        {n: r @ shared for n, r in zip("ab", rows, strict=True)}, shared=[shared]
    )
    assert list(weights.values()) == pytest.approx([4 / 3, 1.6], rel=1e-6)
