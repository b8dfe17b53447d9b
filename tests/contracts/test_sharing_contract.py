"""Every sharing scheme in the catalogue, on every encoder: what docs/concepts.md promises of a Sharing."""

import pytest
import torch

from polytask.encoders import ENCODERS
from polytask.feature import CATEGORIES, NUMBERS, InputSpec
from polytask.sharing import SHARINGS, Sharing
from polytask.tasks import Regression

TABLE = InputSpec(numbers=("a", "b", "c"), categories=(("d", 5), ("e", 4)))
PICTURE = InputSpec(images={"photo": (1, 16, 16)})
BOTH = InputSpec(numbers=("a", "b", "c"), images={"photo": (1, 16, 16)})
SPECS = {"lenet": PICTURE, "fusion": BOTH}
TASKS = {"price": (-1,), "sold": (0, -1), "grade": (0,)}


def inputs_for(spec: InputSpec, rows: int = 6) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    found = {}
    if spec.numbers:
        found[NUMBERS] = torch.randn(rows, len(spec.numbers), generator=generator)
    if spec.categories:
        columns = [torch.randint(0, size, (rows,), generator=generator) for _, size in spec.categories]
        found[CATEGORIES] = torch.stack(columns, dim=1)
    for name, shape in spec.images.items():
        found[name] = torch.randn(rows, *shape, generator=generator)
    return found


def build(sharing: str, encoder: str, tasks=TASKS):
    spec = SPECS.get(encoder, TABLE)

    def make_encoder(copy: int):
        torch.manual_seed(7 + copy)
        return ENCODERS[encoder](spec)

    return SHARINGS[sharing](make_encoder, tasks, torch.Generator().manual_seed(3)), spec


@pytest.fixture(params=[(s, e) for s in SHARINGS for e in ENCODERS], ids=lambda pair: f"{pair[0]}-{pair[1]}")
def built(request):
    return build(*request.param)


def read(features, task):
    return [features[task][stage].values for stage in TASKS[task]]


def test_every_task_gets_the_stages_its_head_reads(built):
    sharing, spec = built
    features = sharing.eval()(inputs_for(spec), list(TASKS))
    for task, stages in TASKS.items():
        for stage in stages:
            values = features[task][stage].values
            assert values.shape[1] == sharing.widths[stage]
            assert torch.isfinite(values).all()


def test_declared_parameters_are_those_the_graph_reaches(built):
    sharing, spec = built
    sharing.eval()
    parameters = list(sharing.parameters())
    reached = {}
    for task in TASKS:
        features = sharing(inputs_for(spec), list(TASKS))
        loss = sum(value.square().sum() for value in read(features, task))
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        reached[task] = {id(p) for p, g in zip(parameters, gradients, strict=True) if g is not None}
    counts = {id(p): sum(id(p) in found for found in reached.values()) for p in parameters}
    assert {id(p) for p in sharing.shared_parameters()} == {p for p, n in counts.items() if n >= 2}
    for task in TASKS:
        assert {id(p) for p in sharing.task_parameters(task)} == {p for p in reached[task] if counts[p] == 1}
    assert all(counts.values()), "a parameter that no task reaches"


def test_absent_task_keeps_its_own_parameters_without_gradient(built):
    sharing, spec = built
    features = sharing(inputs_for(spec), ["grade"])
    assert set(features) == {"grade"}
    sum(value.square().sum() for value in read(features, "grade")).backward()
    for task in ("price", "sold"):
        assert all(p.grad is None for p in sharing.task_parameters(task))


def test_only_what_a_task_needs_is_run(built):
    sharing, spec = built
    ran = []
    for name, module in sharing.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
    sharing.eval()
    sharing(inputs_for(spec), ["grade"])
    alone = len(ran)
    ran.clear()
    sharing(inputs_for(spec), list(TASKS))
    assert alone < len(ran)


def test_dropping_tasks_at_inference_changes_no_output(built):
    sharing, spec = built
    sharing.eval()
    together = sharing(inputs_for(spec), list(TASKS))
    for task in TASKS:
        alone = sharing(inputs_for(spec), [task])
        for one, other in zip(read(alone, task), read(together, task), strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize("sharing", SHARINGS)
@pytest.mark.parametrize("encoder", ["mlp", "lenet"])
@pytest.mark.parametrize("reads", [-2, (0, -2), -1])
def test_a_head_reads_the_same_stage_alone_and_together(sharing, encoder, reads):
    """Counted from the end of the whole chain, not from where this task's part of it ends."""
    stages = (reads,) if isinstance(reads, int) else reads
    built, spec = build(sharing, encoder, {"early": stages, "late": (-1,)})
    built.eval()
    head = Regression("early", reads=reads).head({}, built.widths)
    inputs, together = inputs_for(spec), built(inputs_for(spec), ["early", "late"])["early"]
    assert torch.equal(head(built(inputs, ["early"])["early"]), head(together))
    read = torch.cat([together[stage % len(built.widths)].pooled() for stage in stages], dim=1)
    assert torch.equal(head.layers(read).squeeze(1), head(together))


def test_a_scheme_that_lacks_a_part_cannot_be_built():
    class Half(Sharing):
        def task_parameters(self, task):
            return iter(())

    with pytest.raises(TypeError, match=r"abstract.*__init__.*forward"):
        Half(None, {}, None)


def test_no_row_influences_another_in_evaluation(built):
    sharing, spec = built
    sharing.eval()
    inputs = inputs_for(spec)
    whole = sharing(inputs, list(TASKS))
    part = sharing({name: value[2:4] for name, value in inputs.items()}, list(TASKS))
    for task in TASKS:
        for one, other in zip(read(part, task), read(whole, task), strict=True):
            torch.testing.assert_close(one, other[2:4])


def test_state_round_trip(built, request):
    sharing, spec = built
    pair = request.node.callspec.params["built"]
    fresh, _ = build(*pair)
    with torch.no_grad():
        for p in fresh.parameters():
            p.add_(1.0)
    fresh.load_state_dict(sharing.state_dict())
    one, other = sharing.eval()(inputs_for(spec), ["price"]), fresh.eval()(inputs_for(spec), ["price"])
    assert torch.equal(one["price"][-1].values, other["price"][-1].values)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("sharing", ["hard", "independent"])
def test_one_task_alone_is_the_plain_chain(sharing, encoder):
    built, spec = build(sharing, encoder, {"only": (-1,)})
    torch.manual_seed(7)
    plain = ENCODERS[encoder](spec).eval()
    expected = plain(inputs_for(spec))[-1].values
    assert torch.equal(built.eval()(inputs_for(spec), ["only"])["only"][-1].values, expected)
    assert not list(built.shared_parameters())


@pytest.mark.parametrize("sharing", SHARINGS)
def test_permuting_tasks_permutes_outputs(sharing):
    forward, spec = build(sharing, "mlp")
    backward, _ = build(sharing, "mlp", dict(reversed(TASKS.items())))
    one, other = (s.eval()(inputs_for(spec), list(TASKS)) for s in (forward, backward))
    for task in TASKS:
        for a, b in zip(read(one, task), read(other, task), strict=True):
            assert torch.equal(a, b)
