"""A Run cites the paper of its balancer, of one inside another, and of an optimiser in a balancer's place."""

from types import SimpleNamespace

import pytest

from polytask.balance import BALANCERS
from polytask.config import Choice
from polytask.encoders import ENCODERS
from polytask.experiment import Experiment
from polytask.experiment.prepare import _cited
from polytask.papers import bibtex
from polytask.train import OPTIMIZERS

OURS = ("adatask", "m_config")


def cited(**choices: object) -> list[str]:
    values = {"tasks": {"price": {"kind": "regression"}, "sold": {"kind": "classification"}}, **choices}
    blueprint = SimpleNamespace(encoder=Choice(ENCODERS["mlp"]), spec=SimpleNamespace(numbers=()))
    return _cited(Experiment.read(values), blueprint)


@pytest.mark.parametrize("name", BALANCERS)
def test_of_every_balancer(name: str) -> None:
    keys = cited(balancer=name)
    assert {BALANCERS[name].paper} - {None} <= {*keys}
    assert bibtex(keys).count("@") == len(keys)


@pytest.mark.parametrize("name", [n for n, cls in BALANCERS.items() if cls.paper and n != "smooth"])
def test_of_one_around_another_both(name: str) -> None:
    assert {BALANCERS[name].paper, "zhou2022"} <= {*cited(balancer={"smooth": {"of": name}})}


@pytest.mark.parametrize("name", OURS)
def test_of_an_optimizer_in_a_balancers_place(name: str) -> None:
    assert OPTIMIZERS[name].paper in cited(train={"optimizer": name})
