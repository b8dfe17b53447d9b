import copy

import pytest
import torch
from torch import nn

from polytask.encoders import LeNet
from polytask.feature import Feature, InputSpec
from polytask.sharing import LoRA
from polytask.sharing.lora import LowRankChange
from polytask.sharing.low_rank import matrices


def merged(sharing, task):
    """The task's own chain, every weight written out: W + (α/r) B A."""
    stages = copy.deepcopy(sharing.chain.trunk)
    for key, part in sharing.chain.parts_of(task).items():
        stage = stages[int(key.removeprefix("stage_"))]
        for name, a, b in zip(part.names, part.a, part.b, strict=True):
            weight = stage.get_parameter(name)
            with torch.no_grad():
                weight.add_((part.scale * b @ a).view_as(weight))
    return stages


def run(stages, inputs):
    value = inputs
    for stage in stages:
        value = stage(value)
    return value.values


def test_it_is_the_chain_with_its_weights_written_out(conditioned):
    sharing = conditioned.disturb(conditioned.build("lora", {"rank": 2, "alpha": 3.0, "stages": (1, 2)}).double())
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in conditioned.inputs.items()}
    for task in conditioned.tasks:
        found = sharing.eval()(inputs, [task])[task][-1].values
        torch.testing.assert_close(found, run(merged(sharing, task).eval(), inputs))


def test_convolutions_are_matrices_of_out_by_in_times_pixels():
    def make_encoder(copy):
        torch.manual_seed(0)
        return LeNet(InputSpec(images={"photo": (1, 16, 16)}), channels=(3, 4), widths=(6,))

    sharing = LoRA(make_encoder, {"a": (-1,), "b": (-1,)}, torch.Generator(), stages=(0, 1, 2), rank=2)
    shapes = [tuple(p.shape) for p in sharing.task_parameters("a")]
    assert shapes == [(2, 25), (3, 2), (2, 75), (4, 2), (2, 16), (6, 2)]
    with torch.no_grad():
        for parameter in sharing.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    inputs = {"photo": torch.randn(2, 1, 16, 16)}
    torch.testing.assert_close(sharing(inputs, ["b"])["b"][-1].values, run(merged(sharing, "b"), inputs))


def test_worked_by_hand():
    """W = [[1, 0], [0, 1]], B = (1, 2), A = (3, 4), scale 0.5: W + [[1.5, 2], [3, 4]]; of (1, 1): (4.5, 8)."""

    class Stage(nn.Linear):
        def forward(self, feature):
            return Feature(super().forward(feature.values))

    stage = Stage(2, 2, bias=False)
    part = LowRankChange({"weight": (2, 2)}, {"weight": torch.tensor([[3.0, 4.0]])}, 0.5)
    with torch.no_grad():
        stage.weight.copy_(torch.eye(2))
        part.b[0].copy_(torch.tensor([[1.0], [2.0]]))
    assert part(stage, Feature(torch.ones(1, 2))).values.tolist() == [[4.5, 8.0]]
    assert stage.weight.tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_the_gradient_reaches_b_at_the_start_and_a_after_it(conditioned):
    sharing = conditioned.build("lora", {"rank": 2})
    conditioned.losses(sharing)["x"].backward()
    part = sharing.chain.parts_of("x")["stage_2"]
    assert part.b[0].grad.any()
    assert not part.a[0].grad.any()


def test_a_matrix_with_a_shorter_side_has_its_rank(conditioned):
    sharing = conditioned.build("lora", {"rank": 100, "stages": (2,)})
    assert [tuple(p.shape) for p in sharing.task_parameters("x")] == [(4, 8), (4, 4)]


def test_a_stage_without_a_weight_matrix_is_shared(conditioned):
    sharing = conditioned.build("lora", {"stages": (0, 2)})
    assert sharing.chain.first == 2
    with pytest.raises(ValueError, match=r"sharing 'lora' .* has none in the conditioned stages \[0\].*'film' would"):
        conditioned.build("lora", {"stages": (0,)})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"rank": 0}, "rank=0, 1 or more is wanted"), ({"alpha": 0.0}, "alpha=0.0, a number above 0 is wanted")],
)
@pytest.mark.parametrize("name", ["lora", "mixture_of_lora"])
def test_settings_that_cannot_be_are_refused(conditioned, name, settings, sentence):
    with pytest.raises(ValueError, match=f"sharing {name!r}: {sentence}"):
        conditioned.build(name, settings)


def test_all_that_is_no_linear_layer_is_left_alone():
    """Recurrent layers, norms and embeddings; attention's inner weight is no layer's."""
    stage = nn.ModuleDict(
        {
            "gru": nn.GRU(3, 3),
            "norm": nn.LayerNorm(3),
            "table": nn.Embedding(3, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "conv": nn.Conv1d(3, 5, 2),
        }
    )
    assert matrices(stage) == {"attention.out_proj.weight": (4, 4), "conv.weight": (5, 6)}


@pytest.mark.parametrize("is_training", [True, False])
def test_attention_over_sequences_runs_with_changed_weights(is_training):
    class Sequences(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)

        def forward(self, feature):
            return feature._replace(values=self.block(feature.values, src_key_padding_mask=~feature.mask))

    stage = Sequences().train(is_training)
    shapes = matrices(stage)
    assert len(shapes) == 3
    part = LowRankChange(shapes, {name: torch.randn(2, shape[1]) for name, shape in shapes.items()}, 1.0)
    feature = Feature(torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))
    before = part(stage, feature)
    assert torch.equal(before.values, stage(feature).values)
    with torch.no_grad():
        part.b[0].normal_()
    assert not torch.allclose(part(stage, feature).values, before.values)
    assert before.mask is feature.mask


def test_batch_norm_in_a_changed_stage_keeps_its_statistics_going(conditioned):
    sharing = conditioned.build("lora", encoder=conditioned.make_normed)
    norm = sharing.chain.trunk[1].layers[1]
    sharing.train()(conditioned.inputs, ["x", "y"])
    assert int(norm.num_batches_tracked) == 2
    assert norm.running_mean.any()


def test_a_frozen_trunk_stays_with_its_statistics_and_no_task_changes_another(conditioned, train_alone):
    sharing = conditioned.build("lora", {"is_trunk_frozen": True}, encoder=conditioned.make_normed)
    state = {key: value.clone() for key, value in sharing.chain.trunk.state_dict().items()}
    assert not any(p.requires_grad for p in sharing.shared_parameters())
    before = conditioned.outputs(sharing.eval())
    train_alone(sharing, "x")
    after = conditioned.outputs(sharing)
    assert not torch.equal(before["x"][-1], after["x"][-1])
    for task in ("y", "z"):
        assert all(map(torch.equal, before[task], after[task]))
    assert all(torch.equal(value, state[key]) for key, value in sharing.chain.trunk.state_dict().items())


def test_a_frozen_trunk_trains_from_the_door(tmp_path):
    import numpy as np
    import pandas as pd

    import polytask as pt

    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 4)), columns=["a", "b", "price", "age"])
    run = pt.fit(
        table,
        [pt.Regression("price"), pt.Regression("age")],
        sharing={"lora": {"is_trunk_frozen": True}},
        balancer="pcgrad",
        folder=tmp_path / "run",
        quiet=True,
        epochs=2,
    )
    sharing = pt.load(run.path).model().sharing
    assert any(part.any() for part in sharing.chain.parts_of("price")["stage_1"].b)
