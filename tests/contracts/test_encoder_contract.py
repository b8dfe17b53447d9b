"""Every encoder in the catalogue: what docs/concepts.md promises of an Encoder."""

import copy

import pytest
import torch
from every_sharing import inputs_for

from polytask.config import as_choice, written
from polytask.encoders import ENCODERS, Encoder, default_encoder, run_stages
from polytask.feature import Feature, InputSpec, SequenceSpec

TABLE = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5), ("e", 4)))
NUMBERS_ONLY = InputSpec(numbers=("a", "b"))
CATEGORIES_ONLY = InputSpec(categories=(("d", 5), ("e", 1), ("f", 2)))
PICTURE = InputSpec(images={"a photo.jpg": (3, 12, 15)})
TWO_PICTURES = InputSpec(images={"left": (1, 28, 28), "right": (3, 16, 12)})
TOKENS = InputSpec(sequences={"words": SequenceSpec(num_codes=9)})
SERIES = InputSpec(sequences={"past": SequenceSpec(channels=2)})
ALL_KINDS = TABLE + PICTURE + TOKENS + SERIES + InputSpec(vectors={"v": 3})
BOTH = InputSpec(numbers=("a",), categories=(("d", 5),), images={"left": (1, 28, 28), "right": (1, 28, 28)})

#: Encoder -> what it reads.
SPECS = {
    "mlp": [TABLE, NUMBERS_ONLY, CATEGORIES_ONLY, InputSpec(vectors={"v": 3, "w": 2})],
    "resnet": [TABLE, NUMBERS_ONLY, CATEGORIES_ONLY],
    "lenet": [PICTURE],
    "conv1d": [TOKENS, SERIES],
    "fusion": [TABLE, PICTURE, TWO_PICTURES, BOTH, ALL_KINDS],
}

#: Encoder -> settings that together have every option.
SETTINGS = {
    "mlp": [
        {},
        {"widths": [], "dropout": 0.0},
        {"widths": [7], "activation": "gelu", "batch_norm": True, "numbers": "plr", "embedding_dim": 3},
        {"activation": "silu", "numbers": "periodic", "frequencies": 2, "frequency_scale": 1.0},
    ],
    "resnet": [{}, {"width": 6, "blocks": 1, "hidden_factor": 1.5, "residual_dropout": 0.2, "numbers": "plr"}],
    "lenet": [{}, {"channels": [2, 3], "widths": [5], "dropout": 0.3}],
    "conv1d": [{}, {"embedding": 3, "widths": [4], "kernel": 3, "dropout": 0.0}],
    "fusion": [
        {},
        {"sequences": {"conv1d": {"widths": [5]}}},
        {"table": {"resnet": {"blocks": 1}}, "images": {"lenet": {"widths": [9]}}, "widths": [], "dropout": 0.0},
        {"widths": [8, 4], "activation": "gelu"},
    ],
}
EVERY = [(name, spec, settings) for name in SPECS for spec in SPECS[name] for settings in SETTINGS[name]]


def build(name, spec, settings, seed=0):
    torch.manual_seed(seed)
    return as_choice({name: settings}, ENCODERS, "encoder")(spec)


@pytest.fixture(params=EVERY, ids=[f"{n}-{k}" for k, (n, _, _) in enumerate(EVERY)])
def built(request):
    name, spec, settings = request.param
    return build(name, spec, settings), spec, lambda: build(name, spec, settings)


def same(features, others):
    return all(torch.equal(a.values, b.values) for a, b in zip(features, others, strict=True))


def test_every_encoder_has_a_case():
    assert set(SPECS) == set(SETTINGS) == set(ENCODERS)


def test_an_encoder_without_a_constructor_cannot_be_built():
    class Half(Encoder):
        pass

    with pytest.raises(TypeError, match=r"abstract.*__init__"):
        Half(TABLE)


def test_widths_are_the_channels_of_the_stages(built):
    encoder, spec, _ = built
    for model in (encoder.train(), encoder.eval()):
        features = model(inputs_for(spec))
        assert len(features) == len(encoder.stages) == len(encoder.widths)
        for feature, width in zip(features, encoder.widths, strict=True):
            assert isinstance(feature, Feature)
            assert feature.values.shape[1 if feature.values.ndim == 4 else -1] == width
            assert len(feature.values) == 6
            assert feature.pooled().shape == (6, width)
            assert torch.isfinite(feature.values).all()


def test_kinds_are_those_of_the_stages_and_finding_them_changes_nothing(built):
    encoder, spec, again = built
    drawn = torch.get_rng_state()
    encoder.train().stages[-1].eval()  # as one does who freezes it
    kinds = encoder.kinds()
    assert torch.equal(drawn, torch.get_rng_state())
    assert encoder.training
    assert not encoder.stages[-1].training
    assert [{"vector": 2, "sequence": 3, "picture": 4}[kind] for kind in kinds] == [
        feature.values.ndim for feature in encoder.eval()(inputs_for(spec))
    ]
    state, fresh = encoder.state_dict(), again().state_dict()
    assert all(torch.equal(state[key], fresh[key]) for key in state)


def test_features_are_of_moderate_size_at_the_start(built):
    encoder, spec, _ = built
    last = encoder.train()(inputs_for(spec, rows=64))[-1].values
    assert last.abs().max() < 20


def test_gradients_reach_every_parameter(built):
    encoder, spec, _ = built
    if not list(encoder.parameters()):
        pytest.skip("numbers as they are have no parameters")
    encoder.eval()(inputs_for(spec, rows=64))[-1].values.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in encoder.parameters())
    # ReLU may kill all of a few units, never most of them.
    assert all(p.grad.any() for p in encoder.parameters() if p.numel() > 4)


def test_rows_do_not_see_each_other_in_evaluation(built):
    encoder, spec, _ = built
    inputs = inputs_for(spec)
    whole = encoder.eval()(inputs)
    for rows in (slice(0, 1), slice(3, 6)):
        for feature, part in zip(whole, encoder({k: v[rows] for k, v in inputs.items()}), strict=True):
            torch.testing.assert_close(part.values, feature.values[rows], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights(built):
    encoder, spec, again = built
    assert same(encoder.eval()(inputs_for(spec)), again().eval()(inputs_for(spec)))


def test_state_loads_into_a_fresh_one(built):
    encoder, spec, again = built
    encoder.train()(inputs_for(spec))
    fresh = again()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.add_(1.0)
    fresh.load_state_dict(encoder.state_dict())
    assert same(encoder.eval()(inputs_for(spec)), fresh.eval()(inputs_for(spec)))


def test_a_copy_is_its_own(built):
    encoder, spec, _ = built
    twin = copy.deepcopy(encoder)
    before = encoder.eval()(inputs_for(spec))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(1.0)
    assert same(before, encoder(inputs_for(spec)))


def test_it_works_in_half_precision(built):
    encoder, spec, _ = built
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = encoder.train()(inputs_for(spec))
    assert all(torch.isfinite(feature.values).all() for feature in features)


def test_inputs_are_left_as_they_are(built):
    encoder, spec, _ = built
    inputs = inputs_for(spec)
    before = {key: value.clone() for key, value in inputs.items()}
    encoder.train()(inputs)
    assert all(torch.equal(inputs[key], before[key]) for key in before)


@pytest.mark.parametrize("name", ENCODERS)
def test_settings_are_written_and_read_again(name):
    for settings in SETTINGS[name]:
        choice = as_choice({name: settings}, ENCODERS, "encoder")
        assert as_choice(written(choice, ENCODERS, "encoder"), ENCODERS, "encoder") == choice
        assert ENCODERS[name].with_(**settings) == choice


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    "spec", [InputSpec(), TABLE, PICTURE, TWO_PICTURES, BOTH, TOKENS, ALL_KINDS, InputSpec(images={"dot": (1, 8, 30)})]
)
def test_what_it_cannot_read_is_one_sentence(name, spec):
    """Either it reads all of the columns or it says so, with an encoder that would."""
    try:
        encoder = ENCODERS[name](spec)
    except ValueError as error:
        text = str(error)
        assert name in text or "lenet" in text
        assert "\n" not in text
        if spec != InputSpec():
            default = default_encoder(spec)
            assert f"encoder {default!r} would work" in text or "8 x 30" in text
    else:
        encoder.eval()(inputs_for(spec))


def test_the_default_encoder_reads_everything():
    for spec, expected in (
        (TABLE, "mlp"),
        (PICTURE, "lenet"),
        (TWO_PICTURES, "fusion"),
        (BOTH, "fusion"),
        (TOKENS, "conv1d"),
    ):
        assert default_encoder(spec) == expected
        ENCODERS[expected](spec)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_way_of_differentiating_gives_the_same_gradients(built, dtype, assert_paths_agree):
    encoder, spec, _ = built
    encoder = encoder.to(dtype).train()
    heads = {task: torch.nn.Linear(encoder.widths[-1], 1).to(dtype) for task in ("a", "b", "c", "d")}
    inputs = {name: v.to(dtype) if v.is_floating_point() else v for name, v in inputs_for(spec, rows=9).items()}

    def losses():
        torch.manual_seed(3)  # the same dropout masks
        feature = run_stages(encoder.stages, inputs)[-1].values
        return {task: (head(feature) - 1).square().mean() for task, head in heads.items()}

    for by_products in (None, True, False):
        for batched in (None, False):
            assert_paths_agree(losses, list(encoder.parameters()), by_products=by_products, batched=batched, chunk=None)
    assert_paths_agree(losses, list(encoder.parameters()), chunk=200)
