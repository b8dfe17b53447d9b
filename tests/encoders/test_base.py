"""What is said of an encoder of one's own whose stages do not fit."""

import pandas as pd
import pytest
import torch
from torch import nn

import polytask as pt
from polytask.encoders import Encoder
from polytask.feature import NUMBERS, Feature


class Layer(nn.Module):
    def __init__(self, before, after):
        super().__init__()
        self.layer = nn.Linear(before, after)

    def forward(self, source):
        return Feature(self.layer(source.values if isinstance(source, Feature) else source[NUMBERS]))


class Own(Encoder):
    """Two layers that a test chooses."""

    def __init__(self, spec, *, layers: tuple[int, ...] = (2, 3, 3, 4), says: tuple[int, ...] = (3, 4)):
        super().__init__(spec)
        first, second, third, last = layers
        self.stages = nn.ModuleList([Layer(first, second), Layer(third, last)])
        self.widths = says


class Bare(Own):
    """A stage that gives a tensor."""

    def __init__(self, spec):
        super().__init__(spec)
        self.stages[1] = nn.Identity()
        self.stages[1].forward = lambda source: source.values


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (Own.with_(layers=(2, 3, 5, 4)), r"encoder Own: stage 1 cannot take what stage 0 gives \(\[B, 3\]\): mat1"),
        (Own.with_(layers=(7, 3, 3, 4)), "encoder Own: stage 0 cannot take the inputs: mat1"),
        (Own.with_(says=(3, 8)), "encoder Own: stage 1 gives 4 channels, but widths says 8"),
        (Own.with_(says=(3,)), "encoder Own: 2 stages, but widths has 1 numbers"),
        (Bare, "encoder Bare: stage 1 gives Tensor; a Feature of"),
    ],
)
def test_stages_that_do_not_fit_are_one_sentence(monkeypatch, tmp_path, encoder, sentence):
    monkeypatch.setitem(pt.encoders.ENCODERS, "own", Own)
    monkeypatch.setitem(pt.encoders.ENCODERS, "bare", Bare)
    table = pd.DataFrame({"a": range(40), "b": range(40), "y": range(40), "z": range(40)})
    with pytest.raises(ValueError, match=sentence) as error:
        pt.fit(
            table.astype(float),
            [pt.Regression("y"), pt.Regression("z")],
            encoder=encoder,
            inputs=["a", "b"],
            folder=tmp_path / "run",
            quiet=True,
        )
    assert "\n" not in str(error.value)


def test_finding_kinds_leaves_modes_alone_where_it_fails():
    encoder = Own(pt.feature.InputSpec(numbers=("a", "b")), layers=(2, 3, 5, 4)).train()
    with pytest.raises(ValueError, match="stage 1"):
        encoder.kinds()
    assert all(module.training for module in encoder.modules())
    assert torch.is_grad_enabled()
