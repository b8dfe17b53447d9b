"""Encoders of a wanted size: every encoder's widths scale, and the nearest whole widths are found."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polytask.config import Choice, as_choice, check_settings, settings_of, written
from polytask.conversion import NOWHERE
from polytask.encoders import ENCODERS, MLP, Encoder, Fusion, ResNet
from polytask.errors import ConfigError
from polytask.feature import InputSpec, SequenceSpec
from polytask.model import Blueprint, count_parameters
from polytask.sharing import SHARINGS
from polytask.studies.capacity import scaled, scaled_to
from polytask.tasks import Classification, Regression

TABLE = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5),))
PICTURE = InputSpec(images={"photo": (1, 14, 14)})
BOTH = InputSpec(numbers=("a",), images={"photo": (1, 14, 14)})
TOKENS = InputSpec(sequences={"words": SequenceSpec(num_codes=30)})
SPECS = {"mlp": TABLE, "resnet": TABLE, "lenet": PICTURE, "conv1d": TOKENS, "fusion": BOTH}


def size(choice, spec):
    return count_parameters(choice(spec).parameters())


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoder_declares_settings_that_are_its_widths(name):
    cls = ENCODERS[name]
    assert cls.width_settings
    assert set(cls.width_settings) <= set(settings_of(cls))
    choice, spec = Choice(cls), SPECS[name]
    double = scaled(choice, 2.0)
    assert size(double, spec) > size(choice, spec)
    # What is scaled can be written down, and is the constructor's own kind of value.
    assert as_choice(written(double, ENCODERS, "encoder"), ENCODERS, "encoder") == double
    assert check_settings(cls, double.settings, NOWHERE, ()) == double.settings
    assert size(scaled(choice, 1.0), spec) == size(choice, spec)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("ratio", [0.2, 0.9, 3.0])
def test_every_encoder_comes_near_a_wanted_size(name, ratio):
    choice, spec = Choice(ENCODERS[name]), SPECS[name]
    wanted = round(ratio * size(choice, spec))
    found = scaled_to(choice, spec, lambda tried: size(tried, spec), wanted)
    assert size(found, spec) == pytest.approx(wanted, rel=0.05)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 30_000))
def test_no_other_factor_comes_nearer(widths, wanted):
    choice = MLP.with_(widths=tuple(widths))
    found = scaled_to(choice, TABLE, lambda tried: size(tried, TABLE), wanted)
    gap = abs(size(found, TABLE) - wanted)
    factors = sorted({(k + side) / width for width in widths for k in range(300) for side in (0.499, 0.501)})
    sizes = [size_of_mlp([max(1, round(w * f)) for w in widths]) for f in factors if f * max(widths) < 400]
    assert gap <= min(abs(s - wanted) for s in sizes)


def size_of_mlp(widths):
    """The closed form for TABLE: 3 numbers and an embedding of 8 for 5 codes."""
    ends = [3 + 8, *widths]
    return 5 * 8 + sum((before + 1) * after for before, after in pairwise(ends))


def test_the_closed_form_is_the_encoders_size():
    assert size_of_mlp([7, 3]) == size(MLP.with_(widths=(7, 3)), TABLE)


def test_single_task_nets_of_the_size_of_one_shared_model():
    tasks = [Classification("sold"), Regression("price"), Regression("days")]
    fitted = {"sold": {"classes": [0, 1], "counts": [1, 1]}}
    fitted |= {name: {"mean": 0.0, "sd": 1.0, "median": 0.0} for name in ("price", "days")}

    def parameters(of, encoder):
        blueprint = Blueprint(tuple(of), fitted, encoder, Choice(SHARINGS["hard"]), TABLE, 0)
        return count_parameters(blueprint.build().parameters())

    shared = parameters(tasks, MLP.with_())
    found = scaled_to(MLP.with_(), TABLE, lambda e: sum(parameters([t], e) for t in tasks), shared)
    assert sum(parameters([t], found) for t in tasks) == pytest.approx(shared, rel=0.01)
    assert found.settings["widths"][0] < 256


def test_encoders_inside_scale_too():
    choice = Fusion.with_(table={"resnet": {"width": 10, "blocks": 2}}, widths=(20,), dropout=0.3)
    half = scaled(choice, 0.5).settings
    assert half == {
        "table": {"resnet": {"width": 5, "blocks": 2}},
        "images": {"lenet": {"channels": [3, 8], "widths": [60, 42]}},
        "sequences": {"conv1d": {"embedding": 32, "widths": [64, 64]}},
        "widths": (10,),
        "dropout": 0.3,
    }


def test_no_width_falls_below_one():
    found = scaled_to(ResNet.with_(), TABLE, lambda tried: size(tried, TABLE), 1)
    assert found.settings["width"] == 1


def test_every_size_is_counted_once():
    asked = []

    def count(tried):
        asked.append(tried)
        return size(tried, TABLE)

    scaled_to(MLP.with_(), TABLE, count, 20_000)
    assert len(asked) == len({str(choice) for choice in asked}) < 25


def test_the_random_state_is_left_as_it_was():
    before = torch.random.get_rng_state()
    scaled_to(MLP.with_(), TABLE, lambda tried: size_of_mlp(tried.settings["widths"]), 5000)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_has_no_widths_is_refused():
    class Fixed(Encoder):
        def __init__(self, spec):
            super().__init__(spec)

    with pytest.raises(ConfigError, match="Fixed has no widths to scale to a number of parameters"):
        scaled_to(Choice(Fixed), TABLE, lambda tried: 1, 10)
    with pytest.raises(ConfigError, match="MLP has no layer here whose width could be scaled"):
        scaled_to(MLP.with_(widths=()), TABLE, lambda tried: 1, 10)
