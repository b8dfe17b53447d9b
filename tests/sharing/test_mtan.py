import pytest
import torch
from torch import nn
from torch.nn import functional

from polytask.encoders import run_stages
from polytask.feature import Feature
from polytask.sharing import MTAN, Hard
from polytask.sharing.mtan import fitted


def attended(make_encoder, tasks, seed=0, **settings):
    return MTAN(make_encoder, tasks, torch.Generator().manual_seed(seed), **settings)


def saturate(sharing):
    """Every mask becomes sigmoid(50) = 1."""
    for blocks in sharing.attention.values():
        for block in blocks:
            norm = block.widen_norm.layer
            norm = getattr(norm, "layer", norm)
            with torch.no_grad():
                norm.weight.zero_()
                norm.bias.fill_(50.0)


@pytest.mark.parametrize("encoder", ["mlp", "wide", "lenet"])
def test_masks_of_one_are_hard_sharing(encoder, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    sharing, hard = attended(make_encoder, chains.tasks), Hard(make_encoder, chains.tasks, torch.Generator())
    assert not chains.same(sharing(inputs, list("xyz")), hard(inputs, list("xyz")))
    saturate(sharing)
    assert chains.same(sharing(inputs, list("xyz")), hard(inputs, list("xyz")))


@pytest.mark.parametrize("encoder", ["mlp", "lenet"])
def test_the_trunk_never_depends_on_masks(encoder, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    plain = run_stages(make_encoder(0).stages, inputs)
    sharing = attended(make_encoder, chains.tasks)
    seen = []
    for stage in sharing.trunk:
        stage.register_forward_hook(lambda *args: seen.append(args[-1].values))
    with torch.no_grad():
        for p in sharing.attention.parameters():
            p.normal_()
    sharing(inputs, list("xyz"))
    assert all(torch.equal(one, other.values) for one, other in zip(seen, plain, strict=True))


def test_a_picture_is_the_definition_by_torchs_own_modules(chains):
    """a = sigmoid(BN(V ReLU(BN(U [h; r])))), r = pool(ReLU(BN(3 × 3 convolution of the masked feature)))."""
    sharing = attended(chains.lenet, {"x": (1,), "y": (-1,)})
    inputs = chains.pictures()
    trunk = [feature.values for feature in run_stages(chains.lenet(0).stages, inputs)]

    def mask(block, values):
        for linear, norm in ((block.narrow, block.narrow_norm), (block.widen, block.widen_norm)):
            values = functional.conv2d(values, linear.weight[:, :, None, None], linear.bias)
            values = functional.batch_norm(values, None, None, training=True)
            values = values.relu() if norm is block.narrow_norm else values.sigmoid()
        return values

    blocks, refine = sharing.attention["task_x"], sharing.refinements[0]
    first = mask(blocks[0], trunk[0]) * trunk[0]
    refined = functional.conv2d(first, refine.layer.weight, refine.layer.bias, padding=1)
    refined = functional.batch_norm(refined, None, None, training=True).relu()
    refined = functional.max_pool2d(refined, 4)  # 8 × 8 to 2 × 2
    second = mask(blocks[1], torch.cat([trunk[1], refined], dim=1)) * trunk[1]
    found = sharing.train()(inputs, ["x"])["x"]
    torch.testing.assert_close(found[0].values, first)
    torch.testing.assert_close(found[1].values, second)


def test_a_vector_is_the_definition_with_layer_norm(chains):
    sharing = attended(chains.mlp, {"x": (-1,), "y": (-1,)}, reduction=2)
    trunk = [feature.values for feature in run_stages(chains.mlp(0).stages, chains.inputs())]
    refined, expected = None, []
    for stage, block in enumerate(sharing.attention["task_y"]):
        seen = trunk[stage] if refined is None else torch.cat([trunk[stage], refined], dim=1)
        hidden = functional.layer_norm(block.narrow(seen), [block.narrow.out_features]).relu()
        assert block.narrow.out_features == trunk[stage].shape[1] // 2
        mask = functional.layer_norm(block.widen(hidden), [block.widen.out_features]).sigmoid()
        expected.append(mask * trunk[stage])
        if stage < 2:
            layer = sharing.refinements[stage].layer
            refined = functional.layer_norm(layer(expected[-1]), [layer.out_features]).relu()
    for one, other in zip(sharing(chains.inputs(), ["y"])["y"], expected, strict=True):
        torch.testing.assert_close(one.values, other)


def test_attention_starts_by_name_and_task_by_task(chains):
    """Each task draws its own, and the draws of a name do not depend on the order of tasks."""
    one, other = (attended(chains.mlp, tasks).state_dict() for tasks in ({"x": (-1,), "y": (-1,)},) * 2)
    turned = attended(chains.mlp, {"y": (-1,), "x": (-1,)}).state_dict()
    assert all(torch.equal(one[key], turned[key]) and torch.equal(one[key], other[key]) for key in one)
    key = "attention.task_{}.1.narrow.weight"
    assert not torch.equal(one[key.format("x")], one[key.format("y")])
    again = attended(chains.mlp, {"x": (-1,), "y": (-1,)}, seed=1).state_dict()
    assert not torch.equal(one[key.format("x")], again[key.format("x")])


def test_masks_start_near_a_half(chains):
    sharing = attended(chains.wide, chains.tasks)
    trunk = run_stages(chains.wide(0).stages, chains.inputs())[1].values
    ratio = (sharing(chains.inputs(), ["z"])["z"][1].values / trunk)[trunk != 0]
    assert ratio.min() > 0
    assert ratio.max() < 1
    assert ratio.mean().item() == pytest.approx(0.5, abs=0.05)


def test_refinements_are_shared_by_the_tasks_that_go_on_and_owned_by_one(chains):
    sharing = attended(chains.mlp, {"x": (-1,), "y": (1,), "z": (0,)})
    shared = {id(p) for p in sharing.shared_parameters()}
    assert {id(p) for p in sharing.refinements[0].parameters()} <= shared
    own = {id(p) for p in sharing.task_parameters("x")}
    assert {id(p) for p in [*sharing.refinements[1].parameters(), *sharing.trunk[2].parameters()]} <= own
    assert len(sharing.attention["task_z"]) == 1


@pytest.mark.parametrize("encoder", ["mlp", "lenet"])
def test_a_training_batch_of_one_row_has_finite_gradients(encoder, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures(1) if encoder == "lenet" else chains.inputs(1)
    sharing = attended(make_encoder, chains.tasks).train()
    sum(f[-1].values.square().sum() for f in sharing(inputs, list("xyz")).values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in sharing.parameters() if p.grad is not None)


def test_sequences_and_their_padding(chains):
    sharing = attended(chains.tokens, {"x": (-1,), "y": (0, -1)})
    one, other = (sharing(chains.sequences(padding), ["x", "y"]) for padding in (0.0, 40.0))
    assert one["x"][-1].values.shape == (4, 7, 4)
    for task in "xy":
        assert one[task][-1].mask is not None
        torch.testing.assert_close(one[task][-1].pooled(), other[task][-1].pooled())


def test_what_is_carried_on_takes_the_form_of_the_next_stage():
    picture = Feature(torch.rand(2, 3, 8, 8))
    assert torch.equal(fitted(picture, torch.empty(2, 5, 4, 4)), functional.max_pool2d(picture.values, 2))
    assert fitted(picture, torch.empty(2, 5, 3, 7)).shape == (2, 3, 3, 7)
    assert torch.equal(fitted(picture, torch.empty(2, 9)), picture.pooled())
    assert fitted(picture, torch.empty(2, 6, 9)).shape == (2, 6, 3)
    sequence = Feature(torch.rand(2, 4, 3), torch.tensor([[True] * 4, [True, False, False, False]]))
    assert torch.equal(fitted(sequence, torch.empty(2, 4, 9)), sequence.values)
    half = fitted(sequence, torch.empty(2, 2, 9))
    assert torch.equal(half[0, 1], sequence.values[0, 2:].amax(dim=0))
    assert torch.equal(half[1, 1], torch.zeros(3)), "padding is not carried on"
    assert torch.equal(fitted(sequence, torch.empty(2, 5)), sequence.pooled())
    vector = Feature(torch.rand(2, 3))
    assert torch.equal(fitted(vector, torch.empty(2, 7)), vector.values)
    assert fitted(vector, torch.empty(2, 3, 4, 5)).shape == (2, 3, 4, 5)


def test_the_number_of_channels_between_is_at_least_one(chains):
    sharing = attended(chains.mlp, chains.tasks, reduction=100)
    assert sharing.attention["task_x"][2].narrow.out_features == 1
    with pytest.raises(ValueError, match="mtan: reduction=0, a whole number >= 1 is wanted"):
        attended(chains.mlp, chains.tasks, reduction=0)


def test_every_attention_layer_is_xavier_normal_without_bias(chains):
    sharing = attended(chains.wide, {"x": (-1,), "y": (-1,)})
    layer = sharing.attention["task_x"][1].narrow
    expected = (2 / (layer.in_features + layer.out_features)) ** 0.5
    assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
    assert all(not m.bias.any() for m in sharing.attention.modules() if isinstance(m, nn.Linear))
