import pytest
import torch
from torch import nn

from polytask.feature import Feature
from polytask.sharing import NDDR, CrossStitch, Independent
from polytask.sharing.channels import joined


def reduced(make_encoder, tasks, **settings):
    return NDDR(make_encoder, tasks, torch.Generator(), **settings)


class Unnormed(nn.Module):
    def forward(self, feature):
        return feature.values


def without_norm_and_relu(sharing):
    """Every layer reduced to its linear map."""
    for _, _, units in sharing.mixed.mixers():
        for unit in units:
            unit.norm, unit.activation = Unnormed(), nn.Identity()
    return sharing


@pytest.mark.parametrize("encoder", ["mlp", "wide", "lenet"])
def test_without_norm_and_relu_the_identity_is_independent(encoder, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    sharing = reduced(make_encoder, chains.tasks, diagonal=1.0, initialisation="own")
    independent = Independent(make_encoder, chains.tasks, torch.Generator(), initialisation="own")
    assert not chains.same(sharing(inputs, list("xyz")), independent(inputs, list("xyz")))
    without_norm_and_relu(sharing)
    assert chains.same(sharing(inputs, list("xyz")), independent(inputs, list("xyz")))


@pytest.mark.parametrize("encoder", ["mlp", "lenet"])
@pytest.mark.parametrize("stages", [None, (0, -2)])
def test_without_norm_and_relu_its_start_is_that_of_cross_stitch(encoder, stages, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    settings = {"diagonal": 0.7, "initialisation": "own", "stages": stages}
    sharing = without_norm_and_relu(reduced(make_encoder, chains.tasks, **settings))
    other = CrossStitch(make_encoder, chains.tasks, torch.Generator(), **settings)
    for task, features in sharing(inputs, list("xyz")).items():
        for a, b in zip(features, other(inputs, list("xyz"))[task], strict=True):
            torch.testing.assert_close(a.values, b.values)
    for title, record in sharing.records().items():
        stitches = other.records()[title.replace("reductions", "stitches")]
        assert [pytest.approx(row) for row in stitches.values] == record.values


def test_a_layer_is_the_definition_by_torchs_own_modules(chains):
    """ReLU(BN(1 × 1 convolution of the joined pictures)), with the momentum of the authors' code."""
    sharing = reduced(chains.lenet, {"x": (0,), "y": (0,)}, initialisation="own")
    unit = sharing.mixed.units["stage_0"]["task_y"]
    with torch.no_grad():
        unit.reduce.weight.normal_()
    convolution, norm = nn.Conv2d(6, 3, 1, bias=False), nn.BatchNorm2d(3, momentum=0.05)
    with torch.no_grad():
        convolution.weight.copy_(unit.reduce.weight[:, :, None, None])
    own = [sharing.mixed.chains[f"task_{task}"][0](chains.pictures()).values for task in "xy"]
    expected = norm(convolution(torch.cat(own, dim=1))).relu()
    torch.testing.assert_close(sharing(chains.pictures(), ["y"])["y"][0].values, expected)
    torch.testing.assert_close(unit.norm.layer.running_var, norm.running_var)
    assert torch.equal(joined(own), torch.cat(own, dim=1))


def test_padding_enters_no_statistic(chains):
    found = []
    for padding in (0.0, 30.0):
        sharing = reduced(chains.tokens, {"x": (-1,), "y": (-1,)}, initialisation="own").train()
        feature = sharing(chains.sequences(padding), ["x", "y"])["x"][-1]
        found.append((feature.values[feature.mask], *sharing.mixed.units["stage_0"].buffers()))
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_a_training_batch_of_one_row(chains):
    sharing = reduced(chains.mlp, chains.tasks).train()
    one = {name: values[:1] for name, values in chains.inputs().items()}
    alone = sharing(one, list("xyz"))
    assert chains.same(alone, sharing.eval()(one, list("xyz")))


def test_statistics_of_an_absent_task_stay(chains):
    """But for those on the way to the tasks that are there."""
    sharing = reduced(chains.mlp, {"x": (-1,), "y": (-1,)}).train()
    last = sharing.mixed.units["stage_2"]["task_y"].norm.layer.running_mean
    before = last.clone()
    sharing(chains.inputs(), ["x"])
    assert torch.equal(last, before)
    sharing(chains.inputs(), ["y"])
    assert not torch.equal(last, before)


def test_settings_and_tables_that_cannot_be(chains):
    for settings, says in (({"diagonal": -0.1}, "diagonal=-0.1"), ({"stages": (7,)}, "stages names 7")):
        with pytest.raises(ValueError, match=f"nddr: {says}"):
            reduced(chains.mlp, chains.tasks, **settings)
    with pytest.raises(ValueError, match=r"nddr mixes .* are on 3 tables"):
        reduced(chains.mlp, chains.tasks).check_rows([["x"], ["y"], ["z"]], is_one_task_a_step=False)
    assert isinstance(reduced(chains.mlp, chains.tasks)(chains.inputs(), ["x"])["x"][0], Feature)
