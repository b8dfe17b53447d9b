import pytest
import torch

from polytask.encoders import run_stages
from polytask.feature import Feature
from polytask.sharing import CrossStitch, Independent
from polytask.sharing.cross_stitch import StitchUnit


def stitched(make_encoder, tasks, **settings):
    return CrossStitch(make_encoder, tasks, torch.Generator(), **settings)


def plainly(sharing, inputs, depths):
    """The definition, written for all tasks at once: chains first, then x^t <- Σ_j A[t, j] x^j."""
    state, chains = sharing.state_dict(), {task: sharing.mixed.chains[f"task_{task}"] for task in depths}
    before, found = dict.fromkeys(depths, inputs), {task: [] for task in depths}
    for stage in range(max(depths.values())):
        members = [task for task in depths if depths[task] > stage]
        ran = {task: chains[task][stage](before[task]).values for task in members}
        for task in members:
            weights = state.get(f"mixed.units.stage_{stage}.task_{task}.weight", torch.ones(1, 1))
            sources = [ran[member] for member in (members if len(weights) > 1 else [task])]
            axes = (-1, 1, 1) if ran[task].ndim == 4 else (-1,)
            before[task] = Feature(sum(w.view(axes) * x for w, x in zip(weights, sources, strict=True)))
            found[task].append(before[task])
    return found


def scatter(sharing):
    """Weights of its own for every unit, channel and source."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in sharing.mixed.units.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))


@pytest.mark.parametrize("encoder", ["mlp", "wide", "lenet"])
@pytest.mark.parametrize("settings", [{}, {"per_channel": False}, {"stages": (1,)}, {"stages": (0, -1)}], ids=str)
def test_it_is_the_definition(encoder, settings, chains):
    tasks = chains.tasks | {"w": (0,)}
    sharing = stitched(getattr(chains, encoder), tasks, initialisation="own", **settings)
    scatter(sharing)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    expected = plainly(sharing, inputs, {task: sharing.depth(task) for task in tasks})
    for asked in (list(tasks), ["w"], ["z", "y"]):
        found = sharing(inputs, asked)
        for task in asked:
            assert len(found[task]) == sharing.depth(task)
            for one, other in zip(found[task], expected[task], strict=True):
                torch.testing.assert_close(one.values, other.values)


@pytest.mark.parametrize("encoder", ["mlp", "wide", "lenet"])
def test_the_identity_is_independent_bit_for_bit(encoder, chains):
    make_encoder = getattr(chains, encoder)
    inputs = chains.pictures() if encoder == "lenet" else chains.inputs()
    for mode in (True, False):
        sharing = stitched(make_encoder, chains.tasks, diagonal=1.0, initialisation="own").train(mode)
        independent = Independent(make_encoder, chains.tasks, torch.Generator(), initialisation="own").train(mode)
        assert chains.same(sharing(inputs, list("xyz")), independent(inputs, list("xyz")))


@pytest.mark.parametrize("diagonal", [0.9, 0.5, 0.0])
def test_rows_that_sum_to_one_change_nothing_on_equal_nets(diagonal, chains):
    sharing = stitched(chains.wide, chains.tasks, diagonal=diagonal)
    plain = run_stages(chains.wide(0).stages, chains.inputs())
    for task, features in sharing(chains.inputs(), list("xyz")).items():
        for one, other in zip(features, plain[: sharing.depth(task)], strict=True):
            torch.testing.assert_close(one.values, other.values)


def test_the_start_is_convex_whatever_the_number_of_tasks_that_are_mixed(chains):
    tasks = {"x": (-1,), "y": (-1,), "z": (1,), "w": (0,)}
    records = stitched(chains.mlp, tasks, diagonal=0.7).records()
    assert [len(record.rows) for record in records.values()] == [4, 3, 2]
    for record in records.values():
        for k, row in enumerate(record.values):
            assert sum(row) == pytest.approx(1)
            assert row[k] == pytest.approx(0.7)
            assert len({round(value, 6) for j, value in enumerate(row) if j != k}) == 1
    assert {record.kind for record in records.values()} == {"weights"}


def test_every_task_has_a_row_of_its_own_and_the_last_one_is_used(chains):
    """Not one mixture for all nets, and no unit that nobody reads."""
    sharing = stitched(chains.mlp, {"x": (-1,), "y": (-1,)}, initialisation="own")
    features = sharing(chains.inputs(), ["x", "y"])
    assert not torch.equal(features["x"][-1].values, features["y"][-1].values)
    (features["x"][-1].values.square().sum() + features["y"][-1].values.square().sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in sharing.mixed.units.parameters())


def test_activations_keep_their_size_through_many_stages(chains):
    def deep(copy):
        return chains.mlp(copy, widths=[32] * 8)

    tasks = {f"task {k}": (-1,) for k in range(6)}
    plain = run_stages(deep(0).stages, chains.inputs())[-1].values
    found = stitched(deep, tasks)(chains.inputs(), list(tasks))
    torch.testing.assert_close(found["task 3"][-1].values, plain)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_diverged_net_leaks_through_an_exact_zero_in_training_only(bad):
    """In training it must: a weight of 0 that is cut off has no gradient and stays 0 for good."""
    unit, sources = StitchUnit([1.0, 0.0], 3), [Feature(torch.ones(2, 3)), Feature(torch.full((2, 3), bad))]
    assert torch.equal(unit.eval()(sources).values, torch.ones(2, 3))
    assert unit.train()(sources).values.isnan().all()
    unit(2 * [Feature(torch.ones(2, 3))]).values.sum().backward()
    assert unit.weight.grad.tolist() == [[2.0] * 3] * 2


def test_padding_and_masks(chains):
    sharing = stitched(chains.tokens, {"x": (-1,), "y": (0,)}, initialisation="own")
    scatter(sharing)
    found = sharing(chains.sequences(), ["x", "y"])
    assert torch.equal(found["x"][-1].mask, chains.sequences()["lengths"].unsqueeze(1) > torch.arange(7))
    other = sharing(chains.sequences(padding=50.0), ["x", "y"])
    torch.testing.assert_close(found["x"][-1].pooled(), other["x"][-1].pooled())
    expected = plainly(sharing, chains.sequences(), {"x": 2, "y": 1})
    torch.testing.assert_close(found["x"][-1].values, expected["x"][-1].values)


def test_what_a_task_needs_is_what_runs_for_it(chains):
    """Behind the last unit on its way, other chains' stages do not run."""
    sharing = stitched(chains.mlp, {"x": (-1,), "y": (-1,)}, stages=(0,))
    ran = []
    for name, module in sharing.named_modules():
        if name.count(".") == 3 and "chains" in name:
            module.register_forward_hook(lambda *_, name=name: ran.append(name.removeprefix("mixed.chains.")))
    sharing(chains.inputs(), ["y"])
    assert ran == ["task_x.0", "task_y.0", "task_y.1", "task_y.2"]
    assert {id(p) for p in sharing.task_parameters("y")} >= {
        id(p) for stage in (1, 2) for p in sharing.mixed.chains["task_y"][stage].parameters()
    }


def test_tasks_on_tables_of_their_own_are_refused(chains):
    sharing = stitched(chains.mlp, chains.tasks)
    sharing.check_rows([["x", "y", "z"]], is_one_task_a_step=True)
    with pytest.raises(ValueError, match=r"cross_stitch mixes .* \(x, y, z\) are on 2 tables.*: use sharing hard"):
        sharing.check_rows([["x"], ["y", "z"]], is_one_task_a_step=False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"diagonal": 1.5}, "diagonal=1.5, a number from 0 to 1 is wanted"),
        ({"diagonal": float("nan")}, "diagonal=nan"),
        ({"unit_rate": 0.0}, "unit_rate=0.0, a number above 0 is wanted"),
        ({"stages": (3,)}, "stages names 3, but the encoder has stages 0 to 2"),
        ({"stages": (-4,)}, "stages names -4"),
        ({"stages": (0, -3)}, r"stages=\(0, -3\): name each stage once, and at least one"),
        ({"stages": ()}, r"without any, the scheme is 'independent'"),
    ],
)
def test_settings_that_cannot_be(settings, says, chains):
    with pytest.raises(ValueError, match=f"cross_stitch: .*{says}"):
        stitched(chains.mlp, chains.tasks, **settings)
