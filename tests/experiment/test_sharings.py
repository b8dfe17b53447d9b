"""Every sharing scheme from the door: a table with missing labels in, predictions out."""

import numpy as np
import pytest
import torch

import polytask as pt
from polytask.errors import ConfigError

TREE = [[["price", "sold"]], [["price"], ["sold"]]]
CHOICES = [
    {"independent": {"initialisation": "own"}},
    {"hard": {"split": 1, "initialisation": "own"}},
    "soft",
    {"soft": {"distance": "trace", "weight": [0.0, 0.01, 0.02]}},
    "branching",
    {"branching": {"tree": TREE}},
    "cross_stitch",
    {"cross_stitch": {"stages": [-1], "per_channel": False}},
    "nddr",
    {"mtan": {"reduction": 2}},
]


@pytest.fixture
def patchy(houses):
    """A third of the labels of each task is missing; some rows have none."""
    generator = np.random.default_rng(3)
    for column in ("price", "sold"):
        houses.loc[generator.random(len(houses)) < 0.33, column] = None
    return houses


@pytest.mark.parametrize("sharing", CHOICES, ids=str)
@pytest.mark.parametrize("agenda", ["joint", "alternating"])
def test_it_trains_and_predicts_and_is_loaded_again(sharing, agenda, fit, patchy):
    trained = fit(patchy, sharing=sharing, agenda=agenda)
    assert trained.history[["training_loss.price", "training_loss.sold"]].notna().all(axis=None)
    predicted = trained.predict(patchy)
    assert predicted["price"].notna().all()
    assert set(predicted["sold"]) <= {"yes", "no"}
    again = pt.load(trained.path)
    assert again.predict(patchy).equals(predicted)
    scheme = next(iter(sharing)) if isinstance(sharing, dict) else sharing
    paper = pt.sharing.SHARINGS[scheme].__dict__.get("paper")
    assert paper is None or f"{{{paper}," in trained.cite()


def test_the_trace_norm_is_cited(fit):
    assert "{yang2017," in fit(sharing={"soft": {"distance": "trace"}}).cite()
    assert "{yang2017," not in fit(sharing="soft", folder="other").cite()


@pytest.mark.parametrize("balancer", ["pcgrad", "uncertainty", "graddrop", "famo"])
@pytest.mark.parametrize("sharing", ["cross_stitch", "mtan", "branching"])
def test_under_every_sort_of_balancer(balancer, sharing, fit, patchy):
    trained = fit(patchy, sharing=sharing, balancer=balancer)
    assert all(torch.isfinite(p).all() for p in trained.model().parameters())


@pytest.mark.parametrize("sharing", ["soft", "branching", "mtan"])
def test_a_table_for_each_task(sharing, fit, houses):
    trained = fit({"price": houses.drop(columns="sold"), "sold": houses.drop(columns="price")}, sharing=sharing)
    assert trained.history[["training_loss.price", "training_loss.sold"]].notna().all(axis=None)


@pytest.mark.parametrize("sharing", ["cross_stitch", "nddr"])
def test_a_table_for_each_task_is_refused_where_all_chains_run_for_every_row(sharing, fit, houses):
    tables = {"price": houses.drop(columns="sold"), "sold": houses.drop(columns="price")}
    with pytest.raises(ConfigError, match=rf"{sharing} mixes .* are on 2 tables"):
        fit(tables, sharing=sharing)


def test_a_tree_that_names_no_task_is_refused_at_once(fit):
    with pytest.raises(ConfigError, match=r"branching: tree\[0\] names task 'rent', which is not there"):
        fit(sharing={"branching": {"tree": [[["price", "rent"]]]}})


def test_soft_sharing_with_weight_zero_is_independent_to_the_last_bit(fit):
    one = fit(sharing={"soft": {"weight": 0}})
    other = fit(sharing="independent", folder="other")
    for a, b in zip(one.model().state_dict().values(), other.model().state_dict().values(), strict=True):
        assert torch.equal(a, b)
    penalised = fit(sharing={"soft": {"weight": 1000}}, folder="third")
    pairs = zip(one.model().state_dict().values(), penalised.model().state_dict().values(), strict=True)
    assert not all(torch.equal(a, b) for a, b in pairs)
