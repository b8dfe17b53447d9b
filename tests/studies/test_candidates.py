"""Candidates: how they are named, merged into the experiment, and refused."""

import pytest

import polytask as pt
from polytask.balance import CAGrad, Smooth, Sum
from polytask.config import Choice
from polytask.encoders import MLP
from polytask.errors import ConfigError
from polytask.experiment import experiment_from
from polytask.sharing import Hard
from polytask.studies.candidates import read_candidates
from polytask.tasks import Ordinal


def names(experiment, candidates):
    return list(read_candidates(experiment(), candidates))


@pytest.mark.parametrize(
    ("candidates", "expected"),
    [
        (None, ["sum"]),
        (["sum", "uncertainty"], ["sum", "uncertainty"]),
        ("pcgrad", ["pcgrad"]),
        ({"cagrad": {"c": 0.4}}, ["cagrad"]),  # a dict names: here the overrides of "cagrad" would be c
        ([{"cagrad": {"c": 0.4}}], ["cagrad(c=0.4)"]),
        ([CAGrad.with_(c=0.4)], ["cagrad(c=0.4)"]),
        ([CAGrad, Sum], ["cagrad", "sum"]),
        ([{"smooth": {"of": {"cagrad": {"c": 0.4}}}}], ["smooth(of=cagrad(c=0.4))"]),
        ([Smooth.with_(of=CAGrad, momentum=0.5)], ["smooth(of=cagrad, momentum=0.5)"]),
        ([{"sharing": "hard", "balancer": "pcgrad"}], ["sharing=hard, balancer=pcgrad"]),
        ([{"sharing": Hard.with_(split=1)}], ["sharing=hard(split=1)"]),
        ([{"sharing": Hard, "train": {"ema": 0.9}}], ["sharing=hard, ema=0.9"]),
        ([{}], ["sum"]),
        ({"first": "sum", "second": {"train": {"learning_rate": 0.1}}}, ["first", "second"]),
    ],
)
def test_names(experiment, candidates, expected):
    if candidates == {"cagrad": {"c": 0.4}}:
        with pytest.raises(ConfigError, match=r"candidate 'cagrad'.*unknown key 'c'"):
            names(experiment, candidates)
        return
    assert names(experiment, candidates) == expected


def test_a_choice_in_python_and_in_yaml_is_the_same(experiment):
    written = read_candidates(experiment(), [{"cagrad": {"c": 0.3}}])
    made = read_candidates(experiment(), [CAGrad.with_(c=0.3)])
    assert written == made
    (found, overrides), *_ = made.values()
    assert found.balancer == Choice(CAGrad, {"c": 0.3})
    assert overrides == {"balancer": {"cagrad": {"c": 0.3}}}


def test_sections_are_merged_key_by_key(experiment):
    base = experiment(early_stopping={"patience": 3, "min_gain": 0.1}, weight_decay=0.5)
    change = {"train": {"early_stopping": {"patience": 7}}, "data": {"preprocess": {"numbers": "robust"}}}
    found = read_candidates(base, {"one": change})["one"][0]
    assert found.train.early_stopping == pt.EarlyStopping(patience=7, min_gain=0.1)
    assert (found.train.weight_decay, found.train.epochs) == (0.5, base.train.epochs)
    assert found.data.preprocess.numbers == "robust"
    assert found.tasks == base.tasks


def test_a_choice_is_replaced_unless_the_same_name_is_chosen_again(experiment):
    base = experiment(encoder=MLP.with_(widths=(8, 4), dropout=0.2), balancer=CAGrad.with_(c=0.3))
    found = read_candidates(
        base,
        {
            "other": "pcgrad",
            "same": {"encoder": {"mlp": {"widths": [5]}}},
            "plain": {"encoder": "mlp", "balancer": {"cagrad": None}},
        },
    )
    assert dict(found["other"][0].balancer.settings) == {}
    assert dict(found["same"][0].encoder.settings) == {"widths": (5,), "dropout": 0.2}
    assert dict(found["plain"][0].encoder.settings) == {}
    assert dict(found["plain"][0].balancer.settings) == {"c": 0.3}
    assert found["same"][0].balancer == base.balancer


def test_heads_may_differ(experiment):
    found = read_candidates(experiment(), {"deep": {"tasks": {"price": {"hidden": [4]}}}})["deep"][0]
    assert found.tasks[0].hidden == (4,)
    assert found.tasks[1] == experiment().tasks[1]


@pytest.mark.parametrize(
    ("candidates", "says"),
    [
        ([], r"study.candidates is empty; name a candidate"),
        ({}, r"study.candidates is empty"),
        (["sum", "sum"], r"two are called 'sum'; name them"),
        ([{}, "sum"], r"two are called 'sum'"),
        ({"a": "sum", "b": {"balancer": "sum"}}, r"'a' and 'b' are the same; take one out"),
        ({"a": {"sharing": "hard"}, "b": {}}, r"'a' and 'b' are the same"),
        ({"a b": "sum", "a-b": "pcgrad"}, r"'a b' and 'a-b' would share a folder; rename one"),
        (["pcgard"], r"unknown balancer 'pcgard'; did you mean 'pcgrad'"),
        ([{"sharing": "mtl"}], r"unknown sharing 'mtl'"),
        ([{"sharign": "hard"}], r"candidate 'sharign=hard'.*unknown key 'sharign'; did you mean 'sharing'"),
        ([{"learning_rate": 0.1}], r"unknown key 'learning_rate'; did you mean 'train.learning_rate'"),
        ([{"train": {"epoch": 3}}], r"candidate 'epoch=3'.*did you mean 'epochs'"),
        ([{"train": {"epochs": 0}}], r"candidate 'epochs=0'.*epochs=0: at least 1"),
        ([{"cagrad": {"cc": 1}}], r"unknown setting 'cc'"),
        ([{"seed": 3}], r"candidate 'seed=3': a seed is not its own to choose"),
        ({"x": {"tasks": {"price": {"kind": "ordinal"}}}}, r"'x' is of other tasks: price.kind is 'regression'.*'ordinal'"),
        ({"x": {"tasks": {"price": {"column": "age"}}}}, r"'x' is of other tasks: price.columns"),
        ({"x": {"tasks": {"price": {"primary": "mae"}}}}, r"'x' is of other tasks: price.primary is None.*'mae'"),
        ({"x": {"tasks": {"age": {"kind": "regression"}}}}, r"'x' is of other tasks: 'age' is only its own"),
        ({"x": {"data": {"split": {"seed": 3}}}}, r"'x': data.split differs from the study's"),
        ({"x": {"data": {"path": "other.csv"}}}, r"'x': data.path differs from the study's"),
        ({"x": {"data": {"kinds": {"age": "category"}}}}, r"'x': data.kinds differs from the study's"),
        ([3], r"a balancer's name or overrides.*got 3"),
        ({"x": None}, r"a balancer's name or overrides.*got None"),
        ({1: "sum"}, r"a name is text, got 1"),
        ({" ": "sum"}, r"a name is text, got ' '"),
    ],
)  # fmt: skip
def test_refused(experiment, candidates, says):
    with pytest.raises(ConfigError, match=says):
        read_candidates(experiment(), candidates)


def test_another_order_of_classes_is_another_task():
    base = experiment_from([Ordinal("grade", order=("low", "high"))])
    with pytest.raises(ConfigError, match=r"grade.order is \('low', 'high'\)"):
        read_candidates(base, {"x": {"tasks": {"grade": {"order": ["high", "low"]}}}})


@pytest.mark.parametrize("name", ["twins", "pooled", "placebo", "trees", "linear", "twins of sum", "twins.", "twins of equal-parameters"])  # fmt: skip
def test_names_of_other_arms_are_reserved(setup, name):
    with pytest.raises(ConfigError, match=r"is the name of something else in a study; choose another"):
        setup(settings={"candidates": {name: "sum"}})


def test_names_that_only_look_like_them_are_not(setup):
    assert list(setup(settings={"candidates": {"Twins": "sum", "twins-office": "pcgrad"}}).candidates) == [
        "Twins",
        "twins-office",
    ]
