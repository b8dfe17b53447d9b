"""A user's own balancer, sharing, encoder and agenda: one line in a catalogue, and all the rest follows."""

import pytest
import torch
from torch import nn

import polytask as pt
from polytask.balance import BALANCERS, Balancer
from polytask.encoders import ENCODERS, Encoder
from polytask.errors import ConfigError
from polytask.experiment import Experiment
from polytask.feature import NUMBERS, Feature
from polytask.sharing import SHARINGS, Hard, Sharing
from polytask.train import AGENDAS, Joint
from polytask.yaml_file import read_yaml

ENGINE = pt.Engine()


class Loudest(Balancer):
    """The largest loss gets all the weight but a little."""

    reads = frozenset({"losses"})
    scales = "losses"

    def __init__(self, tasks, generator=None, *, engine=ENGINE, little: float = 0.1):
        super().__init__(tasks, generator, engine=engine)
        self.little = little

    def forward(self, signals):
        weights = torch.full_like(signals.losses, self.little)
        weights[signals.losses.argmax()] = 1.0
        return weights


class Noisy(Hard):
    """Hard sharing whose trunk starts with the noise of its own generator, and is kept small."""

    def __init__(self, make_encoder, tasks, generator, *, split: int | None = None, size: float = 0.01):
        super().__init__(make_encoder, tasks, generator, split=split)
        with torch.no_grad():
            for p in self.trunk.parameters():
                p.add_(size * torch.randn(p.shape, generator=generator))

    def penalties(self):
        return {"size": 1e-3 * sum(p.square().sum() for p in self.trunk.parameters())}


class Numbers(Encoder):
    """One linear layer over the numbers."""

    def __init__(self, spec, *, width: int = 4):
        super().__init__(spec)
        self.widths = (width,)
        self.stages = nn.ModuleList([First(len(spec.numbers), width)])


class First(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.layer = nn.Linear(before, after)

    def forward(self, inputs):
        return Feature(self.layer(inputs[NUMBERS]).relu())


class Twice(Joint):
    """Every batch twice in a row."""

    def steps(self, epoch, first=0):
        for number in range(first, self.steps_per_epoch, 2):
            for step in super().steps(epoch, self.steps_per_epoch - 1):
                yield step
                if number + 1 < self.steps_per_epoch:
                    yield step


@pytest.fixture
def registered(monkeypatch):
    monkeypatch.setitem(BALANCERS, "loudest", Loudest)
    monkeypatch.setitem(SHARINGS, "noisy", Noisy)
    monkeypatch.setitem(ENCODERS, "numbers", Numbers)
    monkeypatch.setitem(AGENDAS, "twice", Twice)


def test_it_trains_is_written_and_loads_again(fit, houses, registered):
    trained = fit(
        balancer=Loudest.with_(little=0.25),
        sharing={"noisy": {"size": 0.02}},
        encoder=Numbers.with_(width=6),
        agenda="twice",
    )
    config, source = read_yaml(trained.path / "config.yaml")
    assert config["balancer"] == {"loudest": {"little": 0.25}}
    assert config["sharing"] == {"noisy": {"size": 0.02}}
    assert config["encoder"] == {"numbers": {"width": 6}}
    assert config["agenda"] == "twice"
    assert Experiment.read(config, source).balancer == Loudest.with_(little=0.25)
    weights = trained.history[["weights.price", "weights.sold"]]
    assert ((weights >= 0.25) & (weights <= 1)).all(axis=None)
    loaded = pt.load(trained.path)
    assert isinstance(loaded.model().sharing, Noisy)
    assert loaded.model().sharing.widths == (6,)
    assert loaded.predict(houses).equals(trained.predict(houses))


def test_by_name_like_any_other(fit, registered):
    trained = fit(balancer="loudest", sharing="noisy", encoder="numbers")
    assert trained.metrics["validation"]["price"]["rows"] > 0


@pytest.mark.parametrize(
    ("choice", "what"),
    [({"balancer": Loudest}, "BALANCERS"), ({"encoder": Numbers}, "ENCODERS"), ({"agenda": Twice}, "AGENDAS")],
)
def test_what_is_in_no_catalogue_could_not_be_loaded(fit, choice, what, tmp_path):
    with pytest.raises(
        ConfigError, match=rf"is not in the catalogue, so a Run could not be loaded again; add it .* {what}\["
    ):
        fit(**choice)
    assert not (tmp_path / "run").exists()


def test_a_run_whose_method_is_not_registered_says_which(fit, registered, monkeypatch):
    trained = fit(sharing="noisy", encoder="numbers")
    monkeypatch.delitem(ENCODERS, "numbers")
    with pytest.raises(ConfigError, match="unknown encoder 'numbers'"):
        pt.load(trained.path)


def test_an_own_sharing_keeps_the_contract(registered):
    assert issubclass(SHARINGS["noisy"], Sharing)
    assert Noisy.with_(size=0.1).settings == {"size": 0.1}
