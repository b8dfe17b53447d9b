"""The verdict is wrong as rarely as it says: simulated studies without a difference, few cells here, all as `slow`."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from polytask.studies import evidence_of, influence_on_skill, roc_auc

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "verdict_simulation.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("verdict_simulation", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_the_simulation_judges_as_polytask_does(simulation):
    rng = np.random.default_rng(0)
    ((a, b, c),) = simulation.effects("t4", 4, 60, 3, rng)
    found = simulation.estimates(simulation.summarise(a, b, c), 0.3, 2)
    alpha, beta, gamma = simulation.scales(4, 60, 0.3, 2)
    for draw in range(3):
        D = alpha * a[draw][:, None] + beta * b[draw] + gamma * c[draw]
        expected = evidence_of(D)
        assert [x[draw] for x in found] == pytest.approx([expected.difference, *(p.variance for p in expected.parts)])


def test_false_rates_of_few_cells(simulation):
    rows = simulation.simulate(
        2000, seeds=(5,), rows=(500,), shares=(0.0, 0.5, 1.0), interactions=(0, 8), noises=("normal",)
    )
    assert len(rows) == 6
    for row in rows:
        assert row["false, single"] <= 0.06, row
        assert row["half-width / oracle"] <= 1.5, row
    # What the usual intervals do on the same draws: neither holds everywhere.
    assert max(row["false, seeds alone"] for row in rows) > 0.1
    assert max(row["false, rows alone"] for row in rows) > 0.3


def test_the_picture_is_that_of_the_results(simulation):
    pytest.importorskip("altair")
    pytest.importorskip("vl_convert")
    rows = json.loads(simulation.RESULTS.read_text(encoding="utf-8"))["rows"]
    assert simulation.table(rows) == json.loads(simulation.RESULTS.read_text(encoding="utf-8"))["table"]
    drawn, kept = simulation.figure(rows), simulation.FIGURE.read_text(encoding="utf-8")
    # Points and lines, whatever the width of letters here.
    places = [re.findall(r'aria-label="(seeds.*?)"', text) for text in (drawn, kept)]
    assert len(places[0]) >= 18
    assert places[0] == places[1]


@pytest.mark.slow
def test_false_rates_of_all_cells(simulation):
    rows = simulation.simulate(2000, seed=1)
    assert len(rows) == 3 * 2 * 6 * 3 * 2
    assert all(target["met"] for target in simulation.targets(rows)), simulation.targets(rows)
    powers = [row["power"] for row in rows if row["seeds"] == 5]
    assert 0.7 <= np.mean(powers) <= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("num_groups", [6, 9, 20])
def test_false_rates_of_groups(num_groups):
    """Effects of whole groups, of rows in them, and of seeds."""
    rng = np.random.default_rng(num_groups)
    groups = np.repeat(np.arange(num_groups), 20)
    wrong = []
    for _ in range(2000):
        group_effects = rng.normal(size=num_groups)[groups]
        D = rng.normal(0, 0.2, (5, 1)) + group_effects + rng.normal(size=(5, len(groups)))
        found = evidence_of(D, groups=groups)
        low, high = found.interval()
        wrong.append(low > 0 or high < 0)
    assert np.mean(wrong) <= 0.06


@pytest.mark.slow
def test_false_rates_of_the_area_with_few_positives():
    """Ten rows of the rarer class are the fewest that a verdict on ROC-AUC takes."""
    rng = np.random.default_rng(0)
    positive = np.arange(300) < 10
    wrong = []
    for _ in range(2000):
        rows, own = rng.normal(size=300) * 0.7, 0.5 * rng.normal(size=(2, 1, 300))
        arms = 0.5 * positive + rows + own + 0.3 * rng.normal(size=(2, 5, 300))
        D = influence_on_skill(*(roc_auc(arm, positive) for arm in arms), constant=0.5)
        low, high = evidence_of(D).interval()
        wrong.append(low > 0 or high < 0)
    assert np.mean(wrong) <= 0.06
