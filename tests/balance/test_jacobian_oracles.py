"""Methods that look at J: against their papers' formulas, written out task by task, while tasks come and go."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from polytask.balance import BALANCERS, Balancer, GradDrop, GradNorm, MetaBalance, MoCo

TASKS = ("a", "b", "c")
SIZES = (3, 4)  # two shared tensors
History = list[tuple[dict[str, np.ndarray], dict[str, float]]]


def history(steps: int = 30, seed: int = 0) -> History:
    """Gradients and losses of the tasks present; c is away at first, all are now and then."""
    random = np.random.default_rng(seed)
    scales = {"a": 1.0, "b": 30.0, "c": 0.02}
    found = []
    for k in range(steps):
        names = [n for n in TASKS if random.random() < 0.8 and not (n == "c" and k < 3)] or ["b"]
        rows = {n: scales[n] * random.normal(size=sum(SIZES)) for n in names}
        found.append((rows, {n: float(random.uniform(0.1, 3)) for n in names}))
    return found


# Oracles -------------------------------------------------------------------------------------------------------------


class Oracle:
    """A paper's rule on dicts of numpy rows; a task's memory is made when the task is first seen."""

    def __init__(self) -> None:
        self.memory: dict[str, np.ndarray] = {}
        self.count = dict.fromkeys(TASKS, 0)
        self.steps = 0


class GradDropOracle(Oracle):
    def __call__(self, rows, losses):
        generator = torch.Generator().manual_seed(0)
        for _ in range(self.steps + 1):
            drawn = torch.rand(sum(SIZES), generator=generator).numpy()
        self.steps += 1
        update = np.zeros(sum(SIZES))
        kept = {n: np.zeros(sum(SIZES)) for n in rows}
        for k in range(sum(SIZES)):
            entries = {n: row[k] for n, row in rows.items()}
            positive = 0.5 * (1 + sum(entries.values()) / sum(abs(v) for v in entries.values()))
            for n, v in entries.items():
                leak = {"a": 0.0, "b": 0.25, "c": 1.0}[n]
                stays = v > 0 if positive > drawn[k] else v < 0
                kept[n][k] = v if stays else leak * v
                update[k] += kept[n][k]
        return {n: kept[n] @ row / (row @ row) for n, row in rows.items()}, update


class MoCoOracle(Oracle):
    def __init__(self, rescale: str = "loss", rho: float = 0.0) -> None:
        super().__init__()
        self.rescale, self.rho, self.share = rescale, rho, dict.fromkeys(TASKS, 1 / 3)

    def __call__(self, rows, losses):
        self.steps += 1
        for n, row in rows.items():
            self.count[n] += 1
            h = row * losses[n] / np.linalg.norm(row) if self.rescale == "loss" else row
            rate = 1.0 if self.count[n] == 1 else 0.5 / np.sqrt(self.count[n])
            self.memory[n] = (1 - rate) * self.memory.get(n, 0) + rate * h
        mass = sum(self.share[n] for n in rows)
        share = np.array([self.share[n] / mass if mass else 1 / len(rows) for n in rows])
        tracked = np.stack([self.memory[n] for n in rows])
        slope = (tracked @ tracked.T + self.rho * np.eye(len(rows))) @ share
        share = nearest_on_simplex(share - 0.1 / np.sqrt(self.steps) * slope)
        self.share |= dict(zip(rows, share * mass, strict=True))
        return dict(zip(rows, share, strict=True)), share @ tracked


class DBMTLOracle(Oracle):
    def __call__(self, rows, losses):
        for n, row in rows.items():
            self.count[n] += 1
            fresh = row / (losses[n] + 1e-8)
            kept = 0.0 if self.count[n] == 1 else 0.8 / self.count[n] ** 0.5
            self.memory[n] = fresh + kept * (self.memory.get(n, 0) - fresh)
        lengths = {n: np.linalg.norm(self.memory[n]) for n in rows}
        weights = {n: max(lengths.values()) / lengths[n] for n in rows}
        update = sum(weights[n] * self.memory[n] for n in rows)
        return {n: weights[n] / (losses[n] + 1e-8) for n in rows}, update


class MetaBalanceOracle(Oracle):
    def __call__(self, rows, losses):
        start, pieces, shares = 0, [], {n: [] for n in rows}
        for n in rows:
            self.count[n] += 1
        for part, size in enumerate(SIZES):
            pieces.append(np.zeros(size))
            cut = {n: row[start : start + size] for n, row in rows.items()}
            start += size
            for n, piece in cut.items():
                before = self.memory.get((n, part), 0.0)
                self.memory[n, part] = 0.9 * before + 0.1 * np.linalg.norm(piece)
            average = {n: self.memory[n, part] / (1 - 0.9 ** self.count[n]) for n in TASKS if self.count[n]}
            for n, piece in cut.items():
                factor = 0.7 * average["a"] / average[n] + 0.3 if n != "a" and "a" in average else 1.0
                pieces[-1] += factor * piece
                shares[n].append((factor, piece @ piece))
        weights = {n: sum(f * s for f, s in found) / sum(s for _, s in found) for n, found in shares.items()}
        return weights, np.concatenate(pieces)


class ExcessMTLOracle(Oracle):
    def __init__(self) -> None:
        super().__init__()
        self.weights, self.first = dict.fromkeys(TASKS, 1.0), {n: [] for n in TASKS}

    def __call__(self, rows, losses):
        moved = {}
        for n, row in rows.items():
            self.memory[n] = self.memory.get(n, 0) + row**2
            excess = (row**2 / np.sqrt(self.memory[n])).sum()
            if len(self.first[n]) < 4:
                self.first[n].append(excess)
            else:
                moved[n] = self.weights[n] * np.exp(0.3 * excess / np.mean(self.first[n]))
        kept = sum(self.weights[n] for n in moved)
        for n, weight in moved.items():
            self.weights[n] = weight / sum(moved.values()) * kept
        weights = {n: self.weights[n] for n in rows}
        return weights, sum(weights[n] * row for n, row in rows.items())


class GradNormOracle(Oracle):
    def __init__(self) -> None:
        super().__init__()
        self.weights, self.first = dict.fromkeys(TASKS, 1.0), {n: [] for n in TASKS}

    def __call__(self, rows, losses):
        weights = {n: self.weights[n] for n in rows}
        moving = []
        for n in rows:
            if len(self.first[n]) < 4:
                self.first[n].append(losses[n])
            else:
                moving.append(n)
        if moving:
            norms = {n: np.linalg.norm(rows[n]) for n in moving}
            mean = np.mean([weights[n] * norms[n] for n in moving])
            ratio = {n: losses[n] / np.mean(self.first[n]) for n in moving}
            pace = {n: ratio[n] / np.mean(list(ratio.values())) for n in moving}
            moved = {}
            for n in moving:
                slope = np.sign(weights[n] * norms[n] - mean * pace[n] ** 1.5) * norms[n]
                moved[n] = max(weights[n] - 1e-3 * slope, 1e-3)
            for n in moving:
                self.weights[n] = moved[n] * sum(weights[m] for m in moving) / sum(moved.values())
        return weights, sum(weights[n] * row for n, row in rows.items())


def nearest_on_simplex(point: np.ndarray) -> np.ndarray:
    """By bisection on what is taken from every entry."""
    low, high = point.min() - 1, point.max()
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(point - middle, 0).sum() > 1 else (low, middle)
    return np.maximum(point - low, 0)


ORACLES: dict[str, tuple[Callable[[], Balancer], Callable[[], Oracle]]] = {
    "graddrop": (lambda: GradDrop(TASKS, leaks={"a": 0.0, "b": 0.25, "c": 1.0}), GradDropOracle),
    "moco": (lambda: MoCo(TASKS), MoCoOracle),
    "moco raw": (lambda: MoCo(TASKS, rescale="none", rho=0.5), lambda: MoCoOracle("none", 0.5)),
    "db_mtl": (lambda: BALANCERS["db_mtl"](TASKS, beta=0.8, beta_power=0.5), DBMTLOracle),
    "metabalance": (lambda: MetaBalance(TASKS, main="a"), MetaBalanceOracle),
    "excess_mtl": (lambda: BALANCERS["excess_mtl"](TASKS, warmup=4, rate=0.3), ExcessMTLOracle),
    "gradnorm": (lambda: GradNorm(TASKS, warmup=4, learning_rate=1e-3), GradNormOracle),
}


@pytest.mark.parametrize("name", ORACLES)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_step_is_the_formulas(step_on, name: str, seed: int) -> None:
    balancer, oracle = (make() for make in ORACLES[name])
    for rows, losses in history(seed=seed):
        weights, update = step_on(balancer, rows, losses)
        expected, wanted = oracle(rows, losses)
        assert weights == pytest.approx(expected, rel=1e-9)
        np.testing.assert_allclose(update, wanted, rtol=1e-9, atol=1e-10 * np.abs(wanted).max())
